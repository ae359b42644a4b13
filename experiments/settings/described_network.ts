/** Settings that describe the network of weights whose file does not, such as a PyTorch state dict. */

import { type CheckpointInfo, type LoadOptions, modelTypeOf } from "../../models/mod.ts";
import { integer, optional } from "../cli/kinds.ts";
import { ConfigError, flagOf, type Setting, type Values, written } from "../cli/settings.ts";
import { imageSize, normalizationTo } from "./data.ts";
import { network, trainingSettings } from "./training.ts";

const { filters, tEmb, attn, timeEmbedding, path, prediction, normalize } = trainingSettings;
const { needs: _, ...groups } = trainingSettings.groups;

/** Makes a setting optional, so that a flag can be told from its default, and states the default in `--help`. */
const orDefault = <Value, Written>(setting: Setting<Value, Written>) =>
  optional({ ...setting, doc: `${setting.doc} (default: ${written(setting, setting.default!)})` });

/** Settings that describe a network whose file does not. */
export const describing = {
  model: optional({ ...network, doc: "the network, or the module of the checkpoint's custom network" }),
  filters: optional(filters),
  tEmb: optional(tEmb),
  attn: optional(attn),
  groups: orDefault(groups),
  timeEmbedding: orDefault(timeEmbedding),
  path: orDefault(path),
  prediction: orDefault(prediction),
  channels: optional(integer({ doc: "channels of the images (default: 1)", min: 1 })),
  classes: optional(integer({ doc: "number of classes (default: 0, none)", min: 1 })),
  imageSize: optional({ ...imageSize, doc: "height and width of the images (default: 28,28)" }),
  normalize: optional({ ...normalize, doc: `${normalize.doc} that the network was trained on` }),
} as const;

/** Heading of these settings in `--help`. */
export const describingHeading = "Network, for files without a description, such as a PyTorch state dict";

/** A user's description of a network; null for settings not given. */
export type NetworkFlags = Values<typeof describing>;

/** Flags of a network that have defaults. */
const optionalFlags = [
  "attn",
  "groups",
  "timeEmbedding",
  "path",
  "prediction",
  "channels",
  "classes",
] as const;

/** Flags that replace a metadata field. */
const flagsFor = {
  config: ["model", "filters", "tEmb", ...optionalFlags],
  normalization: ["normalize"],
  image_size: ["imageSize"],
} as const satisfies Record<string, readonly (keyof NetworkFlags)[]>;

/**
 * What flags say of a network whose file does not, such as a PyTorch state dict.
 *
 * @param source name of the file, for errors
 * @throws {ConfigError} if the flags omit what the file does not state, or repeat what it states
 */
export function describedNetwork(
  flags: NetworkFlags,
  metadata: Readonly<Record<string, string>>,
  source: string,
): LoadOptions {
  for (const [field, names] of Object.entries(flagsFor)) {
    const redundant = names.find((name) => isGiven(flags, name));
    if (!(field in metadata) || redundant === undefined) continue;
    const why = "the file itself describes its network (leave it out)";
    throw new ConfigError(`Cannot use ${flagOf(redundant)} with ${source}: ${why}`);
  }
  return {
    config: "config" in metadata ? undefined : configOf(flags, source),
    normalization: "normalization" in metadata ? undefined : normalizationOf(flags, source),
    imageSize: flags.imageSize ?? undefined,
  };
}

/** Whether a flag describes a network; a module rather makes it. */
function isGiven(flags: NetworkFlags, name: keyof NetworkFlags): boolean {
  return flags[name] !== null && !(name === "model" && flags.model?.kind === "module");
}

function configOf(flags: NetworkFlags, source: string): CheckpointInfo["config"] {
  const { model, filters, tEmb } = flags;
  if (model?.kind !== "unet" || filters === null || tEmb === null) {
    const missing = (["model", "filters", "tEmb"] as const).filter((name) => !isGiven(flags, name));
    throw new ConfigError(
      `Cannot draw from ${source}: it does not say which network its weights belong to ` +
        `(missing ${missing.map(flagOf).join(", ")})`,
    );
  }
  return {
    type: modelTypeOf(model.name),
    filters,
    tEmb,
    attn: flags.attn ?? undefined,
    groups: flags.groups ?? undefined,
    timeEmbedding: flags.timeEmbedding ?? undefined,
    path: flags.path?.name,
    prediction: flags.prediction?.name,
    channels: flags.channels ?? undefined,
    classes: flags.classes ?? undefined,
  };
}

function normalizationOf({ normalize }: NetworkFlags, source: string): CheckpointInfo["normalization"] {
  if (normalize !== null) return normalizationTo(normalize);
  throw new ConfigError(
    `Cannot draw from ${source}: it does not say which range of pixels its network was trained on ` +
      `(missing ${flagOf("normalize")})`,
  );
}
