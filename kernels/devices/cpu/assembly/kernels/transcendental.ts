// Functions of one array that are computed in f64. A task is a block of elements.

import { firstTask, nextTask } from "../call.ts";
import { Transcendental } from "../../elementwise_functions.ts";
import { exponential, logarithm, sine } from "../double_functions.ts";
import { storeFirst } from "../simd.ts";

/** Elements per task. */
const BLOCK: i32 = 2048;

/** The last two lanes, as f64. */
function promoteHigh(x: v128): v128 {
  return f64x2.promote_low_f32x4(i32x4.shuffle(x, x, 2, 3, 2, 3));
}

/** Four f32 from two pairs of f64. */
function demote(low: v128, high: v128): v128 {
  return i32x4.shuffle(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}

/** Bits of 2 / pi, after 32 zeros. */
const TWO_OVER_PI = memory.data<u32>([
  0,
  0xa2f9836e,
  0x4e441529,
  0xfc2757d1,
  0xf534ddc0,
  0xdb629599,
  0x3c439041,
]);

/**
 * sin(x + quarter pi / 2) of any f32 x = m 2^e: of x 2 / pi, the bits above 4 do not matter, and 64 of those below are
 * enough. Source: Payne and Hanek 1983, Radian reduction for trigonometric functions
 */
function farSine(x: f64, quarter: i64): f64 {
  if (abs(x) <= 1048576) return f64x2.extract_lane(sine(f64x2.splat(x), quarter), 0);
  const bits = reinterpret<u32>(<f32> x);
  const exponent = (bits >> 23) & 255;
  if (exponent == 255) return NaN;
  const m = <u64> ((bits & 0x7fffff) | 0x800000);
  const position = exponent - 120;
  const shift = <u64> (position & 31);
  const at = TWO_OVER_PI + ((<usize> position >> 5) << 2);
  const window = (<u64> load<u32>(at) << 32) | <u64> load<u32>(at, 4);
  const product = m * ((window << shift) | ((<u64> load<u32>(at, 8) << shift) >> 32)); // 2^62 is a quarter turn
  const quarters = <i64> ((product + 0x2000000000000000) >> 62);
  const rest = <f64> <i64> (product - (<u64> quarters << 62)) * 3.4061215800865545e-19; // times pi / 2 / 2^62
  const isNegative = bits >> 31 != 0;
  const turned = sine(
    f64x2.splat(isNegative ? -rest : rest),
    isNegative ? quarter - quarters : quarter + quarters,
  );
  return f64x2.extract_lane(turned, 0);
}

/** sin(x + quarter pi / 2), of any x. */
function sineOf(x: v128, quarter: i32): v128 {
  const inside = f64x2.le(f64x2.abs(x), f64x2.splat(1048576));
  if (i64x2.all_true(inside)) return sine(x, quarter);
  const first = farSine(f64x2.extract_lane(x, 0), quarter);
  return f64x2.replace_lane(f64x2.splat(first), 1, farSine(f64x2.extract_lane(x, 1), quarter));
}

/** (e^2x - 1) / (e^2x + 1). */
function hyperbolicTangent(x: v128): v128 {
  const e = exponential(f64x2.pmin(f64x2.add(x, x), f64x2.splat(80)), true);
  return f64x2.div(e, f64x2.add(e, f64x2.splat(2)));
}

/** x^n for a whole number n. */
function wholePower(x: v128, n: i32): v128 {
  let y = f64x2.splat(1);
  for (let rest = abs(n), square = x; rest > 0; rest >>= 1) {
    if (rest & 1) y = f64x2.mul(y, square);
    square = f64x2.mul(square, square);
  }
  return n < 0 ? f64x2.div(f64x2.splat(1), y) : y;
}

/** x^p. */
function power(x: v128, p: f64): v128 {
  const isWhole = floor(p) == p;
  if (isWhole && abs(p) <= 64) return wholePower(x, <i32> p);
  const y = exponential(f64x2.mul(f64x2.splat(p), logarithm(f64x2.abs(x))), false);
  if (isWhole) return floor(p / 2) * 2 == p ? y : v128.or(y, v128.and(x, f64x2.splat(-0.0)));
  const isBelow = f64x2.lt(x, f64x2.splat(0));
  const isFinite = f64x2.gt(x, f64x2.splat(-Infinity));
  return v128.or(y, v128.and(isBelow, isFinite)); // NaN, except for -Infinity
}

function valueOf(f: i32, x: v128, p: f64): v128 {
  switch (f) {
    case Transcendental.sin:
      return sineOf(x, 0);
    case Transcendental.cos:
      return sineOf(x, 1);
    case Transcendental.tanh:
      return hyperbolicTangent(x);
    case Transcendental.log:
      return logarithm(x);
    default:
      return power(x, p);
  }
}

function slopeOf(f: i32, x: v128): v128 {
  switch (f) {
    case Transcendental.sin:
      return sineOf(x, 1);
    case Transcendental.cos:
      return f64x2.neg(sineOf(x, 0));
    case Transcendental.tanh: {
      const y = hyperbolicTangent(x);
      return f64x2.sub(f64x2.splat(1), f64x2.mul(y, y));
    }
    default:
      return f64x2.div(f64x2.splat(1), x);
  }
}

/** y = f(x), or x^p. */
export function transcendental(call: usize, x: usize, y: usize, n: i32, f: i32, p: f32): void {
  for (let i = firstTask(call, n, BLOCK); i >= 0; i = nextTask()) {
    for (let j = i; j < min(n, i + BLOCK); j += 4) {
      const at: usize = (<usize> j) << 2;
      const v = v128.load(x + at);
      const low = valueOf(f, f64x2.promote_low_f32x4(v), p), high = valueOf(f, promoteHigh(v), p);
      storeFirst(y + at, demote(low, high), n - j);
    }
  }
}

/** dx = f'(x) dy. */
export function transcendentalGradient(call: usize, x: usize, dy: usize, dx: usize, n: i32, f: i32): void {
  for (let i = firstTask(call, n, BLOCK); i >= 0; i = nextTask()) {
    for (let j = i; j < min(n, i + BLOCK); j += 4) {
      const at: usize = (<usize> j) << 2;
      const v = v128.load(x + at), d = v128.load(dy + at);
      const low = f64x2.mul(slopeOf(f, f64x2.promote_low_f32x4(v)), f64x2.promote_low_f32x4(d));
      const high = f64x2.mul(slopeOf(f, promoteHigh(v)), promoteHigh(d));
      storeFirst(dx + at, demote(low, high), n - j);
    }
  }
}
