// 3x3 convolutions with one pixel of padding, and their input gradients, which are such convolutions.

import { nextTask } from "../call.ts";
import { directPlane } from "../direct_convolution.ts";
import { splat } from "../simd.ts";
import { me, team } from "../threads.ts";
import { areUsual, CENTRE, isEven } from "../winograd_range.ts";
import { fourTiles, oneTile, TILES } from "../winograd_products.ts";
import { clearSourceScratch, sourceScratch, transformSource } from "../winograd_source.ts";
import { warm } from "../warm.ts";
import { transformTarget } from "../winograd_target.ts";
import { transformWeight } from "../winograd_weights.ts";
import {
  chunkOf,
  elementStep,
  panelsOf,
  quadsOf,
  slotsOf,
  threadBytes,
  tilesAlong,
  weightBytes,
  weightStep,
} from "../winograd_sizes.ts";

export function winogradWeightsWorkspace(C: i32, K: i32): u64 {
  return weightBytes(C, K);
}

/** U[36][K / 8][C][8] of weights w[k][c] with strides in bytes. A task is eight target channels. */
export function winogradWeights(
  call: usize,
  workspace: usize,
  w: usize,
  C: i32,
  K: i32,
  strideC: usize,
  strideK: usize,
  turned: i32,
): void {
  const panels = panelsOf(K);
  const height = quadsOf(C) << 2;
  const panel: usize = (<usize> height) << 5;
  const step = <usize> weightStep(C, K);
  for (let task = nextTask(call); task < 2 * panels; task = nextTask(call)) {
    const k = task << 2;
    const to = workspace + (<usize> (task >> 1)) * panel + ((<usize> (task & 1)) << 4);
    for (let c = 0; c < height; c++) {
      const target = to + ((<usize> c) << 5);
      if (c < C && k < K) {
        const from = w + (<usize> k) * strideK + (<usize> c) * strideC;
        transformWeight(from, strideK, K - k, turned != 0, target, step);
      } else for (let i = 0; i < 36; i++) v128.store(target + (<usize> i) * step, f32x4.splat(0));
    }
  }
}

export function winogradConvolveWorkspace(N: i32, C: i32, H: i32, W: i32, K: i32, threads: i32): u64 {
  return weightBytes(C, K) + threads * threadBytes(N, C, H, W, K);
}

/**
 * A convolution with the weights that `winogradWeights` left in the workspace. A task is a chunk of images. Images with
 * values that Winograd's transforms cannot handle are computed tap by tap.
 */
export function winogradConvolve(
  call: usize,
  workspace: usize,
  source: usize,
  target: usize,
  bias: usize,
  addend: usize,
  N: i32,
  C: i32,
  H: i32,
  W: i32,
  K: i32,
  B: i32,
  w: usize,
  strideC: usize,
  strideK: usize,
  turned: i32,
): void {
  const chunk = min(chunkOf(N, C, H, W, K), (N + team - 1) / team); // so that even few images occupy all threads
  const slots = slotsOf(chunk, H, W);
  const down = tilesAlong(H), across = tilesAlong(W), tiles = down * across;
  const quadsC = quadsOf(C), quadsK = quadsOf(K), panels = panelsOf(K);
  const panel: usize = (<usize> quadsC) << 7;
  const uStep = <usize> weightStep(C, K);
  const vStep = <usize> elementStep(quadsC * slots), mStep = <usize> elementStep(2 * panels * slots);
  const row: usize = (<usize> slots) << 4;

  const rows = workspace + <usize> weightBytes(C, K) + (<usize> me) * <usize> threadBytes(N, C, H, W, K);
  const V = rows + sourceScratch(across);
  const M = V + 36 * vStep;
  const plane: usize = (<usize> (H * W)) << 2;

  const usual = areUsual(workspace + CENTRE * uStep, 8 * quadsC * panels);
  clearSourceScratch(rows, across);
  for (let task = nextTask(call); task * chunk < N; task = nextTask(call)) {
    const first = task * chunk;
    const images = min(chunk, N - first);
    const count = images * tiles;
    for (let q = 0; q < quadsC; q++) {
      for (let i = 0; i < images; i++) {
        const from = source + (<usize> ((first + i) * C + 4 * q)) * plane;
        const to = V + ((<usize> (q * slots + i * tiles)) << 4);
        transformSource(from, C - 4 * q, H, W, down, across, rows, to, vStep);
      }
    }
    for (let f: usize = 0; f < 36; f++) {
      for (let pair = 0; pair < panels; pair++) {
        const u = workspace + f * uStep + (<usize> pair) * panel;
        const v = V + f * vStep;
        const m = M + f * mStep + (<usize> (2 * pair)) * row;
        let t = 0;
        for (; t + 2 < count; t += TILES) {
          fourTiles(v + ((<usize> t) << 4), row, u, quadsC, m + ((<usize> t) << 4), row);
        }
        for (; t < count; t++) oneTile(v + ((<usize> t) << 4), row, u, quadsC, m + ((<usize> t) << 4), row);
      }
    }
    for (let i = 0; i < images; i++) {
      const n = first + i;
      const at: usize = (<usize> (i * tiles)) << 4;
      const direct = !usual || !isEven(V + CENTRE * vStep + at, row, tiles, quadsC, C);
      for (let q = 0; q < quadsK; q++) {
        const k = 4 * q, to: usize = (<usize> (n * K + k)) * plane;
        const offsets = bias ? bias + ((<usize> ((n % B) * K + k)) << 2) : 0;
        const added = addend ? addend + to : 0;
        if (!direct) {
          const from = M + (<usize> q) * row + at, shift = offsets ? v128.load(offsets) : splat(0);
          warm(target + to, (<usize> min(4, K - k)) * plane, rows);
          if (added) warm(added, (<usize> min(4, K - k)) * plane, rows);
          transformTarget(from, mStep, down, across, shift, added, target + to, K - k, H, W);
        } else {
          const x = source + (<usize> (n * C)) * plane;
          for (let j = 0; j < min(4, K - k); j++) {
            const next: usize = (<usize> j) * plane, weights = w + (<usize> (k + j)) * strideK;
            const offset = offsets ? load<f32>(offsets + ((<usize> j) << 2)) : 0;
            const more = added ? added + next : 0, y = target + to + next;
            // deno-fmt-ignore
            directPlane(
              x, weights, strideC, turned != 0, C, H, W, H, W, 3, 3, -1, -1, 1, 1, offset, more, y,
            );
          }
        }
      }
    }
  }
}
