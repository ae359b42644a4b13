// Convolutions with stride 1 and their input gradients as products of Fourier transforms, for large kernels.

import { Axis } from "../axis.ts";
import { nextTask } from "../call.ts";
import { directPlane } from "../direct_convolution.ts";
import { imageBytes, prepareTransforms, transformBack, transformBytes, transformImage } from "../fourier.ts";
import { areSmall, interleave, isLevel, separate } from "../fourier_images.ts";
import {
  frequenciesOf,
  imagesOf,
  panelBytes,
  scaleOf,
  sourceStep,
  targetStep,
  weightStep,
} from "../fourier_layout.ts";
import { loadEvery, mul, splat } from "../simd.ts";
import { me, team } from "../threads.ts";
import { fourTiles, oneTile, TILES } from "../winograd_products.ts";
import { panelsOf, quadsOf } from "../winograd_sizes.ts";

/** Whether taps are counted from the last one, as those of a transposed convolution. */
function isTurned(axis: Axis): bool {
  return axis.step < 0;
}

/** Bytes of scratch per thread of `fourierWeights`: tables and scratch of transforms, taps, transformed weights. */
function weightScratch(nV: i32, nH: i32): u64 {
  return transformBytes(nV, nH) + imageBytes(nV, nH) + 32 * <u64> frequenciesOf(nV, nH);
}

function weightBytes(C: i32, K: i32, nV: i32, nH: i32): u64 {
  return frequenciesOf(nV, nH) * weightStep(C, K);
}

export function fourierWeightsWorkspace(C: i32, K: i32, vertical: Axis, horizontal: Axis, threads: i32): u64 {
  const nV = vertical.length, nH = horizontal.length;
  return weightBytes(C, K, nV, nH) + threads * weightScratch(nV, nH);
}

/**
 * Transformed weights w[k][c], with strides in bytes, divided by the number of frequencies. A task is four
 * target channels.
 */
export function fourierWeights(
  call: usize,
  workspace: usize,
  w: usize,
  C: i32,
  K: i32,
  strideK: usize,
  strideC: usize,
  vertical: Axis,
  horizontal: Axis,
): void {
  const nV = vertical.length, nH = horizontal.length, tapsV = vertical.taps, tapsH = horizontal.taps;
  const turned = isTurned(vertical), stepV = abs(vertical.step), stepH = abs(horizontal.step);
  const count = frequenciesOf(nV, nH), step = <usize> weightStep(C, K), panel = panelBytes(C);
  const scratch = workspace + <usize> weightBytes(C, K, nV, nH) +
    (<usize> me) * <usize> weightScratch(nV, nH);
  const image = scratch + <usize> transformBytes(nV, nH), spectrum = image + imageBytes(nV, nH);
  const H = stepV * (tapsV - 1) + 1, W = stepH * (tapsH - 1) + 1;
  prepareTransforms(nV, nH, scratch);
  memory.fill(image, 0, (<usize> (H * W)) << 4);
  for (let task = nextTask(call); task < 2 * panelsOf(K); task = nextTask(call)) {
    const k = task << 2;
    const to = workspace + (<usize> (task >> 1)) * 2 * panel + ((<usize> (task & 1)) << 4);
    for (let c = 0; c < 4 * quadsOf(C); c++) {
      const target = to + ((<usize> (c >> 2)) << 8) + ((<usize> (c & 3)) << 5);
      if (c >= C || k >= K) memory.fill(spectrum, 0, (<usize> count) << 5);
      else {
        const from = w + (<usize> k) * strideK + (<usize> c) * strideC;
        for (let tap = 0; tap < tapsV * tapsH; tap++) {
          const at = from + ((<usize> (turned ? tapsV * tapsH - 1 - tap : tap)) << 2);
          let v = splat(load<f32>(at));
          if (k + 3 < K) v = loadEvery(at, strideK);
          else {
            v = f32x4.replace_lane(v, 1, k + 1 < K ? load<f32>(at + strideK) : 0);
            v = f32x4.replace_lane(v, 2, k + 2 < K ? load<f32>(at + 2 * strideK) : 0);
            v = f32x4.replace_lane(v, 3, 0);
          }
          // From the last tap on, so that the result is that of pixels as far behind as the last tap reads ahead.
          const h = stepV * (tapsV - 1 - tap / tapsH), x = stepH * (tapsH - 1 - tap % tapsH);
          v128.store(image + ((<usize> (h * W + x)) << 4), v);
        }
        transformImage(image, H, W, nV, nH, scratch, spectrum, spectrum + 16, 32);
      }
      for (let f = 0; f < count; f++) {
        const from = spectrum + ((<usize> f) << 5), at = target + (<usize> f) * step;
        const scale = splat(scaleOf(f, nV, nH));
        const a = mul(scale, v128.load(from)), b = mul(scale, v128.load(from, 16));
        v128.store(at, a), v128.store(at + 128, f32x4.neg(b));
        v128.store(at + panel, b), v128.store(at + panel + 128, a);
      }
    }
  }
}

/** Bytes of scratch per thread of `fourierConvolve`. */
function scratchBytes(N: i32, C: i32, K: i32, nV: i32, nH: i32): u64 {
  const slots = (imagesOf(N, C, K, nV, nH) + TILES - 1) / TILES * TILES;
  return transformBytes(nV, nH) + imageBytes(nV, nH) + 64 +
    frequenciesOf(nV, nH) * (sourceStep(C, slots) + targetStep(K, slots)) + 4 * <u64> slots;
}

