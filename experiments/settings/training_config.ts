import { join } from "node:path";
import {
  type CompleteOptions,
  type Coupling,
  couplings,
  fewestChannels,
  type HeldOutOptions,
  modelNameOf,
  mostPaired,
  type Objective,
  paths,
  timeDistributions,
  velocityPrediction,
} from "../../models/mod.ts";
import { RunError } from "../run/atomic_write.ts";
import { findContained } from "../run/contained.ts";
import { runFile } from "../run/layout.ts";
import { teacherInfo } from "../run/teacher.ts";
import { modelText, ownModel, unetSettings } from "./model_setting.ts";
import { plannedStages } from "./stages.ts";
import { ConfigError, flagOf } from "./setting.ts";
import {
  guidanceWithoutLabels,
  normalizationTo,
  pixelRanges,
  type Preset,
  type PresetName,
  presets,
  training,
  type TrainingConfig,
} from "./training.ts";
import { makeVariant } from "./variant.ts";

/** The given settings of a run, before a preset completes them. */
export type GivenSettings = Partial<TrainingConfig>;

/** The settings that end a run. */
const ends = ["epochs", "maxSteps", "maxMinutes"] as const;

/** The flags allowed with `--resume`; all others come from the run's `config.json`. */
const resumable = [
  ...ends,
  "schedule",
  "lr",
  "device",
  "threads",
  "precision",
  "checkpointMinutes",
  "logEvery",
  "valEpochs",
  "sampleEpochs",
  "mlflow",
] as const;

/**
 * The settings of a run: the given ones, completed by a preset or, with `resume`, by the resumed run.
 *
 * @param given at least `model`, or `resume` with the folder of an earlier run
 * @param defaultPreset the preset if none is given
 * @throws {ConfigError} if a setting is missing, has no effect or contradicts another
 */
export function trainingConfig(given: GivenSettings, defaultPreset: PresetName = "quick"): TrainingConfig {
  if (typeof given.resume === "string") return resumedConfig(given, given.resume);
  const preset = given.preset ?? defaultPreset;
  const { teacher } = given;
  const completing: Partial<TrainingConfig> = typeof teacher === "string"
    ? withTeacher(given, teacher, presets[preset])
    : withEnds(given, withLabels(given, withOptimizer(given, presets[preset])));
  const config = training.resolve(
    { ...given, preset, ...teacher && { model: completing.model } },
    completing,
  );
  checkConfig(config);
  return config;
}

/**
 * Reads the settings of an earlier run.
 *
 * @param run the run's folder
 * @throws {ConfigError} if the file cannot be read or a field is invalid
 */
export function readConfig(run: string): TrainingConfig {
  const path = join(run, runFile.config);
  const config = training.read(completed(upgraded(readJson(path))), path);
  checkConfig(config, ` (in ${path})`);
  return config;
}

function resumedConfig(given: GivenSettings, run: string): TrainingConfig {
  const allowed: readonly string[] = ["resume", "model", ...resumable];
  const refused = Object.keys(given).find((name) => !allowed.includes(name));
  if (refused !== undefined) {
    throw new ConfigError(
      `Cannot use ${flagOf(refused)} with --resume: the run keeps its settings, ` +
        `except ${resumable.map(flagOf).join(", ")}`,
    );
  }
  const saved = readConfig(run);
  const lengthened = saved.teacher === null ? undefined : ends.find((name) => given[name] !== undefined);
  if (lengthened !== undefined) {
    throw new ConfigError(
      `Cannot use ${flagOf(lengthened)} with --resume ${run}: the stages of a distillation decide its length`,
    );
  }
  if (given.model !== undefined && !isSameModel(given.model, saved.model)) {
    throw new ConfigError(
      `Cannot resume ${run} with --model ${given.model}: it trains the ${saved.model} model`,
    );
  }
  // A server named in the folder gets no credentials; see `trackingOf`.
  const config = training.resolve(given, { ...withEnds(given, withRate(given, saved)), mlflow: null });
  checkConfig(config);
  return config;
}

/** Whether a given network is that of a run, as far as its options are given. */
function isSameModel(given: string, saved: string): boolean {
  const [own, others] = [ownModel(given), ownModel(saved)];
  if (!own || !others) return given === saved;
  return own.file === others.file &&
    own.given.entries().every(([name, value]) => others.given.get(name) === value);
}

/** Changes the learning rate of a resumed run. `--lr` alone is a constant rate, without a second warm-up. */
function withRate({ lr, schedule }: GivenSettings, saved: TrainingConfig): TrainingConfig {
  if (lr === undefined && schedule === undefined) return saved;
  const name = schedule ?? "constant";
  const muonLr = saved.muonLr * (lr ?? saved.lr) / saved.lr;
  return { ...saved, schedule: name, muonLr, ...name === "constant" && { warmUp: 0 } };
}

