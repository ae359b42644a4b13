// 3x3 convolutions by Winograd's F(4x4, 3x3): 36 multiplications make 16 pixels instead of 144.
//
//   y = A' [(G g G') * (B' d B)] A,   dg = G' [(B' d B) * (A dy A')] G     (* elementwise, ' transposed)
//
// d are overlapping 6x6 tiles of the source, y 4x4 tiles of the target. Each of the 36 elements is a matrix product of
// tiles and weights over channels. A vector holds one number of each of four channels; pixels are
// loaded four of a channel at a time, and transposed between the two halves of the transform.
//
// Source: Winograd 1980, Arithmetic complexity of computations; Lavin and Gray 2015, arXiv:1509.09308

import { add, at as constant, loadEvery, madd, nmadd, splat, sub } from "./simd.ts";
import { warm } from "./rows.ts";
import { Sizes } from "./winograd_sizes.ts";

const TWO = memory.data<f32>([2.0]);
const FOUR = memory.data<f32>([4.0]);
const FIVE = memory.data<f32>([5.0]);

/** Lane 2 of four vectors. */
function thirdOf(a: v128, b: v128, c: v128, d: v128): v128 {
  return i64x2.shuffle(i32x4.shuffle(a, b, 2, 6, 3, 7), i32x4.shuffle(c, d, 2, 6, 3, 7), 0, 2);
}

/** Lane 3 of four vectors. */
function fourthOf(a: v128, b: v128, c: v128, d: v128): v128 {
  return i64x2.shuffle(i32x4.shuffle(a, b, 2, 6, 3, 7), i32x4.shuffle(c, d, 2, 6, 3, 7), 1, 3);
}

/**
 * d B of a line of six columns of four channels: six elements of V.
 *
 * @param v0, v1 the first columns
 * @param a, b, c, d the other four columns of each channel, of which `keep2` to `keep5` mask the ones that exist
 */
function acrossLine(
  v0: v128, v1: v128, a: v128, b: v128, c: v128, d: v128, keep2: v128, keep3: v128, keep4: v128, keep5: v128,
  to: usize, step: usize,
): void {
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const v2 = v128.and(i64x2.shuffle(ab, cd, 0, 2), keep2), v3 = v128.and(i64x2.shuffle(ab, cd, 1, 3), keep3);
  const v4 = v128.and(thirdOf(a, b, c, d), keep4), v5 = v128.and(fourthOf(a, b, c, d), keep5);
  const two = constant(TWO), four = constant(FOUR), five = constant(FIVE);
  const s = nmadd(four, v2, v4);
  const t = nmadd(four, v1, v3);
  const u = sub(v4, v2);
  const e = sub(v3, v1);
  v128.store(to, nmadd(five, v2, madd(four, v0, v4)));
  v128.store(to + step, add(s, t));
  v128.store(to + 2 * step, sub(s, t));
  v128.store(to + 3 * step, madd(two, e, u));
  v128.store(to + 4 * step, nmadd(two, e, u));
  v128.store(to + 5 * step, nmadd(five, v3, madd(four, v1, v5)));
}

/**
 * V of a line of tiles of four channels. Everything between the pixels and V stays in local variables, so the four channels
 * and six lines are written out: through memory, they would take longer. Numbers are lines, then elements of the transform
 * down a column; a0 to a5 are those of four columns of the first channel.
 *
 * @param p0, p1, p2, p3, p4, p5 six lines of the first channel
 * @param s0, s1, s2, s3, s4, s5 bytes to the same line of the next channel
 */
