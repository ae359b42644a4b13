import type { Values } from "./setting.ts";
import { integer, text } from "./setting_kinds.ts";
import { defineSettings } from "./settings.ts";
import { path, training } from "./training_settings.ts";

/** The settings of the task that draws images from a trained network. */
export const sampling = defineSettings({
  checkpoint: path("FILE", "weights to sample from, as a training run stores them"),
  count: integer({ doc: "images", min: 1, default: 64 }),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  solver: { ...training.rows.solver, default: "heun" },
  steps: integer({ doc: "steps of the solver from noise to image", min: 1, default: 20 }),
  columns: integer({ doc: "columns of the grid, 0 = as near to a square as can be", default: 0 }),
  out: text({
    doc: "grid of the images, or their values as an array",
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
