import type { BatchOrder } from "../../models/mod.ts";
import { TrainingError } from "../program/command.ts";
import type { Metrics } from "../run/metrics_log.ts";

/** Turns the losses of steps into lines of the metrics, each the mean over some steps. */
export class LossLog {
  #open: number[] = [];

  /**
   * @param every steps to a line
   * @param advice ends the message about a loss that is no number
   */
  constructor(readonly order: BatchOrder, readonly every: number, readonly advice: () => string) {}

  /** Losses that no line tells of yet. */
  get open(): readonly number[] {
    return this.#open;
  }

  /** Goes on from the losses that no line told of. */
  restore(open: readonly number[]): void {
    this.#open = [...open];
  }

  /**
   * Notes the loss of a step.
   *
   * @param step counts from 0
   * @returns a line, if it is complete
   * @throws {TrainingError} if the loss is not a finite number
   */
  note(step: number, loss: number, learningRate: number): Metrics | undefined {
    if (!Number.isFinite(loss)) throw this.#diverged(step, loss);
    this.#open.push(loss);
    if ((step + 1) % this.every !== 0) return undefined;
    const mean = this.#open.reduce((sum, value) => sum + value, 0) / this.#open.length;
    this.#open = [];
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
