// The weight gradient of convolutions with stride 1 by Fourier transforms, for large kernels.

import { Axis } from "../axis.ts";
import { nextTask } from "../call.ts";
import { directWeightGradient } from "../direct_convolution.ts";
import { imageBytes, prepareTransforms, transformBack, transformBytes, transformImage } from "../fourier.ts";
import { interleave, isLevel } from "../fourier_images.ts";
import {
  frequenciesOf,
  imagesOf,
  panelBytes,
  scaleOf,
  sourceStep,
  targetStep,
  weightStep,
} from "../fourier_layout.ts";
import { add, mul, splat, sub } from "../simd.ts";
import { me } from "../threads.ts";
import { overTiles } from "../winograd_products.ts";
import { panelsOf, quadsOf } from "../winograd_sizes.ts";

function sumBytes(C: i32, K: i32, nV: i32, nH: i32, runs: i32, parts: i32): u64 {
  return <u64> runs * parts * frequenciesOf(nV, nH) * weightStep(C, K);
}

/** Bytes of scratch per thread: that of transforms, an image of x and of dy, and the transforms of a chunk. */
function scratchBytes(N: i32, C: i32, K: i32, nV: i32, nH: i32): u64 {
  const chunk = imagesOf(N, C, K, nV, nH);
  return transformBytes(nV, nH) + imageBytes(nV, nH) + 64 +
    frequenciesOf(nV, nH) * (sourceStep(C, chunk) + targetStep(K, chunk));
}

export function fourierGradientPartsWorkspace(
  N: i32,
  C: i32,
  K: i32,
  runs: i32,
  parts: i32,
  vertical: Axis,
  horizontal: Axis,
  threads: i32,
): u64 {
  const nV = vertical.length, nH = horizontal.length;
  return sumBytes(C, K, nV, nH, runs, parts) + threads * scratchBytes(N, C, K, nV, nH);
}

/**
 * Sums over the images of groups of `run`, each in parts, of the transforms of x [C] times those of dy [K], to the
 * workspace: [group][part][frequency] of the layout of weights. A task is a part.
 */
export function fourierGradientParts(
  call: usize,
  workspace: usize,
  x: usize,
  dy: usize,
  N: i32,
  C: i32,
  K: i32,
  runs: i32,
  run: i32,
  parts: i32,
  vertical: Axis,
  horizontal: Axis,
): void {
  const sourceV = vertical.source, targetV = vertical.target, nV = vertical.length;
  const sourceH = horizontal.source, targetH = horizontal.target, nH = horizontal.length;
  const chunk = imagesOf(N, C, K, nV, nH), row: usize = (<usize> chunk) << 4;
  const frequencies = <usize> frequenciesOf(nV, nH), quads = quadsOf(C), panel = panelBytes(C);
  const uStep = <usize> weightStep(C, K), vStep = <usize> sourceStep(C, chunk);
  const dStep = <usize> targetStep(K, chunk), pixelsX = sourceV * sourceH, pixelsY = targetV * targetH;
  const scratch = workspace + <usize> sumBytes(C, K, nV, nH, runs, parts) +
    (<usize> me) * <usize> scratchBytes(N, C, K, nV, nH);
  const image = scratch + <usize> transformBytes(nV, nH), V = image + imageBytes(nV, nH) + 64;
  const D = V + frequencies * vStep;
  prepareTransforms(nV, nH, scratch);
  memory.fill(D, 0, frequencies * dStep); // panels may be partly used
  for (let task = nextTask(call); task < runs * parts; task = nextTask(call)) {
    const start = task / parts * run, all = min(run, N - start), part = task % parts;
    const begin = start + part * all / parts, end = start + (part + 1) * all / parts;
    const U = workspace + (<usize> task) * frequencies * uStep;
    if (begin == end) memory.fill(U, 0, frequencies * uStep);
    let suits = true;
    for (let first = begin; first < end; first += chunk) {
      const count = min(chunk, end - first);
      for (let i = 0; i < count; i++) {
        const n = first + i, at: usize = (<usize> i) << 4;
        const ofX = x + ((<usize> (n * C * pixelsX)) << 2), ofY = dy + ((<usize> (n * K * pixelsY)) << 2);
        suits = suits && isLevel(ofX, C * pixelsX) && isLevel(ofY, K * pixelsY);
        for (let q = 0; q < quads; q++) {
          interleave(ofX + ((<usize> (4 * q * pixelsX)) << 2), C - 4 * q, pixelsX, image);
          const to = V + (<usize> (2 * q)) * row + at;
          transformImage(image, sourceV, sourceH, nV, nH, scratch, to, to + row, vStep);
        }
        for (let q = 0; q < quadsOf(K); q++) {
          interleave(ofY + ((<usize> (4 * q * pixelsY)) << 2), K - 4 * q, pixelsY, image);
          // The real and the imaginary parts of eight channels follow each other.
          const to = D + (<usize> (4 * (q >> 1) + (q & 1))) * row + at;
          transformImage(image, targetV, targetH, nV, nH, scratch, to, to + 2 * row, dStep);
        }
      }
      for (let f: usize = 0; f < frequencies; f++) {
        for (let q: usize = 0; q < 2 * <usize> quads; q++) {
          const v = V + f * vStep + q * row;
          for (let panels: usize = 0; panels < 2 * <usize> panelsOf(K); panels++) {
            const u = U + f * uStep + panels * panel + (q << 7), d = D + f * dStep + 2 * panels * row;
            overTiles(v, d, row, count, u, first > begin);
          }
        }
      }
    }
    if (!suits) memory.fill(U, 0xff, frequencies * uStep); // NaN, which the sum detects
  }
}

