// The weight gradient of convolutions of any size, stride, padding, dilation and groups: a product of dy and the pixels
// of x that each tap reads. Groups of few channels sum four pixels of a row at a time. `taps.ts` explains the axes.

import { Axis } from "../axis.ts";
import { firstTask, nextTask } from "../call.ts";
import { isDepthwise, sevenTaps } from "../depthwise.ts";
import { DEPTH, panelAddress, panelColumns, panelDepth, storeColumns, tileAddress, timesPanel } from "../gemm.ts";
import { copyRow } from "../rows.ts";
import { madd, splat, total } from "../simd.ts";
import { isProduct, listTaps, paddedBytes, padPlanes, rowStep, setAxes, vectorAt } from "../taps.ts";
import { me } from "../threads.ts";

/** Number of taps whose sums are computed at a time; the list has this many extra entries. */
const TAPS: i32 = 16;

/** Vectors of four pixels in a row of dy. */
function vectorsOf(horizontal: Axis): i32 {
  return (horizontal.target + 3) >> 2;
}

/** Number of images whose pixels make up the depth of a product: several small ones. */
function imagesOf(K: i32, vertical: Axis, horizontal: Axis): i32 {
  return isProduct(K) ? max(1, DEPTH / max(1, 4 * vertical.target * vectorsOf(horizontal))) : 1;
}

/** Bytes of padded x and dy of a group of some images. */
function imageBytes(C: i32, K: i32, vertical: Axis, horizontal: Axis): u64 {
  const each = paddedBytes(C, vertical, horizontal) +
    (<u64> (K * vertical.target * vectorsOf(horizontal)) << 4);
  return each * imagesOf(K, vertical, horizontal);
}

function partBytes(runs: i32, parts: i32, groups: i32, C: i32, K: i32, taps: i32): u64 {
  return (4 * <u64> runs * parts * groups * K * C * taps + 15) & ~15;
}

function listBytes(C: i32, taps: i32): u64 {
  return (8 * <u64> (C * taps + TAPS) + 15) & ~15;
}

/** Bytes of scratch per thread: the list of taps, and padded images. */
function threadBytes(C: i32, K: i32, vertical: Axis, horizontal: Axis): u64 {
  return listBytes(C, vertical.taps * horizontal.taps) + imageBytes(C, K, vertical, horizontal);
}

export function convolveGradientPartsWorkspace(
  groups: i32, C: i32, K: i32, runs: i32, parts: i32, vertical: Axis, horizontal: Axis, threads: i32,
): u64 {
  return partBytes(runs, parts, groups, C, K, vertical.taps * horizontal.taps) +
    threads * threadBytes(C, K, vertical, horizontal);
}

/**
 * Packs the pixels that 16 or 8 taps read, for vectors of four pixels from the first on: `inRow` in each of the `rows` of an
 * image, images `step` bytes apart.
 */
function packTaps(
  x: usize, list: usize, first: i32, inRow: i32, rows: i32, step: usize, depth: i32, pitch: usize,
): void {
  let row = first / inRow;
  let column = first % inRow;
  let from = x + (<usize> (row / rows)) * step;
  row %= rows;
  from += vectorAt(row * inRow + column, inRow);
  for (let lines = DEPTH; lines >= 4; lines >>= 1) {
    if (!(depth & lines)) continue;
    let to = panelAddress() + (<usize> lines) * pitch;
    for (let i = 0; i < lines; i += 4, to += 4 * pitch) {
      for (let n: usize = 0; n < pitch; n += 16) {
        const tap = list + 2 * n;
        const a = v128.load(from + load<usize>(tap)), b = v128.load(from + load<usize>(tap, 8));
        const c = v128.load(from + load<usize>(tap, 16)), d = v128.load(from + load<usize>(tap, 24));
        storeColumns(a, b, c, d, to + n, pitch);
      }
      column++;
      from += 16;
      if (column < inRow) continue;
      column = 0;
      row++;
      from += rowStep - (<usize> inRow << 4);
      if (row == rows) {
        row = 0;
        from += step - (<usize> rows) * rowStep;
      }
    }
  }
}

