// Threefry-2x32, with the same bits as on every other device, and normal numbers from it. See ops/random/.

import { firstRow, firstTask, nextRow, nextTask } from "../call.ts";
import { logarithm as logarithm64, sine as sine64 } from "../double_functions.ts";
import { add, mul, splat, storeFirst, sub } from "../simd.ts";

const BLOCK: i32 = 4096;

/** The two random words of four indices, which `threefry` leaves here. */
let firstWords: v128 = i32x4(0, 0, 0, 0);
let secondWords: v128 = i32x4(0, 0, 0, 0);

/** Rotates bits to the left. */
function turned(v: v128, by: i32): v128 {
  return v128.or(i32x4.shl(v, by), i32x4.shr_u(v, 32 - by));
}

/** Four rounds on the words, rotated by these numbers of bits; then adds a part of the key to each. */
function rounds(a: i32, b: i32, c: i32, d: i32, k0: u32, k1: u32): void {
  let x = firstWords, y = secondWords;
  x = i32x4.add(x, y);
  y = v128.xor(turned(y, a), x);
  x = i32x4.add(x, y);
  y = v128.xor(turned(y, b), x);
  x = i32x4.add(x, y);
  y = v128.xor(turned(y, c), x);
  x = i32x4.add(x, y);
  y = v128.xor(turned(y, d), x);
  firstWords = i32x4.add(x, i32x4.splat(k0));
  secondWords = i32x4.add(y, i32x4.splat(k1));
}

/** Draws the words of the indices from `index` on. */
function threefry(k0: u32, k1: u32, index: u32, counter: u32): void {
  const k2: u32 = 0x1bd11bda ^ k0 ^ k1;
  firstWords = i32x4.add(i32x4.splat(index + k0), i32x4(0, 1, 2, 3));
  secondWords = i32x4.splat(counter + k1);
  rounds(13, 15, 26, 6, k1, k2 + 1);
  rounds(17, 29, 16, 24, k2, k0 + 2);
  rounds(13, 15, 26, 6, k0, k1 + 3);
  rounds(17, 29, 16, 24, k1, k2 + 4);
  rounds(13, 15, 26, 6, k2, k0 + 5);
}

/** 24 bits as a number in [0, 1). */
function fraction(bits: v128): v128 {
  return mul(f32x4.convert_i32x4_u(i32x4.shr_u(bits, 8)), splat(5.9604644775390625e-8));
}

/** Stores the first `left` of eight numbers, alternating between the two vectors. */
function storePairs(to: usize, a: v128, b: v128, left: i32): void {
  storeFirst(to, i32x4.shuffle(a, b, 0, 4, 1, 5), left);
  if (left > 4) storeFirst(to + 16, i32x4.shuffle(a, b, 2, 6, 3, 7), left - 4);
}

export function randomUniform(call: usize, key: usize, y: usize, n: i32): void {
  const k0 = load<u32>(key), k1 = load<u32>(key, 4), counter = load<u32>(key, 8);
  for (let first = firstTask(call, n, BLOCK); first >= 0; first = nextTask()) {
    for (let i = first; i < min(n, first + BLOCK); i += 8) {
      threefry(k0, k1, i >> 1, counter);
      storePairs(y + ((<usize> i) << 2), fraction(firstWords), fraction(secondWords), n - i);
    }
  }
}

/** c + z rest, rounded twice. */
function plus(c: f32, z: v128, rest: v128): v128 {
  return add(splat(c), mul(z, rest));
}

/** ln x for x in (0, 1]. */
function logarithm(x: v128): v128 {
  const mantissa = v128.or(v128.and(x, i32x4.splat(0x7fffff)), i32x4.splat(0x3f800000));
  const isLarge = f32x4.gt(mantissa, splat(1.41421356));
  const m = v128.bitselect(mul(mantissa, splat(0.5)), mantissa, isLarge);
  const e = i32x4.sub(i32x4.sub(i32x4.shr_u(x, 23), i32x4.splat(127)), isLarge);
  const s = f32x4.div(sub(m, splat(1)), add(m, splat(1)));
  const z = mul(s, s);
  const rest = plus(0.33333333, z, plus(0.2, z, plus(0.14285714, z, splat(0.11111111))));
  return add(mul(f32x4.convert_i32x4_s(e), splat(0.69314718)), mul(add(s, s), plus(1, z, rest)));
}

