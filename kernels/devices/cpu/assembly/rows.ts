// Rows of numbers: copies and sums.

import { add, madd, splat, storeFirst, sub, total } from "./simd.ts";

/** Smallest number of elements for which the engine's copy is faster than a loop. */
const LONG: i32 = 64;

/** Copies n numbers. */
export function copyRow(from: usize, to: usize, n: i32): void {
  if (n >= LONG) {
    memory.copy(to, from, (<usize> n) << 2);
    return;
  }
  for (let i = 0; i < n; i += 4, from += 16, to += 16) storeFirst(to, v128.load(from), n - i);
}

/** Sets n numbers to one value. */
export function fillRow(to: usize, value: f32, n: i32): void {
  const v = splat(value);
  for (let i = 0; i < n; i += 4, to += 16) storeFirst(to, v, n - i);
}

/** The first `left` lanes of v, then zeros. */
export function first(v: v128, left: i32): v128 {
  const lane = i32x4(0, 1, 2, 3);
  return v128.and(v, i32x4.lt_s(lane, i32x4.splat(left)));
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
  let s = splat(0), t = splat(0);
  let i = 0;
  for (; i + 8 <= n; i += 8, x += 32) {
    const a = sub(v128.load(x), centre), b = sub(v128.load(x, 16), centre);
    if (squared) s = madd(a, a, s), t = madd(b, b, t);
    else s = add(s, a), t = add(t, b);
  }
  for (; i < n; i += 4, x += 16) {
    const a = first(sub(v128.load(x), centre), n - i);
    if (squared) s = madd(a, a, s);
    else s = add(s, a);
  }
  return total(add(s, t));
}
