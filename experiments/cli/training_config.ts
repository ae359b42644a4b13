import { basename, dirname, join } from "node:path";
import {
  type Coupling,
  couplings,
  fewestChannels,
  flowSolverOf,
  type HeldOutOptions,
  maxPaired,
  type Objective,
  paths,
  timeDistributions,
  velocityPrediction,
} from "../../models/mod.ts";
import { startCommand } from "../run/program_files.ts";
import { findContained, RunError } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { distillation, initialNetwork, stepsOfStages, taught, taughtSettings } from "./stored_network.ts";
import { completeStages, modelText, ownModel, unetSettings } from "./shared.ts";
import { asText, ConfigError, flagOf } from "./settings.ts";
import { makeSolver } from "./solver.ts";
import {
  guidanceWithoutLabels,
  namesWith,
  type Preset,
  type PresetName,
  presets,
  training,
  type TrainingConfig,
} from "./training.ts";
import { makeVariant } from "./kinds.ts";

/** The given settings of a run, before a preset completes them. */
export type GivenSettings = Partial<TrainingConfig>;

/** The settings that end a run. */
const ends = ["epochs", "maxSteps", "maxMinutes"] as const;

/** The flags allowed with `--resume`; all others come from the run's `config.json`. */
const resumable = namesWith((traits) => traits.resumable);

/**
 * The settings of a run: the given ones, completed by a preset or, with `resume` or `config`, by those of an earlier run.
 *
 * @param flags at least `model`, or `resume` with the folder of an earlier run, or `config` with that folder or a file;
 * or all fields of a `config.json`, where settings without effect are allowed
 * @param defaultPreset the preset if none is given
 * @throws {ConfigError} if a setting is missing, has no effect or contradicts another
 */
export function trainingConfig(flags: GivenSettings, defaultPreset: PresetName = "quick"): TrainingConfig {
  if (typeof flags.resume === "string") return resumedConfig(flags, flags.resume);
  if (typeof flags.config === "string") return repeatedConfig(flags, flags.config);
  const preset = flags.preset ?? defaultPreset;
  if (flags.resume === null) return resolved({}, { ...presets[preset], ...flags }); // a config.json
  const { teacher, init } = flags;
  if (typeof teacher === "string") {
    const decided = taughtSettings(flags, teacher);
    const defaults = withOptimizer(decided, { ...presets[preset], ...distillation });
    return resolved({ ...flags, preset, model: decided.model }, { ...defaults, ...decided });
  }
  const network = typeof init === "string" ? initialNetwork(flags, init) : {};
  const values = { ...withOptimizer({ ...flags, ...network }, presets[preset]), ...network };
  const model = network.model === undefined ? {} : { model: network.model }; // with all its options
  return resolved({ ...flags, preset, ...model }, withEnds(flags, withLabels(flags, values)));
}

function resolved(given: GivenSettings, defaults: GivenSettings): TrainingConfig {
  return checkConfig(training.resolve(given, defaults));
}

/** Reads the settings in a run's folder. @throws {ConfigError} if the file cannot be read or a field is invalid */
export function readConfig(run: string): TrainingConfig {
  return readConfigFile(join(run, runFile.config));
}

function readConfigFile(path: string): TrainingConfig {
  return checkConfig(training.read(completed(readJson(path)), path), ` (in ${path})`);
}

function resumedConfig(flags: GivenSettings, run: string): TrainingConfig {
  const allowed: readonly string[] = ["resume", "model", ...resumable];
  const refused = Object.keys(flags).find((name) => !allowed.includes(name));
  if (refused !== undefined) {
    throw new ConfigError(
      `Cannot use ${flagOf(refused)} with --resume: the run keeps its settings, ` +
        `except ${resumable.map(flagOf).join(", ")}`,
    );
  }
  const saved = readConfig(run);
  const lengthened = saved.teacher === null ? undefined : ends.find((name) => flags[name] !== undefined);
  if (lengthened !== undefined) {
    throw new ConfigError(
      `Cannot use ${flagOf(lengthened)} with --resume ${run}: the stages of a distillation decide its length`,
    );
  }
  if (flags.model !== undefined && !isSameModel(flags.model, saved.model)) {
    const why = `it trains the ${saved.model} model`;
    throw new ConfigError(`Cannot resume ${run} with --model ${flags.model}: ${why}`);
  }
  // A server named in the folder gets no credentials; see `trackingOf`.
  const values = { ...withEnds(flags, withRate(flags, saved)), mlflow: null };
  const [own, given] = [ownModel(saved.model), ownModel(flags.model)];
  const moved = own && given && { model: modelText(given.file, Object.fromEntries(own.options), own.digest) };
  return resolved({ ...flags, ...moved }, values);
}

/**
 * The settings that repeat an earlier run: the given settings replace its own. The new run has a folder, a name and a
 * place on a server of its own.
 *
 * @param source the run's folder or its `config.json`; the copy of its teacher lies next to it
 */
