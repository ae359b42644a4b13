import { checkCount } from "../../kernels/core/checks.ts";
import { checkedSeed, permutation, streams } from "../random.ts";

/**
 * The examples of each training step. Every epoch is a new permutation, so each example is seen once per epoch. Batches
 * may span two epochs, so they all have one size.
 */
export class BatchOrder {
  #orders = new Map<number, Uint32Array>();

  /** Orders examples, given by their indices. @throws {RangeError} if there are none, or a number is out of range */
  constructor(readonly examples: Uint32Array, readonly batchSize: number, readonly seed: number) {
    checkCount("order batches", "batchSize", batchSize);
    checkedSeed(seed);
    if (examples.length === 0) throw new RangeError("Cannot order batches: there are no examples");
  }

  /** Steps needed for `intervals` intervals of `epochs` epochs each. */
  stepsFor(intervals: number, epochs = 1): number {
    return Math.ceil(intervals * this.#examplesIn(epochs) / this.batchSize);
  }

  /** Complete epochs after a number of steps. */
  epochsAfter(steps: number): number {
    return this.intervalsAfter(steps, 1);
  }

  /** Complete intervals of `epochs` epochs after a number of steps. `epochs` may be fractional. */
  intervalsAfter(steps: number, epochs: number): number {
    return Math.floor(steps * this.batchSize / this.#examplesIn(epochs));
  }

  /** Whether an interval of `epochs` epochs ends in steps (from, to]; false for 0 epochs. */
  endsWithin(from: number, to: number, epochs: number): boolean {
    return epochs > 0 && this.intervalsAfter(to, epochs) > this.intervalsAfter(from, epochs);
  }

  /** The first step after `step` at which an interval of `epochs` epochs ends; Infinity for 0 epochs. */
  endAfter(step: number, epochs: number): number {
    return epochs > 0 ? this.stepsFor(this.intervalsAfter(step, epochs) + 1, epochs) : Infinity;
  }

  /** Indices of the examples of a step, counted from 0. @throws {RangeError} if the step is not a whole number */
  batch(step: number): Uint32Array<ArrayBuffer> {
    checkCount("order batches", "step", step, 0);
    const n = this.examples.length;
    return Uint32Array.from({ length: this.batchSize }, (_, i) => {
      const position = step * this.batchSize + i;
      return this.examples[this.#order(Math.floor(position / n))[position % n]];
    });
  }

  /** Rounded, so that all methods agree on where an interval ends. */
  #examplesIn(epochs: number): number {
    return Math.max(1, Math.round(epochs * this.examples.length));
  }

  #order(epoch: number): Uint32Array {
    let order = this.#orders.get(epoch);
    if (!order) {
      this.#orders.delete(epoch - 2);
      order = permutation(this.seed, streams.order, epoch, this.examples.length);
      this.#orders.set(epoch, order);
    }
    return order;
  }
}
