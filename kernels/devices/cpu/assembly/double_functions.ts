// Functions of two f64 at a time. Their errors are a few ulp, so rounded to f32 they are what the references give.
// Source of the polynomials: FDLIBM 5.3, Sun Microsystems 1993

/** a b + c. */
function fma(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_madd(a, b, c);
  return f64x2.add(f64x2.mul(a, b), c);
}

function both(x: f64): v128 {
  return f64x2.splat(x);
}

/** Adding it rounds to an integer and leaves that in the low bits. */
const ROUNDER: f64 = 6755399441055744.0;
/** ln 2 in two parts; multiples of the first are exact. */
const LN2_HIGH: f64 = 6.93147180369123816490e-01, LN2_LOW: f64 = 1.90821492927058770002e-10;

/** e^x, or with `less` e^x - 1, which is exact near 0. */
export function exponential(x: v128, less: bool): v128 {
  const inside = f64x2.pmin(f64x2.pmax(x, both(-700)), both(700)); // far beyond f32; keeps NaN
  const rounded = fma(inside, both(1.44269504088896338700), both(ROUNDER));
  const n = f64x2.sub(rounded, both(ROUNDER));
  const r = fma(n, both(-LN2_LOW), fma(n, both(-LN2_HIGH), inside));
  // Taylor's series of (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2
  let p = fma(r, both(1.0 / 6227020800.0), both(1.0 / 479001600.0));
  p = fma(p, r, both(1.0 / 39916800.0));
  p = fma(p, r, both(1.0 / 3628800.0));
  p = fma(p, r, both(1.0 / 362880.0));
  p = fma(p, r, both(1.0 / 40320.0));
  p = fma(p, r, both(1.0 / 5040.0));
  p = fma(p, r, both(1.0 / 720.0));
  p = fma(p, r, both(1.0 / 120.0));
  p = fma(p, r, both(1.0 / 24.0));
  p = fma(p, r, both(1.0 / 6.0));
  p = fma(p, r, both(0.5));
  p = fma(f64x2.mul(r, r), p, r);
  const power = i64x2.shl(i64x2.add(rounded, i64x2.splat(1023)), 52); // 2^n
  return fma(power, p, less ? f64x2.sub(power, both(1)) : power);
}

/** ln x: -Infinity at 0, NaN below. */
export function logarithm(x: v128): v128 {
  const halfRoot = i64x2.splat(0x3fe6a09e667f3bcd); // bits of sqrt(1/2)
  const k = i64x2.shr_s(i64x2.sub(x, halfRoot), 52);
  const m = i64x2.sub(x, i64x2.shl(k, 52)); // in [sqrt(1/2), sqrt 2)
  const n = f64x2.sub(i64x2.add(k, both(ROUNDER)), both(ROUNDER));
  const f = f64x2.sub(m, both(1));
  const s = f64x2.div(f, f64x2.add(f, both(2)));
  const z = f64x2.mul(s, s), half = f64x2.mul(both(0.5), f64x2.mul(f, f));
  let p = fma(z, both(1.479819860511658591e-01), both(1.531383769920937332e-01));
  p = fma(p, z, both(1.818357216161805012e-01));
  p = fma(p, z, both(2.222219843214978396e-01));
  p = fma(p, z, both(2.857142874366239149e-01));
  p = fma(p, z, both(3.999999999940941908e-01));
  p = fma(p, z, both(6.666666666666735130e-01));
  const rest = fma(s, fma(p, z, half), f64x2.mul(n, both(LN2_LOW)));
  const y = fma(n, both(LN2_HIGH), f64x2.sub(f, f64x2.sub(half, rest)));
  const isPositive = f64x2.gt(x, both(0));
  const isFinite = f64x2.lt(x, both(Infinity));
  const special = v128.bitselect(
    x,
    v128.bitselect(both(-Infinity), both(NaN), f64x2.eq(x, both(0))),
    isPositive,
  );
  return v128.bitselect(y, special, v128.and(isPositive, isFinite));
}

/** sin(x + quarters pi / 2) for |x| <= 2^20. */
export function sine(x: v128, quarters: i64): v128 {
  const rounded = fma(x, both(6.36619772367581382433e-01), both(ROUNDER));
  const n = f64x2.sub(rounded, both(ROUNDER));
  // Multiples of the first two parts of pi / 2 are exact.
  let r = fma(n, both(-1.57079632673412561417e+00), x);
  r = fma(n, both(-6.07710050630396597660e-11), r);
  r = fma(n, both(-2.02226624879595063154e-21), r);
  const z = f64x2.mul(r, r);
  let odd = fma(z, both(1.58969099521155010221e-10), both(-2.50507602534068634195e-08));
  odd = fma(odd, z, both(2.75573137070700676789e-06));
  odd = fma(odd, z, both(-1.98412698298579493134e-04));
  odd = fma(odd, z, both(8.33333333332248946124e-03));
  odd = fma(odd, z, both(-1.66666666666666324348e-01));
  odd = fma(f64x2.mul(r, z), odd, r);
  let even = fma(z, both(-1.13596475577881948265e-11), both(2.08757232129817482790e-09));
  even = fma(even, z, both(-2.75573143513906633035e-07));
  even = fma(even, z, both(2.48015872894767294178e-05));
  even = fma(even, z, both(-1.38888888888741095749e-03));
  even = fma(even, z, both(4.16666666666666019037e-02));
  even = fma(f64x2.mul(z, z), even, fma(z, both(-0.5), both(1)));
  const quadrant = i64x2.add(rounded, i64x2.splat(quarters));
  const takesEven = i64x2.sub(i64x2.splat(0), v128.and(quadrant, i64x2.splat(1)));
  const sign = i64x2.shl(v128.and(quadrant, i64x2.splat(2)), 62);
  return v128.xor(v128.bitselect(even, odd, takesEven), sign);
}
