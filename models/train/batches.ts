import { randomBits } from "../../kernels/mod.ts";
import { checkedSeed, streams } from "../streams.ts";

/**
 * A random order of 0 .. n - 1, from the seed, stream and counter alone.
 *
 * @throws {RangeError} if the seed is none
 * Source: Fisher and Yates, as in Knuth 1997, The Art of Computer Programming 2, algorithm 3.4.2P
 */
export function permutation(seed: number, stream: number, counter: number, n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  const bits = randomBits(checkedSeed(seed), stream, counter, n);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(bits[i] * 2 ** -32 * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** A batch of some that cover a number of samples. */
export interface FullBatch {
  /** Its first sample. */
  readonly from: number;
  /** The first of its samples that is in no batch before it. */
  readonly fresh: number;
}

/**
 * Covers samples by batches of one size, so that one recorded step serves all: the last starts early to be full.
 *
 * @param most samples a batch
 * @returns the samples of each batch, and the batches in order
 */
export function fullBatches(count: number, most: number): { length: number; batches: readonly FullBatch[] } {
  const batches = Math.ceil(count / most);
  const length = Math.ceil(count / batches);
  return {
    length,
    batches: Array.from({ length: Math.ceil(count / length) }, (_, i) => ({
      from: Math.min(i * length, count - length),
      fresh: i * length,
    })),
  };
}

/**
 * The examples of each training step. Every epoch is a new permutation, and the epochs follow each other without a gap,
 * so that every example is seen once an epoch and all batches have one size.
 */
export class BatchOrder {
  #orders = new Map<number, Uint32Array>();

  /**
   * Orders nothing yet.
   *
   * @param examples their indices in the data
   * @param batchSize examples a step
   * @param seed integer in [0, 2^32)
   */
  constructor(readonly examples: Uint32Array, readonly batchSize: number, readonly seed: number) {}

  /** Steps after which so many intervals are over, of one epoch each or of some. */
  stepsFor(intervals: number, epochs = 1): number {
    return Math.ceil(intervals * this.#examplesIn(epochs) / this.batchSize);
  }

  /** Whole epochs that are over after a number of steps. */
  epochsAfter(steps: number): number {
    return this.intervalsAfter(steps, 1);
  }

  /** Whole intervals of some epochs, or of part of one, that are over after a number of steps. */
  intervalsAfter(steps: number, epochs: number): number {
    return Math.floor(steps * this.batchSize / this.#examplesIn(epochs));
  }

  /** Indices of the examples of step 0, 1, ... */
  batch(step: number): Uint32Array<ArrayBuffer> {
    const n = this.examples.length;
    return Uint32Array.from({ length: this.batchSize }, (_, i) => {
      const position = step * this.batchSize + i;
      return this.examples[this.#order(Math.floor(position / n))[position % n]];
    });
  }

  /** A whole number, so that an interval is over at the same step however it is asked for. */
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
