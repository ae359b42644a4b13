// Layout of a Winograd convolution in the workspace: transformed weights (or sums of their gradients), then for each
// thread lines of the source and the transformed tiles of a chunk of images.

import { largeSourceScratch } from "./winograd_large.ts";
import { sourceScratch } from "./winograd_source.ts";

/** Bytes of transformed tiles per thread and chunk: few enough for caches, and many rows for each panel of weights. */
const CHUNK_BYTES: u64 = 1_200_000;

/** Number of vectors of four channels. */
export function quadsOf(channels: i32): i32 {
  return (channels + 3) >> 2;
}

/** Bytes of all channels of a tile, which fill whole vectors. */
export function pitchOf(channels: i32): usize {
  return (<usize> quadsOf(channels)) << 4;
}

/** Target channels that panels of a product cover. */
export function columnsOf(channels: i32): i32 {
  return (channels + 7) & ~7;
}

/** Elements along a side of a transformed tile: six for 3x3 kernels, and seven or eight for larger ones. */
export function sideOf(taps: i32): i32 {
  return taps == 3 ? 6 : taps % 4 == 3 ? 7 : 8;
}

/** Element (1, 1) of a tile, to which all its inner pixels, or all weights, contribute. */
export function centreOf(taps: i32): usize {
  return sideOf(taps) + 1;
}

/** Number of kernels that are transformed along a side of a kernel. */
export function partsAlong(taps: i32): i32 {
  return taps == 3 ? 1 : (taps + 2) >> 2;
}

/** Source channels of all the parts of a kernel: C, or whole vectors of each. */
export function allChannels(C: i32, taps: i32): i32 {
  const parts = partsAlong(taps);
  return parts == 1 ? C : parts * parts * (C + 3 & ~3);
}

/** Number of 4x4 tiles along a side of an image. */
export function tilesAlong(pixels: i32): i32 {
  return (pixels + 3) >> 2;
}

/**
 * Bytes from one of the elements to the next: an odd number of cache lines, so that they use different cache sets.
 */
export function elementStep(vectors: u64): u64 {
  return ((vectors << 4) + 63 & ~127) + 64;
}

/** Number of images that a thread transforms at a time. */
export function chunkOf(N: i32, C: i32, H: i32, W: i32, K: i32, taps: i32): i32 {
  const side = sideOf(taps);
  const perImage = 16 * side * side * <u64> (quadsOf(allChannels(C, taps)) + columnsOf(K) / 4) *
    tilesAlong(H) *
    tilesAlong(W);
  return max<i32>(1, min<i32>(N, <i32> (CHUNK_BYTES / max<u64>(1, perImage))));
}

/** Bytes from one element of the transformed weights to the next. */
export function weightStep(C: i32, K: i32, taps: i32): u64 {
  return elementStep(<u64> allChannels(C, taps) * columnsOf(K) / 4);
}

/** Bytes of the transformed weights. */
export function weightBytes(C: i32, K: i32, taps: i32): u64 {
  return sideOf(taps) * sideOf(taps) * weightStep(C, K, taps);
}

/** Bytes of scratch per thread: that of the source, and transformed tiles of C and of K channels. */
export function threadBytes(N: i32, C: i32, H: i32, W: i32, K: i32, taps: i32): u64 {
  const down = tilesAlong(H), across = tilesAlong(W), side = sideOf(taps);
  const count = <u64> chunkOf(N, C, H, W, K, taps) * down * across;
  const tiles = elementStep(quadsOf(allChannels(C, taps)) * count) +
    elementStep(<u64> columnsOf(K) / 4 * count);
  return scratchBytes(taps, down, across) + side * side * tiles;
}

/** Bytes of scratch for transforms of the source. */
export function scratchBytes(taps: i32, down: i32, across: i32): u64 {
  const bytes = taps == 3 ? sourceScratch(across) : largeSourceScratch(partsAlong(taps), down, across);
  return (bytes + 63) & ~63;
}
