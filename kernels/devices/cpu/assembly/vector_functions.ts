// Functions of four numbers at once.

import { add, at, madd, mul, sub } from "./simd.ts";

const ZERO = memory.data<f32>([0.0]);
const HALF = memory.data<f32>([0.5]);
const ONE = memory.data<f32>([1.0]);
const INFINITE = memory.data<f32>([f32.POSITIVE_INFINITY]);

const LOG2_E = memory.data<f32>([1.44269504]);
/** ln 2 in two parts, so that the remainder is exact. */
const MINUS_LN2_HIGH = memory.data<f32>([-0.693145752]);
const MINUS_LN2_LOW = memory.data<f32>([-1.42860677e-6]);
/** Adding 1.5 x 2^23 rounds to an integer, which ends up in the low bits. */
const ROUNDER = memory.data<f32>([12582912.0]);
const EXP_LOWEST = memory.data<f32>([-87.33]);
const BELL_LOWEST = memory.data<f32>([-60.0]);
const EXP_HIGHEST = memory.data<f32>([88.72]);
const EXP_3 = memory.data<f32>([0.16666666]);
const EXP_4 = memory.data<f32>([4.1665796e-2]);
const EXP_5 = memory.data<f32>([8.3334519e-3]);
const EXP_6 = memory.data<f32>([1.3981999e-3]);
const EXP_7 = memory.data<f32>([1.9875691e-4]);

/** e^x for x between the lowest and the highest: 2^n e^r with |r| at most ln 2 / 2. */
function expInside(x: v128): v128 {
  const rounded = madd(x, at(LOG2_E), at(ROUNDER));
  const n = sub(rounded, at(ROUNDER));
  const r = madd(n, at(MINUS_LN2_LOW), madd(n, at(MINUS_LN2_HIGH), x));
  let p = madd(at(EXP_7), r, at(EXP_6));
  p = madd(p, r, at(EXP_5));
  p = madd(p, r, at(EXP_4));
  p = madd(p, r, at(EXP_3));
  p = madd(p, r, at(HALF));
  p = add(madd(mul(p, r), r, r), at(ONE));
  return i32x4.add(p, i32x4.shl(rounded, 23));
}

/** e^x, within two units in the last place; 0 below -87.3, infinite above 88.7. */
export function exp(x: v128): v128 {
  const y = expInside(f32x4.pmin(f32x4.pmax(x, at(EXP_LOWEST)), at(EXP_HIGHEST)));
  const low = f32x4.lt(x, at(EXP_LOWEST)), high = f32x4.gt(x, at(EXP_HIGHEST));
  return v128.bitselect(at(INFINITE), v128.andnot(y, low), high);
}

/** exp(-x^2 / 2), at least 1e-26: subnormal results would make later arithmetic a hundred times slower. */
function bellOf(x: v128): v128 {
  const y = mul(mul(at(HALF), x), x);
  return expInside(f32x4.pmax(f32x4.neg(y), at(BELL_LOWEST)));
}

const CDF_SCALE = memory.data<f32>([0.23164189]);
/** Half of Abramowitz and Stegun's coefficients. */
const CDF_1 = memory.data<f32>([0.127414796]);
const CDF_2 = memory.data<f32>([-0.142248368]);
const CDF_3 = memory.data<f32>([0.7107068705]);
const CDF_4 = memory.data<f32>([-0.7265760135]);
const CDF_5 = memory.data<f32>([0.5307027145]);
const BELL_TOP = memory.data<f32>([0.3989422804]);

/** Phi(x) from exp(-x^2 / 2), with an error below 1e-7. Source: Abramowitz and Stegun 1964, 7.1.26 */
function normalCdfOf(x: v128, bell: v128): v128 {
  const s = f32x4.div(at(ONE), madd(at(CDF_SCALE), f32x4.abs(x), at(ONE)));
  let p = madd(at(CDF_5), s, at(CDF_4));
  p = madd(p, s, at(CDF_3));
  p = madd(p, s, at(CDF_2));
  p = madd(p, s, at(CDF_1));
  const tail = mul(mul(p, s), bell);
  return v128.bitselect(sub(at(ONE), tail), tail, f32x4.gt(x, at(ZERO)));
}

export function gelu(x: v128): v128 {
  return mul(x, normalCdfOf(x, bellOf(x)));
}

export function geluSlope(x: v128): v128 {
  const bell = bellOf(x);
  return madd(mul(x, at(BELL_TOP)), bell, normalCdfOf(x, bell));
}

export function logistic(x: v128): v128 {
  return f32x4.div(at(ONE), add(at(ONE), exp(f32x4.neg(x))));
}
