// Discrete Fourier transforms of real images of any size, four channels at a time in the lanes of vectors, as products
// with tables of cosines and sines. Sequences are folded: of elements j and n - j, sums meet cosines, and differences
// sines. Of frequencies o and n - o, whose sums are the same, both come from one.

import { add, lane0, lane1, lane2, lane3, madd, splat, sub } from "./simd.ts";

/** Number of groups of four frequencies from 1 to (n - 1) / 2; the others, 0 and n / 2, are plain sums. */
function groupsOf(n: i32): i32 {
  return (((n - 1) >> 1) + 3) >> 2;
}

/** Bytes of half of a table, cosines or sines: [frequency / 4][element from 0 to n / 2][4 frequencies]. */
function tableBytes(n: i32): usize {
  return <usize> (groupsOf(n) * ((n >> 1) + 1)) << 4;
}

/** Bytes of a folded sequence: its sum, its alternating sum, then the even and the odd elements from 0 to n / 2. */
function foldedBytes(n: i32): usize {
  return <usize> (2 * (n >> 1) + 4) << 4;
}

/** Bytes of sums of a group: of cosines, then of sines, [frequency][sequence]. */
const SUMS: usize = 256;

/** cos 2 pi i / n, or with `quarter` sin 2 pi i / n, by the power series. */
function wave(i: i32, n: i32, quarter: bool): f32 {
  const x: f64 = 2 * 3.141592653589793 * <f64> (2 * i > n ? i - n : i) / <f64> n;
  let term: f64 = 1, cosine: f64 = 1, sine: f64 = 0;
  for (let k = 1; k < 30; k += 2) {
    term *= x / <f64> k;
    sine += term;
    term *= -x / <f64> (k + 1);
    cosine += term;
  }
  return <f32> (quarter ? sine : cosine);
}

function fillTable(n: i32, to: usize): void {
  const sines = tableBytes(n);
  for (let group = 0; group < groupsOf(n); group++) {
    for (let j = 0; j <= n >> 1; j++) {
      for (let lane = 1; lane < 5; lane++, to += 4) {
        const turn = (4 * group + lane) * j % n;
        store<f32>(to, wave(turn, n, false));
        store<f32>(to + sines, wave(turn, n, true));
      }
    }
  }
}

/** Folds the first `count` of n elements, `step` bytes apart; the others are zero. */
function fold(x: usize, step: usize, n: i32, count: i32, to: usize): void {
  const half = n >> 1;
  let sum = splat(0), alternating = sum, even = to + 32, odd = even + ((<usize> half + 1) << 4);
  let other = x + (<usize> n) * step;
  for (let j = 0; j <= half && j < count; j++, x += step, other -= step, even += 16, odd += 16) {
    let e = v128.load(x), o = e;
    if (j > 0 && n - j > j && n - j < count) {
      const partner = v128.load(other);
      o = sub(e, partner), e = add(e, partner);
    }
    v128.store(even, e), v128.store(odd, o);
    sum = add(sum, e), alternating = j & 1 ? sub(alternating, e) : add(alternating, e);
  }
  v128.store(to, sum), v128.store(to, alternating, 16);
}

