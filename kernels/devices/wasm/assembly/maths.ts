// Functions of four numbers at once.

import { add, madd, mul, splat, sub } from "./simd.ts";

/** e^x to two units in the last place; 0 below -87.3, infinite above 88.7. */
export function exp(x: v128): v128 {
  const n = f32x4.nearest(mul(x, splat(1.44269504)));
  // ln 2 in two parts, so that the remainder is exact
  const r = madd(n, splat(-1.42860677e-6), madd(n, splat(-0.693145752), x));
  let p = splat(1.9875691e-4);
  p = madd(p, r, splat(1.3981999e-3));
  p = madd(p, r, splat(8.3334519e-3));
  p = madd(p, r, splat(4.1665796e-2));
  p = madd(p, r, splat(0.16666666));
  p = madd(p, r, splat(0.5));
  p = add(madd(mul(p, r), r, r), splat(1));
  // 2^n in two steps, since n may be 128
  const whole = i32x4.trunc_sat_f32x4_s(n);
  const half = i32x4.shr_s(whole, 1);
  const one = i32x4.splat(127);
  const first = i32x4.shl(i32x4.add(half, one), 23), second = i32x4.shl(i32x4.add(i32x4.sub(whole, half), one), 23);
  const y = mul(mul(p, first), second);
  const low = f32x4.lt(x, splat(-87.33)), high = f32x4.gt(x, splat(88.72));
  return v128.bitselect(splat(f32.POSITIVE_INFINITY), v128.andnot(y, low), high);
}

/** Phi(x) from exp(-x^2 / 2), to 1e-7. Source: Abramowitz and Stegun 1964, 7.1.26 */
function normalCdfOf(x: v128, bell: v128): v128 {
  const s = f32x4.div(splat(1), madd(splat(0.23164189), f32x4.abs(x), splat(1)));
  let p = splat(1.061405429);
  p = madd(p, s, splat(-1.453152027));
  p = madd(p, s, splat(1.421413741));
  p = madd(p, s, splat(-0.284496736));
  p = madd(p, s, splat(0.254829592));
  const tail = mul(mul(splat(0.5), mul(p, s)), bell);
  return v128.bitselect(sub(splat(1), tail), tail, f32x4.gt(x, splat(0)));
}

function bellOf(x: v128): v128 {
  return exp(mul(mul(splat(-0.5), x), x));
}

export function gelu(x: v128): v128 {
  return mul(x, normalCdfOf(x, bellOf(x)));
}

export function geluSlope(x: v128): v128 {
  const bell = bellOf(x);
  return madd(mul(x, splat(0.3989422804)), bell, normalCdfOf(x, bell));
}

export function logistic(x: v128): v128 {
  return f32x4.div(splat(1), add(splat(1), exp(f32x4.neg(x))));
}
