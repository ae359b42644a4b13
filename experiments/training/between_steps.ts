import { evaluationsOf, HeldOutLoss, meanLoss } from "../../models/mod.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";
import { heldOutOptions } from "../cli/training_config.ts";
import { makeFixedSteps } from "../cli/solver.ts";
import { classColumns, readAutoguidance, runsTwice } from "../draw/conditioning.ts";
import { type Drawable, drawableOf, drawSamples } from "../draw/samples.ts";
import { writeSampleGrid } from "../draw/sample_grid.ts";
import { fileAt, keepsEarly, runFile, runFolder } from "../run/files.ts";
import { saveAveraged } from "./run_state.ts";
import type { TrainingSession } from "./session.ts";
import { makeFolder } from "../run/run_folder.ts";

/** Maximum share of the time that validations take by default; the same for grids. */
const timeShare = 1 / 20;
/** Maximum steps between two validations or grids by default, if affordable. */
const usualSteps = 400;
/** How many evaluations of a batch, and how many file writes, take as long as a training step. */
const [evaluationsPerStep, filesPerStep] = [4, 2];

/**
 * Steps between two validations or grids by default. It counts evaluations instead of timing them, so that a run gives
 * the same bits on every machine.
 *
 * @param batches that the network evaluates each time
 * @param totalSteps of the run; Infinity while only minutes limit it
 * @param atLeast how many a run has before its last step, if it is long enough to afford them
 */
export function stepsBetween(batches: number, totalSteps: number, atLeast: number): number {
  const affordable = (batches / evaluationsPerStep + 1 / filesPerStep) / timeShare;
  return Math.ceil(Math.max(Math.min(usualSteps, (totalSteps + 1) / (atLeast + 1)), affordable));
}

/** Epochs between validations and between grids. */
export interface Cadence {
  readonly valEpochs: number;
  readonly sampleEpochs: number;
}

/** Measures the validation loss and keeps track of the lowest. */
export class Validation {
  /** The latest loss. */
  loss: number | undefined;
  /** The lowest loss. */
  lowest = Infinity;
  /** The step of the latest measurement. */
  step = 0;
  /** The held-out images that are used: those of the first `valBatches` batches, or all if it is 0. */
  readonly images: Uint32Array;
  readonly #session: TrainingSession;
  #heldOut: HeldOutLoss | undefined;

  constructor(session: TrainingSession) {
    const { config: { valBatches, batchSize }, images: { validation } } = session;
    this.#session = session;
    this.images = valBatches > 0 ? validation.slice(0, valBatches * batchSize) : validation;
  }

  /** Steps between two by default, in a run of `totalSteps`. */
  everySteps(totalSteps: number): number {
    return stepsBetween(this.images.length / this.#session.config.batchSize, totalSteps, 9);
  }

  /** Measures the loss without storing it. */
  async measure(): Promise<number> {
    const { network, source, config } = this.#session;
    this.#heldOut ??= new HeldOutLoss(network.averaged, source, heldOutOptions(config));
    return meanLoss(await this.#heldOut.losses(this.images, () => yieldToEvents()));
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

/** Maximum number of images in a grid. */
const maxImages = 16;

/** Draws grids of samples during training, from the same noise to make them comparable. */
export class SampleGrids {
  /** Whether the run has grids. */
  readonly enabled: boolean;
  readonly #session: TrainingSession;

  constructor(session: TrainingSession) {
    this.#session = session;
    this.enabled = session.config.sampleEpochs !== 0 && session.config.samples > 0;
  }

  /** Steps between two by default, in a run of `totalSteps`. */
  everySteps(totalSteps: number): number {
    const { batchSize } = this.#session.config;
    const [{ model }, { count, conditioning, ...how }] = this.#drawing;
    const rows = conditioning && runsTwice(conditioning.guidance, model) ? 2 * count : count;
    return stepsBetween(rows * evaluationsOf(how)! / batchSize, totalSteps, 4);
  }

  /** Draws a grid without writing it. */
  async draw(): Promise<void> {
    await drawSamples(...this.#drawing);
  }

  /** Draws and writes the grid of a step. @returns its path relative to the run's folder */
  write(step: number): Promise<string> {
    return writeSampleGrid(this.#session.run, ...this.#drawing, step);
  }

  get #drawing() {
    const { network, source, config: { samples, guidance, seed, solver } } = this.#session;
    const columns = classColumns(Math.min(samples, maxImages), source.classes, { scale: guidance });
    return [drawableOf(network.averaged, source), { ...columns, seed, ...makeFixedSteps(solver) }] as const;
  }
}

/** Share of a run after which its early weights are kept. At a half, samples gain less; see docs/conditions.md. */
const share = 1 / 6;

/**
 * Keeps averaged weights during a run, if they are finite: those after the steps that the caller requests, and the
 * early weights of a run without labels, which autoguidance steers samples away from.
 */
export class KeptWeights {
  readonly #session: TrainingSession;
  readonly #autoguided: boolean;

  constructor(session: TrainingSession) {
    this.#session = session;
    this.#autoguided = keepsEarly(session.config);
  }

  /** The first step after `from` at which weights are kept, in a run of `totalSteps`; Infinity if there is none. */
  next(from: number, totalSteps: number): number {
    return Math.min(...[...this.#session.keepAt, this.#earlyStep(totalSteps)].filter((step) => step > from));
  }

  /** Writes the weights if they are kept after a step. @throws {RunError} if a file cannot be written */
  async keep(step: number, totalSteps: number): Promise<void> {
    const { run, keepAt } = this.#session;
    if (step === this.#earlyStep(totalSteps)) await saveAveraged(this.#session, runFile.early);
    if (!keepAt.includes(step)) return;
    await makeFolder(run, runFolder.weights);
    await saveAveraged(this.#session, fileAt(runFile.weightsAt, step));
  }

  /** The trained network, with the early one for autoguidance if there is one. */
  async drawable(): Promise<Drawable> {
    const { run, config, network, source } = this.#session;
    const autoguidance = this.#autoguided ? await readAutoguidance(run, config.guidance) : undefined;
    return { ...drawableOf(network.averaged, source), autoguidance };
  }

  /** Infinity if there are no early weights, or while the run's length is unknown. */
  #earlyStep(totalSteps: number): number {
    return this.#autoguided ? Math.ceil(totalSteps * share) : Infinity;
  }
}
