/** Settings around stored weights: those that a start from them or a distillation takes over, and those of tasks that draw. */

import {
  type CheckpointInfo,
  type CompleteOptions,
  type LoadOptions,
  modelNameOf,
  modelTypeOf,
  paths,
  predictions,
} from "../../models/mod.ts";
import { type GivenWeights, readGivenWeights, teacherInfo } from "../run/weights.ts";
import { imageSize, modelText, ownModel, plannedStages } from "./shared.ts";
import { asText, ConfigError, flagOf, type Need, type Setting, type Values } from "./settings.ts";
import {
  guidanceWithoutLabels,
  network,
  normalizationTo,
  pixelRanges,
  presets,
  training,
  type TrainingConfig,
} from "./training.ts";
import { integer, interval, number, optional, path as pathTo, toggle, variantName } from "./kinds.ts";

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
    const expected = "expected the network that it was distilled from";
    throw new ConfigError(`Cannot start from ${file}: it is a flow map (${expected})`);
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
    throw new ConfigError(`Cannot use ${flag} with --init ${source}: its network has ${has} (leave it out)`);
  }
  return network;
}

/** What a distillation takes over from its teacher, or from its stages. */
export const taught = [
  ...["filters", "tEmb", "attn", "groups", "timeEmbedding", "path", "prediction", "normalize"] as const,
  ...["conditional", "labelDropout", "guidance", "times", "coupling", "valFraction"] as const,
  ...["epochs", "maxMinutes"] as const,
] as const satisfies readonly (keyof TrainingConfig)[];

/** Defaults of a distillation. */
export const distillation = {
  ...{ stages: "pairs+drift", batchSize: 64, valFraction: 0, guidance: 1, solver: "map:steps=1" },
  ...{ optimizer: "muon", lr: 1e-3, muonLr: 1e-2, schedule: "one_cycle", warmUp: 0.1, clip: 1, ema: 0.99 },
} as const satisfies Partial<TrainingConfig>;

/**
 * The settings that a teacher and the stages determine: the network and the length.
 *
 * @throws {ConfigError} if a flag sets one of them, or the teacher cannot be distilled with the others
 * @throws {RunError} if the teacher cannot be read
 */
export function taughtSettings(flags: Partial<TrainingConfig>, teacher: string) {
  const refuse = (what: string, why: string) => new ConfigError(`Cannot ${what}: ${why}`);
  const given = taught.find((name) => flags[name] !== undefined);
  if (given) throw refuse(`use ${flagOf(given)} with ${teacher}`, "the teacher and the stages determine it");
  const { config, normalization } = teacherInfo(teacher);
  const { path, prediction, classes } = config;
  const network = networkOf(config, flags.model);
  const { model = network.model } = flags;
  if (model !== network.model && !(ownModel(model) && ownModel(network.model))) {
    throw refuse(`distil ${teacher} with --model ${model}`, `it is a ${network.model} network`);
  }
  if (config.type !== "own" && config.maxGuidance > 1) {
    const why = "it takes guidance as an input (expected the network that it was distilled from)";
    throw refuse(`distil ${teacher}`, why);
  }
  const isGuided = classes > 0 && !config.flowMap;
  const guiding = (["teacherGuidance", "maxGuidance"] as const).find((name) => (flags[name] ?? 1) !== 1);
  if (guiding && !isGuided) {
    const why = `its network ${classes === 0 ? "was trained without classes" : "has learned its guidance"}`;
    throw refuse(`use ${flagOf(guiding)} ${flags[guiding]} with ${teacher}`, `${why} (leave it out)`);
  }
  const { stages = distillation.stages, batchSize = distillation.batchSize, maxGuidance = 1 } = flags;
  const guidance = Math.min(maxGuidance, presets.quick.guidance);
  return {
    ...{ ...network, path, prediction, normalize: pixelRangeOf(normalization, `distil ${teacher}`) },
    ...maxGuidance > 1 && { guidance, teacherGuidance: guidance },
    ...{ conditional: classes > 0, epochs: 0, maxMinutes: 0 },
    maxSteps: stepsOfStages(stages!, batchSize, maxGuidance, flags.maxSteps),
  };
}

/**
 * The length of a distillation.
 *
 * @throws {ConfigError} if a stage has fewer pairs than a batch, or cannot teach guidance as an input
 */
export function stepsOfStages(text: string, batchSize: number, maxGuidance: number, total?: number): number {
  const stages = plannedStages(text, batchSize, total);
  const fixed = stages.find(({ name }) => name !== "mean");
  if (maxGuidance > 1 && fixed) {
    throw new ConfigError(
      `Cannot use --max-guidance ${maxGuidance} with the stage ${fixed.name}: it learns only one guidance ` +
        "(expected --stages mean)",
    );
  }
  const few = stages.find(({ settings: { count = batchSize } }) => count < batchSize);
  if (few) {
    const given = `${few.settings.count} pairs and batches of ${batchSize}`;
    throw new ConfigError(`Cannot use --stages with ${given} (expected pairs for at least one batch)`);
  }
  const { from, steps } = stages.at(-1)!;
  return from + steps;
}

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
  ...["attn", "groups", "timeEmbedding", "path", "prediction", "channels", "classes"] as const,
];

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
    const why = "the file itself describes its network (leave it out)";
    throw new ConfigError(`Cannot use ${flagOf(redundant)} with ${source}: ${why}`);
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
      ...{ min: 0, needs: ofClass },
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
