// Sizes of the running Winograd convolution, and its layout in the workspace: transformed weights (or sums of their
// gradients), then for each thread scratch of the source and the transformed tiles of a chunk of images.

/** Bytes of transformed tiles per thread and chunk: few enough for caches, and many rows for each panel of weights. */
const CHUNK_BYTES: u64 = 1_200_000;

/** Taps along a side of the kernel, and the parts along a side that are transformed. */
export let taps: i32 = 0, parts: i32 = 0;
/** Elements along a side of a transformed tile, their number, and the one to which all weights or inner pixels add. */
export let points: i32 = 0, elements: usize = 0, centre: usize = 0;
/** Source channels of all parts, C or whole vectors of each, and target channels that panels of a product cover. */
export let all: i32 = 0, columns: i32 = 0;
/** Bytes of all these channels of a tile. */
export let pitchC: usize = 0, pitchK: usize = 0;
/** Bytes from one element of the transformed weights to the next, and of all weights. */
export let uStep: usize = 0, uBytes: u64 = 0;
/** Number of 4x4 tiles along the sides of an image and in total, and bytes of a plane. */
export let down: i32 = 0, across: i32 = 0, tiles: i32 = 0, plane: usize = 0;
/** Bytes of scratch for transforms of the source, and of a line of it. */
export let scratch: usize = 0, line: usize = 0;

/** Sets the sizes of the kernel: six points for three taps, and seven or eight for more, see `winograd_large.ts`. */
export function setKernel(C: i32, K: i32, along: i32): void {
  taps = along, parts = along == 3 ? 1 : (along + 2) >> 2;
  points = along == 3 ? 6 : along % 4 == 3 ? 7 : 8, elements = points * points, centre = points + 1;
  all = parts == 1 ? C : parts * parts * (C + 3 & ~3), columns = K + 7 & ~7;
  pitchC = (<usize> (all + 3 & ~3)) << 2, pitchK = (<usize> columns) << 2;
  uStep = elementStep(<usize> all * pitchK), uBytes = <u64> elements * uStep;
}

/** Sets all sizes. */
export function setSizes(C: i32, H: i32, W: i32, K: i32, along: i32): void {
  setKernel(C, K, along);
  down = (H + 3) >> 2, across = (W + 3) >> 2, tiles = down * across, plane = (<usize> (H * W)) << 2;
  // Three taps: vectors for `warm`, a line of zeros, planes of the last channels. More: eight lines of four channels, and
  // their padded image.
  line = (<usize> (along == 3 ? across + 1 : 4 * (across + parts))) << 4;
  const planes: usize = C & 3 ? 4 * plane + 16 : 0;
  scratch = (along == 3 ? 64 + line + planes : line * (8 + 4 * (down + parts))) + 63 & ~63;
}

/** Taps along a side of a part of a kernel: four, or in the last part the remaining ones, at most five. */
export function tapsOfPart(part: i32): i32 {
  return part == parts - 1 ? taps - 4 * part : 4;
}

/** Bytes from one of the elements to the next: an odd number of cache lines, so that they use different cache sets. */
function elementStep(bytes: usize): usize {
  return (bytes + 63 & ~127) + 64;
}

/** Bytes from one element of the source's transformed tiles to the next. */
export function vStep(images: i32): usize {
  return elementStep(<usize> (images * tiles) * pitchC);
}

/** Bytes from one element of the target's transformed tiles to the next. */
export function mStep(images: i32): usize {
  return elementStep(<usize> (images * tiles) * pitchK);
}

/** Number of images that a thread transforms at a time. */
export function chunkOf(N: i32): i32 {
  const perImage = <u64> elements * (pitchC + pitchK) * tiles;
  return max<i32>(1, min<i32>(N, <i32> (CHUNK_BYTES / max<u64>(1, perImage))));
}

/** Bytes of scratch per thread: that of the source, and transformed tiles of C and of K channels. */
export function threadBytes(N: i32): u64 {
  const chunk = chunkOf(N);
  return scratch + <u64> elements * (<u64> vStep(chunk) + mStep(chunk));
}
