import { randomBits } from "../kernels/mod.ts";
import { TrainingError } from "./command.ts";

/** Streams of random numbers that training draws from; the networks draw from 0 and sampling from 6. */
export const streams = { order: 1, noise: 2, time: 3, heldOutNoise: 4, heldOutTime: 5, split: 7 } as const;

/**
 * A random order of 0 .. n - 1, from the seed, stream and counter alone.
 *
 * Source: Fisher and Yates, as in Knuth 1997, The Art of Computer Programming 2, algorithm 3.4.2P
 */
export function permutation(seed: number, stream: number, counter: number, n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  const bits = randomBits(seed, stream, counter, n);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(bits[i] * 2 ** -32 * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Indices of the images that a network learns from, and of those that it is measured on while it does. */
export interface ImageSplit {
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
}

/**
 * Splits a data set into training and validation images.
 *
 * @param trainLimit most training images, 0 for all
 * @returns indices of images; the validation images are the same whatever the limit
 * @throws {TrainingError} if the training images do not fill a batch
 */
export function splitImages(
  count: number,
  { seed, valFraction, trainLimit, batchSize }: {
    seed: number;
    valFraction: number;
    trainLimit: number;
    batchSize: number;
  },
): ImageSplit {
  const order = permutation(seed, streams.split, 0, count);
  const kept = count - Math.round(count * valFraction);
  const train = order.slice(0, trainLimit > 0 ? Math.min(trainLimit, kept) : kept);
  if (batchSize > train.length) {
    throw new TrainingError(
      `Cannot take batches of ${batchSize} images from ${train.length} training images: use a smaller --batch-size`,
    );
  }
  return { train, validation: order.slice(kept) };
}

/**
 * The images of each training step. Every epoch is a new permutation, and the epochs follow each other without a gap, so
 * that every image is seen once an epoch and all batches have one size.
 */
export class BatchOrder {
  #orders = new Map<number, Uint32Array>();

  constructor(readonly images: Uint32Array, readonly batchSize: number, readonly seed: number) {}

  /** Steps after which an epoch is over. */
  stepsFor(epochs: number): number {
    return Math.ceil(epochs * this.images.length / this.batchSize);
  }

  /** Whole epochs that are over after a number of steps. */
  epochsAfter(steps: number): number {
    return Math.floor(steps * this.batchSize / this.images.length);
  }

  /** Indices of the images of step 0, 1, ... */
  batch(step: number): Uint32Array {
    const n = this.images.length;
    return Uint32Array.from({ length: this.batchSize }, (_, i) => {
      const position = step * this.batchSize + i;
      return this.images[this.#order(Math.floor(position / n))[position % n]];
    });
  }

  #order(epoch: number): Uint32Array {
    let order = this.#orders.get(epoch);
    if (!order) {
      this.#orders.delete(epoch - 2);
      order = permutation(this.seed, streams.order, epoch, this.images.length);
      this.#orders.set(epoch, order);
    }
    return order;
  }
}
