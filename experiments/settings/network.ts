/** What a network is: a U-Net by name, or what a module of the user exports; and the weights it may start from. */

import { type ModelName, modelNames } from "../../models/mod.ts";
import { optional, text } from "../cli/kinds.ts";
import { asText, type Need, type Setting } from "../cli/settings.ts";
import { anyOf, check, oneOf } from "../run/field_checks.ts";

/** A U-Net; its other settings stand beside its name. */
export interface UNetChoice {
  readonly kind: "unet";
  readonly name: ModelName;
}

/** A network that a module exports. */
export interface ModuleChoice {
  readonly kind: "module";
  /** The module, as the user has named it. */
  readonly file: string;
  /** SHA-256 of the module in hex, as a run records it. */
  readonly sha256?: string;
  /** The options that are given, as text; the module knows what they may be. */
  readonly options: Readonly<Record<string, string>>;
}

/** The network of a setting. */
export type NetworkChoice = UNetChoice | ModuleChoice;

/** A module (or the copy of one in a run of version 0.9), its digest and options; a comma before `key=` ends a value. */
const form = /^(\P{Cc}*?\.(?:[cm]?[jt]s|json))(?:@sha256:([0-9a-f]{64}))?(?::(\P{Cc}*))?$/u;

/** Reads `residual`, `FILE`, `FILE:key=value,key=value` or, from a run, `FILE@sha256:DIGEST:key=value`. */
export function parseNetwork(text: string): NetworkChoice | undefined {
  const name = modelNames.find((name) => name === text);
  if (name !== undefined) return { kind: "unet", name };
  const [, file, sha256, list = ""] = form.exec(text) ?? [];
  if (file === undefined) return undefined;
  const options: Record<string, string> = {};
  for (const pair of list.split(/,(?=[A-Za-z_$][\w$]*=)/).filter((pair) => pair !== "")) {
    const [, key, value] = /^([A-Za-z_$][\w$]*)=(.*)$/.exec(pair) ?? [];
    if (key === undefined || Object.hasOwn(options, key)) return undefined;
    options[key] = value;
  }
  return { kind: "module", file, sha256, options };
}

/** A network as it is written; the inverse of {@linkcode parseNetwork}. */
export function writeNetwork(network: NetworkChoice): string {
  if (network.kind === "unet") return network.name;
  const { file, sha256, options } = network;
  const module = sha256 === undefined ? file : `${file}@sha256:${sha256}`;
  const pairs = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? module : `${module}:${pairs.join()}`;
}

const isModule = (value: unknown) => typeof value === "string" && parseNetwork(value)?.kind === "module";

const moduleFile = check<string>("the file of a module, such as ./mine.ts", isModule);

/** A network: a U-Net by name, or the file of a module. */
export function modelSetting(doc: string): Setting<NetworkChoice, string> {
  return {
    doc,
    hint: [...modelNames, "FILE"].join("|"),
    choices: modelNames,
    ...check<string>(
      anyOf([...modelNames, moduleFile.expected]),
      (value) => oneOf(modelNames).accepts(value) || moduleFile.accepts(value),
    ),
    read: (text) => parseNetwork(text)!, // it accepts the text
    write: writeNetwork,
  };
}

/** The module of a network that weights or a run name. */
export function moduleSetting(doc: string): Setting<ModuleChoice, string> {
  return {
    ...moduleFile,
    doc,
    hint: "FILE",
    read: (text) => parseNetwork(text) as ModuleChoice, // it accepts the text
    write: writeNetwork,
  };
}

/** `--model` of tasks that take weights or a run. */
export const ownModule = optional(moduleSetting("module of the network, if it is your own"));

/** Whether a setting `model` is a U-Net, or nothing. */
export function isUNet(model: unknown): boolean {
  return (model as Partial<NetworkChoice> | null | undefined)?.kind !== "module";
}

/** What settings of U-Nets need. */
export const unet: Need = {
  words: `--model ${modelNames.join(" or ")}`,
  met: ({ model }) => isUNet(model),
};

/** The settings that only U-Nets have. */
export const unetSettings = ["filters", "tEmb", "attn", "groups", "timeEmbedding"] as const;

/** What describes a network; a run of another program may not record all of it. */
interface DescribedNetwork {
  readonly model?: NetworkChoice;
  readonly filters?: readonly number[];
  readonly attn?: boolean;
}

/** Describes the network of settings: `residual U-Net [16,32,64]`, or `mine.ts (hidden=128)`. */
export function formatNetwork({ model, filters = [], attn = false }: DescribedNetwork): string {
  if (model?.kind === "module") {
    const options = Object.entries(model.options).map(([name, value]) => `${name}=${value}`);
    return model.file + (options.length > 0 ? ` (${options.join(", ")})` : "");
  }
  return `${model?.name ?? ""} U-Net [${filters.map(asText)}]${attn ? " with attention" : ""}`.trimStart();
}

/** The task that trains a network, as a command line names it. */
export function trainingTask(model: NetworkChoice): string {
  return model.kind === "module" ? `train --model ${model.file}` : `train:${model.name}`;
}

/** Weights that a run starts from. */
export interface WeightsChoice {
  /** Their file, or the folder of a run. */
  readonly source: string;
  /** SHA-256 of the file in hex, once it is known. */
  readonly sha256?: string;
}

/** A setting for weights, written `FILE` or `RUN`; a run records `FILE@sha256:DIGEST`. */
export function weightsSetting(
  options: { readonly doc: string; readonly details: readonly string[]; readonly needs: Need },
): Setting<WeightsChoice, string> {
  return {
    ...text({ ...options, hint: "FILE|RUN", pattern: /./, expected: "a path" }),
    default: undefined,
    read: readWeightsChoice,
    write: ({ source, sha256 }) => sha256 === undefined ? source : `${source}@sha256:${sha256}`,
  };
}

function readWeightsChoice(written: string): WeightsChoice {
  const [, source, sha256] = /^(.*?)(?:@sha256:([0-9a-f]{64}))?$/s.exec(written)!;
  return { source, sha256 };
}