function repeatedConfig({ config: _, ...flags }: GivenSettings, source: string): TrainingConfig {
  const path = isFolder(source) ? join(source, runFile.config) : source;
  const read = readConfigFile(path);
  const copyOf = (file: string) => {
    const copy = join(dirname(path), file);
    return findContained(copy) === undefined ? undefined : copy;
  };
  const saved: TrainingConfig = {
    ...read,
    teacher: read.teacher === null ? null : copyOf(runFile.teacher) ?? read.teacher,
    ...{ name: null, out: null, runName: null, mlflow: null, resume: null },
    replans: read.maxMinutes > 0 ? null : read.replans, // its length was not fixed yet
  };
  const { teacher, model } = saved;
  const isOther = flags.model !== undefined && flags.model !== model;
  const [own, given] = [ownModel(model), ownModel(flags.model)];
  const program = own && given && basename(own.file) === basename(given.file) ? given : undefined;
  if (program) { // the same network, which may have changed
    const options = Object.fromEntries([...own!.options, ...program.options]);
    flags = { ...flags, model: modelText(program.file, options) };
  }
  const refused = (["preset", "teacher", "maxGuidance", ...teacher === null ? [] : taught] as const)
    .find((name) => (flags as GivenSettings)[name] !== undefined) ??
    (teacher !== null && isOther && !program ? "model" : undefined);
  if (refused !== undefined) {
    throw new ConfigError(
      `Cannot use ${flagOf(refused)} with --config ${source}: that run determines it (leave it out)`,
    );
  }
  if (teacher !== null) {
    const { stages, batchSize, maxGuidance } = { ...saved, ...flags };
    const isSame = flags.stages === undefined && flags.batchSize === undefined;
    const total = flags.maxSteps ?? (isSame ? saved.maxSteps : undefined);
    return resolved({ ...flags, maxSteps: stepsOfStages(stages!, batchSize, maxGuidance, total) }, saved);
  }
  const values = isOther && !program || flags.filters ? withOptimizer({ model, ...flags }, saved) : saved;
  return resolved(flags, withEnds(flags, withLabels(flags, values)));
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false; // reading it reports the error
  }
}

/** Whether a network may be that of a run; options that are left out may be any. */
function isSameModel(model: string, saved: string): boolean {
  const [own, earlier] = [ownModel(model), ownModel(saved)];
  if (!own || !earlier) return model === saved;
  return own.options.entries().every(([name, value]) => earlier.options.get(name) === value);
}

/** Changes the learning rate of a resumed run. `--lr` alone is a constant rate, without a second warm-up. */
function withRate({ lr, schedule }: GivenSettings, saved: TrainingConfig): TrainingConfig {
  if (lr === undefined && schedule === undefined) return saved;
  const name = schedule ?? "constant";
  const muonLr = saved.muonLr * (lr ?? saved.lr) / saved.lr;
  return { ...saved, schedule: name, muonLr, ...name === "constant" && { warmUp: 0 } };
}

/** Turns labels on if guidance or label dropout is given, unless labels are turned off. */
function withLabels<T extends Partial<TrainingConfig>>(flags: GivenSettings, values: T): T {
  if (flags.conditional === false) return { ...values, guidance: unlabelled(values.guidance) };
  const needsLabels = flags.guidance !== undefined || flags.labelDropout !== undefined;
  return needsLabels && values.conditional === "auto" ? { ...values, conditional: true } : values;
}

/** Guidance of an unlabelled network, given the preset's guidance by labels. */
export function unlabelled(guidance: number | undefined): number {
  return guidance === undefined || guidance === 1 ? 1 : guidanceWithoutLabels;
}

/** Peak learning rate of a custom network by adamw, as a share of that of the U-Nets. */
const ownRate = 0.25;