/** Sums of four columns of a table for two sequences of vectors that are `step` bytes apart. */
function fourByTwo(table: usize, x: usize, other: usize, step: usize, count: i32, to: usize): void {
  let s0 = splat(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
  for (; count > 0; count--, table += 16, x += step, other += step) {
    const v = v128.load(table), p = v128.load(x), q = v128.load(other);
    s0 = madd(lane0(v), p, s0), t0 = madd(lane0(v), q, t0);
    s1 = madd(lane1(v), p, s1), t1 = madd(lane1(v), q, t1);
    s2 = madd(lane2(v), p, s2), t2 = madd(lane2(v), q, t2);
    s3 = madd(lane3(v), p, s3), t3 = madd(lane3(v), q, t3);
  }
  v128.store(to, s0), v128.store(to, t0, 16), v128.store(to, s1, 32), v128.store(to, t1, 48);
  v128.store(to, s2, 64), v128.store(to, t2, 80), v128.store(to, s3, 96), v128.store(to, t3, 112);
}

/** The sums of a group of frequencies for two folded sequences, of which `count` elements are not zero. */
function foldedSums(table: usize, n: i32, group: i32, x: usize, other: usize, count: i32, sums: usize): void {
  const some = min(count, (n >> 1) + 1), odd: usize = (<usize> (n >> 1) + 3) << 4;
  const columns = table + ((<usize> (group * ((n >> 1) + 1))) << 4);
  fourByTwo(columns, x + 32, other + 32, 16, some, sums);
  fourByTwo(columns + tableBytes(n) + 16, x + odd + 16, other + odd + 16, 16, some - 1, sums + 128);
}

/** Number of columns of frequencies of a real image: the others are their conjugates. */
export function columnsOf(nH: i32): i32 {
  return (nH >> 1) + 1;
}

/** Bytes of an image of vectors. */
export function imageBytes(nV: i32, nH: i32): usize {
  return <usize> (nV * nH) << 4;
}

/** Bytes of scratch of transforms, which `prepareTransforms` prepares: tables, two folded sequences, sums, a grid. */
export function transformBytes(nV: i32, nH: i32): u64 {
  return 2 * (tableBytes(nV) + tableBytes(nH)) + 2 * foldedBytes(max(nV, nH)) + SUMS +
    ((<usize> (columnsOf(nH) * nV)) << 5);
}

export function prepareTransforms(nV: i32, nH: i32, scratch: usize): void {
  fillTable(nV, scratch);
  fillTable(nH, scratch + 2 * tableBytes(nV));
}

/**
 * Transform of an image [H][W] of vectors, zero up to nV and nH: frequency (f, g) is `step` times f columns + g bytes from
 * `re` and `im`.
 */
export function transformImage(
  image: usize,
  H: i32,
  W: i32,
  nV: i32,
  nH: i32,
  scratch: usize,
  re: usize,
  im: usize,
  step: usize,
): void {
  const columns = columnsOf(nH), table = scratch + 2 * tableBytes(nV), first = table + 2 * tableBytes(nH);
  const second = first + foldedBytes(max(nV, nH)),
    sums = second + foldedBytes(max(nV, nH)),
    grid = sums + SUMS;
  const row: usize = (<usize> W) << 4, line: usize = (<usize> H) << 5, zero = splat(0);
  for (let h = 0; h < H; h += 2, image += 2 * row) {
    const isPair = h + 1 < H;
    fold(image, 16, nH, W, first);
    if (isPair) fold(image + row, 16, nH, W, second);
    for (let g = 0; g < columns; g++) {
      const to = grid + (<usize> g) * line + ((<usize> h) << 5), isEnd = g == 0 || 2 * g == nH;
      if (!isEnd && (g & 3) == 1) foldedSums(table, nH, g >> 2, first, second, W, sums);
      const at: usize = <usize> (isEnd ? (g == 0 ? 0 : 16) : ((g - 1) & 3) << 5);
      const x = (isEnd ? first : sums) + at, y = isEnd ? second + at : sums + at + 16;
      v128.store(to, v128.load(x)), v128.store(to, isEnd ? zero : f32x4.neg(v128.load(x, 128)), 16);
      if (!isPair) continue;
      v128.store(to, v128.load(y), 32), v128.store(to, isEnd ? zero : f32x4.neg(v128.load(y, 128)), 48);
    }
  }
  for (let g: usize = 0; g < <usize> columns; g++) {
    const from = grid + g * line,
      toRe = re + g * step,
      toIm = im + g * step,
      across = (<usize> columns) * step;
    fold(from, 32, nV, H, first);
    fold(from + 16, 32, nV, H, second);
    v128.store(toRe, v128.load(first)), v128.store(toIm, v128.load(second));
    if ((nV & 1) == 0) {
      const middle = (<usize> (nV >> 1)) * across;
      v128.store(toRe + middle, v128.load(first, 16)), v128.store(toIm + middle, v128.load(second, 16));
    }
    for (let f = 1; 2 * f < nV; f++) {
      if ((f & 3) == 1) foldedSums(scratch, nV, f >> 2, first, second, H, sums);
      const x = sums + ((<usize> ((f - 1) & 3)) << 5),
        to = (<usize> f) * across,
        other = (<usize> (nV - f)) * across;
      const a = v128.load(x), b = v128.load(x, 144), c = v128.load(x, 16), d = v128.load(x, 128);
      v128.store(toRe + to, add(a, b)), v128.store(toIm + to, sub(c, d));
      v128.store(toRe + other, sub(a, b)), v128.store(toIm + other, add(c, d));
    }
  }
}

/** Stores element i of a circle of n, if it is one of the `count` from `first` on. */
function storeWithin(i: i32, n: i32, first: i32, count: i32, to: usize, step: usize, v: v128): void {
  const at = i < first ? i - first + n : i - first;
  if (at < count) v128.store(to + (<usize> at) * step, v);
}

/**
 * The inverse, times the number of frequencies, if columns of frequencies between the first and the middle one are
 * doubled before: P x Q pixels from (top, left) on, as on a torus.
 */
export function transformBack(
  re: usize,
  im: usize,
  step: usize,
  top: i32,
  P: i32,
  left: i32,
  Q: i32,
  nV: i32,
  nH: i32,
  scratch: usize,
  image: usize,
): void {
  const columns = columnsOf(nH), table = scratch + 2 * tableBytes(nV), first = table + 2 * tableBytes(nH);
  const second = first + foldedBytes(max(nV, nH)),
    sums = second + foldedBytes(max(nV, nH)),
    grid = sums + SUMS;
  const line: usize = (<usize> columns) << 5, row: usize = (<usize> Q) << 4;
  for (let g: usize = 0; g < <usize> columns; g++) {
    const to = grid + (g << 5), across = (<usize> columns) * step;
    fold(re + g * step, across, nV, nV, first);
    fold(im + g * step, across, nV, nV, second);
    storeWithin(0, nV, top, P, to, line, v128.load(first)),
      storeWithin(0, nV, top, P, to + 16, line, v128.load(second));
    if ((nV & 1) == 0) {
      storeWithin(nV >> 1, nV, top, P, to, line, v128.load(first, 16));
      storeWithin(nV >> 1, nV, top, P, to + 16, line, v128.load(second, 16));
    }
    for (let p = 1; 2 * p < nV; p++) {
      if ((p & 3) == 1) foldedSums(scratch, nV, p >> 2, first, second, nV, sums);
      const x = sums + ((<usize> ((p - 1) & 3)) << 5);
      const a = v128.load(x), b = v128.load(x, 144), c = v128.load(x, 16), d = v128.load(x, 128);
      storeWithin(p, nV, top, P, to, line, sub(a, b)), storeWithin(p, nV, top, P, to + 16, line, add(c, d));
      storeWithin(nV - p, nV, top, P, to, line, add(a, b)),
        storeWithin(nV - p, nV, top, P, to + 16, line, sub(c, d));
    }
  }
  for (let p = 0; p < P; p += 2, image += 2 * row) {
    const from = grid + (<usize> p) * line, other = p + 1 < P ? from + line : from;
    ends(from, columns, nH, left, Q, image);
    if (p + 1 < P) ends(other, columns, nH, left, Q, image + row);
    for (let q = 1; 2 * q < nH; q++) {
      if ((q & 3) == 1) {
        const some = table + ((<usize> ((q >> 2) * columns)) << 4);
        fourByTwo(some, from, other, 32, columns, sums);
        fourByTwo(some + tableBytes(nH), from + 16, other + 16, 32, columns, sums + 128);
      }
      const x = sums + ((<usize> ((q - 1) & 3)) << 5);
      const a = v128.load(x), b = v128.load(x, 128), c = v128.load(x, 16), d = v128.load(x, 144);
      storeWithin(q, nH, left, Q, image, 16, sub(a, b)),
        storeWithin(nH - q, nH, left, Q, image, 16, add(a, b));
      if (p + 1 == P) continue;
      storeWithin(q, nH, left, Q, image + row, 16, sub(c, d)),
        storeWithin(nH - q, nH, left, Q, image + row, 16, add(c, d));
    }
  }
}

/** Pixels 0 and nH / 2 of a row, from its columns of frequencies. */
function ends(from: usize, columns: i32, nH: i32, left: i32, Q: i32, to: usize): void {
  let sum = splat(0), alternating = sum;
  for (let g = 0; g < columns; g++, from += 32) {
    const v = v128.load(from);
    sum = add(sum, v), alternating = g & 1 ? sub(alternating, v) : add(alternating, v);
  }
  storeWithin(0, nH, left, Q, to, 16, sum);
  if ((nH & 1) == 0) storeWithin(nH >> 1, nH, left, Q, to, 16, alternating);
}
