// The weight gradient of 3x3 convolutions with one pixel of padding.

import { nextTask } from "../call.ts";
import { add } from "../simd.ts";
import { directWeightGradient } from "../direct_convolution.ts";
import { gemm, panelOffset, panelPitch } from "../gemm.ts";
import { me } from "../threads.ts";
import { CENTRE, isEven } from "../winograd_range.ts";
import { transformGradient } from "../winograd_gradient.ts";
import { warm } from "../warm.ts";
import { clearSourceScratch, sourceScratch, transformSource } from "../winograd_source.ts";
import { transformWeightGradient } from "../winograd_weights.ts";
import {
  chunkOf,
  columnsOf,
  elementStep,
  pitchOf,
  quadsOf,
  threadBytes,
  tilesAlong,
  weightBytes,
  weightStep,
} from "../winograd_sizes.ts";

function sumBytes(C: i32, K: i32, groups: i32, parts: i32): u64 {
  return <u64> groups * parts * weightBytes(C, K);
}

export function winogradGradientPartsWorkspace(
  N: i32,
  C: i32,
  H: i32,
  W: i32,
  K: i32,
  groups: i32,
  parts: i32,
  threads: i32,
): u64 {
  return sumBytes(C, K, groups, parts) + threads * (threadBytes(N, C, H, W, K) + planesBytes(H, W));
}

/** Bytes of scratch planes, and of what loads read beyond them: four for the last channels, four of zeros. */
function planesBytes(H: i32, W: i32): u64 {
  return 32 * <u64> H * W + 16;
}

/** dU of groups of `run` images, each in parts, to the workspace: [group][part][36][C][K]. A task is a part. */
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
  groups: i32,
  run: i32,
  parts: i32,
): void {
  const chunk = chunkOf(N, C, H, W, K);
  const down = tilesAlong(H), across = tilesAlong(W), tiles = down * across;
  const quadsC = quadsOf(C),
    pitchC = pitchOf(C),
    columns = columnsOf(K),
    pitchK: usize = (<usize> columns) << 2;
  const uStep = <usize> weightStep(C, K);
  const vStep = <usize> elementStep(quadsC * chunk * tiles);
  const dStep = <usize> elementStep(<u64> columns / 4 * chunk * tiles);

  const planes = workspace + <usize> sumBytes(C, K, groups, parts) +
    (<usize> me) * <usize> (threadBytes(N, C, H, W, K) + planesBytes(H, W));
  const rows = planes + <usize> planesBytes(H, W);
  const V = rows + sourceScratch(across);
  const D = V + 36 * vStep;
  const plane: usize = (<usize> (H * W)) << 2;
  clearSourceScratch(rows, across);
  memory.fill(planes, 0, 8 * plane);

  for (let task = nextTask(call); task < groups * parts; task = nextTask(call)) {
    const start = task / parts * run, all = min(run, N - start), part = task % parts;
    const end = start + (part + 1) * all / parts;
    const U = workspace + (<usize> task) * 36 * uStep;
    const begin = start + part * all / parts;
    if (begin == end) memory.fill(U, 0, 36 * uStep);
    let suits = true;
    for (let first = begin; first < end; first += chunk) {
      const images = min(chunk, end - first);
      const count = images * tiles;
      for (let i = 0; i < images; i++) {
        const n = first + i;
        const from = x + (<usize> (n * C)) * plane, slope = dy + (<usize> (n * K)) * plane;
        transformSource(from, C, H, W, down, across, rows, V + (<usize> (i * tiles)) * pitchC, vStep, pitchC);
        warm(slope, (<usize> K) * plane, rows);
        const rest = (<usize> (K & 3)) * plane; // of a vector of channels that is not full
        memory.copy(planes, slope + (<usize> (K & ~3)) * plane, rest);
        for (let y = 0; y < down; y++) {
          for (let k = 0; k < columns; k += 4) {
            const pitch = panelPitch(k, columns), at = <usize> (i * tiles + y * across);
            const to = D + panelOffset(k, count) + at * pitch;
            const some = k + 4 <= K ? slope + (<usize> k) * plane : k < K ? planes : planes + 4 * plane;
            transformGradient(some, H, W, y, across, to, dStep, pitch);
          }
        }
      }
      for (let i = 0; i < images; i++) {
        const at = i * tiles;
        suits = suits && isEven(V + CENTRE * vStep, at, count, tiles, C, false) &&
          isEven(D + CENTRE * dStep, at, count, tiles, K, true);
      }
      for (let f: usize = 0; f < 36; f++) {
        const v = V + f * vStep, d = D + f * dStep, u = U + f * uStep;
        gemm(C, columns, count, v, 4, pitchC, d, 0, 0, u, pitchK, first == begin);
      }
    }
    if (!suits) memory.fill(U, 0xff, 36 * uStep); // NaN, which the sum detects
  }
}

/** Bytes of a sum, of 18 vectors between the two halves of its transform, and of the result. */
const SCRATCH: u64 = 1024;

export function winogradGradientSumWorkspace(C: i32, K: i32, groups: i32, parts: i32, threads: i32): u64 {
  return sumBytes(C, K, groups, parts) + threads * SCRATCH;
}

/**
 * dw of each group of `run` images from its partial sums. A task is four target channels of a group. Results that are
 * not finite are computed again, tap by tap.
 */
export function winogradGradientSum(
  call: usize,
  workspace: usize,
  dw: usize,
  C: i32,
  K: i32,
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
  const stepX = (<usize> C) * plane, stepY = (<usize> K) * plane;
  const quadsK = quadsOf(K), pitch: usize = (<usize> columnsOf(K)) << 2;
  const uStep = <usize> weightStep(C, K);
  const u = workspace + <usize> sumBytes(C, K, groups, parts) + (<usize> me) * <usize> SCRATCH;
  const rows = u + 576, result = rows + 288;
  for (let task = nextTask(call); task < groups * quadsK; task = nextTask(call)) {
    const q = task % quadsK, group = task / quadsK;
    const first = workspace + (<usize> (group * parts)) * 36 * uStep + ((<usize> q) << 4);
    for (let c = 0; c < C; c++) {
      const at = first + (<usize> c) * pitch;
      for (let f: usize = 0; f < 36; f++) {
        let sum = v128.load(at + f * uStep);
        for (let part: usize = 1; part < <usize> parts; part++) {
          sum = add(sum, v128.load(at + (36 * part + f) * uStep));
        }
        v128.store(u + (f << 4), sum);
      }
      transformWeightGradient(u, 16, rows, result);
      for (let k = 4 * q; k < min(K, 4 * q + 4); k++) {
        const to = dw + (<usize> (((group * K + k) * C + c) * 36));
        let zero: f32 = 0; // NaN as soon as one is not finite
        for (let tap: usize = 0; tap < 9; tap++) {
          const value = load<f32>(result + (tap << 4) + (<usize> (k & 3) << 2));
          zero += value * 0;
          store<f32>(to + (tap << 2), value);
        }
        if (zero == 0) continue;
        const n = group * run;
        const from = x + (<usize> n) * stepX + (<usize> c) * plane;
        const slope = dy + (<usize> n) * stepY + (<usize> k) * plane;
        // deno-fmt-ignore
        directWeightGradient(
          from, stepX, slope, stepY, min(run, N - n), H, W, H, W, 3, 3, -1, -1, 1, 1, to,
        );
      }
    }
  }
}