function tileLine(
  p0: usize, p1: usize, p2: usize, p3: usize, p4: usize, p5: usize, s0: usize, s1: usize, s2: usize,
  s3: usize, s4: usize, s5: usize, W: i32, to: usize, step: usize, tile: usize,
): void {
  const two = constant(TWO);
  const four = constant(FOUR);
  const five = constant(FIVE);
  const row = 6 * step;
  // Column 0; column -1 is zero.
  let d0 = loadEvery(p0, s0), d1 = loadEvery(p1, s1), d2 = loadEvery(p2, s2);
  let d3 = loadEvery(p3, s3), d4 = loadEvery(p4, s4), d5 = loadEvery(p5, s5);
  let s = nmadd(four, d2, d4);
  let t = nmadd(four, d1, d3);
  let u = sub(d4, d2);
  let e = sub(d3, d1);
  let r0 = nmadd(five, d2, madd(four, d0, d4)), r1 = add(s, t), r2 = sub(s, t), r3 = madd(two, e, u);
  let r4 = nmadd(two, e, u), r5 = nmadd(five, d3, madd(four, d1, d5));
  let l0 = splat(0), l1 = l0, l2 = l0, l3 = l0, l4 = l0, l5 = l0; // the column to the left of it
  p0 += 4;
  p1 += 4;
  p2 += 4;
  p3 += 4;
  p4 += 4;
  p5 += 4;
  for (let left = W - 1; left >= 0; left -= 4, to += tile) {
    const keep2 = i32x4.splat(left > 0 ? -1 : 0), keep3 = i32x4.splat(left > 1 ? -1 : 0);
    const keep4 = i32x4.splat(left > 2 ? -1 : 0), keep5 = i32x4.splat(left > 3 ? -1 : 0);

    // B' d of four columns of the first channel, a, then of the next ones, b, c and d_.
    d0 = v128.load(p0);
    d1 = v128.load(p1);
    d2 = v128.load(p2);
    d3 = v128.load(p3);
    d4 = v128.load(p4);
    d5 = v128.load(p5);
    s = nmadd(four, d2, d4);
    t = nmadd(four, d1, d3);
    u = sub(d4, d2);
    e = sub(d3, d1);
    const a0 = nmadd(five, d2, madd(four, d0, d4)), a1 = add(s, t), a2 = sub(s, t), a3 = madd(two, e, u);
    const a4 = nmadd(two, e, u), a5 = nmadd(five, d3, madd(four, d1, d5));

    d0 = v128.load(p0 + s0);
    d1 = v128.load(p1 + s1);
    d2 = v128.load(p2 + s2);
    d3 = v128.load(p3 + s3);
    d4 = v128.load(p4 + s4);
    d5 = v128.load(p5 + s5);
    s = nmadd(four, d2, d4);
    t = nmadd(four, d1, d3);
    u = sub(d4, d2);
    e = sub(d3, d1);
    const b0 = nmadd(five, d2, madd(four, d0, d4)), b1 = add(s, t), b2 = sub(s, t), b3 = madd(two, e, u);
    const b4 = nmadd(two, e, u), b5 = nmadd(five, d3, madd(four, d1, d5));

    d0 = v128.load(p0 + 2 * s0);
    d1 = v128.load(p1 + 2 * s1);
    d2 = v128.load(p2 + 2 * s2);
    d3 = v128.load(p3 + 2 * s3);
    d4 = v128.load(p4 + 2 * s4);
    d5 = v128.load(p5 + 2 * s5);
    s = nmadd(four, d2, d4);
    t = nmadd(four, d1, d3);
    u = sub(d4, d2);
    e = sub(d3, d1);
    const c0 = nmadd(five, d2, madd(four, d0, d4)), c1 = add(s, t), c2 = sub(s, t), c3 = madd(two, e, u);
    const c4 = nmadd(two, e, u), c5 = nmadd(five, d3, madd(four, d1, d5));

    d0 = v128.load(p0 + 3 * s0);
    d1 = v128.load(p1 + 3 * s1);
    d2 = v128.load(p2 + 3 * s2);
    d3 = v128.load(p3 + 3 * s3);
    d4 = v128.load(p4 + 3 * s4);
    d5 = v128.load(p5 + 3 * s5);
    s = nmadd(four, d2, d4);
    t = nmadd(four, d1, d3);
    u = sub(d4, d2);
    e = sub(d3, d1);
    const d_0 = nmadd(five, d2, madd(four, d0, d4)), d_1 = add(s, t), d_2 = sub(s, t), d_3 = madd(two, e, u);
    const d_4 = nmadd(two, e, u), d_5 = nmadd(five, d3, madd(four, d1, d5));

    // The transform along each line, and its last two columns, with which the next tile begins.
    acrossLine(l0, r0, a0, b0, c0, d_0, keep2, keep3, keep4, keep5, to, step);
    l0 = v128.and(thirdOf(a0, b0, c0, d_0), keep4);
    r0 = v128.and(fourthOf(a0, b0, c0, d_0), keep5);
    acrossLine(l1, r1, a1, b1, c1, d_1, keep2, keep3, keep4, keep5, to + row, step);
    l1 = v128.and(thirdOf(a1, b1, c1, d_1), keep4);
    r1 = v128.and(fourthOf(a1, b1, c1, d_1), keep5);
    acrossLine(l2, r2, a2, b2, c2, d_2, keep2, keep3, keep4, keep5, to + 2 * row, step);
    l2 = v128.and(thirdOf(a2, b2, c2, d_2), keep4);
    r2 = v128.and(fourthOf(a2, b2, c2, d_2), keep5);
    acrossLine(l3, r3, a3, b3, c3, d_3, keep2, keep3, keep4, keep5, to + 3 * row, step);
    l3 = v128.and(thirdOf(a3, b3, c3, d_3), keep4);
    r3 = v128.and(fourthOf(a3, b3, c3, d_3), keep5);
    acrossLine(l4, r4, a4, b4, c4, d_4, keep2, keep3, keep4, keep5, to + 4 * row, step);
    l4 = v128.and(thirdOf(a4, b4, c4, d_4), keep4);
    r4 = v128.and(fourthOf(a4, b4, c4, d_4), keep5);
    acrossLine(l5, r5, a5, b5, c5, d_5, keep2, keep3, keep4, keep5, to + 5 * row, step);
    l5 = v128.and(thirdOf(a5, b5, c5, d_5), keep4);
    r5 = v128.and(fourthOf(a5, b5, c5, d_5), keep5);
    p0 += 16;
    p1 += 16;
    p2 += 16;
    p3 += 16;
    p4 += 16;
    p5 += 16;
  }
}

