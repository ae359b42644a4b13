import { dirname, join } from "node:path";
import { UserError } from "../../kernels/mod.ts";
import { describeValue } from "../../kernels/core/checks.ts";
import type { NetworkMaker, OptionValue } from "../../models/mod.ts";
import { say } from "../cli/output.ts";
import { describeError, isRunning } from "../cli/task.ts";
import { readIfThere } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { readGivenWeights } from "../run/weights.ts";
import { modelText, ownModel } from "../cli/model_setting.ts";
import { ConfigError } from "../cli/setting.ts";
import { parseInit } from "../cli/stored_network.ts";
import {
  decodeSources,
  type ModuleSources,
  readSources,
  runSources,
  sourcesDigest,
  withFileNames,
} from "./module_sources.ts";
import { isNamed, markNamed } from "./named_networks.ts";
import { chosenOptions, type OptionRows, optionRows } from "./network_options.ts";

/** Error of a module that ends the program. */
export const exited = "its module called Deno.exit() (expected it to return)";

/** A custom network: what its module exports. */
export interface OwnNetwork {
  /** Its module, as settings name it. */
  readonly file: string;
  /** Its program, and the digest of that. */
  readonly sources: ModuleSources;
  readonly digest: string;
  /** Its class, or the function that makes it. */
  readonly make: NetworkMaker;
  /** Its options. */
  readonly rows: OptionRows;
}

/** Networks whose module has run, by digest. */
const loaded = new Map<string, OwnNetwork>();
/** The networks that settings mean, by file. */
const current = new Map<string, OwnNetwork>();

/**
 * Loads a network that the user names: its module, or the copy of one that a run keeps.
 *
 * @throws {ConfigError} if the file cannot be read, throws, or exports no network
 */
export async function nameNetwork(file: string): Promise<OwnNetwork> {
  const sources = sourcesIn(file);
  markNamed(await sourcesDigest(sources));
  return await use(file, await load(sources, file));
}

/**
 * Loads the network of a configuration, so that it can be made: the copy that a resumed run keeps, else its file, else
 * the program of its teacher or of the weights that it starts from.
 *
 * @throws {ConfigError} if it cannot be used, or the user has not named it
 */
export async function loadOwnNetwork(
  { model, resume, teacher, init }: {
    readonly [Name in "model" | "resume" | "teacher" | "init"]?: string | null | undefined;
  },
): Promise<void> {
  if (model === undefined && typeof resume !== "string" && (teacher || init)) {
    const { path, info: { config } } = teacher
      ? readGivenWeights(teacher, "distil")
      : readGivenWeights(parseInit(init!).source, "start from");
    if (config.type === "own") use(config.name, await networkWithDigest(config.name, config.digest, path));
    return;
  }
  const own = ownModel(model);
  if (!own) return;
  if (typeof resume === "string") {
    const path = join(resume, runFile.network);
    const bytes = await readIfThere(path, resume);
    if (!bytes) {
      throw new ConfigError(
        `Cannot resume ${resume}: there is no ${runFile.network}, the program of its network`,
      );
    }
    const sources = decodeSources(new TextDecoder().decode(bytes), path);
    use(own.file, await loadNamed(sources, own.file, path));
  } else if (own.file.endsWith(".json") || !current.has(own.file)) { // a run's copy may have changed
    use(own.file, await loadNamed(sourcesIn(own.file), own.file, own.file));
  }
}

function use(file: string, network: OwnNetwork): OwnNetwork {
  current.set(file, network);
  return network;
}

/** Loads the network of a checkpoint: one of those in use, else the copy that its run keeps. @throws {ConfigError} if none */
export async function networkWithDigest(
  name: string,
  digest: string | undefined,
  checkpoint: string,
): Promise<OwnNetwork> {
  const existing = loaded.get(digest ?? "");
  if (existing) return existing;
  for (const folder of [dirname(checkpoint), dirname(dirname(checkpoint))]) {
    const path = join(folder, runFile.network);
    const bytes = await readIfThere(path, folder);
    const sources = bytes && decodeSources(new TextDecoder().decode(bytes), path);
    if (sources && await sourcesDigest(sources) === digest) {
      return await loadNamed(sources, sources.main, path);
    }
  }
  throw new ConfigError(
    `Cannot load ${checkpoint}: its network is ${name}${
      digest ? ` with the digest ${digest.slice(0, 12)}...` : ""
    }, ` +
      "and there is no such program beside it (expected the folder of its run, or that module as --model FILE)",
  );
}

