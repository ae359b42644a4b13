// Sizes of the running Winograd convolution, and its layout in the workspace: transformed weights (or sums of their
// gradients), then for each thread scratch of the source and the transformed tiles of a chunk of images.

/** Bytes of transformed tiles per thread and chunk: few enough for caches, and many rows for each panel of weights. */
const CHUNK_BYTES: u64 = 1_200_000;

/** The sizes of the running convolution. `setKernel` sets those of the kernel, `setSizes` all. */
export class Sizes {
  /** Taps along a side of the kernel. */
  static taps: i32 = 0;
  /** Parts along a side of the kernel, transformed one by one. */
  static parts: i32 = 0;
  /** Elements along a side of a transformed tile: its points. */
  static points: i32 = 0;
  /** Elements of a transformed tile. */
  static elements: usize = 0;
  /** The element to which all weights or inner pixels add. */
  static centre: usize = 0;
  /** Source channels of all parts: C, or whole vectors for each of several. */
  static all: i32 = 0;
  /** Target channels that the panels of a product cover. */
  static columns: i32 = 0;
  /** Bytes of all source channels of a tile. */
  static pitchC: usize = 0;
  /** Bytes of all target channels of a tile. */
  static pitchK: usize = 0;
  /** Bytes from one element of the transformed weights to the next. */
  static uStep: usize = 0;
  /** Bytes of all transformed weights. */
  static uBytes: u64 = 0;
  /** Tiles of four by four pixels along the height of an image. */
  static down: i32 = 0;
  /** Tiles along its width. */
  static across: i32 = 0;
  /** Tiles of an image. */
  static tiles: i32 = 0;
  /** Bytes of a plane. */
  static plane: usize = 0;
  /** Bytes of scratch for transforms of the source. */
  static scratch: usize = 0;
  /** Bytes of a line of that scratch. */
  static line: usize = 0;
}

/** Rounds up to a multiple of a power of two. */
function roundUp<Count>(count: Count, multiple: Count): Count {
  return count + multiple - 1 & ~(multiple - 1);
}

/** Points along a side of a tile for a kernel of this many taps; see `winograd_large.ts`. */
function pointsOf(taps: i32): i32 {
  if (taps == 3) return 6;
  // The last part has three taps, so none has five.
  if (taps % 4 == 3) return 7;
  return 8;
}

/** Sets the sizes of the kernel. */
export function setKernel(C: i32, K: i32, taps: i32): void {
  const parts = taps == 3 ? 1 : (taps + 2) >> 2;
  const points = pointsOf(taps);
  Sizes.taps = taps;
  Sizes.parts = parts;
  Sizes.points = points;
  Sizes.elements = points * points;
  Sizes.centre = points + 1;
  Sizes.all = parts == 1 ? C : parts * parts * roundUp(C, 4);
  Sizes.columns = roundUp(K, 8);
  Sizes.pitchC = (<usize> roundUp(Sizes.all, 4)) << 2;
  Sizes.pitchK = (<usize> Sizes.columns) << 2;
  Sizes.uStep = elementStep(<usize> Sizes.all * Sizes.pitchK);
  Sizes.uBytes = <u64> Sizes.elements * Sizes.uStep;
}

/** Sets all sizes. */
export function setSizes(C: i32, H: i32, W: i32, K: i32, taps: i32): void {
  setKernel(C, K, taps);
  Sizes.down = (H + 3) >> 2;
  Sizes.across = (W + 3) >> 2;
  Sizes.tiles = Sizes.down * Sizes.across;
  Sizes.plane = (<usize> (H * W)) << 2;
  if (taps == 3) {
    // Vectors for `warm`, a line of zeros, and planes of the channels that do not fill a vector.
    Sizes.line = (<usize> (Sizes.across + 1)) << 4;
    const planes: usize = C & 3 ? 4 * Sizes.plane + 16 : 0;
    Sizes.scratch = roundUp<usize>(64 + Sizes.line + planes, 64);
  } else {
    // Eight lines of four channels, and their padded image.
    Sizes.line = (<usize> (4 * (Sizes.across + Sizes.parts))) << 4;
    Sizes.scratch = roundUp<usize>(Sizes.line * (8 + 4 * (Sizes.down + Sizes.parts)), 64);
  }
}

/** Taps along a side of a part of a kernel: four, or in the last part the remaining ones, at most five. */
export function tapsOfPart(part: i32): i32 {
  return part == Sizes.parts - 1 ? Sizes.taps - 4 * part : 4;
}

/** Bytes from one of the elements to the next: an odd number of cache lines, so that they use different cache sets. */
function elementStep(bytes: usize): usize {
  return (bytes + 63 & ~127) + 64;
}

/** Bytes from one element of the source's transformed tiles to the next. */
export function vStep(images: i32): usize {
  return elementStep(<usize> (images * Sizes.tiles) * Sizes.pitchC);
}

/** Bytes from one element of the target's transformed tiles to the next. */
export function mStep(images: i32): usize {
  return elementStep(<usize> (images * Sizes.tiles) * Sizes.pitchK);
}

/** Number of images that a thread transforms at a time. */
export function chunkOf(N: i32): i32 {
  const perImage = <u64> Sizes.elements * (Sizes.pitchC + Sizes.pitchK) * Sizes.tiles;
  return max<i32>(1, min<i32>(N, <i32> (CHUNK_BYTES / max<u64>(1, perImage))));
}

/** Bytes of scratch per thread: that of the source, and transformed tiles of C and of K channels. */
export function threadBytes(N: i32): u64 {
  const chunk = chunkOf(N);
  return Sizes.scratch + <u64> Sizes.elements * (<u64> vStep(chunk) + mStep(chunk));
}
