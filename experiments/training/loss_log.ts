import type { BatchOrder } from "../../models/mod.ts";
import { TrainingError } from "../cli/task.ts";
import type { Metrics, RecentSteps } from "../run/metrics_log.ts";

/** Loss and gradient norm of a step. */
export interface MeasuredStep {
  readonly loss: number;
  readonly gradientNorm: number;
}

/** Averages losses and gradient norms of steps into lines of the metrics log. */
export class LossLog {
  #losses: number[] = [];
  #gradientNorms: number[] = [];
  #open = 0;
  #learningRate: number | undefined;

  /**
   * @param every steps per line
   * @param advice what to do about a NaN or infinite loss, for the error
   */
  constructor(readonly order: BatchOrder, readonly every: number, readonly advice: () => string) {}

  /** The latest steps, enough for a line. */
  get recent(): RecentSteps {
    return { losses: this.#losses, gradientNorms: this.#gradientNorms, open: this.#open };
  }

  /** Restores the latest steps. */
  restore({ losses, gradientNorms, open }: RecentSteps): void {
    [this.#losses, this.#gradientNorms, this.#open] = [[...losses], [...gradientNorms], open];
  }

  /**
   * Adds a step.
   *
   * @param step the step, from 0
   * @returns a line of the log, if one is complete
   * @throws {TrainingError} if the loss is not a finite number
   */
  add(step: number, { loss, gradientNorm }: MeasuredStep, learningRate: number): Metrics | undefined {
    if (!Number.isFinite(loss)) throw this.#diverged(step, loss);
    this.#losses.push(loss);
    this.#gradientNorms.push(gradientNorm);
    this.#open++;
    this.#learningRate = learningRate;
    return (step + 1) % this.every === 0 ? this.#line(step + 1, this.#open, learningRate) : undefined;
  }

  /**
   * The last line of a run, if some steps are not in a line yet. It averages a tenth of the run or `every` steps,
   * whichever is less, because a single step says little about where a run ended.
   *
   * @param steps steps of the run
   * @param learningRate of the last step, if an earlier session took it
   */
  end(steps: number, learningRate: number): Metrics | undefined {
    if (this.#open === 0) return undefined;
    const count = Math.max(this.#open, Math.min(this.every, Math.ceil(steps / 10)));
    return this.#line(steps, count, this.#learningRate ?? learningRate);
  }

  #line(step: number, count: number, learningRate: number): Metrics {
    const line = {
      step,
      epoch: this.order.epochsAfter(step),
      train_loss: meanOf(this.#losses.slice(-count)),
      learning_rate: learningRate,
      gradient_norm: meanOf(this.#gradientNorms.slice(-count)),
    };
    this.#losses = this.#losses.slice(-this.every);
    this.#gradientNorms = this.#gradientNorms.slice(-this.every);
    this.#open = 0;
    return line;
  }

  #diverged(step: number, loss: number): TrainingError {
    const images = this.order.batch(step);
    const shown = `${images.slice(0, 8).join(", ")}${images.length > 8 ? ", ..." : ""}`;
    const epoch = this.order.epochsAfter(step) + 1;
    return new TrainingError(
      `The loss is ${loss} at step ${step + 1} (epoch ${epoch}, images ${shown}): ${this.advice()}`,
    );
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
