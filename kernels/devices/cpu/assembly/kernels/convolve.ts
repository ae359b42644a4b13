// Convolutions and transposed convolutions of any size, stride, padding, dilation and groups: a product of the weights
// and the source's pixels, which are read where they lie in a padded copy. `taps.ts` explains the axes.

import { Axis } from "../axis.ts";
import { firstTask, nextTask } from "../call.ts";
import { depthwisePlane, isDepthwise } from "../depthwise.ts";
import { DEPTH, panelAddress, panelColumns, panelDepth, timesPanel } from "../gemm.ts";
import { add, loadEvery, madd, splat, storeFirst } from "../simd.ts";
import {
  inPairs, isProduct, listTaps, paddedBytes, padPlanes, phasesOf, pitch, pixelStep, positionsOf, rowStep, setAxes,
  tapsOf, targetAt, vectorAt,
} from "../taps.ts";
import { me } from "../threads.ts";

/** Bytes of the weights in the order of the taps, [group][k][tap]. */
function packedBytes(groups: i32, C: i32, K: i32, taps: i32): u64 {
  return (4 * <u64> groups * K * C * taps + 15) & ~15;
}

/** Bytes of the list of all taps. */
function listBytes(C: i32, taps: i32): u64 {
  return (8 * <u64> C * taps + 15) & ~15;
}

/** Bytes of results of up to 16 pixels of two phases of all channels, or of a tile. */
function resultBytes(K: i32): u64 {
  return max<u64>(128, <u64> K << 7);
}

/** Whether `depthwisePlane` computes a convolution: enough target channels of a group are a product instead. */
function isInBlocks(C: i32, K: i32, vertical: Axis, horizontal: Axis): bool {
  return !isProduct(K) && isDepthwise(C, vertical, horizontal);
}

/** Lists the taps of all phases. */
function listPhases(to: usize, vertical: Axis, horizontal: Axis, C: i32, strideC: usize): void {
  for (let a = 0; a < phasesOf(vertical); a++) {
    for (let b = 0; b < phasesOf(horizontal); b++) to += (<usize> listTaps(to, a, b, C, strideC)) << 3;
  }
}

export function convolveWeightsWorkspace(
  groups: i32, C: i32, K: i32, vertical: Axis, horizontal: Axis, threads: i32,
): u64 {
  const taps = vertical.taps * horizontal.taps;
  return packedBytes(groups, C, K, taps) + threads * listBytes(C, taps);
}

/**
 * Packs the weights of `groups` times K target channels by C source channels, in the order in which `convolve` uses
 * them, and reversed if a block of a depthwise one reads backwards. Strides are in bytes. A task is a target channel.
 */
export function convolveWeights(
  call: usize, workspace: usize, w: usize, groups: i32, C: i32, K: i32, strideG: usize, strideK: usize,
  strideC: usize, vertical: Axis, horizontal: Axis,
): void {
  setAxes(vertical, horizontal);
  const taps = vertical.taps * horizontal.taps;
  const depth = C * taps;
  const list = workspace + <usize> packedBytes(groups, C, K, taps) +
    (<usize> me) * <usize> listBytes(C, taps);
  memory.fill(list, 0, (<usize> depth) << 3); // phases without target positions list none
  listPhases(list, vertical, horizontal, C, strideC);
  const turned = isInBlocks(C, K, vertical, horizontal) && vertical.step < 0;
  for (let task = firstTask(call, groups * K); task >= 0; task = nextTask()) {
    const from = w + (<usize> (task / K)) * strideG + (<usize> (task % K)) * strideK;
    const to = workspace + ((<usize> (task * depth)) << 2);
    for (let i: usize = 0; i < <usize> depth; i++) {
      const at = turned ? <usize> depth - 1 - i : i;
      store<f32>(to + (at << 2), load<f32>(from + load<usize>(list + (i << 3), 4)));
    }
  }
}

/** The planes that a task computes: target channels of a group of an image. Constant during the task. */
class Planes {
  /** Number of planes. */
  static channels: i32 = 0;
  /** The first plane, and bytes from one to the next. */
  static to: usize = 0;
  static step: usize = 0;
  /** Bytes from the weights of a channel to those of the next. */
  static stride: usize = 0;
  /** Numbers to add, one a plane; 0 for none. */
  static offsets: usize = 0;
  /** Planes to add; 0 for none. */
  static addend: usize = 0;
  /** The padded source. */
  static padded: usize = 0;
  /** Scratch for results. */
  static results: usize = 0;
}