/** Loads a program that the user has named, now or earlier. */
async function loadNamed(sources: ModuleSources, file: string, path: string): Promise<OwnNetwork> {
  if (await isNamed(await sourcesDigest(sources))) return await load(sources, file);
  throw new ConfigError(
    `Cannot run the network ${sources.main}: you have not approved its program (expected --model ${path} once, with ` +
      "train or sample, if you trust what is in it)",
  );
}

function sourcesIn(file: string): ModuleSources {
  const sources = readSources(file);
  return file.endsWith(".json") ? decodeSources(sources.files[sources.main], file) : sources;
}

async function load(sources: ModuleSources, file: string): Promise<OwnNetwork> {
  const digest = await sourcesDigest(sources);
  const existing = loaded.get(digest);
  if (existing) return { ...existing, file };
  watchPrograms(file);
  const exports = await runSources(sources).catch((error) => {
    throw moduleError(file, "", error);
  });
  const { default: make, options = {} } = exports;
  if (typeof make !== "function") {
    const names = Object.keys(exports);
    const has = "default" in exports
      ? `${describeValue(make)} by default`
      : names.length === 0
      ? "nothing"
      : `${names.join(", ")} and no default`;
    throw new ConfigError(
      `Cannot use ${file}: it exports ${has} (expected \`export default\` of a network's class, or of a function that ` +
        "makes it)",
    );
  }
  const network = { file, sources, digest, make: make as NetworkMaker, rows: rowsOf(options, file) };
  loaded.set(digest, network);
  return network;
}

function rowsOf(options: unknown, file: string): OptionRows {
  try {
    return optionRows(options, file);
  } catch (error) {
    throw moduleError(file, "its options: ", error); // a getter, for example, runs the module's code
  }
}

let watched = false;

/** Ends a task with one line if a module throws or exits outside of its calls, in a timer for example. */
function watchPrograms(file: string): void {
  if (watched || !isRunning) return;
  watched = true;
  let ended = false;
  const end = (error: Error) => {
    if (!ended && isRunning) say(`\n${describeError(error)}`);
    ended = true;
  };
  const onError = (event: Event, error: unknown) => {
    if (!(error instanceof Error && withFileNames(error.stack ?? "") !== error.stack)) return; // the error is ours
    event.preventDefault();
    end(moduleError(file, "", error));
    Deno.exit(1);
  };
  addEventListener("error", (event) => onError(event, event.error));
  addEventListener("unhandledrejection", (event) => onError(event, event.reason));
  addEventListener("unload", () => {
    if (!isRunning) return;
    end(new ConfigError(`Cannot use ${file}: ${exited}`));
    Deno.exitCode = 1;
  });
}

/** An error of a network's program as one line: what happened, and where in its files. */
export function moduleError(file: string, doing: string, error: unknown): Error {
  if (error instanceof ConfigError) return error;
  const { name, message, stack = "" } = error instanceof Error ? error : new Error(String(error));
  // deno-lint-ignore no-control-regex -- Deno colours messages of the compiler
  const all = withFileNames(`${message}\n${stack}`).replaceAll(/\x1b\[\d+m/g, "");
  const place = /(?<=at (?:.*\()?)[\w./-]+\.[cm]?[jt]s:\d+:\d+/.exec(all)?.[0];
  const [line] = all.split("\n");
  const own = /^Cannot (?:make the network|use the field)[^:]*: (.*)/.exec(line)?.[1]; // the message is about its module
  if (own !== undefined) return new ConfigError(`Cannot use ${file}: ${own}`);
  const what = error instanceof UserError ? line : `${name}: ${line.replace(/^\w*Error: /, "")}`;
  const at = place === undefined || line.includes(place) ? "" : ` (${place})`;
  return new ConfigError(`Cannot use ${file}: ${doing}${what}${at}`);
}

/** A custom network with the options that settings give it. */
export interface ChosenNetwork extends OwnNetwork {
  readonly options: Readonly<Record<string, OptionValue>>;
}

/**
 * The custom network that settings name, with its options; undefined for a U-Net.
 *
 * @throws {ConfigError} if an option is unknown or invalid
 */
export function chosenNetwork(model: string): ChosenNetwork | undefined {
  const own = ownModel(model);
  if (!own) return undefined;
  const network = current.get(own.file);
  if (!network) throw new Error(`The network ${own.file} is not loaded`);
  return { ...network, options: chosenOptions(own, network.rows) };
}

/** Settings with all options of their network. @throws {ConfigError} if one is unknown or invalid */
export function withAllOptions(model: string): string {
  const network = chosenNetwork(model);
  return network ? modelText(ownModel(model)!.file, network.options) : model;
}
