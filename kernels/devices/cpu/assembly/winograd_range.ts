// Which images Winograd's transforms can handle. Their rounding error grows with the largest value of a tile, so an
// outlier spoils its neighbours; that of a direct convolution depends only on the values behind each result. The
// transforms also overflow earlier.

import { add, splat, topOf, total } from "./simd.ts";

/** Element (1, 1) of the 36, to which all inner pixels of a tile, or all weights, contribute. */
export const CENTRE: usize = 7;
/** Largest allowed ratio of a tile to the typical tile of its image. */
const UNEVEN: f32 = 2048;
/** Limit for transformed values: products of larger ones may overflow. */
const HUGE: f32 = 1e15;

/** Whether transformed weights are small enough; false if any is NaN. */
export function areUsual(weights: usize, vectors: i32): bool {
  let top = splat(0);
  for (let i = 0; i < vectors; i++) top = f32x4.max(top, f32x4.abs(v128.load(weights + ((<usize> i) << 4))));
  return topOf(top) < HUGE;
}

/**
 * Whether the tiles of an image have similar sizes: none is huge, NaN, or far larger than typical. Typical size: (mean
 * of |x|^(1/4))^4, robust to a few outliers.
 *
 * @param centre vectors of one element of four channels of the image; groups of four channels are `row` bytes apart
 */
export function isEven(centre: usize, row: usize, tiles: i32, quads: i32, channels: i32): bool {
  let top = splat(0), sum = top;
  for (let q = 0; q < quads; q++, centre += row) {
    for (let i = 0; i < tiles; i++) {
      const size = f32x4.abs(v128.load(centre + ((<usize> i) << 4)));
      top = f32x4.max(top, size);
      sum = add(sum, f32x4.sqrt(f32x4.sqrt(size)));
    }
  }
  const count = <f32> (tiles * channels);
  const highest = topOf(top), root = total(sum) / count;
  // A single value among zeros is count^4 times the typical size, so few tiles need a lower limit.
  const most = count > 2 ? min(UNEVEN, count * count * count / 2) : UNEVEN;
  return highest < HUGE && highest <= most * root * root * root * root;
}