/** What a distillation takes over from its teacher, or from its stages. */
const taught = [
  ...["filters", "tEmb", "attn", "groups", "timeEmbedding", "path", "prediction", "conditional", "normalize"],
  ...["epochs", "maxMinutes", "times", "coupling", "labelDropout", "valFraction", "guidance"],
] as const;

/** Defaults of a distillation. */
export const distillation = {
  stages: "reflow+drift",
  batchSize: 64,
  optimizer: "muon",
  lr: 1e-3,
  muonLr: 1e-2,
  schedule: "one_cycle",
  warmUp: 0.1,
  clip: 1,
  ema: 0.99,
  valFraction: 0,
  guidance: 1,
  solver: "map:steps=1",
} as const satisfies Partial<TrainingConfig>;

/** Completes the settings of a distillation: the network is the teacher's, and the stages decide on the length. */
function withTeacher(given: GivenSettings, teacher: string, values: Preset): Partial<TrainingConfig> {
  const refused = taught.find((name) => given[name as keyof TrainingConfig] !== undefined);
  if (refused !== undefined) {
    throw new ConfigError(
      `Cannot use ${
        flagOf(refused)
      } with --teacher: the network is the teacher's, and the stages decide on the rest`,
    );
  }
  const { config, normalization } = teacherInfo(teacher);
  const { path, prediction, classes } = config;
  const network = networkOf(config, given.model);
  const [named, model] = [ownModel(given.model), network.model];
  if (given.model !== undefined && given.model !== model && !(named && ownModel(model))) {
    throw new ConfigError(`Cannot distil ${teacher} with --model ${given.model}: it is a ${model} network`);
  }
  const normalize = pixelRanges.find((range) => {
    const { scale, shift } = normalizationTo(range);
    return scale === normalization.scale && shift === normalization.shift;
  });
  if (!normalize) {
    throw new ConfigError(`Cannot distil ${teacher}: its pixels are neither in -1..1 nor in 0..1`);
  }
  const batchSize = given.batchSize ?? distillation.batchSize;
  const stages = plannedStages(given.stages ?? distillation.stages, batchSize, given.maxSteps);
  const few = stages.find(({ settings: { pairs = batchSize } }) => pairs < batchSize);
  if (few) {
    throw new ConfigError(
      `Cannot use --stages with ${few.settings.pairs} pairs and batches of ${batchSize} (expected at least one batch)`,
    );
  }
  const unguided = classes === 0
    ? "was trained without classes"
    : config.flowMap
    ? "has learned its guidance"
    : undefined;
  if (unguided !== undefined && given.teacherGuidance !== undefined && given.teacherGuidance !== 1) {
    throw new ConfigError(
      `Cannot use --teacher-guidance ${given.teacherGuidance} with ${teacher}: its network ${unguided} (leave it out)`,
    );
  }
  const { from, steps } = stages.at(-1)!;
  return {
    ...withOptimizer(network, { ...values, ...distillation }),
    ...{ ...network, path, prediction, normalize },
    ...unguided !== undefined && { teacherGuidance: 1 },
    ...{ conditional: classes > 0, epochs: 0, maxMinutes: 0, maxSteps: from + steps },
  };
}

/** The settings of a checkpoint's network. @param given the setting `model`, with its own program for the weights */
function networkOf(config: CompleteOptions, given: string | undefined) {
  if (config.type === "own") {
    const named = ownModel(given);
    const options = { ...config.options, ...Object.fromEntries(named?.given ?? []) };
    return { model: modelText(named?.file ?? config.name, options) };
  }
  const { type, filters, tEmb, attn, groups, timeEmbedding } = config;
  return { model: modelNameOf(type), filters, tEmb, attn, groups, timeEmbedding };
}

/** Turns labels on if guidance or label dropout is given, unless labels are turned off. */
function withLabels<T extends Partial<TrainingConfig>>(given: GivenSettings, values: T): T {
  if (given.conditional === false) return { ...values, guidance: unlabelled(values.guidance) };
  const needsLabels = given.guidance !== undefined || given.labelDropout !== undefined;
  return needsLabels && values.conditional === "auto" ? { ...values, conditional: true } : values;
}

/** Guidance of an unlabelled network, given the preset's guidance by labels. */
export function unlabelled(guidance: number | undefined): number {
  return guidance === undefined || guidance === 1 ? 1 : guidanceWithoutLabels;
}

/** Peak learning rate of a custom network by adamw, as a share of that of the U-Nets. */
const ownRate = 0.25;

