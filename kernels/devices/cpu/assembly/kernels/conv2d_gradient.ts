// The weight gradient of the convolutions in `conv2d.ts`.

import { nextTask } from "../call.ts";
import { add } from "../simd.ts";
import { directWeightGradient } from "../direct_convolution.ts";
import { gemm, panelAddress, panelOffset, panelPitch } from "../gemm.ts";
import { me } from "../threads.ts";
import {
  tapsOfPart,
  transformLargeGradient,
  transformLargeSource,
  transformLargeWeightGradient,
} from "../winograd_large.ts";
import { isEven } from "../winograd_range.ts";
import { transformGradient } from "../winograd_gradient.ts";
import { warm } from "../warm.ts";
import { transformSource } from "../winograd_source.ts";
import { transformWeightGradient } from "../winograd_weights.ts";
import {
  allChannels,
  centreOf,
  chunkOf,
  columnsOf,
  elementStep,
  partsAlong,
  pitchOf,
  quadsOf,
  scratchBytes,
  sideOf,
  threadBytes,
  tilesAlong,
  weightBytes,
  weightStep,
} from "../winograd_sizes.ts";

function sumBytes(C: i32, K: i32, taps: i32, groups: i32, parts: i32): u64 {
  return <u64> groups * parts * weightBytes(C, K, taps);
}

export function winogradGradientPartsWorkspace(
  N: i32,
  C: i32,
  H: i32,
  W: i32,
  K: i32,
  taps: i32,
  groups: i32,
  parts: i32,
  threads: i32,
): u64 {
  return sumBytes(C, K, taps, groups, parts) +
    threads * (threadBytes(N, C, H, W, K, taps) + planesBytes(H, W));
}

/** Bytes of scratch planes, and of what loads read beyond them: four for the last channels, four of zeros. */
function planesBytes(H: i32, W: i32): u64 {
  return (32 * <u64> H * W + 79) & ~63;
}

/** dU of groups of `run` images, each in parts, to the workspace: [group][part][element][all C][K]. A task is a part. */
export function winogradGradientParts(
  call: usize,
  workspace: usize,
  x: usize,
  dy: usize,
  N: i32,
  C: i32,
  H: i32,
  W: i32,
  K: i32,
  taps: i32,
  groups: i32,
  run: i32,
  parts: i32,
): void {
  const chunk = chunkOf(N, C, H, W, K, taps), all = allChannels(C, taps), side = partsAlong(taps);
  const down = tilesAlong(H), across = tilesAlong(W), tiles = down * across;
  const quadsC = quadsOf(all),
    pitchC = pitchOf(all),
    columns = columnsOf(K),
    pitchK: usize = (<usize> columns) << 2;
  const uStep = <usize> weightStep(C, K, taps);
  const vStep = <usize> elementStep(quadsC * chunk * tiles);
  const dStep = <usize> elementStep(<u64> columns / 4 * chunk * tiles);

  const planes = workspace + <usize> sumBytes(C, K, taps, groups, parts) +
    (<usize> me) * <usize> (threadBytes(N, C, H, W, K, taps) + planesBytes(H, W));
  const rows = planes + <usize> planesBytes(H, W);
  const scratch = <usize> scratchBytes(taps, down, across), centre = centreOf(taps);
  const points = sideOf(taps), elements: usize = points * points;
  const V = rows + scratch;
  const D = V + elements * vStep;
  const plane: usize = (<usize> (H * W)) << 2;
  memory.fill(rows, 0, scratch);
  memory.fill(planes, 0, 8 * plane);

  for (let task = nextTask(call); task < groups * parts; task = nextTask(call)) {
    const start = task / parts * run, total = min(run, N - start), part = task % parts;
    const end = start + (part + 1) * total / parts;
    const U = workspace + (<usize> task) * elements * uStep;
    const begin = start + part * total / parts;
    if (begin == end) memory.fill(U, 0, elements * uStep);
    let suits = true;
    for (let first = begin; first < end; first += chunk) {
      const images = min(chunk, end - first);
      const count = images * tiles;
      for (let i = 0; i < images; i++) {
        const n = first + i;
        const from = x + (<usize> (n * C)) * plane, slope = dy + (<usize> (n * K)) * plane;
        const to = V + (<usize> (i * tiles)) * pitchC;
        if (taps == 3) transformSource(from, C, H, W, down, across, rows, to, vStep, pitchC);
        else transformLargeSource(from, C, H, W, taps, side, down, across, points, rows, to, vStep, pitchC);
        warm(slope, (<usize> K) * plane, rows + 16);
        const rest = (<usize> (K & 3)) * plane; // of a vector of channels that is not full
        memory.copy(planes, slope + (<usize> (K & ~3)) * plane, rest);
        for (let y = 0; y < down; y++) {
          for (let k = 0; k < columns; k += 4) {
            const pitch = panelPitch(k, columns), at = <usize> (i * tiles + y * across);
            const to = D + panelOffset(k, count) + at * pitch;
            const some = k + 4 <= K ? slope + (<usize> k) * plane : k < K ? planes : planes + 4 * plane;
            if (taps == 3) transformGradient(some, H, W, y, across, to, dStep, pitch);
            else transformLargeGradient(some, H, W, y, across, to, dStep, pitch, points, panelAddress());
          }
        }
      }
      for (let i = 0; i < images; i++) {
        const at = i * tiles;
        suits = suits && isEven(V + centre * vStep, at, count, tiles, all, false) &&
          isEven(D + centre * dStep, at, count, tiles, K, true);
      }
      for (let f: usize = 0; f < elements; f++) {
        const v = V + f * vStep, d = D + f * dStep, u = U + f * uStep;
        gemm(all, columns, count, v, 4, pitchC, d, 0, 0, u, pitchK, first == begin);
      }
    }
    if (!suits) memory.fill(U, 0xff, elements * uStep); // NaN, which the sum detects
  }
}