/**
 * dw[k][tap] = or += sum over pixels of dy[k][pixel] times what the tap reads there.
 *
 * @param images, rows, inRow, step number of images, of rows in each, of vectors of pixels in each row; see `packTaps`
 * @param taps number of taps of all channels
 */
function product(
  x: usize, dy: usize, list: usize, K: i32, images: i32, rows: i32, inRow: i32, step: usize, taps: i32,
  dw: usize, fresh: bool,
): void {
  const vectors = images * rows * inRow;
  const stride: usize = (<usize> vectors) << 4;
  for (let tap = 0; tap < taps;) {
    const most = panelColumns(taps - tap);
    const columns = min(most, taps - tap);
    for (let pixel = 0; pixel < 4 * vectors;) {
      const depth = panelDepth(4 * vectors - pixel);
      const first = fresh && pixel == 0;
      packTaps(x, list + ((<usize> tap) << 3), pixel >> 2, inRow, rows, step, depth, (<usize> most) << 2);
      const from = dy + ((<usize> pixel) << 2), to = dw + ((<usize> tap) << 2);
      timesPanel(K, depth, from, stride, 4, to, (<usize> taps) << 2, columns, most == 16, first);
      pixel += depth;
    }
    tap += columns;
  }
}

/** dw[tap] += the same for one channel, and the eight taps from `list` on, of which `count` exist. */
function eightTaps(
  x: usize, dy: usize, list: usize, rows: i32, row: usize, dw: usize, count: i32,
): void {
  let x0 = x + load<usize>(list), x1 = x + load<usize>(list, 8), x2 = x + load<usize>(list, 16);
  let x3 = x + load<usize>(list, 24), x4 = x + load<usize>(list, 32), x5 = x + load<usize>(list, 40);
  let x6 = x + load<usize>(list, 48), x7 = x + load<usize>(list, 56);
  let s0 = splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  for (; rows > 0; rows--, dy += row) {
    for (let at: usize = 0; at < row; at += 16) {
      const slope = v128.load(dy + at);
      s0 = madd(slope, v128.load(x0 + at), s0);
      s1 = madd(slope, v128.load(x1 + at), s1);
      s2 = madd(slope, v128.load(x2 + at), s2);
      s3 = madd(slope, v128.load(x3 + at), s3);
      s4 = madd(slope, v128.load(x4 + at), s4);
      s5 = madd(slope, v128.load(x5 + at), s5);
      s6 = madd(slope, v128.load(x6 + at), s6);
      s7 = madd(slope, v128.load(x7 + at), s7);
    }
    const step = rowStep;
    x0 += step;
    x1 += step;
    x2 += step;
    x3 += step;
    x4 += step;
    x5 += step;
    x6 += step;
    x7 += step;
  }
  store<f32>(dw, load<f32>(dw) + total(s0));
  if (count > 1) store<f32>(dw, load<f32>(dw, 4) + total(s1), 4);
  if (count > 2) store<f32>(dw, load<f32>(dw, 8) + total(s2), 8);
  if (count > 3) store<f32>(dw, load<f32>(dw, 12) + total(s3), 12);
  if (count > 4) store<f32>(dw, load<f32>(dw, 16) + total(s4), 16);
  if (count > 5) store<f32>(dw, load<f32>(dw, 20) + total(s5), 20);
  if (count > 6) store<f32>(dw, load<f32>(dw, 24) + total(s6), 24);
  if (count > 7) store<f32>(dw, load<f32>(dw, 28) + total(s7), 28);
}

/**
 * dw of `runs` runs of `run` images, each in parts, to the workspace: [run][part][group][k][c][r][s]. x is
 * [N][groups][C][H][W], dy [N][groups][K][P][Q]. A task is a part.
 */
