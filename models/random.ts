import { randomBits } from "../kernels/mod.ts";

/** Streams of random numbers, one per use, so that no two uses of a seed draw the same numbers. */
export const streams = {
  weights: 0,
  order: 1,
  noise: 2,
  time: 3,
  heldOutNoise: 4,
  heldOutTime: 5,
  samples: 6,
  split: 7,
  labelDropout: 8,
  shifts: 16,
  probes: 17,
  dequantization: 18,
  diffusion: 19,
  resamples: 20,
  entries: 21,
} as const;

/**
 * Checks a seed.
 *
 * @throws {RangeError} if it is not an integer in [0, 2^32): the device would silently use another one
 */
export function checkedSeed(seed: number): number {
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed;
  throw new RangeError(
    `Cannot draw from the seed ${seed} (expected an integer in [0, 2^32))`,
  );
}

/**
 * A random order of 0 .. n - 1, a function of seed, stream and counter.
 *
 * @throws {RangeError} if the seed is not an integer in [0, 2^32)
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
