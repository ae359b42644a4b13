// Winograd's transform of the output, y = A' M A.

import { add, at as constant, madd, storeFirst, sub } from "./simd.ts";
import { Sizes } from "./winograd_sizes.ts";

const TWO = memory.data<f32>([2.0]);
const FOUR = memory.data<f32>([4.0]);
const EIGHT = memory.data<f32>([8.0]);

/** Stores a row of four pixels of four channels; only `channels` planes exist, `plane` bytes each. */
export function storeRow(
  y0: v128, y1: v128, y2: v128, y3: v128, to: usize, addend: usize, plane: usize, channels: i32, left: i32,
): void {
  let ab = i32x4.shuffle(y0, y1, 0, 4, 1, 5), cd = i32x4.shuffle(y2, y3, 0, 4, 1, 5);
  let a = i64x2.shuffle(ab, cd, 0, 2), b = i64x2.shuffle(ab, cd, 1, 3);
  ab = i32x4.shuffle(y0, y1, 2, 6, 3, 7);
  cd = i32x4.shuffle(y2, y3, 2, 6, 3, 7);
  let c = i64x2.shuffle(ab, cd, 0, 2), d = i64x2.shuffle(ab, cd, 1, 3);
  if (addend) {
    a = add(a, v128.load(addend));
    b = add(b, v128.load(addend + plane));
    c = add(c, v128.load(addend + 2 * plane));
    d = add(d, v128.load(addend + 3 * plane));
  }
  if (left >= 4 && channels >= 4) {
    v128.store(to, a);
    v128.store(to + plane, b);
    v128.store(to + 2 * plane, c);
    v128.store(to + 3 * plane, d);
  } else {
    storeFirst(to, a, left);
    if (channels > 1) storeFirst(to + plane, b, left);
    if (channels > 2) storeFirst(to + 2 * plane, c, left);
    if (channels > 3) storeFirst(to + 3 * plane, d, left);
  }
}

/**
 * Transforms a line of tiles of four channels and adds a bias and, unless `addend` is 0, another image. Everything between
 * M and the pixels stays in local variables, so columns and lines are written out.
 *
 * @param from M of the first tile; elements of the transform are `step` bytes apart, tiles `tile`
 * @param image, addend first plane [H][W]; only `channels` of the four exist
 */
