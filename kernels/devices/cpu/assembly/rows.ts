// Rows of numbers: reads in order, copies and sums.

import { add, firstLanes, madd, splat, storeFirst, sub, total } from "./simd.ts";

/** Smallest number of elements for which the engine's copy is faster than a loop. */
const LONG: i32 = 64;

/** Copies n numbers. */
export function copyRow(from: usize, to: usize, n: i32): void {
  if (n >= LONG) memory.copy(to, from, (<usize> n) << 2);
  else for (let i = 0; i < n; i += 4, from += 16, to += 16) storeFirst(to, v128.load(from), n - i);
}

/** Sets n numbers to one value. */
export function fillRow(to: usize, value: f32, n: i32): void {
  const v = splat(value);
  for (let i = 0; i < n; i += 4, to += 16) storeFirst(to, v, n - i);
}

/** Rows of more numbers are long: eight lanes would add too many to keep sums accurate. */
export const LONG_SUM: i32 = 8192;
/** Numbers of a partial sum of a long row. */
const RUN: i32 = 1024;

/** Mean of n numbers. That of a long row is the mean distance from its first number, which is exact far from 0. */
export function meanOf(x: usize, n: i32): f32 {
  const centre: f32 = n > LONG_SUM ? load<f32>(x) : 0;
  return centre + sumOf(x, n, centre, false) / <f32> n;
}

/** Sum of x - m or of its square over n numbers. */
export function sumOf(x: usize, n: i32, m: f32, squared: bool): f32 {
  if (n <= LONG_SUM) return runOf(x, n, m, squared);
  let sum: f64 = 0;
  for (let i = 0; i < n; i += RUN) sum += runOf(x + ((<usize> i) << 2), min(n - i, RUN), m, squared);
  return <f32> sum;
}

/** The same for few numbers. */
function runOf(x: usize, n: i32, m: f32, squared: bool): f32 {
  const centre = splat(m);
  let s = splat(0);
  let t = splat(0);
  let i = 0;
  for (; i + 8 <= n; i += 8, x += 32) {
    const a = sub(v128.load(x), centre), b = sub(v128.load(x, 16), centre);
    if (squared) {
      s = madd(a, a, s);
      t = madd(b, b, t);
    }
    else {
      s = add(s, a);
      t = add(t, b);
    }
  }
  for (; i < n; i += 4, x += 16) {
    const a = v128.and(sub(v128.load(x), centre), firstLanes(n - i));
    if (squared) s = madd(a, a, s);
    else s = add(s, a);
  }
  return total(add(s, t));
}

/**
 * Reads memory once in order, which the processor can prefetch, so that it is cached when it is used in another order.
 *
 * @param scratch 16 bytes that are overwritten, which keeps the reads from being optimised away
 */
export function warm(from: usize, bytes: usize, scratch: usize): void {
  let any = v128.load(from);
  for (let i: usize = 64; i < bytes; i += 64) any = v128.or(any, v128.load(from + i));
  v128.store(scratch, any);
}

/** Copies planes [k][2h + r][2w + s] to [4k + 2r + s][h][w]: the four taps of a 2x2 kernel with stride 2 as channels. */
export function unfold(from: usize, K: i32, H: i32, W: i32, to: usize): void {
  const plane: usize = (<usize> (H * W)) << 2;
  for (let k = 0; k < K; k++, to += 4 * plane) {
    for (let h = 0; h < H; h++) {
      for (let r: usize = 0; r < 2; r++, from += (<usize> W) << 3) {
        const even = to + 2 * r * plane + ((<usize> (h * W)) << 2);
        const odd = even + plane;
        let w = 0;
        for (; w + 4 <= W; w += 4) {
          const a = v128.load(from + ((<usize> w) << 3)), b = v128.load(from + ((<usize> w) << 3), 16);
          v128.store(even + ((<usize> w) << 2), i32x4.shuffle(a, b, 0, 2, 4, 6));
          v128.store(odd + ((<usize> w) << 2), i32x4.shuffle(a, b, 1, 3, 5, 7));
        }
        for (; w < W; w++) {
          store<f32>(even + ((<usize> w) << 2), load<f32>(from + ((<usize> w) << 3)));
          store<f32>(odd + ((<usize> w) << 2), load<f32>(from + ((<usize> w) << 3), 4));
        }
      }
    }
  }
}
