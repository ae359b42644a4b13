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

/** Sum of x - m or of its square over n numbers. */
export function sumOf(x: usize, n: i32, m: f32, squared: bool): f32 {
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