export function transformTarget(
  from: usize, step: usize, tile: usize, y: i32, bias: v128, addend: usize, image: usize, channels: i32,
  H: i32, W: i32,
): void {
  const two = constant(TWO), four = constant(FOUR), eight = constant(EIGHT);
  const pitch: usize = (<usize> W) << 2;
  const plane = (<usize> H) * pitch;
  const row = 6 * step;
  for (let x = 0; x < Sizes.across; x++) {
    // Column 0 of M: four numbers of A' m, one for each line of pixels, a to d.
    let p = from + (<usize> x) * tile;
    let m = v128.load(p + row), n = v128.load(p + 2 * row);
    let o = v128.load(p + 3 * row), q = v128.load(p + 4 * row);
    let s = add(m, n), d = sub(m, n), t = add(o, q), e = sub(o, q);
    const a0 = add(v128.load(p), add(s, t));
    const b0 = madd(two, e, d);
    const c0 = madd(four, t, s);
    const d0 = add(madd(eight, e, d), v128.load(p + 5 * row));

    // Column 1
    p += step;
    m = v128.load(p + row);
    n = v128.load(p + 2 * row);
    o = v128.load(p + 3 * row);
    q = v128.load(p + 4 * row);
    s = add(m, n);
    d = sub(m, n);
    t = add(o, q);
    e = sub(o, q);
    const a1 = add(v128.load(p), add(s, t));
    const b1 = madd(two, e, d);
    const c1 = madd(four, t, s);
    const d1 = add(madd(eight, e, d), v128.load(p + 5 * row));

    // Column 2
    p += step;
    m = v128.load(p + row);
    n = v128.load(p + 2 * row);
    o = v128.load(p + 3 * row);
    q = v128.load(p + 4 * row);
    s = add(m, n);
    d = sub(m, n);
    t = add(o, q);
    e = sub(o, q);
    const a2 = add(v128.load(p), add(s, t));
    const b2 = madd(two, e, d);
    const c2 = madd(four, t, s);
    const d2 = add(madd(eight, e, d), v128.load(p + 5 * row));

    // Column 3
    p += step;
    m = v128.load(p + row);
    n = v128.load(p + 2 * row);
    o = v128.load(p + 3 * row);
    q = v128.load(p + 4 * row);
    s = add(m, n);
    d = sub(m, n);
    t = add(o, q);
    e = sub(o, q);
    const a3 = add(v128.load(p), add(s, t));
    const b3 = madd(two, e, d);
    const c3 = madd(four, t, s);
    const d3 = add(madd(eight, e, d), v128.load(p + 5 * row));

    // Column 4
    p += step;
    m = v128.load(p + row);
    n = v128.load(p + 2 * row);
    o = v128.load(p + 3 * row);
    q = v128.load(p + 4 * row);
    s = add(m, n);
    d = sub(m, n);
    t = add(o, q);
    e = sub(o, q);
    const a4 = add(v128.load(p), add(s, t));
    const b4 = madd(two, e, d);
    const c4 = madd(four, t, s);
    const d4 = add(madd(eight, e, d), v128.load(p + 5 * row));

    // Column 5
    p += step;
    m = v128.load(p + row);
    n = v128.load(p + 2 * row);
    o = v128.load(p + 3 * row);
    q = v128.load(p + 4 * row);
    s = add(m, n);
    d = sub(m, n);
    t = add(o, q);
    e = sub(o, q);
    const a5 = add(v128.load(p), add(s, t));
    const b5 = madd(two, e, d);
    const c5 = madd(four, t, s);
    const d5 = add(madd(eight, e, d), v128.load(p + 5 * row));

    // Four lines of pixels.
    const w = 4 * x;
    const at: usize = (<usize> (4 * y)) * pitch + ((<usize> w) << 2);
    s = add(a1, a2);
    d = sub(a1, a2);
    t = add(a3, a4);
    e = sub(a3, a4);
    let y0 = add(bias, add(a0, add(s, t))), y1 = add(bias, madd(two, e, d));
    let y2 = add(bias, madd(four, t, s)), y3 = add(bias, add(madd(eight, e, d), a5));
    let more = addend ? addend + at + 0 * pitch : 0;
    storeRow(y0, y1, y2, y3, image + at + 0 * pitch, more, plane, channels, W - w);

    if (4 * y + 1 >= H) continue;
    s = add(b1, b2);
    d = sub(b1, b2);
    t = add(b3, b4);
    e = sub(b3, b4);
    y0 = add(bias, add(b0, add(s, t)));
    y1 = add(bias, madd(two, e, d));
    y2 = add(bias, madd(four, t, s));
    y3 = add(bias, add(madd(eight, e, d), b5));
    more = addend ? addend + at + 1 * pitch : 0;
    storeRow(y0, y1, y2, y3, image + at + 1 * pitch, more, plane, channels, W - w);

    if (4 * y + 2 >= H) continue;
    s = add(c1, c2);
    d = sub(c1, c2);
    t = add(c3, c4);
    e = sub(c3, c4);
    y0 = add(bias, add(c0, add(s, t)));
    y1 = add(bias, madd(two, e, d));
    y2 = add(bias, madd(four, t, s));
    y3 = add(bias, add(madd(eight, e, d), c5));
    more = addend ? addend + at + 2 * pitch : 0;
    storeRow(y0, y1, y2, y3, image + at + 2 * pitch, more, plane, channels, W - w);

    if (4 * y + 3 >= H) continue;
    s = add(d1, d2);
    d = sub(d1, d2);
    t = add(d3, d4);
    e = sub(d3, d4);
    y0 = add(bias, add(d0, add(s, t)));
    y1 = add(bias, madd(two, e, d));
    y2 = add(bias, madd(four, t, s));
    y3 = add(bias, add(madd(eight, e, d), d5));
    more = addend ? addend + at + 3 * pitch : 0;
    storeRow(y0, y1, y2, y3, image + at + 3 * pitch, more, plane, channels, W - w);
  }
}
