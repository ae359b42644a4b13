/** Networks that a user's module exports: loading it, its options, and the checkpoints of such networks. */

import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UserError } from "../../kernels/mod.ts";
import { describeValue } from "../../kernels/core/checks.ts";
import {
  type Checkpoint,
  decodeSafetensors,
  loadCheckpoint,
  type LoadOptions,
  type NetworkMaker,
  type OptionValue,
} from "../../models/mod.ts";
import { choice, integer, integers, number, text, toggle } from "../cli/kinds.ts";
import { textTable } from "../cli/output.ts";
import { accepted, ConfigError, didYouMean, type Setting, valueOf } from "../cli/settings.ts";
import { runFile } from "../run/files.ts";
import { reasonOf, sha256 } from "../run/run_folder.ts";
import { moduleOf } from "../settings/config_file.ts";
import { type ModuleChoice, type NetworkChoice, writeNetwork } from "../settings/network.ts";

/** A custom network: what its module exports. */
export interface OwnNetwork {
  /** Its module, as the user has named it. */
  readonly file: string;
  /** SHA-256 of the module, in hex. */
  readonly digest: string;
  /** The module itself, for the copy in a run's folder. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its class, or the function that makes it. */
  readonly make: NetworkMaker;
  /** Its options. */
  readonly rows: OptionRows;
}

/** The networks that the user has named, by file: no module runs because a file of a run names it. */
const named = new Map<string, OwnNetwork>();

/** Loads a network that the user names, with `--model` or in a plan. */
export async function nameNetwork(file: string): Promise<OwnNetwork> {
  const refuse = (error: unknown) => {
    throw new ConfigError(`Cannot use ${file}: ${reasonOf(error)}`);
  };
  const path = await Deno.realPath(file).catch((error) => {
    if (error instanceof Deno.errors.NotFound) {
      throw new ConfigError(`Cannot use ${file}: there is no such file`);
    }
    return refuse(error);
  });
  const bytes = await Deno.readFile(path).catch(refuse);
  const digest = await sha256(bytes);
  const existing = named.get(file);
  if (existing?.digest === digest) return existing;
  Object.assign(Error, { stackTraceLimit: 50 }); // by default V8 keeps ten frames, which an op alone may take
  const original = originalOf(path);
  const address = original === undefined ? pathToFileURL(path).href : asIfAt(original, bytes);
  // The digest lets a module that has changed run again.
  const exports = await import(`${address}#${digest}`).catch((error) => {
    throw moduleError(file, "", error);
  });
  const { default: make, options = {} } = exports;
  if (typeof make !== "function") {
    const names = Object.keys(exports).join(", ");
    const others = names === "" ? "nothing" : `${names} and no default`;
    const has = "default" in exports ? `${describeValue(make)} by default` : others;
    throw new ConfigError(
      `Cannot use ${file}: it exports ${has} (expected \`export default\` of a network's class, or of a function that ` +
        "makes it)",
    );
  }
  try {
    const rows = optionRows(options, file);
    const network = { file, digest, bytes, make: make as NetworkMaker, rows };
    named.set(file, network);
    const recorded = moduleOf(dirname(path));
    const isNew = original !== undefined && recorded !== undefined && !named.has(recorded);
    if (isNew) named.set(recorded, network); // as its run calls it
    return network;
  } catch (error) {
    throw moduleError(file, "its options: ", error); // a getter, for example, runs the module's code
  }
}

/** The place of the module whose copy a run has; undefined if a path is no such copy. */
function originalOf(path: string): string | undefined {
  const copies = new Set<string>();
  let original = path;
  while (basename(original) === runFile.network && !copies.has(original)) { // a run may be trained with a copy
    const module = moduleOf(dirname(original));
    if (module === undefined) break;
    copies.add(original);
    original = resolve(module);
  }
  return copies.size > 0 ? original : undefined;
}

