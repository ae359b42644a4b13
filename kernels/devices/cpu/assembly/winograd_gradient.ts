// Winograd's transform of the output gradient, D = A dy A'.

import { add, at as constant, firstLanes, madd, mul, sub } from "./simd.ts";
import { Sizes } from "./winograd_sizes.ts";

const TWO = memory.data<f32>([2.0]);
const FOUR = memory.data<f32>([4.0]);

/**
 * Transforms a line of tiles of four channels. Everything between the pixels and D stays in local variables, so the four
 * lines of a tile are written out: through memory, they would take longer.
 *
 * @param image first of four planes [H][W]
 * @param to D of the first tile; elements of the transform are `step` bytes apart, tiles `tile`
 */
export function transformGradient(
  image: usize, H: i32, W: i32, y: i32, to: usize, step: usize, tile: usize,
): void {
  const two = constant(TWO), four = constant(FOUR);
  const pitch: usize = (<usize> W) << 2;
  const plane = (<usize> H) * pitch;
  const row = 6 * step;
  for (let x = 0; x < Sizes.across; x++, to += tile) {
    const mask = firstLanes(W - 4 * x);
    const at = image + ((<usize> x) << 4);
    let h = 4 * y;
    // Line 0 of four: the pixels of each channel, then a vector for each pixel, then six elements.
    let p = at + (<usize> min(h, H - 1)) * pitch;
    let keep = h < H ? mask : firstLanes(0);
    let a = v128.and(v128.load(p), keep), b = v128.and(v128.load(p + plane), keep);
    let c = v128.and(v128.load(p + 2 * plane), keep), d = v128.and(v128.load(p + 3 * plane), keep);
    let ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const e0 = i64x2.shuffle(ab, cd, 0, 2);
    let v1 = i64x2.shuffle(ab, cd, 1, 3);
    ab = i32x4.shuffle(a, b, 2, 6, 3, 7);
    cd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    let v2 = i64x2.shuffle(ab, cd, 0, 2);
    const e5 = i64x2.shuffle(ab, cd, 1, 3);
    let even = add(e0, v2), odd = add(v1, e5);
    const e1 = add(even, odd), e2 = sub(even, odd);
    even = madd(four, v2, e0);
    odd = mul(two, madd(four, e5, v1));
    const e3 = add(even, odd), e4 = sub(even, odd);

    // Line 1
    h++;
    p = at + (<usize> min(h, H - 1)) * pitch;
    keep = h < H ? mask : firstLanes(0);
    a = v128.and(v128.load(p), keep);
    b = v128.and(v128.load(p + plane), keep);
    c = v128.and(v128.load(p + 2 * plane), keep);
    d = v128.and(v128.load(p + 3 * plane), keep);
    ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
    cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const f0 = i64x2.shuffle(ab, cd, 0, 2);
    v1 = i64x2.shuffle(ab, cd, 1, 3);
    ab = i32x4.shuffle(a, b, 2, 6, 3, 7);
    cd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v2 = i64x2.shuffle(ab, cd, 0, 2);
    const f5 = i64x2.shuffle(ab, cd, 1, 3);
    even = add(f0, v2);
    odd = add(v1, f5);
    const f1 = add(even, odd), f2 = sub(even, odd);
    even = madd(four, v2, f0);
    odd = mul(two, madd(four, f5, v1));
    const f3 = add(even, odd), f4 = sub(even, odd);

    // Line 2
    h++;
    p = at + (<usize> min(h, H - 1)) * pitch;
    keep = h < H ? mask : firstLanes(0);
    a = v128.and(v128.load(p), keep);
    b = v128.and(v128.load(p + plane), keep);
    c = v128.and(v128.load(p + 2 * plane), keep);
    d = v128.and(v128.load(p + 3 * plane), keep);
    ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
    cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const g0 = i64x2.shuffle(ab, cd, 0, 2);
    v1 = i64x2.shuffle(ab, cd, 1, 3);
    ab = i32x4.shuffle(a, b, 2, 6, 3, 7);
    cd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v2 = i64x2.shuffle(ab, cd, 0, 2);
    const g5 = i64x2.shuffle(ab, cd, 1, 3);
    even = add(g0, v2);
    odd = add(v1, g5);
    const g1 = add(even, odd), g2 = sub(even, odd);
    even = madd(four, v2, g0);
    odd = mul(two, madd(four, g5, v1));
    const g3 = add(even, odd), g4 = sub(even, odd);

    // Line 3
    h++;
    p = at + (<usize> min(h, H - 1)) * pitch;
    keep = h < H ? mask : firstLanes(0);
    a = v128.and(v128.load(p), keep);
    b = v128.and(v128.load(p + plane), keep);
    c = v128.and(v128.load(p + 2 * plane), keep);
    d = v128.and(v128.load(p + 3 * plane), keep);
    ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
    cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const h0 = i64x2.shuffle(ab, cd, 0, 2);
    v1 = i64x2.shuffle(ab, cd, 1, 3);
    ab = i32x4.shuffle(a, b, 2, 6, 3, 7);
    cd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v2 = i64x2.shuffle(ab, cd, 0, 2);
    const h5 = i64x2.shuffle(ab, cd, 1, 3);
    even = add(h0, v2);
    odd = add(v1, h5);
    const h1 = add(even, odd), h2 = sub(even, odd);
    even = madd(four, v2, h0);
    odd = mul(two, madd(four, h5, v1));
    const h3 = add(even, odd), h4 = sub(even, odd);

    storeColumn(to, row, two, four, e0, f0, g0, h0);
    storeColumn(to + step, row, two, four, e1, f1, g1, h1);
    storeColumn(to + 2 * step, row, two, four, e2, f2, g2, h2);
    storeColumn(to + 3 * step, row, two, four, e3, f3, g3, h3);
    storeColumn(to + 4 * step, row, two, four, e4, f4, g4, h4);
    storeColumn(to + 5 * step, row, two, four, e5, f5, g5, h5);
  }
}

/** Stores a column of D: A d of the elements of four lines. */
function storeColumn(to: usize, row: usize, two: v128, four: v128, d0: v128, d1: v128, d2: v128, d3: v128): void {
  v128.store(to, d0);
  v128.store(to + 5 * row, d3);
  let even = add(d0, d2), odd = add(d1, d3);
  v128.store(to + row, add(even, odd));
  v128.store(to + 2 * row, sub(even, odd));
  even = madd(four, d2, d0);
  odd = mul(two, madd(four, d3, d1));
  v128.store(to + 3 * row, add(even, odd));
  v128.store(to + 4 * row, sub(even, odd));
}
