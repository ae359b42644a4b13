// Which values Winograd's transforms suit. Their rounding errors follow the largest value of a tile, where those of a direct
// convolution follow the values that a result is made of: an outlier spoils its neighbours. And they overflow earlier.

import { add, splat, topOf, total } from "./simd.ts";

/** Element (1, 1) of the 36, in which all inner pixels of a tile, or all weights, have a part. */
export const CENTRE: usize = 7;
/** How many times larger than the typical tile of an image the largest may be. */
const UNEVEN: f32 = 2048;
/** Above this, products of transformed values may overflow. */
const HUGE: f32 = 1e15;

/** Whether transformed weights are small enough; not if one is NaN. */
export function areUsual(weights: usize, vectors: i32): bool {
  let top = splat(0);
  for (let i = 0; i < vectors; i++) top = f32x4.max(top, f32x4.abs(v128.load(weights + ((<usize> i) << 4))));
  return topOf(top) < HUGE;
}

/**
 * Whether the tiles of an image are all of about one size: none is huge, NaN, or far larger than is typical. What is
 * typical is the fourth power of the mean fourth root, which a few outliers do not move much.
 *
 * @param tiles vectors of one element of four channels of the image; those of the next four are `row` bytes further
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
  // Even one value among zeros is no more than count^4 times as large as is typical.
  const most = count > 2 ? min(UNEVEN, count * count * count / 2) : UNEVEN;
  return highest < HUGE && highest <= most * root * root * root * root;
}
