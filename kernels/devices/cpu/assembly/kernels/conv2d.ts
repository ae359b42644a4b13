// 3x3 convolutions with one pixel of padding, and their input gradients, which are such convolutions.

import { nextTask } from "../call.ts";
import { directPlane } from "../direct_convolution.ts";
import { add, splat } from "../simd.ts";
import { me } from "../threads.ts";
import { interleave, transformSource, transformTarget, transformWeight } from "../winograd.ts";
import { areUsual, CENTRE, isEven } from "../winograd_range.ts";
import { fourTiles, TILES } from "../winograd_products.ts";
import {
  chunkOf,
  elementStep,
  imageBytes,
  panelsOf,
  quadsOf,
  rowBytes,
  slotsOf,
  threadBytes,
  tilesAlong,
  weightBytes,
} from "../winograd_sizes.ts";

/** Bytes of scratch for one transformed weight, 18 vectors. */
const SCRATCH: u64 = 288;

export function winogradWeightsWorkspace(C: i32, K: i32, threads: i32): u64 {
  return weightBytes(C, K) + threads * SCRATCH;
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
  const step = panel * panels;
  const rows = workspace + <usize> weightBytes(C, K) + (<usize> me) * <usize> SCRATCH;
  for (let task = nextTask(call); task < 2 * panels; task = nextTask(call)) {
    const k = task << 2;
    const to = workspace + (<usize> (task >> 1)) * panel + ((<usize> (task & 1)) << 4);
    for (let c = 0; c < height; c++) {
      const target = to + ((<usize> c) << 5);
      if (c < C && k < K) {
        transformWeight(
          w + (<usize> k) * strideK + (<usize> c) * strideC,
          strideK,
          K - k,
          turned != 0,
          rows,
          target,
          step,
        );
      } else for (let i = 0; i < 36; i++) v128.store(target + (<usize> i) * step, f32x4.splat(0));
    }
  }
}

/** One lane of an image [H][pitch][4] to a plane, plus an offset, plus another plane unless `addend` is 0. */
function storePlane(
  from: usize,
  pitch: i32,
  H: i32,
  W: i32,
  offset: f32,
  addend: usize,
  to: usize,
): void {
  const shift = splat(offset);
  for (let h = 0; h < H; h++) {
    const source = from + ((<usize> (h * pitch)) << 4);
    const target: usize = (<usize> (h * W)) << 2;
    let w = 0;
    for (; w + 4 <= W; w += 4) {
      const at = source + ((<usize> w) << 4);
      let v = v128.load_splat<f32>(at);
      v = v128.load_lane<f32>(at, v, 1, 16);
      v = v128.load_lane<f32>(at, v, 2, 32);
      v = v128.load_lane<f32>(at, v, 3, 48);
      v = add(v, shift);
      const there = target + ((<usize> w) << 2);
      if (addend) v = add(v, v128.load(addend + there));
      v128.store(to + there, v);
    }
    for (; w < W; w++) {
      const there = target + ((<usize> w) << 2);
      let value = load<f32>(source + ((<usize> w) << 4)) + offset;
      if (addend) value += load<f32>(addend + there);
      store<f32>(to + there, value);
    }
  }
}

export function winogradConvolveWorkspace(N: i32, C: i32, H: i32, W: i32, K: i32, threads: i32): u64 {
  return weightBytes(C, K) + threads * threadBytes(N, C, H, W, K);
}

/**
 * A convolution with the weights that `winogradWeights` left in the workspace. A task is a chunk of images. Those that
 * Winograd's transforms do not suit are computed tap by tap.
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
  const chunk = chunkOf(N, C, H, W, K), slots = slotsOf(chunk, H, W);
  const down = tilesAlong(H), across = tilesAlong(W), tiles = down * across;
  const quadsC = quadsOf(C), quadsK = quadsOf(K), panels = panelsOf(K);
  const panel: usize = (<usize> quadsC) << 7;
  const uStep = panel * panels;
  const vStep = <usize> elementStep(quadsC * slots), mStep = <usize> elementStep(2 * panels * slots);
  const row: usize = (<usize> slots) << 4;

  const image = workspace + <usize> weightBytes(C, K) + (<usize> me) * <usize> threadBytes(N, C, H, W, K);
  const rows = image + <usize> imageBytes(H, W);
  const V = rows + <usize> rowBytes(W);
  const M = V + 36 * vStep;
  const plane: usize = (<usize> (H * W)) << 2;

  const usual = areUsual(workspace + CENTRE * uStep, <i32> (uStep >> 4));
  for (let task = nextTask(call); task * chunk < N; task = nextTask(call)) {
    const first = task * chunk;
    const images = min(chunk, N - first);
    const count = images * tiles;
    clearBorder(image, H, W, down, across);
    for (let q = 0; q < quadsC; q++) {
      for (let i = 0; i < images; i++) {
        interleave(
          source + (<usize> ((first + i) * C + 4 * q)) * plane,
          C - 4 * q,
          H,
          W,
          image,
          4 * across + 2,
          1,
        );
        transformSource(image, down, across, rows, V + ((<usize> (q * slots + i * tiles)) << 4), vStep);
      }
    }
    for (let f: usize = 0; f < 36; f++) {
      for (let pair = 0; pair < panels; pair++) {
        const u = workspace + f * uStep + (<usize> pair) * panel;
        const v = V + f * vStep;
        const m = M + f * mStep + (<usize> (2 * pair)) * row;
        for (let t = 0; t < count; t += TILES) {
          fourTiles(v + ((<usize> t) << 4), row, u, quadsC, m + ((<usize> t) << 4), row);
        }
      }
    }
    for (let i = 0; i < images; i++) {
      const n = first + i;
      const at: usize = (<usize> (i * tiles)) << 4;
      const direct = !usual || !isEven(V + CENTRE * vStep + at, row, tiles, quadsC, C);
      for (let q = 0; q < quadsK; q++) {
        if (!direct) {
          transformTarget(M + (<usize> q) * row + at, mStep, down, across, rows, image);
        }
        for (let k = 4 * q; k < min(K, 4 * q + 4); k++) {
          const offset = bias ? load<f32>(bias + ((<usize> ((n % B) * K + k)) << 2)) : 0;
          const to: usize = (<usize> (n * K + k)) * plane;
          const added = addend ? addend + to : 0;
          if (direct) {
            const x = source + (<usize> (n * C)) * plane, weights = w + (<usize> k) * strideK;
            directPlane(x, weights, strideC, turned != 0, C, H, W, offset, added, target + to);
          } else storePlane(image + ((<usize> (k & 3)) << 2), 4 * across, H, W, offset, added, target + to);
        }
      }
    }
  }
}

/** Zeros around the inside of an image [4 down + 2][4 across + 2][4]. */
function clearBorder(image: usize, H: i32, W: i32, down: i32, across: i32): void {
  const pitch: usize = (<usize> (4 * across + 2)) << 4;
  memory.fill(image, 0, pitch);
  for (let h = 1; h <= H; h++) {
    const row = image + (<usize> h) * pitch;
    memory.fill(row, 0, 16);
    memory.fill(row + ((<usize> (W + 1)) << 4), 0, pitch - ((<usize> (W + 1)) << 4));
  }
  memory.fill(image + (<usize> (H + 1)) * pitch, 0, (<usize> (4 * down + 1 - H)) * pitch);
}
