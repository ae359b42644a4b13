// Layout of a convolution by Fourier transforms in the workspace. An image is as if repeated every nV rows and nH
// columns, with so many zeros between copies that no tap reaches another. Of the nV x nH frequencies, those of the first
// nH / 2 + 1 columns are kept, as real and imaginary parts.

import { columnsOf } from "./fourier.ts";
import { panelsOf, quadsOf } from "./winograd_sizes.ts";

/** Least bytes of transformed images per thread and chunk, chosen to fit the L2 cache. */
const CHUNK_BYTES: u64 = 600_000;

export function frequenciesOf(nV: i32, nH: i32): i32 {
  return nV * columnsOf(nH);
}

/** Bytes from one frequency to the next: an odd number of cache lines, so that they use different cache sets. */
function stepOf(vectors: u64): u64 {
  return (((vectors << 4) + 63) & ~127) + 64;
}

/** Panels of eight real or imaginary parts of target channels: pairs of panels of 2 x 4 source channels. */
export function panelBytes(C: i32): usize {
  return (<usize> quadsOf(C)) << 8;
}

/** Bytes of the weights of a frequency, [panel / 2][real, imaginary][4 real, 4 imaginary parts of C][8 of K]. */
export function weightStep(C: i32, K: i32): u64 {
  return stepOf(32 * <u64> quadsOf(C) * panelsOf(K));
}

/** Bytes of the source or target of a frequency. */
export function sourceStep(C: i32, slots: i32): u64 {
  return stepOf(2 * <u64> quadsOf(C) * slots);
}

export function targetStep(K: i32, slots: i32): u64 {
  return stepOf(4 * <u64> panelsOf(K) * slots);
}

/**
 * Number of images that a thread transforms at a time: as many as take the bytes of the weights, which are read once for
 * each chunk, or what fits a cache.
 */
export function imagesOf(N: i32, C: i32, K: i32, nV: i32, nH: i32): i32 {
  const four = sourceStep(C, 4) + targetStep(K, 4),
    all = max(weightStep(C, K), CHUNK_BYTES / frequenciesOf(nV, nH));
  return min(N, 4 * max(1, <i32> (all / four)));
}

/** What the inverse transform needs of a frequency: columns between the first and the middle one stand for two. */
export function scaleOf(frequency: i32, nV: i32, nH: i32): f32 {
  const g = frequency % columnsOf(nH);
  return (g == 0 || 2 * g == nH ? <f32> 1 : <f32> 2) / <f32> (nV * nH);
}
