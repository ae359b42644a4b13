import { teacherInfo } from "../run/weights.ts";
import { ownModel } from "./model_setting.ts";
import { ConfigError, flagOf } from "./setting.ts";
import { plannedStages } from "./stages.ts";
import { networkOf, pixelRangeOf } from "./stored_network.ts";
import { namesWith, presets, type TrainingConfig } from "./training.ts";

/** What a distillation takes over from its teacher, or from its stages. */
export const taught = namesWith((traits) => traits.taught);

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

/**
 * The settings that a teacher and the stages determine: the network and the length.
 *
 * @throws {ConfigError} if a flag sets one of them, or the teacher cannot be distilled with the others
 * @throws {RunError} if the teacher cannot be read
 */
export function taughtSettings(flags: Partial<TrainingConfig>, teacher: string) {
  const refused = taught.find((name) => flags[name] !== undefined);
  if (refused !== undefined) {
    throw new ConfigError(
      `Cannot use ${
        flagOf(refused)
      } with --teacher: the network is the teacher's, and the stages determine the rest`,
    );
  }
  const { config, normalization } = teacherInfo(teacher);
  const { path, prediction, classes } = config;
  const network = networkOf(config, flags.model);
  const [named, model] = [ownModel(flags.model), network.model];
  if (flags.model !== undefined && flags.model !== model && !(named && ownModel(model))) {
    throw new ConfigError(`Cannot distil ${teacher} with --model ${flags.model}: it is a ${model} network`);
  }
  if (config.type !== "own" && config.maxGuidance > 1) {
    throw new ConfigError(
      `Cannot distil ${teacher}: it takes guidance as an input (expected the network that it was distilled from)`,
    );
  }
  const normalize = pixelRangeOf(normalization, `distil ${teacher}`);
  const batchSize = flags.batchSize ?? distillation.batchSize;
  const { maxGuidance = 1 } = flags;
  const stages = flags.stages ?? distillation.stages;
  const maxSteps = stepsOfStages({ stages, batchSize, maxGuidance }, flags.maxSteps);
  const unguided = classes === 0
    ? "was trained without classes"
    : config.flowMap
    ? "has learned its guidance"
    : undefined;
  if (unguided !== undefined && flags.teacherGuidance !== undefined && flags.teacherGuidance !== 1) {
    throw new ConfigError(
      `Cannot use --teacher-guidance ${flags.teacherGuidance} with ${teacher}: its network ${unguided} (leave it out)`,
    );
  }
  if (maxGuidance > 1) {
    const why = unguided !== undefined
      ? `its network ${unguided}`
      : named || ownModel(model)
      ? "only the U-Nets take it as an input"
      : flags.teacherGuidance !== undefined
      ? "leave out --teacher-guidance, since the map learns every guidance up to the maximum"
      : undefined;
    if (why !== undefined) {
      throw new ConfigError(`Cannot use --max-guidance ${maxGuidance} with ${teacher}: ${why}`);
    }
  }
  const guidance = Math.min(maxGuidance, presets.quick.guidance);
  return {
    ...{ ...network, path, prediction, normalize },
    ...unguided !== undefined && { teacherGuidance: 1 },
    ...maxGuidance > 1 && { guidance, teacherGuidance: guidance },
    ...{ conditional: classes > 0, epochs: 0, maxMinutes: 0, maxSteps },
  };
}

/** The stages that learn one guidance. */
const oneGuidance: readonly string[] = ["reflow", "drift"];

/**
 * The length of a distillation.
 *
 * @throws {ConfigError} if a stage has fewer pairs than a batch, or cannot teach guidance as an input
 */
export function stepsOfStages(
  { stages: text, batchSize, maxGuidance }: {
    readonly stages: string;
    readonly batchSize: number;
    readonly maxGuidance: number;
  },
  total: number | undefined,
): number {
  const stages = plannedStages(text, batchSize, total);
  const fixed = stages.find(({ name }) => oneGuidance.includes(name));
  if (maxGuidance > 1 && fixed) {
    throw new ConfigError(
      `Cannot use --max-guidance ${maxGuidance} with the stage ${fixed.name}: it learns only one guidance ` +
        "(expected bake, mean or shortcut, such as --stages bake+mean)",
    );
  }
  const few = stages.find(({ settings: { pairs = batchSize } }) => pairs < batchSize);
  if (few) {
    throw new ConfigError(
      `Cannot use --stages with ${few.settings.pairs} pairs and batches of ${batchSize} (expected pairs for at least one batch)`,
    );
  }
  const { from, steps } = stages.at(-1)!;
  return from + steps;
}