export function convolveGradientParts(
  call: usize, workspace: usize, x: usize, dy: usize, N: i32, groups: i32, C: i32, K: i32, runs: i32,
  run: i32, parts: i32, vertical: Axis, horizontal: Axis,
): void {
  setAxes(vertical, horizontal);
  const targetV = vertical.target;
  const targetH = horizontal.target;
  const inRow = vectorsOf(horizontal);
  const taps = C * vertical.taps * horizontal.taps;
  const row: usize = (<usize> inRow) << 4;
  const list = workspace + <usize> partBytes(runs, parts, groups, C, K, vertical.taps * horizontal.taps) +
    (<usize> me) * <usize> threadBytes(C, K, vertical, horizontal);
  const padded = list + <usize> listBytes(C, vertical.taps * horizontal.taps);
  const several = imagesOf(K, vertical, horizontal);
  const step = <usize> paddedBytes(C, vertical, horizontal);
  const slopes = padded + (<usize> several) * step;
  const planeY = (<usize> targetV) * row;
  const sourceBytes = (<usize> (C * vertical.source * horizontal.source)) << 2;
  const isSeven = !isProduct(K) && isDepthwise(C, vertical, horizontal) && vertical.taps == 7;
  // Entries beyond the last tap read as the first does.
  memory.fill(list, 0, <usize> listBytes(C, vertical.taps * horizontal.taps));
  listTaps(list, 0, 0, C, 0);
  memory.fill(padded, 0, <usize> imageBytes(C, K, vertical, horizontal));
  for (let task = firstTask(call, runs * parts); task >= 0; task = nextTask()) {
    const start = task / parts * run;
    const all = min(run, N - start);
    const part = task % parts;
    const begin = start + part * all / parts;
    const end = start + (part + 1) * all / parts;
    for (let g = 0; g < groups; g++) {
      const dw = workspace + ((<usize> ((task * groups + g) * K * taps)) << 2);
      if (!isProduct(K) || begin == end) memory.fill(dw, 0, (<usize> (K * taps)) << 2);
      if (isSeven) memory.fill(tileAddress(), 0, (<usize> (K * taps)) << 4);
      for (let n = begin; n < end; n += several) {
        const images = min(several, end - n);
        let slope = dy + ((<usize> ((n * groups + g) * K * targetV * targetH)) << 2);
        const areCopied = images > 1 || (targetH & 3) != 0;
        for (let i = 0; i < images; i++) {
          const image = (n + i) * groups + g;
          padPlanes(x + (<usize> image) * sourceBytes, C, padded + (<usize> i) * step);
          let from = slope + (<usize> (i * groups * K * targetV * targetH) << 2);
          let to = slopes + (<usize> i) * planeY;
          for (let k = 0; areCopied && k < K; k++, to += (<usize> (images - 1)) * planeY) {
            for (let h = 0; h < targetV; h++, from += (<usize> targetH) << 2, to += row) copyRow(from, to, targetH);
          }
        }
        if (areCopied) slope = slopes;
        if (isProduct(K)) {
          product(padded, slope, list, K, images, targetV, inRow, step, taps, dw, n == begin);
          continue;
        }
        for (let k = 0; k < K; k++, slope += planeY) {
          if (isSeven) {
            for (let t: usize = 0; t < 7; t++) {
              const from = padded + load<usize>(list + (t << 3));
              const sums = tileAddress() + ((<usize> (k * taps)) << 4);
              sevenTaps(from, rowStep, slope, targetV, row, sums + (t << 4), 112);
            }
            continue;
          }
          for (let t = 0; t < taps; t += 8) {
            const entry = list + ((<usize> t) << 3);
            const sums = dw + ((<usize> (k * taps + t)) << 2);
            eightTaps(padded, slope, entry, targetV, row, sums, taps - t);
          }
        }
      }
      for (let t: usize = 0; isSeven && t < <usize> (K * taps); t++) {
        store<f32>(dw + (t << 2), total(v128.load(tileAddress() + (t << 4))));
      }
    }
  }
}
