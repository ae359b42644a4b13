import { checkEffects } from "./train_checks.ts";
import type { Flags } from "../flags.ts";
import { ConfigError, type Values } from "../setting.ts";
import { integer, path, text } from "../kinds.ts";
import { defineSettings } from "../settings.ts";
import { training } from "./train.ts";

/** The settings of the task that draws images from a trained network. */
export const sampling = defineSettings({
  checkpoint: path("FILE", "weights to sample from, as a training run saves them"),
  count: integer({ doc: "images", min: 1, default: 64 }),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  solver: { ...training.rows.solver, default: "heun" },
  steps: integer({ doc: "solver steps from noise to image", min: 1, default: 20 }),
  columns: integer({ doc: "columns of the grid, 0 = nearly square", default: 0 }),
  out: text({
    doc: "grid of the images (.png), or their values as an array (.npy)",
    hint: "FILE",
    pattern: /.\.(png|npy)$/,
    expected: "a path that ends with .png or .npy",
    default: "grid.png",
  }),
  device: training.rows.device,
  threads: training.rows.threads,
});

/** The settings of the sampling task by name. */
export type SampleConfig = Values<typeof sampling.rows>;

/**
 * The settings of a sampling task: the flags, completed by defaults.
 *
 * @throws {ConfigError} if a setting is missing or has no effect
 */
export function resolveSampleConfig({ values }: Flags<typeof sampling.rows>): SampleConfig {
  const config = sampling.resolve(values);
  const { device } = config;
  if ("threads" in values) checkEffects({ threads: config.threads }, { device });
  if ("columns" in values && config.out.endsWith(".npy")) {
    throw new ConfigError(
      `Cannot use --columns with --out ${config.out}: an array has no columns (expected a .png, or no --columns)`,
    );
  }
  return config;
}
