import { modelNames, type OptionValue } from "../../models/mod.ts";
import { anyOf } from "../run/field_checks.ts";
import { asText, type Need, type Setting } from "./settings.ts";

/** A custom network, written as `FILE:key=value,...` in a setting; a run records `FILE@sha256:DIGEST:key=value,...`. */
export interface OwnModel {
  /** Its module. */
  readonly file: string;
  /** SHA-256 of the module, in hex. */
  readonly digest?: string;
  /** The options that the setting gives, as text. */
  readonly options: ReadonlyMap<string, string>;
}

/** A module (or the copy of one in a run of version 0.9) and options; a comma before `key=` ends a value. */
const form = /^(\P{Cc}*?\.(?:[cm]?[jt]s|json))(?:@sha256:([0-9a-f]{64}))?(?::(\P{Cc}*))?$/u;

/** Reads a setting that names a custom network; undefined if it names a U-Net, or nothing. */
export function ownModel(text: unknown): OwnModel | undefined {
  const [, file, digest, list = ""] = form.exec(String(text)) ?? [];
  if (file === undefined) return undefined;
  const pairs = list.split(/,(?=[A-Za-z_$][\w$]*=)/).filter((pair) => pair !== "")
    .map((pair) => /^([A-Za-z_$][\w$]*)=(.*)$/.exec(pair));
  const options = new Map(pairs.flatMap((pair) => pair ? [[pair[1], pair[2]]] : []));
  return options.size === pairs.length ? { file, options, ...digest !== undefined && { digest } } : undefined;
}

/** Writes the setting of a custom network with options. */
export function modelText(
  file: string,
  options: Readonly<Record<string, OptionValue>>,
  digest?: string,
): string {
  const module = digest === undefined ? file : `${file}@sha256:${digest}`;
  const pairs = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? module : `${module}:${pairs.join()}`;
}

/** A network: a U-Net by name, or the file of a module. */
export function modelSetting(doc: string): Setting<string> {
  return {
    doc,
    hint: [...modelNames, "FILE"].join("|"),
    expected: anyOf([...modelNames, "the file of a module, such as ./mine.ts"]),
    choices: modelNames,
    accepts: (value): value is string =>
      typeof value === "string" &&
      (modelNames.some((name) => name === value) || ownModel(value) !== undefined),
  };
}

/** The module of a network that weights or a run name. */
export const ownModule: Setting<string | null> = {
  doc: "module of the network, if it is your own",
  hint: "FILE",
  expected: "the file of a module, such as ./mine.ts",
  default: null,
  accepts: (value): value is string | null => value === null || ownModel(value) !== undefined,
};

/** What settings of U-Nets need. */
export const unet: Need = {
  words: `--model ${modelNames.join(" or ")}`,
  met: ({ model }) => ownModel(model) === undefined,
};

/** The settings that only U-Nets have. A custom network may have options of these names instead. */
export const unetSettings = ["filters", "tEmb", "attn", "groups", "timeEmbedding"] as const;

/** Describes the network of settings: `residual U-Net [16,32,64]`, or `mine.ts (hidden=128)`. */
export function formatNetwork({ model, filters, attn }: Readonly<Record<string, unknown>>): string {
  const own = ownModel(model);
  if (own) {
    const options = [...own.options].map(([name, value]) => `${name}=${value}`);
    return own.file + (options.length > 0 ? ` (${options.join(", ")})` : "");
  }
  const channels = Array.isArray(filters) ? filters.map(asText) : asText(filters);
  return `${asText(model)} U-Net [${channels}]${attn ? " with attention" : ""}`;
}

/** The task that trains a network, as a command line names it. */
export function trainingTask(model: string): string {
  return ownModel(model) ? `train --model ${ownModel(model)!.file}` : `train:${model}`;
}
