import { makeFixedSteps } from "../settings/solver.ts";
import type { Model } from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { classColumns } from "../draw/conditioning.ts";
import { drawableOf, drawSamples } from "../draw/samples.ts";
import { writeSampleGrid } from "../draw/sample_grid.ts";
import type { TrainingConfig } from "../settings/training.ts";

/** Most images in a grid. */
const maxImages = 16;

/** Draws grids of samples during training, always from the same noise so that they can be compared. */
export class SampleGrids {
  readonly #model: Model;
  readonly #source: ImageSource;
  readonly #config: TrainingConfig;

  constructor(model: Model, source: ImageSource, config: TrainingConfig) {
    this.#model = model;
    this.#source = source;
    this.#config = config;
  }

  /** Whether the configuration asks for grids. */
  get wanted(): boolean {
    return this.#config.sampleEpochs > 0 && this.#config.samples > 0;
  }

  /** Draws a grid without writing it. */
  async draw(): Promise<void> {
    await drawSamples(...this.#drawing);
  }

  /** Draws and writes the grid of a step. @returns its path relative to the run's folder */
  write(run: string, step: number): Promise<string> {
    return writeSampleGrid(run, step, ...this.#drawing);
  }

  get #drawing() {
    const { samples, guidance, seed, solver } = this.#config;
    const drawable = drawableOf(this.#model, this.#source);
    const columns = classColumns(Math.min(samples, maxImages), this.#source.classes, { scale: guidance });
    return [drawable, { ...columns, seed, ...makeFixedSteps(solver) }] as const;
  }
}
