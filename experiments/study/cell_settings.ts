import { accepted, asText, ConfigError, didYouMean, type Setting, shownValue } from "../settings/setting.ts";
import { presets, training, type TrainingConfig } from "../settings/training.ts";
import { idleSettings, trainingConfig } from "../settings/training_config.ts";
import type { CellSettings, Plan, Value } from "./plan.ts";

/** Settings of the train task that a study sets itself, and what to use instead. */
const taken: Readonly<Record<string, string>> = {
  seed: "seeds",
  epochs: "the budget",
  maxSteps: "the budget",
  maxMinutes: "the budget",
  name: "the name of the plan",
  out: "--out",
  resume: "the folder of the study",
  device: "--device",
  threads: "--threads",
  mlflow: "--mlflow",
  experiment: "--experiment",
  runName: "the ids of the cells",
};

/** What networks can be matched in, see {@linkcode CellSettings}. */
export const matches = ["parameters", "arithmetic", "time"] as const;

/** What a network is matched in. */
export type Match = typeof matches[number];

/** Settings of studies themselves. */
const own: Readonly<Record<string, Setting<unknown>>> = {
  match: {
    doc: "what the network has as much of as the other network",
    expected: matches.join(", "),
    choices: matches,
    fromText: (text) => text,
    accepts: (value): value is unknown => matches.some((match) => match === value),
  },
  share: {
    doc: "part of the budget",
    expected: "a number above 0 and of at most 1",
    fromText: Number,
    accepts: (value): value is unknown => typeof value === "number" && value > 0 && value <= 1,
  },
};

/** Settings that save time where pictures over the epochs are of no use; a plan may set them otherwise. */
const usual: CellSettings = { sampleEpochs: 0 };

/**
 * Checks a setting of a plan.
 *
 * @param where for errors, e.g. `the grid of networks`
 * @returns the value as `config.json` holds it
 * @throws {ConfigError} if it is unknown, or set by the study itself, or does not accept the value
 */
export function settingOf(name: string, value: Value, where: string): unknown {
  if (Object.hasOwn(taken, name)) {
    throw new ConfigError(`Cannot use ${name} in ${where}: a study sets it (expected ${taken[name]})`);
  }
  const known: Readonly<Record<string, Setting<unknown>>> = { ...training.rows, ...own };
  if (!Object.hasOwn(known, name)) {
    throw new ConfigError(`Unknown setting ${name} in ${where}${didYouMean(name, Object.keys(known))}`);
  }
  const setting = known[name];
  const typed = typeof value === "string" ? setting.fromText(value) : value;
  return accepted(setting, typed, `${name} ${shownValue(setting, value)} in ${where}`);
}

/** A value of a setting as plans and records hold it: lists are text. */
export function plainValue(value: unknown): Value {
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "number" || typeof value === "boolean" ? value : asText(value);
}

/**
 * The settings of a training run for a cell. What the plan sets for all cells is left out where it has no effect.
 *
 * @param settings of the cell alone
 * @param where for errors, e.g. the cell's id
 * @throws {ConfigError} if a setting is unknown, has no effect or contradicts another
 */
export function configOf(
  { preset, fixed, name }: Pick<Plan, "preset" | "fixed" | "name">,
  settings: CellSettings,
  { seed, steps, where }: { readonly seed: number; readonly steps: number; readonly where: string },
): TrainingConfig {
  const typed = (some: CellSettings): Partial<TrainingConfig> =>
    Object.fromEntries(
      Object.entries(some).filter(([setting]) => !Object.hasOwn(own, setting))
        .map(([setting, value]) => [setting, settingOf(setting, value, `${where} of the plan ${name}`)]),
    );
  const [common, special] = [typed({ ...usual, ...fixed }), typed(settings)];
  const all = { ...presets[preset], ...common, ...special };
  if (!("model" in all)) {
    throw new ConfigError(
      `Cannot run ${where} of the plan ${name}: it names no network (expected model=${
        training.rows.model.choices!.join("|")
      } in the grid or the fixed settings)`,
    );
  }
  const idle: readonly string[] = idleSettings(common, all);
  const given = Object.entries({ ...common, ...special }).filter(([setting]) =>
    setting in special || !idle.includes(setting)
  );
  try {
    return trainingConfig({ ...Object.fromEntries(given), seed, maxSteps: steps }, preset);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${error.message}; so asks ${where} of the plan ${name}`);
  }
}
