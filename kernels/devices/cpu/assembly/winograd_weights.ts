// Winograd's transforms of weights, U = G g G', and of their gradients, dg = G' u G, for tiles of six points (three taps)
// and of seven or eight (up to five taps).

import { storeColumns } from "./gemm.ts";
import { add, at as constant, loadEvery, madd, mul, splat, sub } from "./simd.ts";
import { Sizes, tapsOfPart } from "./winograd_sizes.ts";

const TWO = memory.data<f32>([2.0]);
const FOUR = memory.data<f32>([4.0]);
const SIXTEEN = memory.data<f32>([16.0]);
const QUARTER = memory.data<f32>([0.25]);
const MINUS_SIXTH = memory.data<f32>([-0.16666667]);
const TWELFTH = memory.data<f32>([0.083333336]);
const TWENTY_FOURTH = memory.data<f32>([0.041666668]);
/** Weights of five taps are multiplied by these at the points 1, 2 and 1/2. */
const AT_ONE = memory.data<f32>([-0.22222222]);
const AT_TWO = memory.data<f32>([0.011111111]);
const AT_HALF = memory.data<f32>([0.022222222]);

/** G g of three vectors, at six points: a row of U. */
function threeWeights(g0: v128, g1: v128, g2: v128, to: usize, step: usize): void {
  const s = add(g0, g2);
  const t = madd(constant(FOUR), g2, g0);
  const odd = add(g1, g1);
  const sixth = constant(MINUS_SIXTH), small = constant(TWENTY_FOURTH);
  v128.store(to, mul(constant(QUARTER), g0));
  v128.store(to + step, mul(sixth, add(s, g1)));
  v128.store(to + 2 * step, mul(sixth, sub(s, g1)));
  v128.store(to + 3 * step, mul(small, add(t, odd)));
  v128.store(to + 4 * step, mul(small, sub(t, odd)));
  v128.store(to + 5 * step, g2);
}

/** U = G g G' of three by three taps, which are `next` bytes apart. */
function transformThree(from: usize, next: usize, to: usize, step: usize): void {
  const a0 = v128.load(from), a1 = v128.load(from + next), a2 = v128.load(from + 2 * next);
  from += 3 * next;
  const b0 = v128.load(from), b1 = v128.load(from + next), b2 = v128.load(from + 2 * next);
  from += 3 * next;
  const c0 = v128.load(from), c1 = v128.load(from + next), c2 = v128.load(from + 2 * next);
  const quarter = constant(QUARTER), sixth = constant(MINUS_SIXTH), small = constant(TWENTY_FOURTH);
  const s0 = add(a0, c0);
  const s1 = add(a1, c1);
  const s2 = add(a2, c2);
  const row = 6 * step;
  threeWeights(mul(quarter, a0), mul(quarter, a1), mul(quarter, a2), to, step);
  to += row;
  threeWeights(mul(sixth, add(s0, b0)), mul(sixth, add(s1, b1)), mul(sixth, add(s2, b2)), to, step);
  to += row;
  threeWeights(mul(sixth, sub(s0, b0)), mul(sixth, sub(s1, b1)), mul(sixth, sub(s2, b2)), to, step);
  to += row;
  const four = constant(FOUR);
  const t0 = madd(four, c0, a0);
  const t1 = madd(four, c1, a1);
  const t2 = madd(four, c2, a2);
  const d0 = add(b0, b0), d1 = add(b1, b1), d2 = add(b2, b2);
  threeWeights(mul(small, add(t0, d0)), mul(small, add(t1, d1)), mul(small, add(t2, d2)), to, step);
  to += row;
  threeWeights(mul(small, sub(t0, d0)), mul(small, sub(t1, d1)), mul(small, sub(t2, d2)), to, step);
  threeWeights(c0, c1, c2, to + row, step);
}

/** G g of five vectors, at seven or eight points. */
function fiveWeights(from: usize, fromStep: usize, to: usize, toStep: usize): void {
  const g0 = v128.load(from), g1 = v128.load(from + fromStep), g2 = v128.load(from + 2 * fromStep);
  const g3 = v128.load(from + 3 * fromStep), g4 = v128.load(from + 4 * fromStep);
  v128.store(to, g0);
  let even = add(add(g0, g2), g4);
  let odd = add(g1, g3);
  let scale = constant(AT_ONE);
  v128.store(to + toStep, mul(scale, add(even, odd)));
  v128.store(to + 2 * toStep, mul(scale, sub(even, odd)));
  const two = constant(TWO), four = constant(FOUR), sixteen = constant(SIXTEEN);
  even = madd(sixteen, g4, madd(four, g2, g0));
  odd = mul(two, madd(four, g3, g1));
  scale = constant(AT_TWO);
  v128.store(to + 3 * toStep, mul(scale, add(even, odd)));
  v128.store(to + 4 * toStep, mul(scale, sub(even, odd)));
  even = mul(two, madd(sixteen, g0, madd(four, g2, g4)));
  odd = mul(four, madd(four, g1, g3));
  scale = constant(AT_HALF);
  v128.store(to + 5 * toStep, mul(scale, add(even, odd)));
  v128.store(to + 6 * toStep, mul(scale, sub(even, odd)));
  if (Sizes.points == 8) v128.store(to + 7 * toStep, g4);
}

/** A tap of four channels that are `stride` bytes apart; lanes from `count` on are zero. */
function lanes(at: usize, stride: usize, count: i32): v128 {
  if (count >= 4) return loadEvery(at, stride);
  let v = f32x4.replace_lane(f32x4.splat(0), 0, load<f32>(at));
  if (count > 1) v = v128.load_lane<f32>(at + stride, v, 1);
  if (count > 2) v = v128.load_lane<f32>(at + 2 * stride, v, 2);
  return v;
}

