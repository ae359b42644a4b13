// Images as vectors of four channels, and which images Fourier transforms suit.

import { add, splat, storeFirst, topOf, total } from "./simd.ts";

/** Four planes, of which only `channels` exist, to vectors of four channels; writes up to three vectors too many. */
export function interleave(from: usize, channels: i32, pixels: i32, to: usize): void {
  const plane: usize = (<usize> pixels) << 2, zero = splat(0);
  for (let i = 0; i < pixels; i += 4, from += 16, to += 64) {
    const a = v128.load(from), b = channels > 1 ? v128.load(from + plane) : zero;
    const c = channels > 2 ? v128.load(from + 2 * plane) : zero,
      d = channels > 3 ? v128.load(from + 3 * plane) : zero;
    const ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const ef = i32x4.shuffle(a, b, 2, 6, 3, 7), gh = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v128.store(to, i64x2.shuffle(ab, cd, 0, 2)), v128.store(to, i64x2.shuffle(ab, cd, 1, 3), 16);
    v128.store(to, i64x2.shuffle(ef, gh, 0, 2), 32), v128.store(to, i64x2.shuffle(ef, gh, 1, 3), 48);
  }
}

/** Stores vectors of four channels as planes, plus offsets and, unless it is 0, an addend. */
export function separate(
  from: usize,
  offsets: usize,
  addend: usize,
  to: usize,
  channels: i32,
  pixels: i32,
): void {
  const plane: usize = (<usize> pixels) << 2, shift = offsets ? v128.load(offsets) : splat(0);
  for (let i = 0; i < pixels; i += 4, from += 64) {
    const a = add(v128.load(from), shift), b = add(v128.load(from, 16), shift);
    const c = add(v128.load(from, 32), shift), d = add(v128.load(from, 48), shift);
    const ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const ef = i32x4.shuffle(a, b, 2, 6, 3, 7), gh = i32x4.shuffle(c, d, 2, 6, 3, 7);
    const there: usize = (<usize> i) << 2,
      y = to + there,
      more = addend ? addend + there : 0,
      left = pixels - i;
    storeSum(i64x2.shuffle(ab, cd, 0, 2), more, y, left);
    if (channels > 1) storeSum(i64x2.shuffle(ab, cd, 1, 3), more ? more + plane : 0, y + plane, left);
    if (channels > 2) storeSum(i64x2.shuffle(ef, gh, 0, 2), more ? more + 2 * plane : 0, y + 2 * plane, left);
    if (channels > 3) storeSum(i64x2.shuffle(ef, gh, 1, 3), more ? more + 3 * plane : 0, y + 3 * plane, left);
  }
}

function storeSum(v: v128, addend: usize, to: usize, left: i32): void {
  storeFirst(to, addend ? add(v, v128.load(addend)) : v, left);
}

/** Largest allowed ratio of a value to the typical value of its image. */
const UNEVEN: f32 = 2048;
/** Limit for values: products of larger ones may overflow. */
const HUGE: f32 = 1e15;

/**
 * Whether the values of an image have similar sizes: none is huge, NaN, or far larger than typical, because the rounding
 * errors of a transform grow with the largest. Typical size: (mean of |x|^(1/4))^4 of sums of 16, robust to a few outliers.
 */
export function isLevel(x: usize, count: i32): bool {
  let top = splat(0), roots = top, blocks: f32 = 0, last: f32 = 0;
  for (; count >= 16; count -= 16, x += 64, blocks++) {
    const a = f32x4.abs(v128.load(x)), b = f32x4.abs(v128.load(x, 16));
    const c = f32x4.abs(v128.load(x, 32)), d = f32x4.abs(v128.load(x, 48));
    top = f32x4.max(top, f32x4.max(f32x4.max(a, b), f32x4.max(c, d)));
    roots = add(roots, f32x4.sqrt(f32x4.sqrt(add(add(a, b), add(c, d)))));
  }
  for (; count > 0; count--, x += 4) last = max(last, abs(load<f32>(x)));
  const root = total(roots) / max<f32>(1, 4 * blocks), highest = max(topOf(top), last);
  // A single value among zeros is 4 (4 blocks)^4 times the typical size, so few need a lower limit; the fewest have none.
  const most = blocks > 1 ? UNEVEN : blocks * UNEVEN / 16;
  return highest < HUGE && highest <= most * root * root * root * root / 4;
}

/** Whether numbers are finite, and products of them far from overflow. */
export function areSmall(from: usize, count: i32): bool {
  let top: f32 = 0;
  for (let i = 0; i < count; i++) top = max(top, abs(load<f32>(from + ((<usize> i) << 2))));
  return top < HUGE;
}
