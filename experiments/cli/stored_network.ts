/** The settings of a network that a checkpoint describes. */

import {
  type CheckpointInfo,
  type CompleteOptions,
  modelNameOf,
  paths,
  predictions,
} from "../../models/mod.ts";
import { type GivenWeights, readGivenWeights } from "../run/weights.ts";
import { modelText, ownModel } from "./model_setting.ts";
import { asText, ConfigError, flagOf } from "./settings.ts";
import { normalizationTo, pixelRanges, type TrainingConfig } from "./training.ts";
import { variantName } from "./kinds.ts";

/** The settings of a checkpoint's network. @param model the setting `model`, which may name its module */
export function networkOf(config: CompleteOptions, model: string | undefined) {
  if (config.type === "own") {
    const named = ownModel(model);
    const options = { ...config.options, ...Object.fromEntries(named?.options ?? []) };
    return { model: modelText(named?.file ?? config.name, options) };
  }
  const { type, filters, tEmb, attn, groups, timeEmbedding } = config;
  return { model: modelNameOf(type), filters, tEmb, attn, groups, timeEmbedding };
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

/** The weights that a run starts from: their file or run, and the SHA-256 of the file, once it is known. */
export function parseInit(init: string): { readonly source: string; readonly digest?: string } {
  const [, source, digest] = /^(.*?)(?:@sha256:([0-9a-f]{64}))?$/s.exec(init)!;
  return { source, ...digest !== undefined && { digest } };
}

/**
 * The settings that a run takes over with the weights of `--init`.
 *
 * @param flags the flags of the run
 * @throws {ConfigError} if one contradicts the weights
 * @throws {RunError} if the weights cannot be read
 */
export function initialNetwork(
  flags: Partial<TrainingConfig>,
  init: string,
  weights: GivenWeights = readGivenWeights(parseInit(init).source, "start from"),
): Partial<TrainingConfig> {
  const { source } = parseInit(init);
  const { path: file, info: { config, normalization } } = weights;
  if (config.flowMap) {
    throw new ConfigError(
      `Cannot start from ${file}: it is a flow map (expected the network that it was distilled from)`,
    );
  }
  const { path, prediction } = config;
  const normalize = pixelRangeOf(normalization, `start from ${file}`);
  const network = { ...networkOf(config, flags.model), path, prediction, normalize };
  const named: Partial<TrainingConfig> = {
    ...flags,
    ...flags.path !== undefined && { path: variantName(paths, flags.path) },
    ...flags.prediction !== undefined && { prediction: variantName(predictions, flags.prediction) },
    ...flags.model !== undefined && config.type === "own" && ownModel(flags.model) &&
      { model: network.model },
  };
  for (const [name, value] of Object.entries(network)) {
    const other = named[name as keyof typeof named];
    if (other === undefined || asText(other) === asText(value)) continue;
    const flag = typeof other === "boolean" ? flagOf(name) : `${flagOf(name)} ${other}`;
    const has = typeof value === "boolean" ? (value ? "it" : "none") : `${value}`;
    throw new ConfigError(
      `Cannot use ${flag} with --init ${source}: its network has ${has} (leave it out)`,
    );
  }
  return network;
}