/**
 * U = G g G' of a part of the weights from one source channel to four target channels.
 *
 * @param at weight of the first of the four channels, which are `stride` bytes apart; only `count` exist
 * @param row, column of the part
 * @param turned whether to read the taps backwards
 * @param scratch memory for 65 vectors
 */
export function transformWeight(
  at: usize, stride: usize, count: i32, row: i32, column: i32, turned: bool, to: usize, step: usize,
  scratch: usize,
): void {
  if (Sizes.points == 6) {
    if (count >= 4) {
      const at1 = at + stride, at2 = at1 + stride, at3 = at2 + stride;
      storeColumns(v128.load(at), v128.load(at1), v128.load(at2), v128.load(at3), scratch, 16);
      storeColumns(v128.load(at, 16), v128.load(at1, 16), v128.load(at2, 16), v128.load(at3, 16), scratch + 64, 16);
      v128.store(scratch, loadEvery(at + 32, stride), 128);
    } else {
      for (let tap: usize = 0; tap < 9; tap++) {
        v128.store(scratch + (tap << 4), lanes(at + (tap << 2), stride, count));
      }
    }
    if (turned) transformThree(scratch + 128, -16, to, step);
    else transformThree(scratch, 16, to, step);
    return;
  }
  const down = tapsOfPart(row);
  const across = tapsOfPart(column);
  const last = Sizes.taps * Sizes.taps - 1;
  const columns = scratch + 400;
  for (let r = 0; r < 5; r++) {
    for (let s = 0; s < 5; s++) {
      const tap = (4 * row + r) * Sizes.taps + 4 * column + s;
      const from = at + ((<usize> (turned ? last - tap : tap)) << 2);
      const g = r < down && s < across ? lanes(from, stride, count) : splat(0);
      v128.store(scratch + ((<usize> (5 * r + s)) << 4), g);
    }
  }
  for (let s: usize = 0; s < 5; s++) fiveWeights(scratch + (s << 4), 80, columns + (s << 4), 80);
  for (let i: usize = 0; i < <usize> Sizes.points; i++) {
    fiveWeights(columns + 80 * i, 16, to + <usize> Sizes.points * i * step, step);
  }
}

/** G' u of six vectors, to three. */
function threeGradients(from: usize, fromStep: usize, to: usize, toStep: usize): void {
  const u0 = v128.load(from);
  const u1 = v128.load(from + fromStep);
  const u2 = v128.load(from + 2 * fromStep);
  const u3 = v128.load(from + 3 * fromStep);
  const u4 = v128.load(from + 4 * fromStep);
  const u5 = v128.load(from + 5 * fromStep);
  const s = add(u1, u2), d = sub(u1, u2), t = add(u3, u4), e = sub(u3, u4);
  const sixth = constant(MINUS_SIXTH), twelfth = constant(TWELFTH), small = constant(TWENTY_FOURTH);
  v128.store(to, madd(small, t, madd(sixth, s, mul(constant(QUARTER), u0))));
  v128.store(to + toStep, madd(twelfth, e, mul(sixth, d)));
  v128.store(to + 2 * toStep, madd(sixth, sub(s, t), u5));
}

/** G' u of seven or eight vectors, to five. */
function fiveGradients(from: usize, fromStep: usize, to: usize, toStep: usize): void {
  const u1 = v128.load(from + fromStep), u2 = v128.load(from + 2 * fromStep);
  const u3 = v128.load(from + 3 * fromStep), u4 = v128.load(from + 4 * fromStep);
  const u5 = v128.load(from + 5 * fromStep), u6 = v128.load(from + 6 * fromStep);
  const one = constant(AT_ONE), atTwo = constant(AT_TWO), atHalf = constant(AT_HALF);
  const two = constant(TWO), four = constant(FOUR), sixteen = constant(SIXTEEN);
  const s = mul(one, add(u1, u2)), t = mul(atTwo, add(u3, u4)), u = mul(mul(two, atHalf), add(u5, u6));
  v128.store(to, add(v128.load(from), madd(sixteen, u, add(s, t))));
  v128.store(to + 2 * toStep, madd(four, add(t, u), s));
  if (Sizes.points == 8) {
    v128.store(to + 4 * toStep, add(v128.load(from + 7 * fromStep), madd(sixteen, t, add(s, u))));
  }
  const d = mul(one, sub(u1, u2)),
    e = mul(mul(two, atTwo), sub(u3, u4)),
    f = mul(mul(four, atHalf), sub(u5, u6));
  v128.store(to + toStep, add(d, madd(four, f, e)));
  v128.store(to + 3 * toStep, add(d, madd(four, e, f)));
}

/** G' u, to three or five vectors. */
function gradientStep(from: usize, fromStep: usize, to: usize, toStep: usize): void {
  if (Sizes.points == 6) threeGradients(from, fromStep, to, toStep);
  else fiveGradients(from, fromStep, to, toStep);
}

/** dg = G' u G, stored as rows of five vectors at `to`; `rows` is scratch for 40. */
export function transformWeightGradient(from: usize, step: usize, rows: usize, to: usize): void {
  for (let j: usize = 0; j < <usize> Sizes.points; j++) {
    gradientStep(from + j * step, <usize> Sizes.points * step, rows + (j << 4), 128);
  }
  for (let i: usize = 0; i < (Sizes.points == 6 ? 3 : 5); i++) gradientStep(rows + (i << 7), 16, to + 80 * i, 16);
}
