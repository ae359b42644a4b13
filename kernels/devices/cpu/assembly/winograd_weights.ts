// Winograd's transforms of weights, U = G g G', and of their gradients, dg = G' u G.

import { add, at as constant, madd, mul, sub } from "./simd.ts";

const FOUR = memory.data<f32>([4.0]);
const QUARTER = memory.data<f32>([0.25]);
const MINUS_SIXTH = memory.data<f32>([-0.16666667]);
const TWELFTH = memory.data<f32>([0.083333336]);
const TWENTY_FOURTH = memory.data<f32>([0.041666668]);

/** G g for three values. */
function weightStep(g0: v128, g1: v128, g2: v128, to: usize, toStep: usize): void {
  const s = add(g0, g2);
  const t = madd(constant(FOUR), g2, g0);
  const sixth = constant(MINUS_SIXTH), small = constant(TWENTY_FOURTH);
  const odd = add(g1, g1);
  v128.store(to, mul(constant(QUARTER), g0));
  v128.store(to + toStep, mul(sixth, add(s, g1)));
  v128.store(to + 2 * toStep, mul(sixth, sub(s, g1)));
  v128.store(to + 3 * toStep, mul(small, add(t, odd)));
  v128.store(to + 4 * toStep, mul(small, sub(t, odd)));
  v128.store(to + 5 * toStep, g2);
}

/** Four numbers `stride` bytes apart; those from `count` on are zeros. */
function lanes(at: usize, stride: usize, count: i32): v128 {
  let v = f32x4.splat(load<f32>(at));
  v = count > 1 ? f32x4.replace_lane(v, 1, load<f32>(at + stride)) : f32x4.replace_lane(v, 1, 0);
  v = count > 2 ? f32x4.replace_lane(v, 2, load<f32>(at + 2 * stride)) : f32x4.replace_lane(v, 2, 0);
  return count > 3 ? f32x4.replace_lane(v, 3, load<f32>(at + 3 * stride)) : f32x4.replace_lane(v, 3, 0);
}

/**
 * U = G g G' of the weights from one channel to four.
 *
 * @param at weight of the first of the four channels, `stride` bytes apart; `count` of them exist
 * @param turned whether the taps are read backwards
 * @param rows scratch, 18 vectors
 */
export function transformWeight(
  at: usize,
  stride: usize,
  count: i32,
  turned: bool,
  rows: usize,
  to: usize,
  step: usize,
): void {
  const tap: isize = turned ? -4 : 4;
  at += turned ? 32 : 0;
  for (let s = 0; s < 3; s++, at += tap) {
    const g0 = lanes(at, stride, count);
    const g1 = lanes(at + 3 * tap, stride, count);
    const g2 = lanes(at + 6 * tap, stride, count);
    weightStep(g0, g1, g2, rows + ((<usize> s) << 4), 48);
  }
  for (let i = 0; i < 6; i++, rows += 48, to += 6 * step) {
    weightStep(v128.load(rows), v128.load(rows, 16), v128.load(rows, 32), to, step);
  }
}

/** G' u for six values. */
function weightGradientStep(from: usize, step: usize, to: usize, toStep: usize): void {
  const u0 = v128.load(from);
  const u1 = v128.load(from + step);
  const u2 = v128.load(from + 2 * step);
  const u3 = v128.load(from + 3 * step);
  const u4 = v128.load(from + 4 * step);
  const u5 = v128.load(from + 5 * step);
  const s = add(u1, u2), d = sub(u1, u2), t = add(u3, u4), e = sub(u3, u4);
  const sixth = constant(MINUS_SIXTH), twelfth = constant(TWELFTH), small = constant(TWENTY_FOURTH);
  v128.store(to, madd(small, t, madd(sixth, s, mul(constant(QUARTER), u0))));
  v128.store(to + toStep, madd(twelfth, e, mul(sixth, d)));
  v128.store(to + 2 * toStep, madd(sixth, sub(s, t), u5));
}

/** dg = G' u G, nine vectors to `to`; `rows` is scratch for 18. */
export function transformWeightGradient(from: usize, step: usize, rows: usize, to: usize): void {
  for (let j = 0; j < 6; j++) {
    weightGradientStep(from + (<usize> j) * step, 6 * step, rows + ((<usize> j) << 4), 96);
  }
  for (let i = 0; i < 3; i++) weightGradientStep(rows + <usize> (96 * i), 16, to + <usize> (48 * i), 16);
}