/** The address of a module that imports what it would import if it lay elsewhere. */
function asIfAt(path: string, bytes: Uint8Array): string {
  const base = pathToFileURL(path);
  const text = new TextDecoder().decode(bytes)
    .replaceAll(/(\b(?:from|import)\s*\(?\s*)(["'])(\.{0,2}\/[^"'\n]*)\2/g, (_, before, quote, specifier) => {
      return before + quote + new URL(specifier, base).href + quote;
    });
  return `data:application/typescript;base64,${new TextEncoder().encode(text).toBase64()}`;
}

/** The file and line of the first frame in a user's module, or else in another file that is not of this suite. */
function placeIn(stack: string, file: string): string | undefined {
  const suite = new URL("../../", import.meta.url).href;
  const rooms = ["kernels", "models", "experiments"].map((room) => `${suite}${room}/`);
  const frames = Array.from(
    stack.matchAll(/((?:file|data|https?):[^\s()#]+?)(?:#\w+)?:(\d+:\d+)/g),
    ([, address, line]) => {
      const name = address.startsWith("data:") ? basename(file) : address.slice(address.lastIndexOf("/") + 1);
      return { name, line, ofUser: !rooms.some((room) => address.startsWith(room)) };
    },
  );
  const frame = frames.find(({ name }) => name === basename(file)) ?? frames.find(({ ofUser }) => ofUser);
  return frame && `${frame.name}:${frame.line}`;
}

/** An error of a network's module as one line: what happened, and where. */
export function moduleError(file: string, doing: string, error: unknown): Error {
  if (error instanceof ConfigError) return error;
  const { name, message, stack = "" } = error instanceof Error ? error : new Error(String(error));
  // deno-lint-ignore no-control-regex -- Deno colours messages of the compiler
  const plain = message.replaceAll(/\x1b\[\d+m/g, "");
  const [line] = plain.split("\n");
  const own = /^Cannot (?:make the network|use the field)[^:]*: (.*)/.exec(line)?.[1]; // the message is about its module
  if (own !== undefined) return new ConfigError(`Cannot use ${file}: ${own}`);
  const place = placeIn(`${plain}\n${stack}`, file);
  const text = line.replaceAll(/#[0-9a-f]{64}/g, "").replaceAll(/data:application\/typescript[^\s"]*/g, file);
  const what = error instanceof UserError || /^\w*Error: /.test(text) ? text : `${name}: ${text}`;
  return new ConfigError(`Cannot use ${file}: ${doing}${what}${place === undefined ? "" : ` (${place})`}`);
}

/** A custom network with the options that settings give it. */
export interface ChosenNetwork extends OwnNetwork {
  readonly options: Readonly<Record<string, OptionValue>>;
}

/**
 * The custom network of settings, with its options; undefined for a U-Net.
 *
 * @param source what has the settings, such as a run, for errors
 */
export function chosenNetwork(model: NetworkChoice, source = "this run"): ChosenNetwork | undefined {
  if (model.kind === "unet") return undefined;
  const { file, sha256 } = model;
  const network = named.get(file);
  if (!network) throw missing(source, file, sha256);
  if ((sha256 ?? network.digest) !== network.digest) throw changed(source, network, sha256!);
  return { ...network, file, options: chosenOptions(model, network.rows) };
}

function missing(source: string, file: string, digest?: string): ConfigError {
  const kept = keptModule(source);
  const [what, how] = kept !== undefined
    ? [`in ${kept} of an earlier version`, "save its module as a file, and give --model FILE"]
    : [digest === undefined ? file : `${file} (SHA-256 ${digest.slice(0, 12)}...)`, `give --model ${file}`];
  return new ConfigError(`Cannot use ${source}: its network is ${what}; ${how}`);
}

/** The file in which a run of version 0.9 keeps the text of its module; its digests are of that file. */
function keptModule(source: string): string | undefined {
  return fileBeside(source, "network.json");
}

function changed(source: string, { file, digest }: OwnNetwork, expected: string): ConfigError {
  const copy = copyIn(source);
  const digests = `SHA-256 ${digest.slice(0, 12)}..., expected ${expected.slice(0, 12)}...`;
  const earlier = copy === undefined ? "" : `give --model ${copy}, which is as it was, or `;
  return new ConfigError(
    `Cannot use --model ${file} with ${source}: it has changed since, or is another network (${digests}); ` +
      `${earlier}to go on with it, train --init ${source}`,
  );
}

/** The copy of the module in the run's folder. @param source the run, or a file of it */
function copyIn(source: string): string | undefined {
  return fileBeside(source, runFile.network);
}

/** A file in the folder of a run. @param source the run, or a file of it */
function fileBeside(source: string, name: string): string | undefined {
  const folders = [source, dirname(source), dirname(dirname(source))];
  return folders.map((folder) => join(folder, name)).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** A network with all its options, and the digest of its module. */
export function withAllOptions(model: NetworkChoice): NetworkChoice {
  const network = chosenNetwork(model);
  if (!network) return model;
  const { file, digest, options } = network;
  const texts = Object.entries(options).map(([name, value]) => [name, `${value}`]);
  return { kind: "module", file, sha256: digest, options: Object.fromEntries(texts) };
}

/**
 * Creates the network of a checkpoint, as `loadCheckpoint` does. A custom one is made by the module that the user has
 * named.
 *
 * @param options with `make` for a custom network whose module may have changed
 * @param model the user's setting `model`, if a task has one: it names the module, or is that of a U-Net
 */
export async function loadWeights(
  bytes: Uint8Array,
  source: string,
  options: LoadOptions = {},
  model: NetworkChoice | null = null,
): Promise<Checkpoint> {
  const own = ownConfigIn(bytes, source);
  const given = model?.kind === "module" ? await nameNetwork(model.file) : undefined;
  if (!own && given) {
    throw new ConfigError(
      `Cannot use --model ${writeNetwork(model!)} with ${source}: its network is a U-Net (leave it out)`,
    );
  }
  if (!own) return loadCheckpoint(bytes, source, options);
  const { file, make } = options.make ? { file: own.name, make: options.make } : namedFor(own, source, given);
  try {
    return await loadCheckpoint(bytes, source, { ...options, make });
  } catch (error) {
    throw error instanceof UserError ? error : moduleError(file, `making the network of ${source}: `, error);
  }
}

function namedFor(
  { name, digest }: NonNullable<ReturnType<typeof ownConfigIn>>,
  source: string,
  given?: OwnNetwork,
): OwnNetwork {
  const all = given ? [given] : [...named.values()];
  const found = digest === undefined ? all.at(-1) : all.find((network) => network.digest === digest);
  if (found) return found;
  throw all.length === 0 || digest === undefined
    ? missing(source, name, digest)
    : changed(source, all.at(-1)!, digest);
}

/** The module of a custom network that a checkpoint names, and its SHA-256; undefined for a U-Net. */
export function ownConfigIn(
  bytes: Uint8Array,
  source: string,
): { readonly name: string; readonly digest?: string } | undefined {
  const { metadata } = decodeSafetensors(bytes, source);
  try {
    const { type, name, digest } = JSON.parse(metadata.config);
    if (type !== "own") return undefined;
    const known = digest !== undefined && keptModule(source) === undefined;
    return { name: String(name), digest: known ? String(digest) : undefined };
  } catch {
    return undefined; // `loadCheckpoint` reports the error
  }
}

/** The options of a custom network, as settings by name. */
export type OptionRows = Readonly<Record<string, Setting<OptionValue>>>;

/** Names of the values that every network gets besides its options. */
const reserved = ["shape", "classes", "flowMap"];

/** The settings that a module declares by the defaults of its options. */
export function optionRows(options: unknown, file: string): OptionRows {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new ConfigError(
      `Cannot use ${file}: its options are ${options} (expected an object of defaults by name)`,
    );
  }
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => {
      if (!/^[a-z][A-Za-z0-9]*$/.test(name) || reserved.includes(name)) {
        const taken = reserved.includes(name) ? "every network gets this one" : "flags need other names";
        throw new ConfigError(
          `Cannot use ${file}: it cannot have an option ${name}: ${taken} (expected a name such as headCount)`,
        );
      }
      return [name, rowOf(name, option, file)];
    }),
  );
}

/** The setting of an option: `128`, `0.1`, `true`, `"text"`, `[16, 32]`, words to choose from, or `{ default, doc }`. */
function rowOf(name: string, option: unknown, file: string): Setting<OptionValue> {
  const isDeclared = typeof option === "object" && option !== null && "default" in option;
  const declared: { default: unknown; doc?: unknown } = isDeclared ? option : { default: option };
  const { default: value, doc = `option of ${basename(file)}` } = declared;
  const shared = { doc: String(doc) };
  if (typeof value === "boolean") return toggle({ ...shared, default: value });
  if (typeof value === "string") {
    const pattern = /^[^\p{Cc},]*$/u;
    return text({ ...shared, default: value, hint: "TEXT", pattern, expected: "text without commas" });
  }
  if (typeof value === "number" && Number.isFinite(value)) {
    return Number.isSafeInteger(value) && value > 0
      ? integer({ ...shared, min: 1, default: value })
      : number({ ...shared, default: value });
  }
  if (Array.isArray(value) && value.length > 0) {
    if (value.every((item) => Number.isSafeInteger(item) && item > 0)) {
      return integers({ ...shared, default: value });
    }
    if (value.every((item) => typeof item === "string")) {
      return choice(value, { ...shared, default: value[0] });
    }
  }
  throw new ConfigError(
    `Cannot use ${file}: its option ${name} is ${
      Deno.inspect(value)
    } (expected a default: a number, a switch, ` +
      "text, a list of whole numbers, or of words to choose from)",
  );
}

/** All options of a network, with those that a setting gives. */
export function chosenOptions(
  { file, options }: ModuleChoice,
  rows: OptionRows,
): Record<string, OptionValue> {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(rows, name));
  if (unknown !== undefined) {
    const names = Object.keys(rows);
    const meant = `${didYouMean(unknown, names)}; it has ${names.join(", ") || "none"}`;
    throw new ConfigError(`Cannot use ${file}: it has no option ${unknown}${meant}`);
  }
  return Object.fromEntries(
    Object.entries(rows).map(([name, row]) => {
      if (!Object.hasOwn(options, name)) return [name, row.default!];
      const text = options[name];
      const isSwitch = row.hint === undefined;
      const value = isSwitch ? { true: true, false: false }[text] ?? text : valueOf(row, text);
      return [name, accepted(row, value, `${name}=${text} of ${file}`)];
    }),
  );
}

/** Loads the module of a network that the user names, if it is one. */
export async function nameModule(model: NetworkChoice | null | undefined): Promise<void> {
  if (model?.kind === "module") await nameNetwork(model.file);
}

/** The options of a module's network, for `--help`. */
export async function optionsHelp(model: NetworkChoice | null | undefined): Promise<string | undefined> {
  if (model?.kind !== "module") return undefined;
  const { rows } = await nameNetwork(model.file);
  const lines = Object.entries(rows).map(([name, { doc, hint, default: value }]) => {
    return [`${name}=${hint ?? "true|false"}`, `${doc} (default: ${value})`];
  });
  if (lines.length === 0) return `${model.file} has no options`;
  return `Options of ${basename(model.file)}, --model ${model.file}:key=value,key=value\n${
    textTable(lines, undefined, 80)
  }`;
}
