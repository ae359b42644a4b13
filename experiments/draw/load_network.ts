import {
  type Checkpoint,
  type CheckpointInfo,
  decodeSafetensors,
  loadCheckpoint,
  modelTypeOf,
  paths,
  predictions,
} from "../../models/mod.ts";
import { normalizationTo } from "../data/image_source.ts";
import { ConfigError, flagOf } from "../settings/setting.ts";
import { variantName } from "../settings/variant.ts";
import type { NetworkFlags } from "../settings/tasks/network.ts";

/** The flags that stand for a field of a file's metadata. */
const flagsFor = {
  config: [
    "model",
    "filters",
    "tEmb",
    "attn",
    "groups",
    "timeEmbedding",
    "path",
    "prediction",
    "channels",
    "classes",
  ],
  normalization: ["normalize"],
  image_size: ["imageSize"],
} as const satisfies Record<string, readonly (keyof NetworkFlags)[]>;

/**
 * Loads a network from a checkpoint of ours, or from a PyTorch state dict and what the user says of it.
 *
 * @param source name of the file, for errors
 * @throws {ConfigError} if the user does not say what the file does not, or says what the file says itself
 * @throws {CheckpointError} if the file's metadata is damaged
 * @throws {SafetensorsError} if the file is damaged
 * @throws {StateError} if the weights do not match the network
 */
export function loadNetwork(bytes: Uint8Array, source: string, flags: NetworkFlags): Checkpoint {
  const { metadata } = decodeSafetensors(bytes, source);
  for (const [field, names] of Object.entries(flagsFor)) {
    const given = names.find((name) => flags[name] !== null);
    if (!(field in metadata) || given === undefined) continue;
    throw new ConfigError(
      `Cannot use ${flagOf(given)} with ${source}: the file says this of its network (leave it out)`,
    );
  }
  return loadCheckpoint(bytes, source, {
    ...!("config" in metadata) && { config: configOf(flags, source) },
    ...!("normalization" in metadata) && { normalization: normalizationOf(flags, source) },
    ...flags.imageSize && { imageSize: [flags.imageSize[0], flags.imageSize[1]] },
  });
}

function configOf(flags: NetworkFlags, source: string): CheckpointInfo["config"] {
  const { model, filters, tEmb, attn, groups, timeEmbedding, path, prediction, channels, classes } = flags;
  if (model === null || filters === null || tEmb === null) {
    const missing = (["model", "filters", "tEmb"] as const).filter((name) => flags[name] === null);
    throw new ConfigError(
      `Cannot draw from ${source}: it does not say which network its weights belong to ` +
        `(missing ${missing.map(flagOf).join(", ")})`,
    );
  }
  return {
    ...{ type: modelTypeOf(model), filters, tEmb },
    ...attn !== null && { attn },
    ...groups !== null && { groups },
    ...timeEmbedding !== null && { timeEmbedding },
    ...path !== null && { path: variantName(paths, path) },
    ...prediction !== null && { prediction: variantName(predictions, prediction) },
    ...channels !== null && { channels },
    ...classes !== null && { classes },
  };
}

function normalizationOf({ normalize }: NetworkFlags, source: string): CheckpointInfo["normalization"] {
  if (normalize !== null) return normalizationTo(normalize);
  throw new ConfigError(
    `Cannot draw from ${source}: it does not say which range of pixels its network was trained on ` +
      `(missing ${flagOf("normalize")})`,
  );
}