/**
 * V = B' d B of all tiles of an image, line by line of tiles, so that V's lines are written while they are cached.
 *
 * @param image f32[C][H][W]
 * @param rows scratch of `scratch` bytes, all zero at first; its second vector may be overwritten between calls
 * @param to V of the first tile; elements of the transform are `step` bytes apart, tiles `tile`
 */
export function transformSource(
  image: usize, C: i32, H: i32, W: i32, rows: usize, to: usize, step: usize, tile: usize,
): void {
  const pitch: usize = (<usize> W) << 2;
  const plane = (<usize> H) * pitch;
  const zeros = rows + 64;
  const rest = zeros + Sizes.line; // channels of a vector that is not full, then zeros
  warm(image, (<usize> C) * plane, rows + 16);
  memory.copy(rest, image + (<usize> (C & ~3)) * plane, (<usize> (C & 3)) * plane);
  for (let y = 0; y < Sizes.down; y++, to += (<usize> Sizes.across) * tile) {
    const h = 4 * y;
    const is0 = h > 0;
    const is2 = h + 1 < H;
    const is3 = h + 2 < H;
    const is4 = h + 3 < H;
    const is5 = h + 4 < H;
    for (let q = 0; q < C; q += 4) {
      const at = (q + 4 <= C ? image + (<usize> q) * plane : rest) + (<usize> h) * pitch;
      tileLine(
        is0 ? at - pitch : zeros, at, is2 ? at + pitch : zeros,
        is3 ? at + 2 * pitch : zeros, is4 ? at + 3 * pitch : zeros, is5 ? at + 4 * pitch : zeros,
        is0 ? plane : 0, plane, is2 ? plane : 0, is3 ? plane : 0, is4 ? plane : 0, is5 ? plane : 0,
        W, to + ((<usize> q) << 2), step, tile,
      );
    }
  }
}
