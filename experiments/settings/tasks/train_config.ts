import { join } from "node:path";
import type { Flags } from "../flags.ts";
import { type Preset, type PresetName, presets } from "./presets.ts";
import { checkConfig, checkEffects } from "./train_checks.ts";
import { ConfigError, flagOf } from "../setting.ts";
import { guidanceWithoutLabels, training, type TrainingConfig } from "./train.ts";
import { RunError } from "../../run/atomic_write.ts";
import { fewestChannels } from "../../../models/train/update_rules.ts";
import { findContained } from "../../run/contained.ts";
import { runFile } from "../../run/layout.ts";

export { ConfigError, type PresetName, type TrainingConfig };

/** The parsed command line of a training run. */
export type TrainingFlags = Flags<typeof training.rows>;

/** The settings that end a run. */
const ends = ["epochs", "maxSteps", "maxMinutes"] as const;

/** The flags that `--resume` allows; everything else comes from the run's `config.json`. */
const resumable = [
  ...ends,
  "device",
  "threads",
  "precision",
  "checkpointMinutes",
  "logEvery",
  "mlflow",
] as const;

/**
 * Parses the flags of a training run, before the preset that completes them is known.
 *
 * @throws {ConfigError} if a flag cannot be used
 */
export function parseTrainingFlags(argv: readonly string[]): TrainingFlags {
  return training.parse(argv);
}

/**
 * The settings of a run: the flags, completed by the preset or, with `--resume`, by the resumed run's own.
 *
 * @param flags what `parseTrainingFlags` returned
 * @param defaultPreset the preset if the flags name none
 * @throws {ConfigError} if a setting is missing, has no effect or contradicts another
 */
export function resolveConfig({ values }: TrainingFlags, defaultPreset: PresetName): TrainingConfig {
  if (typeof values.resume === "string") return resumedConfig(values, values.resume);
  const preset = values.preset ?? defaultPreset;
  const completing = withEnds(values, withLabels(values, withOptimizer(values, presets[preset])));
  const config = training.resolve({ ...values, preset }, completing);
  checkEffects(values, config);
  checkConfig(config);
  return config;
}

/**
 * The settings of a run that a program starts, completed as those of a command line.
 *
 * @param values at least `model`, or `resume` with the folder of an earlier run
 * @param preset completes them
 * @throws {ConfigError} if a setting is missing, has no effect or contradicts another
 */
export function trainingConfig(
  values: Partial<TrainingConfig>,
  preset: PresetName = "quick",
): TrainingConfig {
  return resolveConfig({ help: false, values }, preset);
}

/** The text of `--help`, with the defaults of the preset in the flags, else of the default preset. */
export function trainingHelp(usage: string, { values }: TrainingFlags, defaultPreset: PresetName): string {
  const { model, preset = defaultPreset } = values;
  return training.help(usage, { preset, ...presets[preset], ...model && { model } });
}

/**
 * Reads the settings of an earlier run.
 *
 * @param run the run's folder
 * @throws {ConfigError} if the file cannot be read or a field cannot be used
 */
export function readConfig(run: string): TrainingConfig {
  const path = join(run, runFile.config);
  const config = training.read(readJson(path), path);
  try {
    checkConfig(config);
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(`${error.message}; so says ${path}`);
    throw error;
  }
  return config;
}

function resumedConfig(given: TrainingFlags["values"], run: string): TrainingConfig {
  const allowed: readonly string[] = ["resume", "model", ...resumable];
  const refused = Object.keys(given).find((name) => !allowed.includes(name));
  if (refused !== undefined) {
    throw new ConfigError(
      `Cannot use ${flagOf(refused)} with --resume: the run keeps its settings, ` +
        `except ${resumable.map(flagOf).join(", ")}`,
    );
  }
  const saved = readConfig(run);
  if (given.model !== undefined && given.model !== saved.model) {
    throw new ConfigError(
      `Cannot resume ${run} with --model ${given.model}: it trains the ${saved.model} model`,
    );
  }
  // A server that the folder names gets no credentials; see `trackingOf`.
  const config = training.resolve(given, { ...withEnds(given, saved), mlflow: null });
  checkEffects(given, config);
  checkConfig(config);
  return config;
}

/** The values that complete given ones: who asks for guidance or label dropout asks for labels, unless without. */
function withLabels<T extends Partial<TrainingConfig>>(given: TrainingFlags["values"], values: T): T {
  if (given.conditional === false) return { ...values, guidance: unlabelled(values.guidance) };
  const asked = given.guidance !== undefined || given.labelDropout !== undefined;
  return asked && values.conditional === "auto" ? { ...values, conditional: true } : values;
}

/** The guidance without labels of a preset that guides by labels so much. */
export function unlabelled(guidance: number | undefined): number {
  return guidance === undefined || guidance === 1 ? 1 : guidanceWithoutLabels;
}

/** The values that complete given ones: the optimizer of a preset gives way to adamw where it would update no weight. */
export function withOptimizer(given: Partial<TrainingConfig>, values: Preset): Preset {
  const { filters = values.filters, model } = given;
  const isWide = (channels: number | undefined) => channels !== undefined && channels >= fewestChannels;
  // In the residual network there is a convolution within each level, in the base network only between two.
  const hasWeights = filters.some((channels, i) =>
    isWide(channels) && (model !== "base" || isWide(filters[i + 1]))
  );
  return values.optimizer === "muon" && !hasWeights ? { ...values, optimizer: "adamw" } : values;
}

/** The values that complete given ones: an end of the run that is given stands for all ends. */
function withEnds<T extends Partial<TrainingConfig>>(given: TrainingFlags["values"], values: T): T {
  const named = ends.some((name) => given[name] !== undefined);
  return named ? { ...values, ...Object.fromEntries(ends.map((name) => [name, 0])) } : values;
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
