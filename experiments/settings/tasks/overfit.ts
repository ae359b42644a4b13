import { presets } from "./presets.ts";
import { checkConfig, checkEffects, checkGroups } from "./train_checks.ts";
import type { Flags } from "../flags.ts";
import type { Values } from "../setting.ts";
import { integer, integers, number, optional, path } from "../kinds.ts";
import { defineSettings } from "../settings.ts";
import { network, training, type TrainingConfig } from "./train.ts";
import { withOptimizer } from "./train_config.ts";

/** The settings of the task that checks that a network can overfit a few images. */
export const overfitting = defineSettings({
  model: { ...network, default: "residual" },
  filters: integers({ doc: "channels of each level (standard: 32,64,128)", default: [16, 32] }),
  tEmb: integer({ doc: "features of the time embedding (standard: 64)", min: 1, default: 32 }),
  attn: training.rows.attn,
  groups: training.rows.groups,
  timeEmbedding: training.rows.timeEmbedding,
  images: integer({ doc: "images to overfit", min: 1, default: 100 }),
  steps: integer({ doc: "training steps", min: 1, default: 300 }),
  batchSize: integer({ doc: "images per step", min: 1, default: 50 }),
  lr: number({ doc: "learning rate", above: 0, default: 2e-3 }),
  seed: training.rows.seed,
  data: training.rows.data,
  out: optional(path("DIR", "folder for weights and samples (else nothing is written)")),
  device: training.rows.device,
  threads: training.rows.threads,
});

/** The settings of the overfitting task by name. */
export type OverfitConfig = Values<typeof overfitting.rows>;

/**
 * The settings of an overfitting task: the flags, completed by defaults.
 *
 * @throws {ConfigError} if the network cannot be built, or a setting has no effect
 */
export function resolveOverfitConfig({ values }: Flags<typeof overfitting.rows>): OverfitConfig {
  const config = overfitting.resolve(values);
  checkEffects(values, config);
  checkGroups(config);
  return config;
}

/**
 * The training that overfits: one learning rate throughout, weights that are not averaged.
 *
 * @throws {ConfigError} if settings contradict each other
 */
export function trainingConfigOf({ images, steps, out: _, ...settings }: OverfitConfig): TrainingConfig {
  const fixed = {
    conditional: false,
    schedule: "constant",
    warmUp: 0,
    ema: 0,
    trainLimit: images,
    maxSteps: steps,
  } as const;
  const preset = withOptimizer(settings, presets.quick);
  const config = training.resolve({ ...settings, ...fixed, preset: "quick" }, preset);
  checkConfig(config);
  return config;
}
