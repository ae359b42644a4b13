/** Where a run starts: from the seed, from weights, from its own last checkpoint, or from the settings of another run. */

import { type CheckpointInfo, type CompleteOptions, type ModelName, modelNameOf } from "../../models/mod.ts";
import { text } from "../cli/kinds.ts";
import { ConfigError, type Need, type Setting } from "../cli/settings.ts";
import { normalizationTo, pixelRanges } from "./data.ts";
import type { ModuleChoice, NetworkChoice } from "./network.ts";

/** Weights that a run starts from. */
export interface WeightsChoice {
  /** Their file, or the folder of a run. */
  readonly source: string;
  /** SHA-256 of the file in hex, once it is known. */
  readonly sha256?: string;
}

/** Where a run starts. */
export type Start =
  | { readonly kind: "fresh" }
  | ({ readonly kind: "weights" } & WeightsChoice)
  /** The run in a folder goes on; with the weights that it started from, if it did. */
  | { readonly kind: "resume"; readonly run: string; readonly weights: WeightsChoice | null };

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

/**
 * The network of a checkpoint, as settings.
 *
 * @param model the setting `model`, which may name its module
 */
export function networkOf(config: CompleteOptions, model: NetworkChoice | undefined) {
  if (config.type === "own") {
    const named = model?.kind === "module" ? model : undefined;
    const stored = Object.entries(config.options).map(([name, value]) => [name, `${value}`]);
    const network: ModuleChoice = {
      kind: "module",
      file: named?.file ?? config.name,
      options: { ...Object.fromEntries(stored), ...named?.options },
    };
    return { model: network };
  }
  const { type, filters, tEmb, attn, groups, timeEmbedding } = config;
  const network: NetworkChoice = { kind: "unet", name: modelNameOf(type) as ModelName };
  return { model: network, filters, tEmb, attn, groups, timeEmbedding };
}

/** The range of pixels that a checkpoint's network was trained on. @param doing for the error: `distil FILE` */
export function pixelRangeOf({ scale, shift }: CheckpointInfo["normalization"], doing: string) {
  const range = pixelRanges.find((range) => {
    const pixels = normalizationTo(range);
    return scale === pixels.scale && shift === pixels.shift;
  });
  if (range) return range;
  throw new ConfigError(`Cannot ${doing}: its pixels are neither in -1..1 nor in 0..1`);
}