/** Bytes of scratch per thread of `fourierGradientSum`. */
function sumScratch(nV: i32, nH: i32): u64 {
  return transformBytes(nV, nH) + imageBytes(nV, nH) + 32 * <u64> frequenciesOf(nV, nH);
}

export function fourierGradientSumWorkspace(
  C: i32,
  K: i32,
  runs: i32,
  parts: i32,
  vertical: Axis,
  horizontal: Axis,
  threads: i32,
): u64 {
  const nV = vertical.length, nH = horizontal.length;
  return sumBytes(C, K, nV, nH, runs, parts) + threads * sumScratch(nV, nH);
}

/**
 * dw of each group of `run` images from its partial sums. A task is four target channels of a group. Results that are
 * not finite are computed again, tap by tap.
 */
export function fourierGradientSum(
  call: usize,
  workspace: usize,
  x: usize,
  dy: usize,
  dw: usize,
  N: i32,
  C: i32,
  K: i32,
  runs: i32,
  run: i32,
  parts: i32,
  vertical: Axis,
  horizontal: Axis,
): void {
  const sourceV = vertical.source, targetV = vertical.target, tapsV = vertical.taps, nV = vertical.length;
  const sourceH = horizontal.source,
    targetH = horizontal.target,
    tapsH = horizontal.taps,
    nH = horizontal.length;
  const originV = vertical.origin,
    originH = horizontal.origin,
    stepV = vertical.step,
    stepH = horizontal.step;
  const frequencies = <usize> frequenciesOf(nV, nH), taps = tapsV * tapsH, quads = quadsOf(K);
  const uStep = <usize> weightStep(C, K), panel = panelBytes(C), partStep = frequencies * uStep;
  const planeX: usize = (<usize> (sourceV * sourceH)) << 2,
    planeY: usize = (<usize> (targetV * targetH)) << 2;
  const scratch = workspace + <usize> sumBytes(C, K, nV, nH, runs, parts) +
    (<usize> me) * <usize> sumScratch(nV, nH);
  const image = scratch + <usize> transformBytes(nV, nH), spectrum = image + imageBytes(nV, nH);
  prepareTransforms(nV, nH, scratch);
  for (let task = nextTask(call); task < runs * quads; task = nextTask(call)) {
    const q = task % quads, group = task / quads;
    const sums = workspace + (<usize> (group * parts)) * partStep + (<usize> (q >> 1)) * 2 * panel +
      ((<usize> (q & 1)) << 4);
    for (let c = 0; c < C; c++) {
      const from = sums + ((<usize> (c >> 2)) << 8) + ((<usize> (c & 3)) << 5);
      for (let f: usize = 0; f < frequencies; f++) {
        // x times the conjugate of dy. The first of two panels is of real parts of dy, and the first half of each of real
        // parts of x.
        let u = from + f * uStep, a = splat(0), b = a;
        for (let part = 0; part < parts; part++, u += partStep) {
          a = add(a, add(v128.load(u), v128.load(u + panel + 128)));
          b = add(b, sub(v128.load(u + 128), v128.load(u + panel)));
        }
        const to = spectrum + (f << 5), scale = splat(scaleOf(<i32> f, nV, nH));
        v128.store(to, mul(scale, a)), v128.store(to, mul(scale, b), 16);
      }
      transformBack(spectrum, spectrum + 16, 32, 0, nV, 0, nH, nV, nH, scratch, image);
      for (let k = 4 * q; k < min(K, 4 * q + 4); k++) {
        const to = dw + ((<usize> (((group * K + k) * C + c) * taps)) << 2);
        let zero: f32 = 0; // NaN as soon as one is not finite
        for (let r = 0; r < tapsV; r++) {
          const row = image + ((<usize> ((originV + stepV * r + nV) % nV * nH)) << 4);
          for (let s = 0; s < tapsH; s++) {
            const from = row + ((<usize> ((originH + stepH * s + nH) % nH)) << 4);
            const value = load<f32>(from + ((<usize> (k & 3)) << 2));
            zero += value * 0;
            store<f32>(to + ((<usize> (r * tapsH + s)) << 2), value);
          }
        }
        if (zero == 0) continue;
        const n = group * run;
        // deno-fmt-ignore
        directWeightGradient(
          x + (<usize> (n * C + c)) * planeX, (<usize> C) * planeX,
          dy + (<usize> (n * K + k)) * planeY, (<usize> K) * planeY, min(run, N - n),
          sourceV, sourceH, targetV, targetH, tapsV, tapsH, originV, originH, stepV, stepH, to,
        );
      }
    }
  }
}
