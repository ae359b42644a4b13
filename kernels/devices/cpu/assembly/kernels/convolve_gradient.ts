// The weight gradient of convolutions of any size, stride, padding, dilation and groups: sums of dy times the pixels of
// x that a tap reads, four pixels of a row at a time. `taps.ts` explains the axes.

import { Axis } from "../axis.ts";
import { nextTask } from "../call.ts";
import { copyRow } from "../rows.ts";
import { madd, splat, total } from "../simd.ts";
import { listTaps, padPlanes, plane, planeBytes, rowStep, setAxes } from "../taps.ts";
import { me } from "../threads.ts";

/** Bytes of padded images that a thread combines at a time, which should stay in a cache. */
const CHUNK: u64 = 131072;

/** Eight sums of four lanes each: of four channels and two taps, or of one channel and eight taps. */
const SUMS: usize = 128;

/** Channels and taps whose sums a step computes. */
function channelsAt(K: i32): i32 {
  return K < 4 ? 1 : 4;
}

function tapsAt(K: i32): i32 {
  return K < 4 ? 8 : 2;
}

/** Number of steps that cover a group's weights. */
function stepsOf(C: i32, K: i32, taps: i32): i32 {
  const channels = channelsAt(K), at = tapsAt(K);
  return (K + channels - 1) / channels * ((C * taps + at - 1) / at);
}

/** Bytes of a padded row of dy: whole vectors. */
function rowBytes(targetH: i32): usize {
  return ((<usize> targetH + 3) >> 2) << 4;
}

/** Channels of dy as steps read them. */
function paddedChannels(K: i32): i32 {
  const channels = channelsAt(K);
  return (K + channels - 1) / channels * channels;
}

/** Bytes of padded x and dy of a group of an image. */
function imageBytes(C: i32, K: i32, vertical: Axis, horizontal: Axis): u64 {
  return ((C * planeBytes(vertical, horizontal) + 15) & ~15) +
    <u64> (paddedChannels(K) * vertical.target) * rowBytes(horizontal.target);
}

/** Number of images that a thread combines at a time. */
function chunkOf(bytes: u64, run: i32): i32 {
  return <i32> max<u64>(1, min<u64>(<u64> run, CHUNK / max<u64>(1, bytes)));
}

function partBytes(runs: i32, parts: i32, groups: i32, C: i32, K: i32, taps: i32): u64 {
  return (4 * <u64> runs * parts * groups * K * C * taps + 15) & ~15;
}

/** Bytes of scratch per thread: the list of taps and some more entries, sums, padded images. */
function threadBytes(C: i32, K: i32, taps: i32, run: i32, image: u64): u64 {
  return ((8 * <u64> (C * taps + 8) + 15) & ~15) + <u64> stepsOf(C, K, taps) * SUMS +
    chunkOf(image, run) * image;
}

export function convolveGradientPartsWorkspace(
  groups: i32,
  C: i32,
  K: i32,
  runs: i32,
  run: i32,
  parts: i32,
  vertical: Axis,
  horizontal: Axis,
  threads: i32,
): u64 {
  const image = imageBytes(C, K, vertical, horizontal), taps = vertical.taps * horizontal.taps;
  return partBytes(runs, parts, groups, C, K, taps) + threads * threadBytes(C, K, taps, run, image);
}

/**
 * Adds to the sums of four channels and two taps. Of x and dy, images, rows and, in dy, channels are so many bytes apart.
 *
 * @param x, other where the two taps read first
 */
function fourChannels(
  x: usize,
  other: usize,
  stepX: usize,
  rowX: usize,
  dy: usize,
  stepY: usize,
  planeY: usize,
  row: usize,
  images: i32,
  rows: i32,
  sums: usize,
): void {
  let s0 = v128.load(sums), t0 = v128.load(sums, 16), s1 = v128.load(sums, 32), t1 = v128.load(sums, 48);
  let s2 = v128.load(sums, 64), t2 = v128.load(sums, 80), s3 = v128.load(sums, 96), t3 = v128.load(sums, 112);
  for (; images > 0; images--, x += stepX, other += stepX, dy += stepY) {
    let p = x, q = other, d = dy;
    for (let h = rows; h > 0; h--, p += rowX, q += rowX, d += row) {
      for (let at: usize = 0; at < row; at += 16) {
        const u = v128.load(p + at), v = v128.load(q + at);
        let e = d + at;
        let slope = v128.load(e);
        s0 = madd(slope, u, s0), t0 = madd(slope, v, t0);
        slope = v128.load(e += planeY);
        s1 = madd(slope, u, s1), t1 = madd(slope, v, t1);
        slope = v128.load(e += planeY);
        s2 = madd(slope, u, s2), t2 = madd(slope, v, t2);
        slope = v128.load(e + planeY);
        s3 = madd(slope, u, s3), t3 = madd(slope, v, t3);
      }
    }
  }
  v128.store(sums, s0), v128.store(sums, t0, 16), v128.store(sums, s1, 32), v128.store(sums, t1, 48);
  v128.store(sums, s2, 64), v128.store(sums, t2, 80), v128.store(sums, s3, 96), v128.store(sums, t3, 112);
}

