// Matrix products of one thread on packed panels: c[m][n] = sum over k of a[m][k] b[k][n].

import { add, madd } from "./simd.ts";

const ROWS: i32 = 6;
const COLUMNS: i32 = 8;
/** A packed block of a, depth x height, stays in the second-level cache, a panel of b, depth x columns, in the first. */
const DEPTH: i32 = 256;
const HEIGHT: i32 = 192;

/** Bytes of scratch that `gemm` needs: a block of a, a panel of b, a tile of c. */
export const GEMM_SCRATCH: usize = (DEPTH * (HEIGHT + COLUMNS) + ROWS * COLUMNS) * 4;

/** Panels [rows / 6][depth][6] of a; missing rows are zeros. */
function packA(a: usize, am: usize, ak: usize, rows: i32, depth: i32, to: usize): void {
  for (let m = 0; m < rows; m += ROWS) {
    const whole = m + ROWS <= rows;
    let at = a + (<usize> m) * am;
    for (let k = 0; k < depth; k++, at += ak, to += 24) {
      if (whole) {
        store<f32>(to, load<f32>(at));
        store<f32>(to, load<f32>(at + am), 4);
        store<f32>(to, load<f32>(at + 2 * am), 8);
        store<f32>(to, load<f32>(at + 3 * am), 12);
        store<f32>(to, load<f32>(at + 4 * am), 16);
        store<f32>(to, load<f32>(at + 5 * am), 20);
      } else {
        for (let r = 0; r < ROWS; r++) {
          store<f32>(to + ((<usize> r) << 2), m + r < rows ? load<f32>(at + (<usize> r) * am) : 0);
        }
      }
    }
  }
}

/** A panel [depth][8] of b; missing columns are zeros. */
function packB(b: usize, bk: usize, bn: usize, columns: i32, depth: i32, to: usize): void {
  for (let k = 0; k < depth; k++, b += bk, to += 32) {
    if (columns == COLUMNS && bn == 4) {
      v128.store(to, v128.load(b));
      v128.store(to, v128.load(b, 16), 16);
    } else {
      for (let n = 0; n < COLUMNS; n++) {
        store<f32>(to + ((<usize> n) << 2), n < columns ? load<f32>(b + (<usize> n) * bn) : 0);
      }
    }
  }
}

/** Six by eight results, added to c. */
function sixByEight(a: usize, b: usize, depth: i32, c: usize, cm: usize): void {
  const c1 = c + cm, c2 = c1 + cm, c3 = c2 + cm, c4 = c3 + cm, c5 = c4 + cm;
  let s0 = v128.load(c), t0 = v128.load(c, 16);
  let s1 = v128.load(c1), t1 = v128.load(c1, 16);
  let s2 = v128.load(c2), t2 = v128.load(c2, 16);
  let s3 = v128.load(c3), t3 = v128.load(c3, 16);
  let s4 = v128.load(c4), t4 = v128.load(c4, 16);
  let s5 = v128.load(c5), t5 = v128.load(c5, 16);
  for (; depth > 0; depth--, a += 24, b += 32) {
    const p = v128.load(b), q = v128.load(b, 16);
    let v = v128.load_splat<f32>(a);
    s0 = madd(v, p, s0), t0 = madd(v, q, t0);
    v = v128.load_splat<f32>(a, 4);
    s1 = madd(v, p, s1), t1 = madd(v, q, t1);
    v = v128.load_splat<f32>(a, 8);
    s2 = madd(v, p, s2), t2 = madd(v, q, t2);
    v = v128.load_splat<f32>(a, 12);
    s3 = madd(v, p, s3), t3 = madd(v, q, t3);
    v = v128.load_splat<f32>(a, 16);
    s4 = madd(v, p, s4), t4 = madd(v, q, t4);
    v = v128.load_splat<f32>(a, 20);
    s5 = madd(v, p, s5), t5 = madd(v, q, t5);
  }
  v128.store(c, s0), v128.store(c, t0, 16);
  v128.store(c1, s1), v128.store(c1, t1, 16);
  v128.store(c2, s2), v128.store(c2, t2, 16);
  v128.store(c3, s3), v128.store(c3, t3, 16);
  v128.store(c4, s4), v128.store(c4, t4, 16);
  v128.store(c5, s5), v128.store(c5, t5, 16);
}

/** Results at the edge of c, where some of the six rows and eight columns are missing. */
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
  memory.fill(tile, 0, ROWS * COLUMNS * 4);
  sixByEight(a, b, depth, tile, COLUMNS * 4);
  for (let r = 0; r < rows; r++, c += cm, tile += COLUMNS * 4) {
    if (columns == COLUMNS) {
      v128.store(c, add(v128.load(c), v128.load(tile)));
      v128.store(c, add(v128.load(c, 16), v128.load(tile, 16)), 16);
    } else {for (let n: usize = 0; n < (<usize> columns) << 2; n += 4) {
        store<f32>(c + n, load<f32>(c + n) + load<f32>(tile + n));
      }}
  }
}

/** Whether all of a fits the scratch, so that the next product with the same a finds it there. */
export function staysPacked(M: i32, K: i32): bool {
  return M <= HEIGHT && K <= DEPTH;
}

/**
 * c += a b. Strides are in bytes; c's columns are adjacent.
 *
 * @param packed whether the scratch holds a from the previous product
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
          if (rows == ROWS && columns == COLUMNS) sixByEight(from, panel, depth, to, cm);
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
