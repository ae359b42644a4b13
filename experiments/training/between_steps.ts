import { HeldOutLoss, meanLoss, type Model } from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { pause } from "../../models/pause.ts";
import { heldOutOptions } from "../settings/training_config.ts";
import type { TrainingConfig } from "../settings/training.ts";
import { makeFixedSteps } from "../settings/solver.ts";
import { classColumns, readAutoguidance } from "../draw/conditioning.ts";
import { type Drawable, drawableOf, drawSamples } from "../draw/samples.ts";
import { writeSampleGrid } from "../draw/sample_grid.ts";
import { runFolder, weightsAtFile, weightsFile } from "../run/layout.ts";
import { saveAveraged } from "./run_state.ts";
import type { TrainingSession } from "./session.ts";
import { makeContainedFolder } from "../run/contained.ts";

/** Measures the validation loss and keeps track of the lowest. */
export class Validation {
  /** The latest loss. */
  loss: number | undefined;
  /** The lowest loss. */
  lowest = Infinity;
  /** The step of the latest measurement. */
  step = 0;
  readonly #images: Uint32Array;
  #heldOut: HeldOutLoss | undefined;

  /** @param images the held-out images; the first `valBatches` batches are used, or all if it is 0 */
  constructor(
    readonly model: Model,
    readonly source: ImageSource,
    readonly config: TrainingConfig,
    images: Uint32Array,
  ) {
    const { valBatches, batchSize } = config;
    this.#images = valBatches > 0 ? images.slice(0, valBatches * batchSize) : images;
  }

  /** Number of images used. */
  get size(): number {
    return this.#images.length;
  }

  /** Measures the loss without storing it. */
  async measure(): Promise<number> {
    this.#heldOut ??= new HeldOutLoss(this.model, this.source, heldOutOptions(this.config));
    return meanLoss(await this.#heldOut.losses(this.#images, pause));
  }

  /** Measures and stores the loss after a step. @returns whether it is the lowest so far */
  async run(step: number): Promise<boolean> {
    this.step = step;
    this.loss = await this.measure();
    if (!(this.loss < this.lowest)) return false;
    this.lowest = this.loss;
    return true;
  }
}

/** Most images in a grid. */
const maxImages = 16;

/** Draws grids of samples during training, always from the same noise to make them comparable. */
export class SampleGrids {
  readonly #model: Model;
  readonly #source: ImageSource;
  readonly #config: TrainingConfig;

  constructor(model: Model, source: ImageSource, config: TrainingConfig) {
    this.#model = model;
    this.#source = source;
    this.#config = config;
  }

  /** Whether the run has grids. */
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

/** Share of a run after which its early weights are kept. At a half, samples gain less; see docs/conditions.md. */
const share = 1 / 6;

/** Keeps the early weights of a run, which autoguidance steers its samples away from. */
export class EarlyWeights {
  readonly #session: TrainingSession;

  constructor(session: TrainingSession) {
    this.#session = session;
  }

  /** Whether the run keeps them: only without labels and with guidance. */
  get #wanted(): boolean {
    const { conditional, guidance } = this.#session.config;
    return conditional !== true && guidance !== 1;
  }

  /** The step after which they are kept; Infinity if never, or while the run's length is unknown. */
  stepOf(totalSteps: number): number {
    return this.#wanted ? Math.ceil(totalSteps * share) : Infinity;
  }

  /** Writes the current averaged weights if they are finite. @throws {RunError} if the file cannot be written */
  async keep(): Promise<void> {
    await saveAveraged(this.#session, weightsFile("early"));
  }

  /** The trained network, with the early one for autoguidance if there is one. */
  async drawable(): Promise<Drawable> {
    const { run, config, network, source } = this.#session;
    const autoguidance = this.#wanted ? await readAutoguidance(run, config.guidance) : undefined;
    return { ...drawableOf(network.averaged, source), autoguidance };
  }
}

/** Keeps the averaged weights at requested steps, for later evaluation. */
export class KeptWeights {
  readonly #session: TrainingSession;

  constructor(session: TrainingSession) {
    this.#session = session;
  }

  /** The first requested step after `from`; Infinity if there is none. */
  next(from: number): number {
    return Math.min(...this.#session.keepAt.filter((step) => step > from));
  }

  /** Writes the weights after a requested step, if they are finite. @throws {RunError} if the file cannot be written */
  async keep(step: number): Promise<void> {
    const { run, keepAt } = this.#session;
    if (!keepAt.includes(step)) return;
    await makeContainedFolder(run, runFolder.weights);
    await saveAveraged(this.#session, weightsAtFile(step));
  }
}
