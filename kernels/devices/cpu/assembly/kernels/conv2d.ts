// Convolutions of square kernels of an odd number of taps, padded to keep the image's size, and their input gradients,
// which are such convolutions.

import { firstTask, nextTask } from "../call.ts";
import { directPlane } from "../direct_convolution.ts";
import { gemm, panelAddress, panelOffset, panelPitch } from "../gemm.ts";
import { splat } from "../simd.ts";
import { me, team } from "../threads.ts";
import { transformLargeSource, transformLargeTarget } from "../winograd_large.ts";
import { areUsual, isEven } from "../winograd_range.ts";
import { transformSource } from "../winograd_source.ts";
import { warm } from "../rows.ts";
import { transformTarget } from "../winograd_target.ts";
import { transformWeight } from "../winograd_weights.ts";
import {
  across, all, centre, chunkOf, columns, down, elements, mStep, parts, pitchC, pitchK, plane, scratch,
  setKernel, setSizes, threadBytes, tiles, uBytes, uStep, vStep,
} from "../winograd_sizes.ts";

export function winogradWeightsWorkspace(C: i32, K: i32, taps: i32): u64 {
  setKernel(C, K, taps);
  return uBytes;
}

/**
 * U of weights w[k][c] with strides in bytes, each in panels of [all C][K]. A task is four source channels: it fills
 * whole lines of the cache.
 */
export function winogradWeights(
  call: usize, workspace: usize, w: usize, C: i32, K: i32, strideC: usize, strideK: usize, turned: i32,
  taps: i32,
): void {
  setKernel(C, K, taps);
  const step = uStep;
  const scratch = panelAddress();
  const ofPart = all / (parts * parts);
  for (let first = firstTask(call, ofPart, 4); first >= 0; first = nextTask()) {
    const end = min(first + 4, ofPart);
    for (let part = 0; part < parts * parts; part++) {
      const row = part / parts, column = part % parts;
      for (let c = first; c < end; c++) {
        const from = w + (<usize> c) * strideC;
        const line = <usize> (part * ofPart + c);
        for (let k = 0; k < columns; k += 4) {
          const to = workspace + panelOffset(k, all) + line * panelPitch(k, columns);
          if (k < K && c < C) {
            const at = from + (<usize> k) * strideK;
            transformWeight(at, strideK, K - k, row, column, turned != 0, to, step, scratch);
          } else for (let f: usize = 0; f < elements; f++) v128.store(to + f * step, splat(0));
        }
      }
    }
  }
}

export function winogradConvolveWorkspace(
  N: i32, C: i32, H: i32, W: i32, K: i32, taps: i32, threads: i32,
): u64 {
  setSizes(C, H, W, K, taps);
  return uBytes + threads * threadBytes(N);
}

/**
 * A convolution with the weights that `winogradWeights` left in the workspace. A task is a chunk of images. Images with
 * values that Winograd's transforms cannot handle are computed tap by tap.
 */
export function winogradConvolve(
  call: usize, workspace: usize, source: usize, target: usize, bias: usize, addend: usize, N: i32, C: i32,
  H: i32, W: i32, K: i32, B: i32, w: usize, strideC: usize, strideK: usize, turned: i32, taps: i32,
): void {
  setSizes(C, H, W, K, taps);
  // The same number of chunks for each thread, so that even a few images keep all threads busy.
  const most = team * chunkOf(N);
  const chunk = max(1, N / (team * ((N + most - 1) / most)));
  const vs = vStep(chunk);
  const ms = mStep(chunk);
  const quadsK = (K + 3) >> 2;
  const rows = workspace + <usize> uBytes + (<usize> me) * <usize> threadBytes(N);
  const V = rows + scratch;
  const M = V + elements * vs;
  const usual = areUsual(w, K * C * taps * taps);
  memory.fill(rows, 0, scratch);
  for (let first = firstTask(call, N, chunk); first >= 0; first = nextTask()) {
    const images = min(chunk, N - first);
    const count = images * tiles;
    for (let i = 0; i < images; i++) {
      const from = source + (<usize> ((first + i) * C)) * plane;
      const to = V + (<usize> (i * tiles)) * pitchC;
      if (taps == 3) transformSource(from, C, H, W, rows, to, vs, pitchC);
      else transformLargeSource(from, C, H, W, rows, to, vs, pitchC);
    }
    for (let f: usize = 0; f < elements; f++) {
      const v = V + f * vs, u = workspace + f * uStep, m = M + f * ms;
      gemm(count, columns, all, v, pitchC, 4, u, 0, 0, m, pitchK, 1);
    }
    for (let i = 0; i < images; i++) {
      const n = first + i;
      const at = <usize> (i * tiles);
      const y = target + (<usize> (n * K)) * plane;
      const more = addend ? addend + (<usize> (n * K)) * plane : 0;
      const offsets = bias ? bias + ((<usize> (n % B * K)) << 2) : 0;
      if (usual && isEven(V + centre * vs, i * tiles, count, all, false)) {
        warm(y, (<usize> K) * plane, rows + 16);
        if (more) warm(more, (<usize> K) * plane, rows + 16);
        for (let line = 0; line < down; line++) {
          const from = M + (at + <usize> (line * across)) * pitchK;
          for (let q: usize = 0; q < <usize> quadsK; q++) {
            const next = 4 * q * plane;
            const shift = offsets ? v128.load(offsets + (q << 4)) : splat(0);
            const added = more ? more + next : 0;
            const left = K - 4 * <i32> q;
            const m = from + (q << 4);
            const to = y + next;
            if (taps == 3) transformTarget(m, ms, pitchK, line, shift, added, to, left, H, W);
            else transformLargeTarget(m, ms, pitchK, line, shift, added, to, left, H, W, panelAddress());
          }
        }
        continue;
      }
      const x = source + (<usize> (n * C)) * plane;
      for (let k = 0; k < K; k++) {
        const next = (<usize> k) * plane;
        const added = more ? more + next : 0;
        const offset = offsets ? load<f32>(offsets + ((<usize> k) << 2)) : 0;
        const weights = w + (<usize> k) * strideK;
        directPlane(x, weights, strideC, turned != 0, C, H, W, taps, offset, added, y + next);
      }
    }
  }
}
