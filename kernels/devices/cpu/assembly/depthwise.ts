// Convolutions of one channel with a square kernel of 3, 5 or 7 taps a side: depthwise ones. The innermost part is made by
// `depthwise_blocks.ts`: a tile of seven or two rows and eight columns, from a window and weights at constant addresses.

import { Layout } from "../memory_layout.ts";
import { Axis } from "./axis.ts";
import { panelAddress, tileAddress } from "./gemm.ts";
import { copyRow } from "./rows.ts";
import { add, madd, storeFirst } from "./simd.ts";

const ZERO = memory.data<f32>([0.0]);
/** Number of the first block, and blocks of each kernel size. */
const FIRST: i32 = 12, KINDS: i32 = 8;

/** Whether neighbouring target positions read neighbouring source positions, by 3, 5 or 7 taps in order or reversed. */
function isDense(axis: Axis, taps: i32): bool {
  return axis.taps == taps && axis.stride == 1 && axis.spread == 1 && abs(axis.step) == 1;
}

/** Whether `depthwisePlane` can compute a convolution of C channels of the source to one of the target. */
export function isDepthwise(C: i32, vertical: Axis, horizontal: Axis): bool {
  const taps = vertical.taps;
  return C == 1 && (taps == 3 || taps == 5 || taps == 7) && isDense(vertical, taps) &&
    isDense(horizontal, taps) && vertical.step == horizontal.step;
}

/**
 * y = x convolved with w, plus a number and an addend unless their addresses are 0.
 *
 * @param x padded rows, `pitch` bytes apart
 */
export function depthwisePlane(
  x: usize, pitch: usize, w: usize, taps: i32, offset: usize, addend: usize, y: usize, down: i32, across: i32,
): void {
  const tile = tileAddress(), window = panelAddress();
  copyRow(w, window + Layout.weights, taps * taps);
  const block = FIRST + KINDS * ((7 - taps) >> 1) + (load<i32>(Layout.wide) ? 0 : 4);
  const row: usize = (<usize> across) << 2;
  for (let q = 0; q < across; q += 8) {
    let from = x + ((<usize> q) << 2);
    let half = 0;
    for (let to = window, end = window + (<usize> (taps - 1) << 6); to < end; to += 64, from += pitch) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
      v128.store(to, v128.load(from, 32), 32);
      v128.store(to, v128.load(from, 48), 48);
    }
    for (let i = 0; i < down; i += 7, half ^= 1, from += 7 * pitch) {
      const isShort = i32(down - i <= 2); // two rows are enough
      const isWhole = i + 7 <= down && q + 8 <= across && !addend;
      const at: usize = (<usize> (i * across + q)) << 2;
      const shift = offset ? offset : ZERO;
      const to = isWhole ? y + at : tile;
      const step = isWhole ? row : 32;
      call_indirect<void>(block + 2 * isShort + half, from, pitch, to, step, shift, 0, 0);
      if (isWhole) continue;
      let there = at, part = tile;
      for (let rows = min(7, down - i); rows > 0; rows--, there += row, part += 32) {
        for (let n: usize = 0; n < 8 && q + <i32> n < across; n += 4) {
          let value = v128.load(part + (n << 2));
          if (addend) value = add(value, v128.load(addend + there + (n << 2)));
          storeFirst(y + there + (n << 2), value, across - q - <i32> n);
        }
      }
    }
  }
}

/**
 * For each tap r of a column of seven, adds dy times what the tap reads, four pixels at a time, to a vector of partial sums.
 *
 * @param x where the first tap reads; rows of pixels and rows of taps are `pitch` bytes apart
 * @param row bytes of a row of dy, in whole vectors
 * @param step bytes from the sums of a tap to those of the next
 */
export function sevenTaps(
  x: usize, pitch: usize, dy: usize, rows: i32, row: usize, sums: usize, step: usize,
): void {
  const to2 = sums + 2 * step, to4 = sums + 4 * step;
  let s0 = v128.load(sums), s1 = v128.load(sums + step), s2 = v128.load(to2), s3 = v128.load(to2 + step);
  let s4 = v128.load(to4), s5 = v128.load(to4 + step), s6 = v128.load(to4 + 2 * step);
  for (let column: usize = 0; column < row; column += 16) {
    let at = x + column, slope = dy + column;
    let v0 = v128.load(at), v1 = v128.load(at += pitch), v2 = v128.load(at += pitch);
    let v3 = v128.load(at += pitch), v4 = v128.load(at += pitch), v5 = v128.load(at += pitch);
    for (let h = rows; h > 0; h--, slope += row) {
      const v6 = v128.load(at += pitch), d = v128.load(slope);
      s0 = madd(d, v0, s0);
      s1 = madd(d, v1, s1);
      s2 = madd(d, v2, s2);
      s3 = madd(d, v3, s3);
      s4 = madd(d, v4, s4);
      s5 = madd(d, v5, s5);
      s6 = madd(d, v6, s6);
      v0 = v1;
      v1 = v2;
      v2 = v3;
      v3 = v4;
      v4 = v5;
      v5 = v6;
    }
  }
  v128.store(sums, s0);
  v128.store(sums + step, s1);
  v128.store(to2, s2);
  v128.store(to2 + step, s3);
  v128.store(to4, s4);
  v128.store(to4 + step, s5);
  v128.store(to4 + 2 * step, s6);
}
