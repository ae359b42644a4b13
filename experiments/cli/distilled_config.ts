import { teacherInfo } from "../run/weights.ts";
import { ownModel } from "./model_setting.ts";
import { ConfigError, flagOf } from "./settings.ts";
import { plannedStages } from "./stages.ts";
import { networkOf, pixelRangeOf } from "./stored_network.ts";
import { presets, type TrainingConfig } from "./training.ts";

/** What a distillation takes over from its teacher, or from its stages. */
export const taught = [
  ...["filters", "tEmb", "attn", "groups", "timeEmbedding", "path", "prediction", "normalize"] as const,
  ...["conditional", "labelDropout", "guidance", "times", "coupling", "valFraction"] as const,
  ...["epochs", "maxMinutes"] as const,
] as const satisfies readonly (keyof TrainingConfig)[];

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
    const why = classes === 0 ? "was trained without classes" : "has learned its guidance";
    throw refuse(
      `use ${flagOf(guiding)} ${flags[guiding]} with ${teacher}`,
      `its network ${why} (leave it out)`,
    );
  }
  const { stages = distillation.stages, batchSize = distillation.batchSize, maxGuidance = 1 } = flags;
  const guidance = Math.min(maxGuidance, presets.quick.guidance);
  return {
    ...{ ...network, path, prediction, normalize: pixelRangeOf(normalization, `distil ${teacher}`) },
    ...!isGuided && { teacherGuidance: 1 },
    ...maxGuidance > 1 && { guidance, teacherGuidance: guidance },
    ...{ conditional: classes > 0, epochs: 0, maxMinutes: 0 },
    maxSteps: stepsOfStages({ stages: stages!, batchSize, maxGuidance }, flags.maxSteps),
  };
}

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
  const fixed = stages.find(({ name }) => name === "reflow" || name === "drift");
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
