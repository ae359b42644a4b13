// Functions of four numbers at a time.

import { add, at, madd, mul, storeFirst, sub } from "./simd.ts";

const HALF = memory.data<f32>([0.5]);
const ONE = memory.data<f32>([1.0]);
const INFINITE = memory.data<f32>([f32.POSITIVE_INFINITY]);

const LOG2_E = memory.data<f32>([1.44269504]);
/** ln 2 in two parts, which keeps the remainder exact. */
const MINUS_LN2_HIGH = memory.data<f32>([-0.693145752]);
const MINUS_LN2_LOW = memory.data<f32>([-1.42860677e-6]);
/** Adding 1.5 x 2^23 rounds to an integer and leaves it in the low bits. */
const ROUNDER = memory.data<f32>([12582912.0]);
const EXP_LOWEST = memory.data<f32>([-87.33]);
const EXP_HIGHEST = memory.data<f32>([88.72]);
const EXP_3 = memory.data<f32>([0.16666666]);
const EXP_4 = memory.data<f32>([4.1665796e-2]);
const EXP_5 = memory.data<f32>([8.3334519e-3]);
const EXP_6 = memory.data<f32>([1.3981999e-3]);
const EXP_7 = memory.data<f32>([1.9875691e-4]);

/** e^x for x inside the range of `exp`: 2^n e^r with |r| <= ln 2 / 2. */
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

/** e^x within 2 ulp; 0 below -87.3, infinite above 88.7. */
export function exp(x: v128): v128 {
  const y = expInside(f32x4.pmin(f32x4.pmax(x, at(EXP_LOWEST)), at(EXP_HIGHEST)));
  const low = f32x4.lt(x, at(EXP_LOWEST)), high = f32x4.gt(x, at(EXP_HIGHEST));
  return v128.bitselect(at(INFINITE), v128.andnot(y, low), high);
}

const MINUS_HALF = memory.data<f32>([-0.5]);

// Phi(x) - 1/2 and (x Phi(x))' - 1/2 as x P(x^2) / Q(x^2) with Q(0) = 1, on [0, 5.4] and [0, 5.6]: least-squares fits,
// reweighted to minimise the largest error, which is 3e-7 in f32. P of Phi is scaled up by 1.5e-7, so that Phi
// saturates before the end of its range.
const CDF_END = memory.data<f32>([5.4]), CDF_START = memory.data<f32>([-5.4]);
const CDF_P0 = memory.data<f32>([0.398942292]);
const CDF_P1 = memory.data<f32>([0.0333720855]);
const CDF_P2 = memory.data<f32>([0.00465084333]);
const CDF_P3 = memory.data<f32>([0.000164320241]);
const CDF_P4 = memory.data<f32>([6.36001096e-06]);
const CDF_P5 = memory.data<f32>([2.33868551e-08]);
const CDF_Q1 = memory.data<f32>([0.250317484]);
const CDF_Q2 = memory.data<f32>([0.028378604]);
const CDF_Q3 = memory.data<f32>([0.00185897318]);
const CDF_Q4 = memory.data<f32>([7.23997073e-05]);
const CDF_Q5 = memory.data<f32>([1.21659366e-06]);
const SLOPE_END = memory.data<f32>([5.6]), SLOPE_START = memory.data<f32>([-5.6]);
const SLOPE_P0 = memory.data<f32>([0.797885358]);
const SLOPE_P1 = memory.data<f32>([-0.0309751872]);
const SLOPE_P2 = memory.data<f32>([0.0142260566]);
const SLOPE_P3 = memory.data<f32>([1.97546397e-05]);
const SLOPE_P4 = memory.data<f32>([3.58992329e-05]);
const SLOPE_P5 = memory.data<f32>([1.92166254e-07]);
const SLOPE_Q1 = memory.data<f32>([0.294519782]);
const SLOPE_Q2 = memory.data<f32>([0.0409837998]);
const SLOPE_Q3 = memory.data<f32>([0.00352264312]);
const SLOPE_Q4 = memory.data<f32>([0.000192052757]);
const SLOPE_Q5 = memory.data<f32>([8.92813659e-06]);

/**
 * y = x Phi(x) of n numbers; Phi is exactly 0 or 1 far from 0. One function for the row keeps the constants in
 * registers.
 */
export function geluRow(x: usize, y: usize, n: i32): void {
  const start = at(CDF_START), end = at(CDF_END), half = at(HALF), minusHalf = at(MINUS_HALF), one = at(ONE);
  const p0 = at(CDF_P0), p1 = at(CDF_P1), p2 = at(CDF_P2), p3 = at(CDF_P3), p4 = at(CDF_P4), p5 = at(CDF_P5);
  const q1 = at(CDF_Q1), q2 = at(CDF_Q2), q3 = at(CDF_Q3), q4 = at(CDF_Q4), q5 = at(CDF_Q5);
  for (; n > 0; n -= 4, x += 16, y += 16) {
    const v = v128.load(x);
    const w = f32x4.pmin(f32x4.pmax(v, start), end); // keeps NaN
    const u = mul(w, w);
    let p = madd(p5, u, p4), q = madd(q5, u, q4);
    p = madd(p, u, p3);
    q = madd(q, u, q3);
    p = madd(p, u, p2);
    q = madd(q, u, q2);
    p = madd(p, u, p1);
    q = madd(q, u, q1);
    p = madd(p, u, p0);
    q = madd(q, u, one);
    const odd = f32x4.div(mul(w, p), q);
    storeFirst(y, mul(v, add(f32x4.pmin(f32x4.pmax(odd, minusHalf), half), half)), n);
  }
}

/** The derivative of gelu. */
export function geluSlope(x: v128): v128 {
  const y = f32x4.pmin(f32x4.pmax(x, at(SLOPE_START)), at(SLOPE_END)); // keeps NaN
  const u = mul(y, y);
  let p = madd(at(SLOPE_P5), u, at(SLOPE_P4)), q = madd(at(SLOPE_Q5), u, at(SLOPE_Q4));
  p = madd(p, u, at(SLOPE_P3));
  q = madd(q, u, at(SLOPE_Q3));
  p = madd(p, u, at(SLOPE_P2));
  q = madd(q, u, at(SLOPE_Q2));
  p = madd(p, u, at(SLOPE_P1));
  q = madd(q, u, at(SLOPE_Q1));
  p = madd(p, u, at(SLOPE_P0));
  q = madd(q, u, at(ONE));
  return add(f32x4.div(mul(y, p), q), at(HALF));
}

export function logistic(x: v128): v128 {
  return f32x4.div(at(ONE), add(at(ONE), exp(f32x4.neg(x))));
}
