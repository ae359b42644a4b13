// Which images Winograd's transforms can handle. Their rounding error grows with the largest value of a tile, so an
// outlier spoils its neighbours; that of a direct convolution depends only on the values behind each result. The
// transforms also overflow earlier.

import { add, firstLanes, splat, topOf, total } from "./simd.ts";
import { panelOffset, panelPitch } from "./gemm.ts";
import { Sizes } from "./winograd_sizes.ts";

/** Largest allowed ratio of a tile to the typical tile of its image. */
const UNEVEN: f32 = 2048;
/** Limit for weights and transformed values: products of larger ones may overflow. */
const HUGE: f32 = 1e15;

/** Whether weights are small enough; false if any is NaN. Transformed, a large one may be far smaller. */
export function areUsual(weights: usize, count: i32): bool {
  // As whole numbers, which are in the same order, with NaN last: V8 takes longer to compare floats.
  let top = splat(0);
  let left = count;
  for (; left >= 4; left -= 4, weights += 16) top = i32x4.max_s(top, f32x4.abs(v128.load(weights)));
  return topOf(i32x4.max_s(top, f32x4.abs(v128.and(v128.load(weights), firstLanes(left))))) < HUGE;
}

/**
 * Whether the tiles of an image have similar sizes: none is huge, NaN, or far larger than typical. Typical size: (mean
 * of |x|^(1/4))^4, robust to a few outliers.
 *
 * @param centre one element of all tiles of a chunk, of which there are `count`: the image's begin at `first`
 * @param inPanels whether the tiles lie in panels for `gemm`, else one after another
 */
export function isEven(centre: usize, first: i32, count: i32, channels: i32, inPanels: bool): bool {
  let top = splat(0), sum = top;
  for (let c = 0; c < channels; c += 4) {
    const pitch = inPanels ? panelPitch(c, Sizes.columns) : Sizes.pitchC;
    let at = centre + (inPanels ? panelOffset(c, count) : (<usize> c) << 2) +
      (<usize> first) * pitch;
    for (let i = 0; i < Sizes.tiles; i++, at += pitch) {
      const size = f32x4.abs(v128.load(at));
      top = i32x4.max_s(top, size);
      sum = add(sum, f32x4.sqrt(f32x4.sqrt(size)));
    }
  }
  const values = <f32> (Sizes.tiles * channels);
  const highest = topOf(top);
  const root = total(sum) / values;
  // A single value among zeros is count^4 times the typical size, so few tiles need a lower limit.
  const most = values > 2 ? min(UNEVEN, values * values * values / 2) : UNEVEN;
  return highest < HUGE && highest <= most * root * root * root * root;
}
