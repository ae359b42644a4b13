/** Streams of random numbers, one for each use, so that no two uses of one seed draw the same numbers. */
export const streams = {
  weights: 0,
  order: 1,
  noise: 2,
  time: 3,
  heldOutNoise: 4,
  heldOutTime: 5,
  samples: 6,
  split: 7,
} as const;