export function fourierConvolveWorkspace(
  N: i32,
  C: i32,
  K: i32,
  vertical: Axis,
  horizontal: Axis,
  threads: i32,
): u64 {
  const nV = vertical.length, nH = horizontal.length;
  return weightBytes(C, K, nV, nH) + threads * scratchBytes(N, C, K, nV, nH);
}

/**
 * A convolution of images [C][H][W] to [K][P][Q] with the weights that `fourierWeights` left in
 * the workspace. A task is a chunk of images. Images with values that are not finite, or much larger than others, are
 * computed tap by tap.
 */
export function fourierConvolve(
  call: usize,
  workspace: usize,
  source: usize,
  w: usize,
  bias: usize,
  addend: usize,
  target: usize,
  N: i32,
  B: i32,
  C: i32,
  K: i32,
  strideK: usize,
  strideC: usize,
  vertical: Axis,
  horizontal: Axis,
): void {
  const sourceV = vertical.source, targetV = vertical.target, tapsV = vertical.taps, nV = vertical.length;
  const sourceH = horizontal.source,
    targetH = horizontal.target,
    tapsH = horizontal.taps,
    nH = horizontal.length;
  const originV = vertical.origin, originH = horizontal.origin, turned = isTurned(vertical);
  const stepV = abs(vertical.step), stepH = abs(horizontal.step);
  const chunk = min(imagesOf(N, C, K, nV, nH), (N + team - 1) / team); // so that even few images occupy all threads
  const slots = (chunk + TILES - 1) / TILES * TILES, row: usize = (<usize> slots) << 4;
  const frequencies = frequenciesOf(nV, nH),
    pixels = sourceV * sourceH,
    panels = panelsOf(K),
    quads = quadsOf(C);
  const uStep = <usize> weightStep(C, K), panel = panelBytes(C);
  const vStep = <usize> sourceStep(C, slots), mStep = <usize> targetStep(K, slots);
  const scratch = workspace + <usize> weightBytes(C, K, nV, nH) +
    (<usize> me) * ((<usize> scratchBytes(N, C, K, nV, nH) + 15) & ~15);
  const image = scratch + <usize> transformBytes(nV, nH),
    V = image + imageBytes(nV, nH) + 64,
    M = V + (<usize> frequencies) * vStep;
  const direct = M + (<usize> frequencies) * mStep;
  prepareTransforms(nV, nH, scratch);
  const top = (originV + stepV * (tapsV - 1) + nV) % nV, left = (originH + stepH * (tapsH - 1) + nH) % nH;
  const usual = areSmall(w, C * K * tapsV * tapsH);
  for (let task = nextTask(call); task * chunk < N; task = nextTask(call)) {
    const first = task * chunk, count = min(chunk, N - first);
    for (let i = 0; i < count; i++) {
      const from = source + ((<usize> ((first + i) * C * pixels)) << 2), at: usize = (<usize> i) << 4;
      store<i32>(direct + ((<usize> i) << 2), usual && isLevel(from, C * pixels) ? 0 : 1);
      for (let q = 0; q < quads; q++) {
        interleave(from + ((<usize> (4 * q * pixels)) << 2), C - 4 * q, pixels, image);
        const to = V + (<usize> (2 * q)) * row + at;
        transformImage(image, sourceV, sourceH, nV, nH, scratch, to, to + row, vStep);
      }
    }
    for (let f: usize = 0; f < <usize> frequencies; f++) {
      for (let pair: usize = 0; pair < 2 * <usize> panels; pair++) {
        const u = workspace + f * uStep + pair * panel, v = V + f * vStep, m = M + f * mStep + 2 * pair * row;
        let t = 0;
        for (; t + 2 < count; t += TILES) {
          fourTiles(v + ((<usize> t) << 4), row, u, 2 * quads, m + ((<usize> t) << 4), row);
        }
        for (; t < count; t++) {
          oneTile(v + ((<usize> t) << 4), row, u, 2 * quads, m + ((<usize> t) << 4), row);
        }
      }
    }
    for (let i = 0; i < count; i++) {
      const n = first + i;
      for (let q = 0; q < quadsOf(K); q++) {
        const k = 4 * q, some = min(4, K - k), plane: usize = (<usize> (targetV * targetH)) << 2;
        const to = target + (<usize> (n * K + k)) * plane,
          more = addend ? addend + (<usize> (n * K + k)) * plane : 0;
        const offsets = bias ? bias + ((<usize> (n % B * K + k)) << 2) : 0;
        if (load<i32>(direct + ((<usize> i) << 2))) {
          for (let j = 0; j < some; j++) {
            const next: usize = (<usize> j) * plane,
              offset = offsets ? load<f32>(offsets + ((<usize> j) << 2)) : 0;
            // deno-fmt-ignore
            directPlane(
              source + ((<usize> (n * C * pixels)) << 2), w + (<usize> (k + j)) * strideK, strideC, turned,
              C, sourceV, sourceH, targetV, targetH, tapsV, tapsH, originV, originH, stepV, stepH,
              offset, more ? more + next : 0, to + next,
            );
          }
          continue;
        }
        // The real and the imaginary parts of eight channels follow each other.
        const m = M + (<usize> (4 * (q >> 1) + (q & 1))) * row + ((<usize> i) << 4);
        transformBack(m, m + 2 * row, mStep, top, targetV, left, targetH, nV, nH, scratch, image);
        separate(image, offsets, more, to, some, targetV * targetH);
      }
    }
  }
}
