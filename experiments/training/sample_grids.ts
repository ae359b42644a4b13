import type { Model } from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { drawableOf } from "../draw/drawable.ts";
import { writeSampleGrid } from "../draw/sample_grid.ts";
import { drawSamples } from "../draw/samples.ts";
import type { TrainingConfig } from "../settings/tasks/train.ts";

/** Most images of a grid that is drawn while training. */
const most = 16;

/** Grids of samples over the epochs, from the same noise each time so that they can be compared. */
export class SampleGrids {
  readonly #model: Model;
  readonly #source: ImageSource;
  readonly #config: TrainingConfig;

  constructor(model: Model, source: ImageSource, config: TrainingConfig) {
    this.#model = model;
    this.#source = source;
    this.#config = config;
  }

  /** Whether any are wanted. */
  get wanted(): boolean {
    return this.#config.sampleEpochs > 0 && this.#config.samples > 0;
  }

  /** Draws a grid, and forgets it. */
  async draw(): Promise<void> {
    await drawSamples(...this.#drawing);
  }

  /** Writes the grid of a step. @returns its path below the run's folder */
  write(run: string, step: number): Promise<string> {
    return writeSampleGrid(run, step, ...this.#drawing);
  }

  get #drawing() {
    const { samples, seed, sampleSteps: steps, solver } = this.#config;
    return [
      drawableOf(this.#model, this.#source),
      { count: Math.min(samples, most), seed, steps, solver },
    ] as const;
  }
}
