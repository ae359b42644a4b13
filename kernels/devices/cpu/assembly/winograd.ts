// 3x3 convolutions by Winograd's F(4x4, 3x3): 36 multiplications make 16 pixels instead of 144.
//
//   y = A' [(G g G') * (B' d B)] A,   dg = G' [(B' d B) * (A dy A')] G     (* elementwise, ' transposed)
//
// d are overlapping 6x6 tiles of the source, y 4x4 tiles of the target. Each of the 36 elements is a matrix product of
// tiles and weights over channels. A vector holds four channels, so that the transforms need no shuffles.
//
// Source: Winograd 1980, Arithmetic complexity of computations; Lavin and Gray 2015, arXiv:1509.09308

import { add, at as constant, madd, mul, nmadd, sub } from "./simd.ts";

const ZERO: v128 = f32x4.splat(0);
const TWO = memory.data<f32>([2.0]);
const FOUR = memory.data<f32>([4.0]);
const FIVE = memory.data<f32>([5.0]);
const EIGHT = memory.data<f32>([8.0]);
const QUARTER = memory.data<f32>([0.25]);
const MINUS_SIXTH = memory.data<f32>([-0.16666667]);
const TWELFTH = memory.data<f32>([0.083333336]);
const TWENTY_FOURTH = memory.data<f32>([0.041666668]);

/** Four planes of an image, one per lane: from[c][h][w] to to[h + border][w + border][c]. Missing channels are zeros. */
export function interleave(
  from: usize,
  channels: i32,
  H: i32,
  W: i32,
  to: usize,
  pitch: i32, // pixels in a row of `to`
  border: i32, // rows and columns before the image
): void {
  const plane: usize = (<usize> (H * W)) << 2;
  for (let h = 0; h < H; h++) {
    let source = from + ((<usize> (h * W)) << 2);
    let target = to + ((<usize> ((h + border) * pitch + border)) << 4);
    for (let w = 0; w < W; w += 4, source += 16, target += 64) {
      const a = v128.load(source);
      const b = channels > 1 ? v128.load(source + plane) : ZERO;
      const c = channels > 2 ? v128.load(source + 2 * plane) : ZERO;
      const d = channels > 3 ? v128.load(source + 3 * plane) : ZERO;
      const ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
      const cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
      v128.store(target, i64x2.shuffle(ab, cd, 0, 2));
      if (w + 1 < W) v128.store(target, i64x2.shuffle(ab, cd, 1, 3), 16);
      if (w + 2 < W) {
        const ef = i32x4.shuffle(a, b, 2, 6, 3, 7);
        const gh = i32x4.shuffle(c, d, 2, 6, 3, 7);
        v128.store(target, i64x2.shuffle(ef, gh, 0, 2), 32);
        if (w + 3 < W) v128.store(target, i64x2.shuffle(ef, gh, 1, 3), 48);
      }
    }
  }
}

/** B' d for six values. */
function sourceStep(
  from: usize,
  step: usize,
  to: usize,
  toStep: usize,
  two: v128,
  four: v128,
  five: v128,
): void {
  const d0 = v128.load(from);
  const d1 = v128.load(from + step);
  const d2 = v128.load(from + 2 * step);
  const d3 = v128.load(from + 3 * step);
  const d4 = v128.load(from + 4 * step);
  const d5 = v128.load(from + 5 * step);
  const a = nmadd(four, d2, d4);
  const b = nmadd(four, d1, d3);
  const c = sub(d4, d2);
  const e = sub(d3, d1);
  v128.store(to, nmadd(five, d2, madd(four, d0, d4)));
  v128.store(to + toStep, add(a, b));
  v128.store(to + 2 * toStep, sub(a, b));
  v128.store(to + 3 * toStep, madd(two, e, c));
  v128.store(to + 4 * toStep, nmadd(two, e, c));
  v128.store(to + 5 * toStep, nmadd(five, d3, madd(four, d1, d5)));
}

/**
 * V = B' d B of all tiles of four channels.
 *
 * @param image padded image, [4 down + 2][4 across + 2][4]
 * @param rows scratch, [6][4 across + 2][4]
 * @param to V of the first tile; elements of the transform are `step` bytes apart, tiles 16
 */
