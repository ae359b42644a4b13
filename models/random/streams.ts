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