/** Replaces muon by adamw for custom networks, and those so narrow that muon would update no weight. */
export function withOptimizer(given: Partial<TrainingConfig>, values: Preset): Preset {
  const { filters = values.filters, model } = given;
  if (values.optimizer === "muon" && ownModel(model)) {
    return { ...values, optimizer: "adamw", lr: ownRate * values.lr };
  }
  const isWide = (channels: number | undefined) => channels !== undefined && channels >= fewestChannels;
  // The residual network has a convolution within each level; the base network only has them between levels.
  const hasWeights = filters.some((channels, i) =>
    isWide(channels) && (model !== "base" || isWide(filters[i + 1]))
  );
  return values.optimizer === "muon" && !hasWeights ? { ...values, optimizer: "adamw" } : values;
}

/** Drops the other limits of a run if one is given. */
function withEnds<T extends Partial<TrainingConfig>>(given: GivenSettings, values: T): T {
  const named = ends.some((name) => given[name] !== undefined);
  return named ? { ...values, ...Object.fromEntries(ends.map((name) => [name, 0])) } : values;
}

/** The settings that a run records: those of its network. */
export function recordedConfig(config: TrainingConfig): Partial<TrainingConfig> {
  if (!ownModel(config.model)) return config;
  const others: readonly string[] = unetSettings;
  return Object.fromEntries(Object.entries(config).filter(([name]) => !others.includes(name)));
}

/** Adds what {@linkcode recordedConfig} has left out, at its default. */
function completed(json: unknown): unknown {
  if (typeof json !== "object" || json === null || !("model" in json) || !ownModel(json.model)) return json;
  const { filters, tEmb } = presets.quick;
  return { filters, tEmb, ...json };
}

/** Converts settings of version 0.7: solver and steps are one text today. */
function upgraded(json: unknown): unknown {
  if (typeof json !== "object" || json === null || !("sampleSteps" in json)) return json;
  const { sampleSteps, lossWeight: _, ...config } = json as Record<string, unknown>;
  return { ...config, solver: `${config.solver}:steps=${sampleSteps}` };
}

function readJson(path: string): unknown {
  try {
    if (findContained(path) !== undefined) return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof RunError) throw new ConfigError(error.message);
    throw new ConfigError(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
  throw new ConfigError(`Cannot read ${path}: there is no such file (expected the folder of a run)`);
}

/**
 * Checks the settings of a training run against each other.
 *
 * @param where end of the message, such as the file that they come from
 * @throws {ConfigError} if the network cannot be built, the run would never end, or its schedule would get no loss
 */
export function checkConfig(config: TrainingConfig, where = ""): void {
  const problem = problemOf(config);
  if (problem !== undefined) throw new ConfigError(problem + where);
}

function problemOf(config: TrainingConfig): string | undefined {
  const { model, filters, attn, groups, timeEmbedding, tEmb, coupling, batchSize, schedule, valFraction } =
    config;
  const isUNet = ownModel(model) === undefined;
  const undivided = !isUNet
    ? -1
    : filters.findIndex((channels, level) =>
      (model === "residual" || (attn && level === filters.length - 1)) && channels % groups !== 0
    );
  if (undivided >= 0) {
    const reason = model === "residual"
      ? "the residual model normalises every level"
      : "--attn normalises the last";
    return `Cannot use --groups ${groups} with --filters ${filters}: ${groups} does not divide ${
      filters[undivided]
    }, ` +
      `the channels of level ${
        undivided + 1
      } (${reason}; expected multiples of ${groups}, or other --groups)`;
  }
  if (isUNet && timeEmbedding === "sinusoidal" && tEmb % 2 !== 0) {
    return `Cannot use --time-embedding sinusoidal with --t-emb ${tEmb}: waves come in pairs (expected an even number)`;
  }
  if (ends.every((name) => config[name] === 0)) {
    return `Cannot train without an end: ${ends.map(flagOf).join(", ")} are all 0 (expected one above 0)`;
  }
  const { sees }: Coupling = makeVariant(couplings, coupling);
  if (sees !== undefined && batchSize > mostPaired) {
    return `Cannot use --coupling ${coupling} with --batch-size ${batchSize}: pairing more would take longer than a ` +
      `step (expected at most ${mostPaired})`;
  }
  if (config.solver.startsWith("map") && config.teacher === null) {
    return `Cannot use --solver ${config.solver}: only a distilled network makes such steps (see deno task distill)`;
  }
  if (schedule === "plateau" && valFraction === 0) {
    return "Cannot use --schedule plateau with --val-fraction 0: it follows the validation loss (expected above 0)";
  }
}

/** The objective of a configuration. */
export function objectiveOf(
  { path, times, coupling }: Pick<TrainingConfig, "path" | "times" | "coupling">,
): Objective {
  return {
    path: makeVariant(paths, path),
    times: makeVariant(timeDistributions, times),
    coupling: makeVariant(couplings, coupling),
    prediction: velocityPrediction, // the network converts what it predicts
  };
}

/** Options for measuring losses of held-out images. */
export function heldOutOptions(config: TrainingConfig): HeldOutOptions {
  return { batchSize: config.batchSize, seed: config.seed, objective: objectiveOf(config) };
}
