import type { BatchOrder } from "../../models/mod.ts";
import { TrainingError } from "../program/command.ts";
import type { Metrics } from "../run/metrics_log.ts";

/** Averages the losses of steps into lines of the metrics log. */
export class LossLog {
  #pending: number[] = [];

  /**
   * @param every steps per line
   * @param advice appended to the error about a loss that is NaN or infinite
   */
  constructor(readonly order: BatchOrder, readonly every: number, readonly advice: () => string) {}

  /** Losses not yet in a line. */
  get pending(): readonly number[] {
    return this.#pending;
  }

  /** Restores pending losses. */
  restore(pending: readonly number[]): void {
    this.#pending = [...pending];
  }

  /**
   * Adds the loss of a step.
   *
   * @param step the step, from 0
   * @returns a line, if complete
   * @throws {TrainingError} if the loss is not a finite number
   */
  add(step: number, loss: number, learningRate: number): Metrics | undefined {
    if (!Number.isFinite(loss)) throw this.#diverged(step, loss);
    this.#pending.push(loss);
    if ((step + 1) % this.every !== 0) return undefined;
    const mean = this.#pending.reduce((sum, value) => sum + value, 0) / this.#pending.length;
    this.#pending = [];
    return {
      step: step + 1,
      epoch: this.order.epochsAfter(step + 1),
      train_loss: mean,
      learning_rate: learningRate,
    };
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
