// Threefry-2x32, with the same bits as on every other device, and normal numbers from it. See ops/random/.

import { nextTask } from "../call.ts";
import { logarithm as logarithm64, sine } from "../double_functions.ts";

const BLOCK: i32 = 4096;

/** Two random words as one u64, the first in the low half. */
function threefry(k0: u32, k1: u32, index: u32, counter: u32): u64 {
  const k2: u32 = 0x1bd11bda ^ k0 ^ k1;
  let x = index + k0, y = counter + k1;
  x += y, y = rotl(y, 13) ^ x;
  x += y, y = rotl(y, 15) ^ x;
  x += y, y = rotl(y, 26) ^ x;
  x += y, y = rotl(y, 6) ^ x;
  x += k1, y += k2 + 1;
  x += y, y = rotl(y, 17) ^ x;
  x += y, y = rotl(y, 29) ^ x;
  x += y, y = rotl(y, 16) ^ x;
  x += y, y = rotl(y, 24) ^ x;
  x += k2, y += k0 + 2;
  x += y, y = rotl(y, 13) ^ x;
  x += y, y = rotl(y, 15) ^ x;
  x += y, y = rotl(y, 26) ^ x;
  x += y, y = rotl(y, 6) ^ x;
  x += k0, y += k1 + 3;
  x += y, y = rotl(y, 17) ^ x;
  x += y, y = rotl(y, 29) ^ x;
  x += y, y = rotl(y, 16) ^ x;
  x += y, y = rotl(y, 24) ^ x;
  x += k1, y += k2 + 4;
  x += y, y = rotl(y, 13) ^ x;
  x += y, y = rotl(y, 15) ^ x;
  x += y, y = rotl(y, 26) ^ x;
  x += y, y = rotl(y, 6) ^ x;
  x += k2, y += k0 + 5;
  return (<u64> y << 32) | <u64> x;
}

/** 24 bits as a number in [0, 1). */
function fraction(bits: u32): f32 {
  return <f32> (bits >> 8) * <f32> 5.9604644775390625e-8;
}

export function randomUniform(call: usize, key: usize, y: usize, n: i32): void {
  const k0 = load<u32>(key), k1 = load<u32>(key, 4), counter = load<u32>(key, 8);
  for (let first = nextTask(call) * BLOCK; first < n; first = nextTask(call) * BLOCK) {
    for (let i = first; i < min(n, first + BLOCK); i += 2) {
      const bits = threefry(k0, k1, i >> 1, counter);
      store<f32>(y + ((<usize> i) << 2), fraction(<u32> bits));
      if (i + 1 < n) store<f32>(y + ((<usize> i) << 2), fraction(<u32> (bits >> 32)), 4);
    }
  }
}

/** ln x for x in (0, 1]. */
function logarithm(x: f32): f32 {
  const bits = reinterpret<u32>(x);
  let e = <i32> (bits >> 23) - 127;
  let m = reinterpret<f32>((bits & 0x7fffff) | 0x3f800000);
  if (m > 1.41421356) m *= 0.5, e += 1;
  const s = (m - 1) / (m + 1), z = s * s;
  const series: f32 = <f32> 2 * s *
    (<f32> 1 + z * (<f32> 0.33333333 + z * (<f32> 0.2 + z * (<f32> 0.14285714 + z * <f32> 0.11111111))));
  return <f32> e * <f32> 0.69314718 + series;
}

export function randomNormal(call: usize, key: usize, y: usize, n: i32): void {
  const k0 = load<u32>(key), k1 = load<u32>(key, 4), counter = load<u32>(key, 8);
  for (let first = nextTask(call) * BLOCK; first < n; first = nextTask(call) * BLOCK) {
    for (let i = first; i < min(n, first + BLOCK); i += 2) {
      const bits = threefry(k0, k1, i >> 1, counter);
      const radius = sqrt<f32>(
        <f32> -2 * logarithm(<f32> ((<u32> bits >> 8) + 1) * <f32> 5.9604644775390625e-8),
      );
      // cos and sin of 2 pi u: the quarter turn exactly, then series on [-pi/4, pi/4]
      const u = fraction(<u32> (bits >> 32));
      const quarter = floor<f32>(<f32> 4 * u + <f32> 0.5);
      const a = <f32> 6.28318531 * (u - <f32> 0.25 * quarter), z = a * a;
      const c: f32 = <f32> 1 +
        z * (<f32> -0.5 + z * (<f32> 0.041666667 + z * (<f32> -0.0013888889 + z * <f32> 2.4801587e-5)));
      const s: f32 = a *
        (<f32> 1 +
          z *
            (<f32> -0.16666667 +
              z * (<f32> 0.0083333333 + z * (<f32> -1.984127e-4 + z * <f32> 2.7557319e-6))));
      const turn = <i32> quarter & 3;
      const cosine = turn == 0 ? c : turn == 1 ? -s : turn == 2 ? -c : s;
      const sine = turn == 0 ? s : turn == 1 ? c : turn == 2 ? -s : -c;
      store<f32>(y + ((<usize> i) << 2), radius * cosine);
      if (i + 1 < n) store<f32>(y + ((<usize> i) << 2), radius * sine, 4);
    }
  }
}

/** Normal numbers of numbered rows, computed in f64: the same bits as on the host. Each row is drawn in pairs. */
export function randomNormalRows(call: usize, key: usize, row: usize, y: usize, N: i32, P: i32): void {
  const k0 = load<u32>(key), k1 = load<u32>(key, 4), counter = load<u32>(key, 8);
  const pairs = (P + 1) >> 1;
  for (let first = nextTask(call) * BLOCK; first < N * pairs; first = nextTask(call) * BLOCK) {
    for (let i = first; i < min(N * pairs, first + BLOCK); i++) {
      const n = i / pairs, p = i % pairs;
      const bits = threefry(k0, k1, load<u32>(row + ((<usize> n) << 2)) * pairs + p, counter);
      const u = <f64> ((<u32> bits >> 8) + 1) * 5.9604644775390625e-8;
      const radius = sqrt<f64>(-2 * f64x2.extract_lane(logarithm64(f64x2.splat(u)), 0));
      const angle = f64x2.splat(2 * NativeMath.PI * <f64> (<u32> (bits >> 32) >> 8) * 5.9604644775390625e-8);
      const to = y + ((<usize> (n * P + 2 * p)) << 2);
      store<f32>(to, <f32> (radius * f64x2.extract_lane(sine(angle, 1), 0)));
      if (2 * p + 1 < P) store<f32>(to, <f32> (radius * f64x2.extract_lane(sine(angle, 0), 0)), 4);
    }
  }
}
