// Matrix products on one thread, with packed panels: c[m][n] = sum over k of a[m][k] b[k][n].

import { add, lane0, lane1, lane2, lane3, loadEvery, madd, splat } from "./simd.ts";

const ROWS: i32 = 4;
const COLUMNS: i32 = 8;
/** A packed block of a, depth x height, stays in the L2 cache, a panel of b, depth x columns, in L1. */
const DEPTH: i32 = 256;
const HEIGHT: i32 = 192;

/** Bytes of scratch that `gemm` needs: a block of a, a panel of b, a tile of c. */
export const GEMM_SCRATCH: usize = (DEPTH * (HEIGHT + COLUMNS) + ROWS * COLUMNS) * 4;

/** Packs four lines of four adjacent numbers as columns: row k of the result, `pitch` bytes apart, has all numbers k. */
function packColumns(v0: v128, v1: v128, v2: v128, v3: v128, to: usize, pitch: usize): void {
  const low = i32x4.shuffle(v0, v1, 0, 4, 1, 5), high = i32x4.shuffle(v0, v1, 2, 6, 3, 7);
  const low2 = i32x4.shuffle(v2, v3, 0, 4, 1, 5), high2 = i32x4.shuffle(v2, v3, 2, 6, 3, 7);
  v128.store(to, i32x4.shuffle(low, low2, 0, 1, 4, 5));
  v128.store(to + pitch, i32x4.shuffle(low, low2, 2, 3, 6, 7));
  v128.store(to + 2 * pitch, i32x4.shuffle(high, high2, 0, 1, 4, 5));
  v128.store(to + 3 * pitch, i32x4.shuffle(high, high2, 2, 3, 6, 7));
}

/** Panels [rows / 4][depth][4] of a; missing rows are zeros. */
function packA(a: usize, am: usize, ak: usize, rows: i32, depth: i32, to: usize): void {
  for (let m = 0; m < rows; m += ROWS) {
    const whole = m + ROWS <= rows;
    let at = a + (<usize> m) * am, k = 0;
    if (whole && ak == 4) {
      for (; k + 4 <= depth; k += 4, at += 16, to += 64) {
        const second = at + am, third = second + am;
        packColumns(v128.load(at), v128.load(second), v128.load(third), v128.load(third + am), to, 16);
      }
    }
    for (; k < depth; k++, at += ak, to += 16) {
      if (whole) v128.store(to, loadEvery(at, am));
      else {
        for (let r = 0; r < ROWS; r++) {
          store<f32>(to + ((<usize> r) << 2), m + r < rows ? load<f32>(at + (<usize> r) * am) : 0);
        }
      }
    }
  }
}

/** A panel [depth][8] of b; missing columns hold anything. */
function packB(b: usize, bk: usize, bn: usize, columns: i32, depth: i32, to: usize): void {
  let k = 0;
  if (columns == COLUMNS && bk == 4) {
    for (; k + 4 <= depth; k += 4, b += 16, to += 128) {
      let at = b;
      for (let n: usize = 0; n < 32; n += 16, at += bn << 2) {
        const second = at + bn, third = second + bn;
        packColumns(v128.load(at), v128.load(second), v128.load(third), v128.load(third + bn), to + n, 32);
      }
    }
  }
  for (; k < depth; k++, b += bk, to += 32) {
    if (bn == 4) {
      v128.store(to, v128.load(b));
      v128.store(to, columns > 4 ? v128.load(b, 16) : splat(0), 16);
    } else {
      for (let n = 0; n < COLUMNS; n++) {
        store<f32>(to + ((<usize> n) << 2), n < columns ? load<f32>(b + (<usize> n) * bn) : 0);
      }
    }
  }
}

