// Winograd's transform of the output gradient, D = A dy A'.

import { add, at as constant, firstLanes, madd, mul, sub } from "./simd.ts";
import { Sizes } from "./winograd_sizes.ts";

const TWO = memory.data<f32>([2.0]);
const FOUR = memory.data<f32>([4.0]);

/**
 * Transforms a line of tiles of four channels.
 *
 * @param image first of four planes [H][W]
 * @param to D of the first tile; elements of the transform are `step` bytes apart, tiles `tile`
 */
export function transformGradient(
  image: usize, H: i32, W: i32, y: i32, to: usize, step: usize, tile: usize,
): void {
  const two = constant(TWO), four = constant(FOUR);
  const pitch: usize = (<usize> W) << 2, plane = (<usize> H) * pitch, row = 6 * step;
  for (let x = 0; x < Sizes.across; x++, to += tile) {
    const mask = firstLanes(W - 4 * x);
    const at = image + ((<usize> x) << 4);
    let n = 4 * y;
    let p = at + (<usize> min(n, H - 1)) * pitch;
    let m = n < H ? mask : firstLanes(0);
    let a = v128.and(v128.load(p), m), b = v128.and(v128.load(p + plane), m);
    let c = v128.and(v128.load(p + 2 * plane), m), d = v128.and(v128.load(p + 3 * plane), m);
    let ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const e0 = i64x2.shuffle(ab, cd, 0, 2);
    let v1 = i64x2.shuffle(ab, cd, 1, 3);
    ab = i32x4.shuffle(a, b, 2, 6, 3, 7), cd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    let v2 = i64x2.shuffle(ab, cd, 0, 2);
    const e5 = i64x2.shuffle(ab, cd, 1, 3);
    let s = add(e0, v2), t = add(v1, e5);
    const e1 = add(s, t), e2 = sub(s, t);
    s = madd(four, v2, e0), t = mul(two, madd(four, e5, v1));
    const e3 = add(s, t), e4 = sub(s, t);
    n++;
    p = at + (<usize> min(n, H - 1)) * pitch;
    m = n < H ? mask : firstLanes(0);
    a = v128.and(v128.load(p), m), b = v128.and(v128.load(p + plane), m);
    c = v128.and(v128.load(p + 2 * plane), m), d = v128.and(v128.load(p + 3 * plane), m);
    ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const f0 = i64x2.shuffle(ab, cd, 0, 2);
    v1 = i64x2.shuffle(ab, cd, 1, 3);
    ab = i32x4.shuffle(a, b, 2, 6, 3, 7), cd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v2 = i64x2.shuffle(ab, cd, 0, 2);
    const f5 = i64x2.shuffle(ab, cd, 1, 3);
    s = add(f0, v2), t = add(v1, f5);
    const f1 = add(s, t), f2 = sub(s, t);
    s = madd(four, v2, f0), t = mul(two, madd(four, f5, v1));
    const f3 = add(s, t), f4 = sub(s, t);
    n++;
    p = at + (<usize> min(n, H - 1)) * pitch;
    m = n < H ? mask : firstLanes(0);
    a = v128.and(v128.load(p), m), b = v128.and(v128.load(p + plane), m);
    c = v128.and(v128.load(p + 2 * plane), m), d = v128.and(v128.load(p + 3 * plane), m);
    ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const g0 = i64x2.shuffle(ab, cd, 0, 2);
    v1 = i64x2.shuffle(ab, cd, 1, 3);
    ab = i32x4.shuffle(a, b, 2, 6, 3, 7), cd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v2 = i64x2.shuffle(ab, cd, 0, 2);
    const g5 = i64x2.shuffle(ab, cd, 1, 3);
    s = add(g0, v2), t = add(v1, g5);
    const g1 = add(s, t), g2 = sub(s, t);
    s = madd(four, v2, g0), t = mul(two, madd(four, g5, v1));
    const g3 = add(s, t), g4 = sub(s, t);
    n++;
    p = at + (<usize> min(n, H - 1)) * pitch;
    m = n < H ? mask : firstLanes(0);
    a = v128.and(v128.load(p), m), b = v128.and(v128.load(p + plane), m);
    c = v128.and(v128.load(p + 2 * plane), m), d = v128.and(v128.load(p + 3 * plane), m);
    ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const h0 = i64x2.shuffle(ab, cd, 0, 2);
    v1 = i64x2.shuffle(ab, cd, 1, 3);
    ab = i32x4.shuffle(a, b, 2, 6, 3, 7), cd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v2 = i64x2.shuffle(ab, cd, 0, 2);
    const h5 = i64x2.shuffle(ab, cd, 1, 3);
    s = add(h0, v2), t = add(v1, h5);
    const h1 = add(s, t), h2 = sub(s, t);
    s = madd(four, v2, h0), t = mul(two, madd(four, h5, v1));
    const h3 = add(s, t), h4 = sub(s, t);
    storeColumn(to, row, two, four, e0, f0, g0, h0);
    storeColumn(to + step, row, two, four, e1, f1, g1, h1);
    storeColumn(to + 2 * step, row, two, four, e2, f2, g2, h2);
    storeColumn(to + 3 * step, row, two, four, e3, f3, g3, h3);
    storeColumn(to + 4 * step, row, two, four, e4, f4, g4, h4);
    storeColumn(to + 5 * step, row, two, four, e5, f5, g5, h5);
  }
}

/** Transforms a column of the lines e to h and stores its six elements. */
function storeColumn(to: usize, row: usize, two: v128, four: v128, e: v128, f: v128, g: v128, h: v128): void {
  v128.store(to, e);
  v128.store(to + 5 * row, h);
  let s = add(e, g), t = add(f, h);
  v128.store(to + row, add(s, t));
  v128.store(to + 2 * row, sub(s, t));
  s = madd(four, g, e), t = mul(two, madd(four, h, f));
  v128.store(to + 3 * row, add(s, t));
  v128.store(to + 4 * row, sub(s, t));
}
