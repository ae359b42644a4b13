// Convolutions of square kernels of an odd number of taps, padded to keep the image's size, and their input gradients,
// which are such convolutions.

import { nextTask } from "../call.ts";
import { directPlane } from "../direct_convolution.ts";
import { gemm, panelAddress, panelOffset, panelPitch } from "../gemm.ts";
import { splat } from "../simd.ts";
import { me, team } from "../threads.ts";
import { transformLargeSource, transformLargeTarget, transformLargeWeight } from "../winograd_large.ts";
import { areUsual, isEven } from "../winograd_range.ts";
import { transformSource } from "../winograd_source.ts";
import { warm } from "../warm.ts";
import { transformTarget } from "../winograd_target.ts";
import { transformWeight } from "../winograd_weights.ts";
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

export function winogradWeightsWorkspace(C: i32, K: i32, taps: i32): u64 {
  return weightBytes(C, K, taps);
}

/** U of weights w[k][c] with strides in bytes, each in panels of [all C][K]. A task is four target channels. */
export function winogradWeights(
  call: usize,
  workspace: usize,
  w: usize,
  C: i32,
  K: i32,
  strideC: usize,
  strideK: usize,
  turned: i32,
  taps: i32,
): void {
  const columns = columnsOf(K), step = <usize> weightStep(C, K, taps);
  const parts = partsAlong(taps),
    all = allChannels(C, taps),
    side = sideOf(taps),
    elements: usize = side * side;
  for (let task = nextTask(call); 4 * task < columns; task = nextTask(call)) {
    const k = task << 2, pitch = panelPitch(k, columns);
    let to = workspace + panelOffset(k, all);
    for (let part = 0; part < parts * parts; part++) {
      let from = w + (<usize> k) * strideK;
      for (let c = 0; c < all / (parts * parts); c++, from += strideC, to += pitch) {
        if (k >= K || c >= C) {
          for (let f: usize = 0; f < elements; f++) v128.store(to + f * step, splat(0));
        } else if (taps == 3) transformWeight(from, strideK, K - k, turned != 0, to, step);
        else {
          const row = part / parts, column = part % parts, scratch = panelAddress();
          transformLargeWeight(
            from,
            strideK,
            K - k,
            row,
            column,
            parts,
            taps,
            turned != 0,
            side,
            to,
            step,
            scratch,
          );
        }
      }
    }
  }
}

export function winogradConvolveWorkspace(
  N: i32,
  C: i32,
  H: i32,
  W: i32,
  K: i32,
  taps: i32,
  threads: i32,
): u64 {
  return weightBytes(C, K, taps) + threads * threadBytes(N, C, H, W, K, taps);
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
  taps: i32,
): void {
  // As many chunks for each thread, so that even few images occupy all.
  const most = team * chunkOf(N, C, H, W, K, taps), chunk = max(1, N / (team * ((N + most - 1) / most)));
  const down = tilesAlong(H), across = tilesAlong(W), tiles = down * across;
  const all = allChannels(C, taps), parts = partsAlong(taps);
  const quadsC = quadsOf(all), quadsK = quadsOf(K), pitchC = pitchOf(all);
  const columns = columnsOf(K), pitchK: usize = (<usize> columns) << 2;
  const uStep = <usize> weightStep(C, K, taps);
  const vStep = <usize> elementStep(quadsC * chunk * tiles);
  const mStep = <usize> elementStep(<u64> columns / 4 * chunk * tiles);

  const rows = workspace + <usize> weightBytes(C, K, taps) +
    (<usize> me) * <usize> threadBytes(N, C, H, W, K, taps);
  const scratch = <usize> scratchBytes(taps, down, across), centre = centreOf(taps);
  const points = sideOf(taps), elements: usize = points * points;
  const V = rows + scratch;
  const M = V + elements * vStep;
  const plane: usize = (<usize> (H * W)) << 2;

  const usual = areUsual(workspace + centre * uStep, all * columns / 4);
  memory.fill(rows, 0, scratch);
  for (let task = nextTask(call); task * chunk < N; task = nextTask(call)) {
    const first = task * chunk;
    const images = min(chunk, N - first);
    const count = images * tiles;
    for (let i = 0; i < images; i++) {
      const from = source + (<usize> ((first + i) * C)) * plane;
      const to = V + (<usize> (i * tiles)) * pitchC;
      if (taps == 3) transformSource(from, C, H, W, down, across, rows, to, vStep, pitchC);
      else transformLargeSource(from, C, H, W, taps, parts, down, across, points, rows, to, vStep, pitchC);
    }
    for (let f: usize = 0; f < elements; f++) {
      const v = V + f * vStep, u = workspace + f * uStep, m = M + f * mStep;
      gemm(count, columns, all, v, pitchC, 4, u, 0, 0, m, pitchK, 1);
    }
    for (let i = 0; i < images; i++) {
      const n = first + i;
      const at = <usize> (i * tiles);
      const y = target + (<usize> (n * K)) * plane, more = addend ? addend + (<usize> (n * K)) * plane : 0;
      const offsets = bias ? bias + ((<usize> (n % B * K)) << 2) : 0;
      if (usual && isEven(V + centre * vStep, i * tiles, count, tiles, all, false)) {
        warm(y, (<usize> K) * plane, rows + 16);
        if (more) warm(more, (<usize> K) * plane, rows + 16);
        for (let line = 0; line < down; line++) {
          const from = M + (at + <usize> (line * across)) * pitchK;
          for (let q: usize = 0; q < <usize> quadsK; q++) {
            const next = 4 * q * plane, shift = offsets ? v128.load(offsets + (q << 4)) : splat(0);
            const added = more ? more + next : 0, left = K - 4 * <i32> q, m = from + (q << 4), to = y + next;
            // deno-fmt-ignore
            if (taps == 3) transformTarget(m, mStep, pitchK, line, across, shift, added, to, left, H, W);
            else transformLargeTarget(m, mStep, pitchK, line, across, shift, added, to, left, H, W, points, panelAddress());
          }
        }
        continue;
      }
      const x = source + (<usize> (n * C)) * plane;
      for (let k = 0; k < K; k++) {
        const next = (<usize> k) * plane, added = more ? more + next : 0;
        const offset = offsets ? load<f32>(offsets + ((<usize> k) << 2)) : 0;
        const weights = w + (<usize> k) * strideK;
        directPlane(x, weights, strideC, turned != 0, C, H, W, taps, offset, added, y + next);
      }
    }
  }
}
