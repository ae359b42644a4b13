// Winograd's transforms of weights, U = G g G', and of their gradients, dg = G' u G.

import { add, at as constant, loadEvery, madd, mul, sub } from "./simd.ts";

const FOUR = memory.data<f32>([4.0]);
const QUARTER = memory.data<f32>([0.25]);
const MINUS_SIXTH = memory.data<f32>([-0.16666667]);
const TWELFTH = memory.data<f32>([0.083333336]);
const TWENTY_FOURTH = memory.data<f32>([0.041666668]);

/** G g of three values. */
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

/** A tap of four channels that are `stride` bytes apart; lanes from `count` on are zero. */
export function lanes(at: usize, stride: usize, count: i32): v128 {
  if (count >= 4) return loadEvery(at, stride);
  let v = f32x4.replace_lane(f32x4.splat(0), 0, load<f32>(at));
  if (count > 1) v = v128.load_lane<f32>(at + stride, v, 1);
  if (count > 2) v = v128.load_lane<f32>(at + 2 * stride, v, 2);
  return v;
}

/**
 * U = G g G' of the weights from one source channel to four target channels.
 *
 * @param at weight of the first of the four channels, which are `stride` bytes apart; only `count` exist
 * @param turned whether to read the taps backwards
 */
export function transformWeight(
  at: usize,
  stride: usize,
  count: i32,
  turned: bool,
  to: usize,
  step: usize,
): void {
  const sixth = constant(MINUS_SIXTH), small = constant(TWENTY_FOURTH), quarter = constant(QUARTER);
  const tap: usize = turned ? -4 : 4, line = 3 * tap;
  if (turned) at += 32;
  const next = at + line, last = next + line;
  const a0 = lanes(at, stride, count), b0 = lanes(next, stride, count), c0 = lanes(last, stride, count);
  const s0 = add(a0, c0), t0 = madd(constant(FOUR), c0, a0), o0 = add(b0, b0);
  const a1 = lanes(at + tap, stride, count), b1 = lanes(next + tap, stride, count);
  const c1 = lanes(last + tap, stride, count);
  const s1 = add(a1, c1), t1 = madd(constant(FOUR), c1, a1), o1 = add(b1, b1);
  const a2 = lanes(at + 2 * tap, stride, count), b2 = lanes(next + 2 * tap, stride, count);
  const c2 = lanes(last + 2 * tap, stride, count);
  const s2 = add(a2, c2), t2 = madd(constant(FOUR), c2, a2), o2 = add(b2, b2);
  const lineStep = 6 * step;
  weightStep(mul(quarter, a0), mul(quarter, a1), mul(quarter, a2), to, step);
  to += lineStep;
  weightStep(mul(sixth, add(s0, b0)), mul(sixth, add(s1, b1)), mul(sixth, add(s2, b2)), to, step);
  to += lineStep;
  weightStep(mul(sixth, sub(s0, b0)), mul(sixth, sub(s1, b1)), mul(sixth, sub(s2, b2)), to, step);
  to += lineStep;
  weightStep(mul(small, add(t0, o0)), mul(small, add(t1, o1)), mul(small, add(t2, o2)), to, step);
  to += lineStep;
  weightStep(mul(small, sub(t0, o0)), mul(small, sub(t1, o1)), mul(small, sub(t2, o2)), to, step);
  weightStep(c0, c1, c2, to + lineStep, step);
}

/** G' u of six values. */
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

/** dg = G' u G, stored as nine vectors at `to`; `rows` is scratch for 18. */
export function transformWeightGradient(from: usize, step: usize, rows: usize, to: usize): void {
  for (let j = 0; j < 6; j++) {
    weightGradientStep(from + (<usize> j) * step, 6 * step, rows + ((<usize> j) << 4), 96);
  }
  for (let i = 0; i < 3; i++) weightGradientStep(rows + <usize> (96 * i), 16, to + <usize> (48 * i), 16);
}
