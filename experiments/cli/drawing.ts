import { imageSize } from "./shared.ts";
import { integer, interval, number, optional, path as pathTo, toggle, variantName } from "./kinds.ts";
import { ownModel } from "./model_setting.ts";
import { ConfigError, flagOf, type Need, type Setting, type Values } from "./settings.ts";
import { guidanceWithoutLabels, network, normalizationTo, presets, training } from "./training.ts";
import { type CheckpointInfo, type LoadOptions, modelTypeOf, paths, predictions } from "../../models/mod.ts";

const { filters, tEmb, attn, timeEmbedding, path, prediction, normalize } = training.rows;
const { needs: _, ...groups } = training.rows.groups;

/** `--checkpoint` of tasks that draw from FILE|RUN, in place of that word of the command line. */
export const checkpoint = optional(pathTo("FILE|RUN", "weights or a run, in place of the word FILE|RUN"));

/**
 * The weights or run that a command line names, by a word or `--checkpoint`.
 *
 * @throws {ConfigError} unless there is exactly one
 */
export function namedWeights(given: string | null | undefined, words: readonly string[]): string {
  const [name, other] = given ? [...words, given] : words;
  if (name === undefined) throw new ConfigError("Missing FILE|RUN: name the weights to use, or a run");
  if (other === undefined) return name;
  throw new ConfigError(`Cannot use ${other} with ${name} (expected one FILE or RUN)`);
}

/** Makes a setting optional, so that a flag can be told from its default, and states the default in `--help`. */
const orDefault = <Value>(setting: Setting<Value>) =>
  optional({ ...setting, doc: `${setting.doc} (default: ${setting.default})` });

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
  if (ownModel(flags.model)) flags = { ...flags, model: null };
  for (const [field, names] of Object.entries(flagsFor)) {
    const redundant = names.find((name) => flags[name] !== null);
    if (!(field in metadata) || redundant === undefined) continue;
    throw new ConfigError(
      `Cannot use ${flagOf(redundant)} with ${source}: the file itself describes its network (leave it out)`,
    );
  }
  return {
    ...!("config" in metadata) && { config: configOf(flags, source) },
    ...!("normalization" in metadata) && { normalization: normalizationOf(flags, source) },
    ...flags.imageSize && { imageSize: flags.imageSize },
  };
}

function configOf(flags: NetworkFlags, source: string): CheckpointInfo["config"] {
  const { model, filters, tEmb, path, prediction } = flags;
  if (model === null || filters === null || tEmb === null) {
    const missing = (["model", "filters", "tEmb"] as const).filter((name) => flags[name] === null);
    throw new ConfigError(
      `Cannot draw from ${source}: it does not say which network its weights belong to ` +
        `(missing ${missing.map(flagOf).join(", ")})`,
    );
  }
  const optional = optionalFlags.filter((name) => flags[name] !== null).map((name) => [name, flags[name]]);
  return {
    type: modelTypeOf(model),
    filters,
    tEmb,
    ...Object.fromEntries(optional),
    ...path !== null && { path: variantName(paths, path) },
    ...prediction !== null && { prediction: variantName(predictions, prediction) },
  };
}

function normalizationOf({ normalize }: NetworkFlags, source: string): CheckpointInfo["normalization"] {
  if (normalize !== null) return normalizationTo(normalize);
  throw new ConfigError(
    `Cannot draw from ${source}: it does not say which range of pixels its network was trained on ` +
      `(missing ${flagOf("normalize")})`,
  );
}

/** Default guidance, the same as in a run's own pictures. */
export const usualGuidance = presets.quick.guidance;

const ofClass: Need = { words: "a class", met: (config) => config.class !== "none" };
const ofGuidance = {
  words: "guidance (a class, and --guidance other than 1)",
  met: (config) => ofClass.met(config) && config.guidance !== 1,
  off: false,
} satisfies Need;

/** Where to draw. */
export const where = { device: training.rows.device, threads: training.rows.threads } as const;

/** Settings of guidance. */
export const guiding = {
  guidance: {
    ...optional(number({
      doc: `classifier-free guidance, 1 = none (default: ${usualGuidance})`,
      min: 0,
      needs: ofClass,
    })),
    details: [
      `unlabelled networks: autoguidance by the run's early weights (default: ${guidanceWithoutLabels})`,
    ],
  },
  guidanceInterval: { ...interval("range of t with guidance (default: 0,1)"), needs: ofGuidance },
  cfgZero: toggle({ doc: "use CFG-Zero*", default: false, needs: ofGuidance }),
} as const;

/** Values of the guidance settings. */
export type GuidingConfig = Values<typeof guiding>;

/** The first guidance flag that is set, if any. */
export function givenGuidance({ guidance, guidanceInterval, cfgZero }: GuidingConfig): string | undefined {
  const given = { guidance, guidanceInterval, cfgZero: cfgZero || null };
  const name = Object.entries(given).find(([, value]) => value !== null)?.[0];
  return name && flagOf(name);
}