/** The phase being computed: target pixels that read the source by the same taps. */
class Phase {
  /** Its number along each axis. */
  static a: i32 = 0;
  static b: i32 = 0;
  /** Rows of pixels, and pixels of each. */
  static down: i32 = 0;
  static across: i32 = 0;
  /** The list of its taps, and the weights of the first channel in the same order. */
  static list: usize = 0;
  static weights: usize = 0;
  /** Number of taps. */
  static count: i32 = 0;
  /** Number of taps of the next phase, if both are computed together and stored by turns; else -1. */
  static next: i32 = -1;

  static get isPair(): bool {
    return this.next >= 0;
  }
}

/** Two vectors of pixels of four rows of a channel, to a tile [row][vector]. */
function fourRows(
  x0: usize, x1: usize, x2: usize, x3: usize, list: usize, weights: usize, count: i32, tile: usize,
): void {
  let s0 = splat(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
  for (; count > 0; count--, list += 8, weights += 4) {
    const at = load<usize>(list);
    const v = v128.load_splat<f32>(weights);
    s0 = madd(v, v128.load(x0 + at), s0);
    t0 = madd(v, v128.load(x0 + at, 16), t0);
    s1 = madd(v, v128.load(x1 + at), s1);
    t1 = madd(v, v128.load(x1 + at, 16), t1);
    s2 = madd(v, v128.load(x2 + at), s2);
    t2 = madd(v, v128.load(x2 + at, 16), t2);
    s3 = madd(v, v128.load(x3 + at), s3);
    t3 = madd(v, v128.load(x3 + at, 16), t3);
  }
  v128.store(tile, s0);
  v128.store(tile, t0, 16);
  v128.store(tile, s1, 32);
  v128.store(tile, t1, 48);
  v128.store(tile, s2, 64);
  v128.store(tile, t2, 80);
  v128.store(tile, s3, 96);
  v128.store(tile, t3, 112);
}

/** Stores up to four results, plus an offset and, unless `addend` is 0, the value there, at every pixel of a phase. */
function storePixels(value: v128, offset: f32, addend: usize, to: usize, left: i32): void {
  const step = pixelStep;
  let y = add(value, splat(offset));
  if (addend) y = add(y, loadEvery(addend, step));
  if (step == 4) storeFirst(to, y, left);
  else {
    store<f32>(to, f32x4.extract_lane(y, 0));
    if (left > 1) store<f32>(to + step, f32x4.extract_lane(y, 1));
    if (left > 2) store<f32>(to + 2 * step, f32x4.extract_lane(y, 2));
    if (left > 3) store<f32>(to + 3 * step, f32x4.extract_lane(y, 3));
  }
}

/** Stores four numbers of each of two phases by turns. */
function storeInPairs(p: v128, q: v128, to: usize): void {
  v128.store(to, i32x4.shuffle(p, q, 0, 4, 1, 5));
  v128.store(to, i32x4.shuffle(p, q, 2, 6, 3, 7), 16);
}

/** Computes the pixels of the phase in one of the planes. */
function onePlane(k: usize): void {
  const down = Phase.down, across = Phase.across;
  const weights = Phase.weights + k * Planes.stride;
  const tile = Planes.results;
  const step = rowStep;
  const shift = Planes.offsets ? load<f32>(Planes.offsets + (k << 2)) : 0;
  const addend = Planes.addend ? Planes.addend + k * Planes.step : 0;
  const to = Planes.to + k * Planes.step;
  for (let i = 0; i < down; i += 4) {
    const last = down - 1 - i;
    const rows = min(4, down - i);
    for (let q = 0; q < across; q += 8) {
      // Missing rows repeat the last one.
      const x0 = Planes.padded + (<usize> i) * step + ((<usize> q) << 2);
      const x1 = x0 + (<usize> min(1, last)) * step;
      const x2 = x0 + (<usize> min(2, last)) * step;
      const x3 = x0 + (<usize> min(3, last)) * step;
      fourRows(x0, x1, x2, x3, Phase.list, weights, Phase.count, tile);
      for (let r = 0; r < rows; r++) {
        const from = tile + ((<usize> r) << 5);
        const at = targetAt(Phase.a, Phase.b, i + r, q);
        storePixels(v128.load(from), shift, addend ? addend + at : 0, to + at, across - q);
        if (q + 4 >= across) continue;
        const next = targetAt(Phase.a, Phase.b, i + r, q + 4);
        storePixels(v128.load(from, 16), shift, addend ? addend + next : 0, to + next, across - q - 4);
      }
    }
  }
}

/** Packs the pixels that some taps read, for the vectors of four pixels from each of four addresses on. */
function packPixels(
  x0: usize, x1: usize, x2: usize, x3: usize, list: usize, depth: i32, wide: bool,
): void {
  const pitch: usize = wide ? 64 : 32;
  for (let lines = DEPTH; lines > 0; lines >>= 1) {
    if (!(depth & lines)) continue;
    let to = panelAddress() + (<usize> lines) * pitch;
    for (let i = 0; i < lines; i++, list += 8, to += pitch) {
      const at = load<usize>(list);
      v128.store(to, v128.load(x0 + at));
      v128.store(to, v128.load(x1 + at), 16);
      if (wide) {
        v128.store(to, v128.load(x2 + at), 32);
        v128.store(to, v128.load(x3 + at), 48);
      }
    }
  }
}

/**
 * Computes `width` vectors of pixels from the first on, in all planes: a product of the weights and of the pixels that each
 * tap reads. The results of the next phase follow those of the first, `half` bytes later.
 *
 * @param inRow vectors of a row
 * @param wide whether panels hold four vectors, else two
 */
function multiplyVectors(first: i32, width: i32, inRow: i32, wide: bool, half: usize): void {
  // Missing vectors repeat the last one.
  const x0 = Planes.padded + vectorAt(first, inRow);
  const x1 = Planes.padded + vectorAt(first + min(1, width - 1), inRow);
  const x2 = Planes.padded + vectorAt(first + min(2, width - 1), inRow);
  const x3 = Planes.padded + vectorAt(first + width - 1, inRow);
  const columns = wide ? 16 : 8;
  const line: usize = (<usize> columns) << 2;
  let tap = 0;
  for (let phase = 0; phase <= <i32> Phase.isPair; phase++) {
    const start = tap;
    const end = phase ? Phase.count + Phase.next : Phase.count;
    const sums = Planes.results + (<usize> phase) * half;
    if (start == end) memory.fill(sums, 0, half);
    while (tap < end) {
      const depth = panelDepth(end - tap);
      const weights = Phase.weights + ((<usize> tap) << 2);
      packPixels(x0, x1, x2, x3, Phase.list + ((<usize> tap) << 3), depth, wide);
      const isFirst = <usize> (tap == start);
      timesPanel(Planes.channels, depth, weights, Planes.stride, 4, sums, line, columns, wide, isFirst);
      tap += depth;
    }
  }
}

/** Stores a vector of each plane, of row i from column q on. Those of the planes are `line` bytes apart. */
function storeVector(from: usize, i: i32, q: i32, line: usize, half: usize): void {
  const at = targetAt(Phase.a, Phase.b, i, q);
  const left = Phase.across - q;
  const isPair = Phase.isPair;
  const channels = <usize> Planes.channels;
  const offsets = Planes.offsets, addend = Planes.addend, step = Planes.step;
  const isWhole = left >= 4 && !addend;
  let to = Planes.to + at;
  for (let k: usize = 0; k < channels; k++, from += line, to += step) {
    const shift = offsets ? load<f32>(offsets + (k << 2)) : 0;
    const added = addend ? addend + k * step + at : 0;
    const value = v128.load(from);
    const next = isPair ? v128.load(from + half) : value;
    const y = add(value, splat(shift));
    if (isWhole && isPair) storeInPairs(y, add(next, splat(shift)), to);
    else if (isWhole && pixelStep == 4) v128.store(to, y);
    else storePixels(value, shift, added, to, left);
    if (!isWhole && isPair) storePixels(next, shift, added ? added + 4 : 0, to + 4, left);
  }
}

/** Computes the pixels of the phase, or of it and the next, in all planes. */
function allPlanes(): void {
  const inRow = (Phase.across + 3) >> 2;
  const vectors = Phase.down * inRow;
  const half: usize = (<usize> Planes.channels) << 6;
  for (let first = 0; first < vectors;) {
    const wide = panelColumns(4 * (vectors - first)) == 16;
    const width = min(wide ? 4 : 2, vectors - first);
    multiplyVectors(first, width, inRow, wide, half);
    for (let j = 0; j < width; j++) {
      const i = (first + j) / inRow;
      const q = (first + j) % inRow << 2;
      storeVector(Planes.results + ((<usize> j) << 4), i, q, wide ? 64 : 32, half);
    }
    first += width;
  }
}

/** Bytes of scratch per thread: the list of taps, padded planes, results. */
function threadBytes(C: i32, K: i32, vertical: Axis, horizontal: Axis): u64 {
  return listBytes(C, vertical.taps * horizontal.taps) +
    paddedBytes(C, vertical, horizontal) + resultBytes(K);
}

export function convolveWorkspace(
  groups: i32, C: i32, K: i32, vertical: Axis, horizontal: Axis, threads: i32,
): u64 {
  return packedBytes(groups, C, K, vertical.taps * horizontal.taps) +
    threads * threadBytes(C, K, vertical, horizontal);
}

/**
 * A convolution with the weights that `convolveWeights` left in the workspace: source [N][groups][C][H][W]
 * to target [N][groups][K][P][Q], plus bias[n % B][group][k] and an addend of the target's shape, unless
 * their addresses are 0. A task is a part of the target channels of a group of an image; there are `splits`. In depthwise
 * ones it is a plane.
 */
export function convolve(
  call: usize, workspace: usize, source: usize, bias: usize, addend: usize, target: usize, N: i32, B: i32,
  groups: i32, C: i32, K: i32, splits: i32, vertical: Axis, horizontal: Axis,
): void {
  setAxes(vertical, horizontal);
  const taps = vertical.taps * horizontal.taps;
  const stride: usize = (<usize> (C * taps)) << 2;
  const list = workspace + <usize> packedBytes(groups, C, K, taps) +
    (<usize> me) * <usize> threadBytes(C, K, vertical, horizontal);
  const padded = list + <usize> listBytes(C, taps);
  const results = padded + <usize> paddedBytes(C, vertical, horizontal);
  const pixels: usize = (<usize> (vertical.target * horizontal.target)) << 2;
  const sourceBytes: usize = (<usize> (C * vertical.source * horizontal.source)) << 2;
  memory.fill(padded, 0, <usize> paddedBytes(C, vertical, horizontal));
  if (isInBlocks(C, K, vertical, horizontal)) {
    const down = vertical.target;
    const across = horizontal.target;
    const planes = N * groups * K;
    for (let i = firstTask(call, planes); i >= 0; i = nextTask()) {
      const image = i / K;
      const channel = i % (groups * K);
      const at = (<usize> i) * pixels;
      padPlanes(source + (<usize> image) * sourceBytes, 1, padded);
      const offset = bias ? bias + ((<usize> (image / groups % B * groups * K + channel)) << 2) : 0;
      const weights = workspace + (<usize> channel) * stride;
      const added = addend ? addend + at : 0;
      depthwisePlane(padded, pitch, weights, vertical.taps, offset, added, target + at, down, across);
    }
    return;
  }
  listPhases(list, vertical, horizontal, C, 0);
  for (let task = firstTask(call, N * groups * splits); task >= 0; task = nextTask()) {
    const image = task / splits, split = task % splits, g = image % groups;
    const k = split * K / splits;
    const end = (split + 1) * K / splits;
    const planeK = (<usize> (image * K + k)) * pixels;
    Planes.channels = end - k;
    Planes.to = target + planeK;
    Planes.step = pixels;
    Planes.stride = stride;
    Planes.offsets = bias ? bias + ((<usize> (image / groups % B * groups * K + g * K + k)) << 2) : 0;
    Planes.addend = addend ? addend + planeK : 0;
    Planes.padded = padded;
    Planes.results = results;
    padPlanes(source + (<usize> image) * sourceBytes, C, padded);
    Phase.weights = workspace + (<usize> (g * K + k)) * stride;
    Phase.list = list;
    for (let a = 0; a < phasesOf(vertical); a++) {
      for (let b = 0; b < phasesOf(horizontal); b++) {
        const tapsV = tapsOf(vertical, a) * C;
        Phase.a = a;
        Phase.b = b;
        Phase.down = positionsOf(vertical, a);
        Phase.across = positionsOf(horizontal, b);
        Phase.count = tapsV * tapsOf(horizontal, b);
        Phase.next = inPairs && isProduct(K) ? tapsV * tapsOf(horizontal, 1) : -1;
        let count = Phase.count;
        if (Phase.isPair) {
          b++;
          count += Phase.next;
        }
        if (isProduct(K)) allPlanes();
        else for (let j: usize = 0; j < <usize> Planes.channels; j++) onePlane(j);
        Phase.list += (<usize> count) << 3;
        Phase.weights += (<usize> count) << 2;
      }
    }
  }
}