/** Bytes of scratch per thread: the sums of a source channel, vectors between the halves of their transform, a result. */
function sumScratch(K: i32, taps: i32): u64 {
  return sideOf(taps) * sideOf(taps) * (<u64> columnsOf(K) << 2) + 1040;
}

export function winogradGradientSumWorkspace(
  C: i32,
  K: i32,
  taps: i32,
  groups: i32,
  parts: i32,
  threads: i32,
): u64 {
  return sumBytes(C, K, taps, groups, parts) + threads * sumScratch(K, taps);
}

/**
 * dw of each group of `run` images from its partial sums. A task is a source channel of a group. Results that are not
 * finite are computed again, tap by tap.
 */
export function winogradGradientSum(
  call: usize,
  workspace: usize,
  dw: usize,
  C: i32,
  K: i32,
  taps: i32,
  groups: i32,
  parts: i32,
  x: usize,
  dy: usize,
  N: i32,
  H: i32,
  W: i32,
  run: i32,
): void {
  const plane: usize = (<usize> (H * W)) << 2;
  const pitch: usize = (<usize> columnsOf(K)) << 2, side = partsAlong(taps);
  const points = sideOf(taps), elements: usize = points * points, across = taps == 3 ? 3 : 5;
  const uStep = <usize> weightStep(C, K, taps), partStep = elements * uStep;
  const u = workspace + <usize> sumBytes(C, K, taps, groups, parts) +
    (<usize> me) * <usize> sumScratch(K, taps);
  const rows = u + elements * pitch, result = rows + 640;
  for (let task = nextTask(call); task < groups * C; task = nextTask(call)) {
    const c = task % C, group = task / C;
    for (let shift = 0; shift < side * side; shift++) {
      const row = shift / side, column = shift % side;
      const tapsDown = taps == 3 ? 3 : tapsOfPart(row, side, taps);
      const tapsAcross = taps == 3 ? 3 : tapsOfPart(column, side, taps);
      const channel = shift * (allChannels(C, taps) / (side * side)) + c;
      const first = workspace + (<usize> (group * parts)) * partStep + (<usize> channel) * pitch;
      for (let f: usize = 0; f < elements; f++) {
        for (let at: usize = 0; at < pitch; at += 16) {
          let from = first + f * uStep + at, sum = v128.load(from);
          for (let part = 1; part < parts; part++) from += partStep, sum = add(sum, v128.load(from));
          v128.store(u + f * pitch + at, sum);
        }
      }
      for (let k = 0; k < K; k++) {
        if ((k & 3) == 0) {
          const from = u + ((<usize> k) << 2);
          if (taps == 3) transformWeightGradient(from, pitch, rows, result);
          else transformLargeWeightGradient(from, pitch, points, rows, result);
        }
        const to = dw + ((<usize> (((group * K + k) * C + c) * taps * taps)) << 2);
        let zero: f32 = 0; // NaN as soon as one is not finite
        for (let r = 0; r < tapsDown; r++) {
          for (let s = 0; s < tapsAcross; s++) {
            const value = load<f32>(result + ((<usize> (r * across + s)) << 4) + (<usize> (k & 3) << 2));
            zero += value * 0;
            store<f32>(to + ((<usize> ((4 * row + r) * taps + 4 * column + s)) << 2), value);
          }
        }
        if (zero == 0) continue;
        const n = group * run, images = min(run, N - n);
        const from = x + (<usize> (n * C + c)) * plane, slope = dy + (<usize> (n * K + k)) * plane;
        directWeightGradient(from, <usize> C * plane, slope, <usize> K * plane, images, H, W, taps, to);
      }
    }
  }
}