/** Adds a 4 x 8 block of results to c. */
function fourByEight(a: usize, b: usize, depth: i32, c: usize, cm: usize): void {
  const c1 = c + cm, c2 = c1 + cm, c3 = c2 + cm;
  let s0 = v128.load(c), t0 = v128.load(c, 16);
  let s1 = v128.load(c1), t1 = v128.load(c1, 16);
  let s2 = v128.load(c2), t2 = v128.load(c2, 16);
  let s3 = v128.load(c3), t3 = v128.load(c3, 16);
  for (; depth > 0; depth--, a += 16, b += 32) {
    const v = v128.load(a), p = v128.load(b), q = v128.load(b, 16);
    s0 = madd(lane0(v), p, s0), t0 = madd(lane0(v), q, t0);
    s1 = madd(lane1(v), p, s1), t1 = madd(lane1(v), q, t1);
    s2 = madd(lane2(v), p, s2), t2 = madd(lane2(v), q, t2);
    s3 = madd(lane3(v), p, s3), t3 = madd(lane3(v), q, t3);
  }
  v128.store(c, s0), v128.store(c, t0, 16);
  v128.store(c1, s1), v128.store(c1, t1, 16);
  v128.store(c2, s2), v128.store(c2, t2, 16);
  v128.store(c3, s3), v128.store(c3, t3, 16);
}

/** The same at the edge of c, where some of the four rows or eight columns are missing. */
function atEdge(
  a: usize,
  b: usize,
  depth: i32,
  c: usize,
  cm: usize,
  rows: i32,
  columns: i32,
  tile: usize,
): void {
  for (let i = 0; i < ROWS * COLUMNS; i += 4) v128.store(tile + ((<usize> i) << 2), splat(0));
  fourByEight(a, b, depth, tile, COLUMNS * 4);
  for (let r = 0; r < rows; r++, c += cm, tile += COLUMNS * 4) {
    if (columns == COLUMNS) {
      v128.store(c, add(v128.load(c), v128.load(tile)));
      v128.store(c, add(v128.load(c, 16), v128.load(tile, 16)), 16);
    } else {for (let n: usize = 0; n < (<usize> columns) << 2; n += 4) {
        store<f32>(c + n, load<f32>(c + n) + load<f32>(tile + n));
      }}
  }
}

/** Whether all of a fits the scratch, so that the next product with the same a can reuse it. */
export function staysPacked(M: i32, K: i32): bool {
  return M <= HEIGHT && K <= DEPTH;
}

/**
 * c += a b. Strides are in bytes; c's columns are adjacent.
 *
 * @param packed whether the scratch already holds a, from the previous product
 */
export function gemm(
  M: i32,
  N: i32,
  K: i32,
  a: usize,
  am: usize,
  ak: usize,
  b: usize,
  bk: usize,
  bn: usize,
  c: usize,
  cm: usize,
  scratch: usize,
  packed: bool,
): void {
  const panel = scratch + <usize> (DEPTH * HEIGHT * 4);
  const tile = panel + <usize> (DEPTH * COLUMNS * 4);
  for (let k = 0; k < K; k += DEPTH) {
    const depth = min(DEPTH, K - k);
    for (let m = 0; m < M; m += HEIGHT) {
      const height = min(HEIGHT, M - m);
      if (!packed) packA(a + (<usize> m) * am + (<usize> k) * ak, am, ak, height, depth, scratch);
      for (let n = 0; n < N; n += COLUMNS) {
        const columns = min(COLUMNS, N - n);
        packB(b + (<usize> k) * bk + (<usize> n) * bn, bk, bn, columns, depth, panel);
        for (let r = 0; r < height; r += ROWS) {
          const rows = min(ROWS, height - r);
          const from = scratch + <usize> (r * depth * 4);
          const to = c + (<usize> (m + r)) * cm + ((<usize> n) << 2);
          if (rows == ROWS && columns == COLUMNS) fourByEight(from, panel, depth, to, cm);
          else atEdge(from, panel, depth, to, cm, rows, columns, tile);
        }
      }
    }
  }
}

/** Sets each row of c to one number, or to zero. */
export function fillRows(c: usize, cm: usize, M: i32, N: i32, values: usize): void {
  for (let m = 0; m < M; m++, c += cm) {
    const value = values ? load<f32>(values + ((<usize> m) << 2)) : 0;
    const v = f32x4.splat(value);
    let n = 0;
    for (; n + 4 <= N; n += 4) v128.store(c + ((<usize> n) << 2), v);
    for (; n < N; n++) store<f32>(c + ((<usize> n) << 2), value);
  }
}
