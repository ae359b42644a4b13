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
import { chunkOf, mStep, setKernel, setSizes, Sizes, threadBytes, vStep } from "../winograd_sizes.ts";

export function winogradWeightsWorkspace(C: i32, K: i32, taps: i32): u64 {
  setKernel(C, K, taps);
  return Sizes.uBytes;
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
  const step = Sizes.uStep;
  const scratch = panelAddress();
  const ofPart = Sizes.all / (Sizes.parts * Sizes.parts);
  for (let first = firstTask(call, ofPart, 4); first >= 0; first = nextTask()) {
    const end = min(first + 4, ofPart);
    for (let part = 0; part < Sizes.parts * Sizes.parts; part++) {
      const row = part / Sizes.parts, column = part % Sizes.parts;
      for (let c = first; c < end; c++) {
        const from = w + (<usize> c) * strideC;
        const line = <usize> (part * ofPart + c);
        for (let k = 0; k < Sizes.columns; k += 4) {
          const to = workspace + panelOffset(k, Sizes.all) + line * panelPitch(k, Sizes.columns);
          if (k < K && c < C) {
            const at = from + (<usize> k) * strideK;
            transformWeight(at, strideK, K - k, row, column, turned != 0, to, step, scratch);
          } else for (let f: usize = 0; f < Sizes.elements; f++) v128.store(to + f * step, splat(0));
        }
      }
    }
  }
}

export function winogradConvolveWorkspace(
  N: i32, C: i32, H: i32, W: i32, K: i32, taps: i32, threads: i32,
): u64 {
  setSizes(C, H, W, K, taps);
  return Sizes.uBytes + threads * threadBytes(N);
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
  const rows = workspace + <usize> Sizes.uBytes + (<usize> me) * <usize> threadBytes(N);
  const V = rows + Sizes.scratch;
  const M = V + Sizes.elements * vs;
  const usual = areUsual(w, K * C * taps * taps);
  memory.fill(rows, 0, Sizes.scratch);
  for (let first = firstTask(call, N, chunk); first >= 0; first = nextTask()) {
    const images = min(chunk, N - first);
    const count = images * Sizes.tiles;
    for (let i = 0; i < images; i++) {
      const from = source + (<usize> ((first + i) * C)) * Sizes.plane;
      const to = V + (<usize> (i * Sizes.tiles)) * Sizes.pitchC;
      if (taps == 3) transformSource(from, C, H, W, rows, to, vs, Sizes.pitchC);
      else transformLargeSource(from, C, H, W, rows, to, vs, Sizes.pitchC);
    }
    for (let f: usize = 0; f < Sizes.elements; f++) {
      const v = V + f * vs, u = workspace + f * Sizes.uStep, m = M + f * ms;
      gemm(count, Sizes.columns, Sizes.all, v, Sizes.pitchC, 4, u, 0, 0, m, Sizes.pitchK, 1);
    }
    for (let i = 0; i < images; i++) {
      const n = first + i;
      const at = <usize> (i * Sizes.tiles);
      const y = target + (<usize> (n * K)) * Sizes.plane;
      const more = addend ? addend + (<usize> (n * K)) * Sizes.plane : 0;
      const offsets = bias ? bias + ((<usize> (n % B * K)) << 2) : 0;
      if (usual && isEven(V + Sizes.centre * vs, i * Sizes.tiles, count, Sizes.all, false)) {
        warm(y, (<usize> K) * Sizes.plane, rows + 16);
        if (more) warm(more, (<usize> K) * Sizes.plane, rows + 16);
        for (let line = 0; line < Sizes.down; line++) {
          const from = M + (at + <usize> (line * Sizes.across)) * Sizes.pitchK;
          for (let q: usize = 0; q < <usize> quadsK; q++) {
            const next = 4 * q * Sizes.plane;
            const shift = offsets ? v128.load(offsets + (q << 4)) : splat(0);
            const added = more ? more + next : 0;
            const left = K - 4 * <i32> q;
            const m = from + (q << 4);
            const to = y + next;
            if (taps == 3) transformTarget(m, ms, Sizes.pitchK, line, shift, added, to, left, H, W);
            else transformLargeTarget(m, ms, Sizes.pitchK, line, shift, added, to, left, H, W, panelAddress());
          }
        }
        continue;
      }
      const x = source + (<usize> (n * C)) * Sizes.plane;
      for (let k = 0; k < K; k++) {
        const next = (<usize> k) * Sizes.plane;
        const added = more ? more + next : 0;
        const offset = offsets ? load<f32>(offsets + ((<usize> k) << 2)) : 0;
        const weights = w + (<usize> k) * strideK;
        directPlane(x, weights, strideC, turned != 0, C, H, W, taps, offset, added, y + next);
      }
    }
  }
}