export function randomNormal(call: usize, key: usize, y: usize, n: i32): void {
  const k0 = load<u32>(key), k1 = load<u32>(key, 4), counter = load<u32>(key, 8);
  for (let first = firstTask(call, n, BLOCK); first >= 0; first = nextTask()) {
    for (let i = first; i < min(n, first + BLOCK); i += 8) {
      threefry(k0, k1, i >> 1, counter);
      const above0 = add(fraction(firstWords), splat(5.9604644775390625e-8));
      const radius = f32x4.sqrt(mul(splat(-2), logarithm(above0)));
      // cos and sin of 2 pi u: the quarter turn exactly, then series on [-pi/4, pi/4]
      const u = fraction(secondWords);
      const quarter = f32x4.floor(add(mul(splat(4), u), splat(0.5)));
      const a = mul(splat(6.28318531), sub(u, mul(splat(0.25), quarter))), z = mul(a, a);
      const even = plus(0.041666667, z, plus(-0.0013888889, z, splat(2.4801587e-5)));
      const odd = plus(0.0083333333, z, plus(-1.984127e-4, z, splat(2.7557319e-6)));
      const c = plus(1, z, plus(-0.5, z, even));
      const s = mul(a, plus(1, z, plus(-0.16666667, z, odd)));
      const turn = i32x4.trunc_sat_f32x4_s(quarter);
      const isOdd = i32x4.shr_s(i32x4.shl(turn, 31), 31);
      const minus1 = v128.and(i32x4.add(turn, i32x4.splat(1)), i32x4.splat(2)),
        minus2 = v128.and(turn, i32x4.splat(2));
      const cosine = v128.xor(v128.bitselect(s, c, isOdd), i32x4.shl(minus1, 30));
      const sine = v128.xor(v128.bitselect(c, s, isOdd), i32x4.shl(minus2, 30));
      storePairs(y + ((<usize> i) << 2), mul(radius, cosine), mul(radius, sine), n - i);
    }
  }
}

/** Normal numbers of numbered rows, computed in f64: the same bits as on the host. Each row is drawn in pairs. */
export function randomNormalRows(call: usize, key: usize, row: usize, y: usize, N: i32, P: i32): void {
  const k0 = load<u32>(key), k1 = load<u32>(key, 4), counter = load<u32>(key, 8);
  const pairs = (P + 1) >> 1;
  for (let i = firstRow(call, N * pairs, BLOCK); i >= 0; i = nextRow()) {
    const n = i / pairs, p = i % pairs;
    threefry(k0, k1, load<u32>(row + ((<usize> n) << 2)) * pairs + p, counter);
    const u = <f64> ((<u32> i32x4.extract_lane(firstWords, 0) >> 8) + 1) * 5.9604644775390625e-8;
    const squared = f64x2.mul(f64x2.splat(-2), logarithm64(f64x2.splat(u)));
    const radius = f64x2.extract_lane(f64x2.sqrt(squared), 0);
    const bits = <u32> i32x4.extract_lane(secondWords, 0) >> 8;
    const angle = f64x2.splat(2 * NativeMath.PI * <f64> bits * 5.9604644775390625e-8);
    const to = y + ((<usize> (n * P + 2 * p)) << 2);
    store<f32>(to, <f32> (radius * f64x2.extract_lane(sine64(angle, 1), 0)));
    if (2 * p + 1 < P) store<f32>(to, <f32> (radius * f64x2.extract_lane(sine64(angle, 0), 0)), 4);
  }
}