/** Adds to the sums of one channel and the eight taps from `list` on. */
function eightTaps(
  x: usize,
  list: usize,
  stepX: usize,
  rowX: usize,
  dy: usize,
  stepY: usize,
  row: usize,
  images: i32,
  rows: i32,
  sums: usize,
): void {
  const x0 = x + load<usize>(list), x1 = x + load<usize>(list, 8), x2 = x + load<usize>(list, 16);
  const x3 = x + load<usize>(list, 24), x4 = x + load<usize>(list, 32), x5 = x + load<usize>(list, 40);
  const x6 = x + load<usize>(list, 48), x7 = x + load<usize>(list, 56);
  let s0 = v128.load(sums), s1 = v128.load(sums, 16), s2 = v128.load(sums, 32), s3 = v128.load(sums, 48);
  let s4 = v128.load(sums, 64), s5 = v128.load(sums, 80), s6 = v128.load(sums, 96), s7 = v128.load(sums, 112);
  for (let i: usize = 0; i < <usize> images; i++) {
    let from = i * stepX, d = dy + i * stepY;
    for (let h = rows; h > 0; h--, from += rowX, d += row) {
      for (let at: usize = 0; at < row; at += 16) {
        const slope = v128.load(d + at), p = from + at;
        s0 = madd(slope, v128.load(x0 + p), s0), s1 = madd(slope, v128.load(x1 + p), s1);
        s2 = madd(slope, v128.load(x2 + p), s2), s3 = madd(slope, v128.load(x3 + p), s3);
        s4 = madd(slope, v128.load(x4 + p), s4), s5 = madd(slope, v128.load(x5 + p), s5);
        s6 = madd(slope, v128.load(x6 + p), s6), s7 = madd(slope, v128.load(x7 + p), s7);
      }
    }
  }
  v128.store(sums, s0), v128.store(sums, s1, 16), v128.store(sums, s2, 32), v128.store(sums, s3, 48);
  v128.store(sums, s4, 64), v128.store(sums, s5, 80), v128.store(sums, s6, 96), v128.store(sums, s7, 112);
}

/**
 * dw of `runs` runs of `run` images, each in parts, to the workspace: [run][part][group][k][c][r][s]. x is
 * [N][groups][C][H][W], dy [N][groups][K][P][Q]. A task is a part.
 */
export function convolveGradientParts(
  call: usize,
  workspace: usize,
  x: usize,
  dy: usize,
  N: i32,
  groups: i32,
  C: i32,
  K: i32,
  runs: i32,
  run: i32,
  parts: i32,
  vertical: Axis,
  horizontal: Axis,
): void {
  setAxes(vertical, horizontal);
  const targetV = vertical.target, targetH = horizontal.target;
  const taps = vertical.taps * horizontal.taps, depth = C * taps, steps = stepsOf(C, K, taps);
  const channels = channelsAt(K), at = tapsAt(K), across = (depth + at - 1) / at;
  const image = imageBytes(C, K, vertical, horizontal), chunk = chunkOf(image, run);
  const list = workspace + <usize> partBytes(runs, parts, groups, C, K, taps) +
    (<usize> me) * <usize> threadBytes(C, K, taps, run, image);
  const sums = list + ((8 * <usize> (depth + 8) + 15) & ~15), padded = sums + (<usize> steps) * SUMS;
  const row = rowBytes(targetH), stepX = (<usize> C * plane + 15) & ~15;
  const slopes = padded + (<usize> chunk) * stepX,
    planeY = (<usize> targetV) * row,
    stepY = (<usize> paddedChannels(K)) * planeY;
  memory.fill(list, 0, (<usize> (depth + 8)) << 3); // entries beyond the last tap read as the first does
  listTaps(list, 0, 0, C, 0);
  memory.fill(padded, 0, (<usize> chunk) * <usize> image);
  for (let task = nextTask(call); task < runs * parts; task = nextTask(call)) {
    const start = task / parts * run, all = min(run, N - start), part = task % parts;
    const begin = start + part * all / parts, end = start + (part + 1) * all / parts;
    for (let g = 0; g < groups; g++) {
      memory.fill(sums, 0, (<usize> steps) * SUMS);
      for (let first = begin; first < end; first += chunk) {
        const images = min(chunk, end - first);
        for (let i = 0; i < images; i++) {
          const n = (first + i) * groups + g;
          padPlanes(
            x + ((<usize> (n * C * vertical.source * horizontal.source)) << 2),
            C,
            padded + (<usize> i) * stepX,
          );
          let from = dy + ((<usize> (n * K * targetV * targetH)) << 2), to = slopes + (<usize> i) * stepY;
          for (let h = 0; h < K * targetV; h++, from += (<usize> targetH) << 2, to += row) {
            copyRow(from, to, targetH);
          }
        }
        for (let step = 0; step < steps; step++) {
          const k = step / across * channels, tap = list + ((<usize> (step % across * at)) << 3);
          const slope = slopes + (<usize> k) * planeY, to = sums + (<usize> step) * SUMS;
          if (channels == 1) eightTaps(padded, tap, stepX, rowStep, slope, stepY, row, images, targetV, to);
          else {
            const p = padded + load<usize>(tap), q = padded + load<usize>(tap, 8);
            fourChannels(p, q, stepX, rowStep, slope, stepY, planeY, row, images, targetV, to);
          }
        }
      }
      const result = workspace + ((<usize> ((task * groups + g) * K * depth)) << 2);
      for (let step = 0; step < steps; step++) {
        const k = step / across * channels, t = step % across * at;
        for (let i = 0; i < min(channels, K - k); i++) {
          for (let j = 0; j < min(at, depth - t); j++) {
            const from = sums + (<usize> step) * SUMS + ((<usize> (i * at + j)) << 4);
            store<f32>(result + ((<usize> ((k + i) * depth + t + j)) << 2), total(v128.load(from)));
          }
        }
      }
    }
  }
}