export function transformSource(
  image: usize,
  down: i32,
  across: i32,
  rows: usize,
  to: usize,
  step: usize,
): void {
  const two = constant(TWO), four = constant(FOUR), five = constant(FIVE);
  const pitch = 4 * across + 2;
  const row: usize = (<usize> pitch) << 4;
  for (let y = 0; y < down; y++) {
    let at = image + (<usize> (4 * y)) * row;
    for (let x = 0; x < pitch; x++) {
      sourceStep(at + ((<usize> x) << 4), row, rows + ((<usize> x) << 4), row, two, four, five);
    }
    for (let x = 0; x < across; x++, to += 16) {
      let tile = rows + ((<usize> x) << 6);
      let target = to;
      for (let i = 0; i < 6; i++, tile += row, target += 6 * step) {
        sourceStep(tile, 16, target, step, two, four, five);
      }
    }
  }
}

/** A' m for six values. */
function targetStep(
  from: usize,
  step: usize,
  to: usize,
  toStep: usize,
  two: v128,
  four: v128,
  eight: v128,
): void {
  const m0 = v128.load(from);
  const m1 = v128.load(from + step);
  const m2 = v128.load(from + 2 * step);
  const m3 = v128.load(from + 3 * step);
  const m4 = v128.load(from + 4 * step);
  const m5 = v128.load(from + 5 * step);
  const s = add(m1, m2), d = sub(m1, m2), t = add(m3, m4), e = sub(m3, m4);
  v128.store(to, add(m0, add(s, t)));
  v128.store(to + toStep, madd(two, e, d));
  v128.store(to + 2 * toStep, madd(four, t, s));
  v128.store(to + 3 * toStep, add(madd(eight, e, d), m5));
}

/** y = A' M A of all tiles of four channels, to an image [4 down][4 across][4]. */
export function transformTarget(
  from: usize,
  step: usize,
  down: i32,
  across: i32,
  rows: usize,
  image: usize,
): void {
  const two = constant(TWO), four = constant(FOUR), eight = constant(EIGHT);
  const pitch: usize = (<usize> (4 * across)) << 4;
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++, from += 16) {
      const target = image + (<usize> (4 * y)) * pitch + ((<usize> x) << 6);
      for (let j = 0; j < 6; j++) {
        targetStep(from + (<usize> j) * step, 6 * step, rows + ((<usize> j) << 4), 96, two, four, eight);
      }
      for (let i = 0; i < 4; i++) {
        targetStep(rows + <usize> (96 * i), 16, target + (<usize> i) * pitch, 16, two, four, eight);
      }
    }
  }
}

/** A d for four values. */
function gradientStep(from: usize, step: usize, to: usize, toStep: usize, two: v128, four: v128): void {
  const d0 = v128.load(from);
  const d1 = v128.load(from + step);
  const d2 = v128.load(from + 2 * step);
  const d3 = v128.load(from + 3 * step);
  const even = add(d0, d2), odd = add(d1, d3);
  const even2 = madd(four, d2, d0), odd2 = mul(two, madd(four, d3, d1));
  v128.store(to, d0);
  v128.store(to + toStep, add(even, odd));
  v128.store(to + 2 * toStep, sub(even, odd));
  v128.store(to + 3 * toStep, add(even2, odd2));
  v128.store(to + 4 * toStep, sub(even2, odd2));
  v128.store(to + 5 * toStep, d3);
}

/** D = A dy A' of all tiles of four channels; `image` is [4 down][4 across][4]. */
export function transformGradient(
  image: usize,
  down: i32,
  across: i32,
  rows: usize,
  to: usize,
  step: usize,
): void {
  const two = constant(TWO), four = constant(FOUR);
  const pitch: usize = (<usize> (4 * across)) << 4;
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++, to += 16) {
      const tile = image + (<usize> (4 * y)) * pitch + ((<usize> x) << 6);
      for (let j = 0; j < 4; j++) {
        gradientStep(tile + ((<usize> j) << 4), pitch, rows + ((<usize> j) << 4), 64, two, four);
      }
      for (let i = 0; i < 6; i++) {
        gradientStep(rows + <usize> (64 * i), 16, to + (<usize> (6 * i)) * step, step, two, four);
      }
    }
  }
}

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
