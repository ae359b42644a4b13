// 3x3 convolutions by Winograd's F(4x4, 3x3): 36 multiplications make 16 pixels instead of 144.
//
//   y = A' [(G g G') * (B' d B)] A,   dg = G' [(B' d B) * (A dy A')] G     (* elementwise, ' transposed)
//
// d are overlapping 6x6 tiles of the source, y 4x4 tiles of the target. Each of the 36 elements is a matrix product of
// tiles and weights over channels. A vector holds four channels, so that the transforms need no shuffles.
//
// Source: Winograd 1980, Arithmetic complexity of computations; Lavin and Gray 2015, arXiv:1509.09308

import { add, at as constant, madd, nmadd, sub } from "./simd.ts";
import { firstLanes } from "./lanes.ts";
import { warm } from "./warm.ts";
import { across, down, line } from "./winograd_sizes.ts";

const TWO = memory.data<f32>([2.0]);
const FOUR = memory.data<f32>([4.0]);
const FIVE = memory.data<f32>([5.0]);

/**
 * B' d of six lines of one channel, four pixels at a time.
 *
 * @param d0, d1, d2, d3, d4, d5 the lines
 * @param to first of the six results, which are `step` bytes apart
 */
function downwards(
  d0: usize,
  d1: usize,
  d2: usize,
  d3: usize,
  d4: usize,
  d5: usize,
  W: i32,
  to: usize,
  step: usize,
): void {
  const two = constant(TWO), four = constant(FOUR), five = constant(FIVE);
  const end: usize = (<usize> W) << 2;
  for (let w: usize = 0; w < end; w += 16) {
    let v0 = v128.load(d0 + w), v1 = v128.load(d1 + w), v2 = v128.load(d2 + w);
    let v3 = v128.load(d3 + w), v4 = v128.load(d4 + w), v5 = v128.load(d5 + w);
    if (w + 16 > end) {
      const mask = firstLanes(<i32> ((end - w) >> 2));
      v0 = v128.and(v0, mask), v1 = v128.and(v1, mask), v2 = v128.and(v2, mask);
      v3 = v128.and(v3, mask), v4 = v128.and(v4, mask), v5 = v128.and(v5, mask);
    }
    const a = nmadd(four, v2, v4), b = nmadd(four, v1, v3);
    const c = sub(v4, v2), e = sub(v3, v1);
    const there = to + w;
    v128.store(there, nmadd(five, v2, madd(four, v0, v4)));
    v128.store(there + step, add(a, b));
    v128.store(there + 2 * step, sub(a, b));
    v128.store(there + 3 * step, madd(two, e, c));
    v128.store(there + 4 * step, nmadd(two, e, c));
    v128.store(there + 5 * step, nmadd(five, v3, madd(four, v1, v5)));
  }
}

/** d B of a line of tiles of four channels, whose lines follow each other. */
function acrossTiles(from: usize, to: usize, step: usize, pitch: usize): void {
  const two = constant(TWO), four = constant(FOUR), five = constant(FIVE), next = line;
  let a = v128.load(from), b = v128.load(from + next);
  let c = v128.load(from + 2 * next), d = v128.load(from + 3 * next);
  let ab = i32x4.shuffle(a, b, 2, 6, 3, 7), cd = i32x4.shuffle(c, d, 2, 6, 3, 7);
  let v0 = i64x2.shuffle(ab, cd, 1, 3);
  from += 16;
  a = v128.load(from), b = v128.load(from + next);
  c = v128.load(from + 2 * next), d = v128.load(from + 3 * next);
  ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  let v1 = i64x2.shuffle(ab, cd, 0, 2), v2 = i64x2.shuffle(ab, cd, 1, 3);
  for (let left = across; left > 0; left--, to += pitch) {
    ab = i32x4.shuffle(a, b, 2, 6, 3, 7), cd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    const v3 = i64x2.shuffle(ab, cd, 0, 2), v4 = i64x2.shuffle(ab, cd, 1, 3);
    from += 16;
    a = v128.load(from), b = v128.load(from + next);
    c = v128.load(from + 2 * next), d = v128.load(from + 3 * next);
    ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const v5 = i64x2.shuffle(ab, cd, 0, 2);
    v128.store(to, nmadd(five, v2, madd(four, v0, v4)));
    const s = nmadd(four, v2, v4), t = nmadd(four, v1, v3);
    v128.store(to + step, add(s, t));
    v128.store(to + 2 * step, sub(s, t));
    const u = sub(v4, v2), e = sub(v3, v1);
    v128.store(to + 3 * step, madd(two, e, u));
    v128.store(to + 4 * step, nmadd(two, e, u));
    v128.store(to + 5 * step, nmadd(five, v3, madd(four, v1, v5)));
    v0 = v4, v1 = v5, v2 = i64x2.shuffle(ab, cd, 1, 3);
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
  image: usize,
  C: i32,
  H: i32,
  W: i32,
  rows: usize,
  to: usize,
  step: usize,
  tile: usize,
): void {
  const group = 4 * line, zeros = rows + 6 * group;
  const pitch: usize = (<usize> W) << 2, plane = (<usize> H) * pitch;
  warm(image, (<usize> C) * plane, rows + 16);
  for (let y = 0; y < down; y++, to += (<usize> across) * tile) {
    const h = 4 * y;
    for (let q = 0; q < C; q += 4) {
      for (let c = 0; c < 4; c++) {
        const there = rows + (<usize> c) * line;
        if (q + c < C) {
          const at = image + (<usize> (q + c)) * plane + (<usize> h) * pitch;
          downwards(
            h > 0 ? at - pitch : zeros,
            at,
            h + 1 < H ? at + pitch : zeros,
            h + 2 < H ? at + 2 * pitch : zeros,
            h + 3 < H ? at + 3 * pitch : zeros,
            h + 4 < H ? at + 4 * pitch : zeros,
            W,
            there + 16,
            group,
          );
        } else for (let i: usize = 0; i < 6; i++) memory.fill(there + i * group, 0, line);
      }
      for (let i: usize = 0; i < 6; i++) {
        acrossTiles(rows + i * group, to + ((<usize> q) << 2) + 6 * i * step, step, tile);
      }
    }
  }
}
