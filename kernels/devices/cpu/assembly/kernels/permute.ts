// Reordered axes. A task is some tiles of the two innermost axes.

import { firstRow, nextRow } from "../call.ts";
import { copyRow } from "../rows.ts";
import { storeFirst } from "../simd.ts";

/** Approximate number of elements per task. */
const BLOCK: i32 = 8192;
/** Rows of a tile: its lines of x and of y are 64 bytes long, so that both stay in the L1 cache. */
const ROWS: i32 = 16;

/** y[r][c] = x[c][r], with `step` bytes between the rows of x, and `row` between those of y. */
function transposeTile(x: usize, y: usize, rows: i32, columns: i32, step: usize, row: usize): void {
  for (let c = 0; c < columns; c += 4, x += step << 2, y += 16) {
    const left = columns - c;
    const x1 = left > 1 ? x + step : x, x2 = left > 2 ? x1 + step : x1, x3 = left > 3 ? x2 + step : x2;
    let at: usize = 0;
    let to = y;
    for (let r = 0; r < rows; r += 4, at += 16, to += row << 2) {
      const v0 = v128.load(x + at), v1 = v128.load(x1 + at);
      const v2 = v128.load(x2 + at), v3 = v128.load(x3 + at);
      const low = i32x4.shuffle(v0, v1, 0, 4, 1, 5), high = i32x4.shuffle(v0, v1, 2, 6, 3, 7);
      const low2 = i32x4.shuffle(v2, v3, 0, 4, 1, 5), high2 = i32x4.shuffle(v2, v3, 2, 6, 3, 7);
      storeFirst(to, i32x4.shuffle(low, low2, 0, 1, 4, 5), left);
      if (r + 1 < rows) storeFirst(to + row, i32x4.shuffle(low, low2, 2, 3, 6, 7), left);
      if (r + 2 < rows) storeFirst(to + 2 * row, i32x4.shuffle(high, high2, 0, 1, 4, 5), left);
      if (r + 3 < rows) storeFirst(to + 3 * row, i32x4.shuffle(high, high2, 2, 3, 6, 7), left);
    }
  }
}

/**
 * y[i0][i1][i2][i3][r][c] = x[...], in any order of the axes in y: axis k has length n and strides of `x` and `y` s and
 * t, in elements. Along c, y has stride 1; x has it along c or r.
 */
export function permute(
  call: usize, x: usize, y: usize, n0: i32, s0: i32, t0: i32, n1: i32, s1: i32, t1: i32, n2: i32, s2: i32,
  t2: i32, n3: i32, s3: i32, t3: i32, R: i32, sR: i32, tR: i32, C: i32, sC: i32,
): void {
  const copies = sC == 1;
  const step: usize = (<usize> sC) << 2, row: usize = (<usize> tR) << 2;
  const width = min(C, copies ? BLOCK : BLOCK / ROWS), height = min(R, ROWS);
  const across = (C + width - 1) / width, down = (R + height - 1) / height;
  const tiles = n0 * n1 * n2 * n3 * down * across;
  const perTask = max(1, BLOCK / (width * height));
  for (let tile = firstRow(call, tiles, perTask); tile >= 0; tile = nextRow()) {
    const c = tile % across * width;
    const r = tile / across % down * height;
    let i = tile / (across * down);
    const i3 = i % n3;
    i /= n3;
    const i2 = i % n2;
    i /= n2;
    const i1 = i % n1, i0 = i / n1;
    const at = i0 * s0 + i1 * s1 + i2 * s2 + i3 * s3 + r * sR + c * sC;
    const from = x + ((<usize> at) << 2);
    const to = y + ((<usize> (i0 * t0 + i1 * t1 + i2 * t2 + i3 * t3 + r * tR + c)) << 2);
    const rows = min(height, R - r), columns = min(width, C - c);
    if (copies) {
      for (let k: usize = 0; k < <usize> rows; k++) {
        copyRow(from + ((k * <usize> sR) << 2), to + k * row, columns);
      }
    } else transposeTile(from, to, rows, columns, step, row);
  }
}
