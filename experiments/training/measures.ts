import { type BatchOrder, evaluationsOf, HeldOutLoss, meanLoss } from "../../models/mod.ts";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import { TrainingError } from "../cli/task.ts";
import { classColumns, runsTwice } from "../draw/conditioning.ts";
import { drawableOf } from "../draw/samples.ts";
import type { Metrics, RecentSteps } from "../run/metrics_log.ts";
import { heldOutOptions } from "../settings/objective.ts";
import type { PreparedTraining } from "./prepare_training.ts";

/** Maximum share of the time that validations take by default; the same for grids. */
const timeShare = 1 / 20;
/** Maximum steps between two validations or grids by default, if affordable. */
const usualSteps = 400;
/** How many evaluations of a batch take as long as a training step. */
const evaluationsPerStep = 4;
/** How many file writes take as long as a training step. */
const filesPerStep = 2;

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

/** Fewest images of a final test, if there are so many: its loss is then known to about 5 %. */
const leastTested = 1000;

/** Images of the final test by default, of `count`: so many that a short run does not take longer to test than to train. */
export function testedImages(count: number, steps: number, batchSize: number): number {
  const affordable = Math.ceil(timeShare * steps * evaluationsPerStep) * batchSize;
  return Math.min(count, Math.max(leastTested, affordable));
}

/** The validation loss of a run. */
export class Validation {
  loss: number | undefined;
  lowest = Infinity;
  /** The step of the latest measurement. */
  step = 0;
  /** The held-out images that are used: those of the first `valBatches` batches, or all if it is 0. */
  readonly images: Uint32Array;
  #heldOut: HeldOutLoss | undefined;

  constructor(readonly prepared: PreparedTraining) {
    const { config: { valBatches, batchSize }, images: { validation } } = prepared;
    this.images = valBatches > 0 ? validation.slice(0, valBatches * batchSize) : validation;
  }

  /** Steps between two by default, in a run of `totalSteps`. */
  everySteps(totalSteps: number): number {
    return stepsBetween(this.images.length / this.prepared.config.batchSize, totalSteps, 9);
  }

  async measure(): Promise<number> {
    const { network, source, config } = this.prepared;
    this.#heldOut ??= new HeldOutLoss(network.averaged, source, heldOutOptions(config));
    return meanLoss(await this.#heldOut.losses(this.images, () => yieldToEvents()));
  }

  /** Notes the loss after a step. @returns whether it is the lowest so far */
  note(step: number, loss: number): boolean {
    this.step = step;
    this.loss = loss;
    if (!(loss < this.lowest)) return false;
    this.lowest = loss;
    return true;
  }
}

/** Maximum number of images in a grid. */
const maxImages = 16;

/** Grids of samples during training, from the same noise to make them comparable. */
export class SampleGrids {
  /** Whether the run has grids. */
  readonly enabled: boolean;

  constructor(readonly prepared: PreparedTraining) {
    this.enabled = prepared.config.sampleEpochs !== 0 && prepared.config.samples > 0;
  }

  /** Steps between two by default, in a run of `totalSteps`. */
  everySteps(totalSteps: number): number {
    const { batchSize } = this.prepared.config;
    const [{ model }, { count, conditioning, ...how }] = this.#drawing;
    const rows = conditioning && runsTwice(conditioning.guidance, model) ? 2 * count : count;
    return stepsBetween(rows * evaluationsOf(how, model)! / batchSize, totalSteps, 4);
  }

  /** Draws and writes the grid of a step. @returns its path relative to the run's folder */
  async write(run: string, step: number): Promise<string> {
    const { writeSampleGrid } = await import("../draw/pictures.ts");
    return await writeSampleGrid(run, ...this.#drawing, step);
  }

  get #drawing() {
    const { network, source, config: { samples, guidance, seed, solver } } = this.prepared;
    const columns = classColumns(Math.min(samples, maxImages), source.classes, { scale: guidance });
    return [drawableOf(network.averaged, source), { ...columns, seed, ...solver.how }] as const;
  }
}

/** Averages losses and gradient norms of steps into lines of the metrics log. */
export class LossLog {
  #losses: number[] = [];
  #gradientNorms: number[] = [];
  #open = 0;
  #learningRate: number | undefined;

  /**
   * @param every steps of a line
   * @param advice for the error of a NaN or infinite loss
   * @param muonFactor how many times the learning rate muon's is, if it is used
   */
  constructor(
    readonly order: BatchOrder,
    readonly every: number,
    readonly advice: () => string,
    readonly muonFactor?: number,
  ) {}

  /** The latest steps, enough for a line. */
  get recent(): RecentSteps {
    return { losses: this.#losses, gradientNorms: this.#gradientNorms, open: this.#open };
  }

  restore({ losses, gradientNorms, open }: RecentSteps): void {
    this.#losses = [...losses];
    this.#gradientNorms = [...gradientNorms];
    this.#open = open;
  }

  /** Adds a step, counted from 0. Returns a line of the log, if one is complete. */
  add(
    step: number,
    { loss, gradientNorm }: { readonly loss: number; readonly gradientNorm: number },
    learningRate: number,
  ): Metrics | undefined {
    if (!Number.isFinite(loss)) {
      const images = this.order.batch(step);
      const shown = `${images.slice(0, 8).join(", ")}${images.length > 8 ? ", ..." : ""}`;
      const epoch = this.order.epochsAfter(step) + 1;
      throw new TrainingError(
        `The loss is ${loss} at step ${step + 1} (epoch ${epoch}, images ${shown}): ${this.advice()}`,
      );
    }
    this.#losses.push(loss);
    this.#gradientNorms.push(gradientNorm);
    this.#open++;
    this.#learningRate = learningRate;
    return (step + 1) % this.every === 0 ? this.#line(step + 1, this.#open, learningRate) : undefined;
  }

  /**
   * The last line of a run, if some steps are not in a line yet. It averages a tenth of the run or `every` steps,
   * whichever is less, because a single step says little about where a run ended. The learning rate counts if an earlier
   * session took the last step.
   */
  end(steps: number, learningRate: number): Metrics | undefined {
    if (this.#open === 0) return undefined;
    const count = Math.max(this.#open, Math.min(this.every, Math.ceil(steps / 10)));
    return this.#line(steps, count, this.#learningRate ?? learningRate);
  }

  #line(step: number, count: number, learningRate: number): Metrics {
    const mean = (values: readonly number[]) =>
      values.slice(-count).reduce((sum, value) => sum + value, 0) / Math.min(count, values.length);
    const line = {
      step,
      epoch: this.order.epochsAfter(step),
      train_loss: mean(this.#losses),
      learning_rate: learningRate,
      ...this.muonFactor && { muon_learning_rate: learningRate * this.muonFactor },
      gradient_norm: mean(this.#gradientNorms),
    };
    this.#losses = this.#losses.slice(-this.every);
    this.#gradientNorms = this.#gradientNorms.slice(-this.every);
    this.#open = 0;
    return line;
  }
}