/** Replaces muon by adamw for custom networks, and those so narrow that muon would update no weight. */
export function withOptimizer<T extends Preset>(flags: Partial<TrainingConfig>, values: T): T {
  const { filters = values.filters, model } = flags;
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
function withEnds<T extends Partial<TrainingConfig>>(flags: GivenSettings, values: T): T {
  const named = ends.some((name) => flags[name] !== undefined);
  return named ? { ...values, ...Object.fromEntries(ends.map((name) => [name, 0])), replans: null } : values;
}

/** The settings that a run records: those of its network. */
export function recordedConfig({ config: _, ...config }: TrainingConfig): Partial<TrainingConfig> {
  if (!ownModel(config.model)) return config;
  const unetOnly: readonly string[] = unetSettings;
  return Object.fromEntries(Object.entries(config).filter(([name]) => !unetOnly.includes(name)));
}

/** Adds what {@linkcode recordedConfig} has left out, at its default. */
function completed(json: unknown): unknown {
  if (typeof json !== "object" || json === null || !("model" in json) || !ownModel(json.model)) return json;
  const { filters, tEmb } = presets.quick;
  return { filters, tEmb, ...json };
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
 * @returns the settings, with all those of the stages, so that a run keeps them when defaults change
 * @throws {ConfigError} if the network cannot be built, the run would never end, or its schedule would get no loss
 */
function checkConfig(config: TrainingConfig, where = ""): TrainingConfig {
  const problem = problemOf(config);
  if (problem !== undefined) throw new ConfigError(problem + where);
  const { stages } = config;
  return stages === null ? config : { ...config, stages: completeStages(stages) };
}

function problemOf(config: TrainingConfig): string | undefined {
  const { model, filters, attn, groups, timeEmbedding, tEmb, coupling, batchSize, schedule, valFraction } =
    config;
  const isUNet = ownModel(model) === undefined;
  const normalises = (level: number) => model === "residual" || attn && level === filters.length - 1;
  const undivided = filters.findIndex((channels, i) => isUNet && normalises(i) && channels % groups !== 0);
  if (undivided >= 0) {
    const reason = model === "residual"
      ? "the residual model normalises every level"
      : "--attn normalises the last";
    const what = `${groups} does not divide ${filters[undivided]}, the channels of level ${undivided + 1}`;
    return `Cannot use --groups ${groups} with --filters ${filters}: ${what} ` +
      `(${reason}; expected multiples of ${groups}, or other --groups)`;
  }
  if (isUNet && timeEmbedding === "sinusoidal" && tEmb % 2 !== 0) {
    return `Cannot use --time-embedding sinusoidal with --t-emb ${tEmb}: the features of t are pairs of sine and cosine (expected an even number)`;
  }
  if (config.teacher !== null && config.stages === null) {
    return "Cannot distil without stages: they are null (expected stages such as pairs+drift)";
  }
  if (ends.every((name) => config[name] === 0)) {
    return `Cannot train without an end: ${ends.map(flagOf).join(", ")} are all 0 (expected one above 0)`;
  }
  const { sees }: Coupling = makeVariant(couplings, coupling);
  if (sees !== undefined && batchSize > maxPaired) {
    return `Cannot use --coupling ${coupling} with --batch-size ${batchSize}: pairing more would take longer than a ` +
      `step (expected at most ${maxPaired})`;
  }
  if (flowSolverOf(makeSolver(config.solver).how.solver).needsMap && config.teacher === null) {
    const see = startCommand("distill");
    return `Cannot use --solver ${config.solver}: only a distilled network can take such steps (see ${see})`;
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

/** What the losses of a run depend on besides its network. */
export interface LossMeaning {
  /** Settings by name, as in `config.json`; missing ones are unknown. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The data, if known: runs of other programs may not record it. */
  readonly dataset?: LossData | null | undefined;
}

/** A data set by the digest of its images, or only by its name, as MLflow stores it. */
export interface LossData {
  readonly name: string;
  readonly digest?: string;
}

/** The setting that changes only the training loss: held-out losses use uniform times. */
const ofTraining = "times";
const ofAll = namesWith(({ changesLoss }) => changesLoss).filter((name) => name !== ofTraining);

/**
 * Explains why the losses of several runs cannot be compared.
 *
 * @param runs what the losses of each run depend on; unknown values are skipped
 * @returns e.g. `Losses of these runs are not comparable (--normalize is -1..1 or 0..1)`; undefined if they are
 */
export function lossWarning(runs: readonly LossMeaning[]): string | undefined {
  const [all, training] = [reasonsOf(runs), differing(ofTraining, runs)];
  if (all.length > 0) return `Losses of these runs are not comparable (${[...all, ...training].join("; ")})`;
  if (training.length === 0) return undefined;
  return `Training losses of these runs are not comparable (${training}), but validation and test losses are`;
}

/** Whether losses on held-out images, such as the velocity error, are comparable between runs. */
export function heldOutComparable(runs: readonly LossMeaning[]): boolean {
  return reasonsOf(runs).length === 0;
}

function reasonsOf(runs: readonly LossMeaning[]): string[] {
  const data = runs.flatMap(({ dataset }) => dataset ?? []);
  return [...differingData(data), ...ofAll.flatMap((name) => differing(name, runs))];
}

/** `["--normalize is -1..1 or 0..1"]`, or empty if all runs that know the setting have one value. */
function differing(name: string, runs: readonly LossMeaning[]): string[] {
  const known = runs.map(({ settings }) => settings[name]).filter((value) => value !== undefined);
  const values = new Set(known.map(asText));
  return values.size > 1 ? [`${flagOf(name)} is ${[...values].join(" or ")}`] : [];
}

/** `["different data sets: MNIST, fashion-mnist"]`, with digests if all have one name; empty if the data is the same. */
export function differingData(data: readonly LossData[]): string[] {
  const haveDigests = data.every(({ digest }) => digest !== undefined);
  const sets = [...new Map(data.map((one) => [haveDigests ? one.digest : one.name, one])).values()];
  if (sets.length < 2) return [];
  const names = new Set(sets.map(({ name }) => name));
  const shown = names.size > 1
    ? [...names]
    : sets.map(({ name, digest }) => `${name} (${digest?.slice(0, 12)})`);
  return [`different data sets: ${shown.join(", ")}`];
}
