// Convolutions and transposed convolutions of any size, stride, padding, dilation and groups: a product of the weights
// and the source's pixels, which are read where they lie in a padded copy. `taps.ts` explains the axes.

import { Axis } from "../axis.ts";
import { nextTask } from "../call.ts";
import { add, lane0, lane1, lane2, lane3, loadEvery, madd, splat, storeFirst } from "../simd.ts";
import {
  listTaps,
  padPlanes,
  phasesOf,
  pixelStep,
  plane,
  planeBytes,
  positionsOf,
  rowStep,
  setAxes,
  tapsOf,
  targetAt,
} from "../taps.ts";
import { me } from "../threads.ts";

/** Target channels of a panel of weights: groups of few channels are computed one by one. */
function widthOf(K: i32): i32 {
  return K < 4 ? 1 : 4;
}

function panelsOf(K: i32): i32 {
  const width = widthOf(K);
  return (K + width - 1) / width;
}

/** Bytes of the packed weights, [group][panel][tap][channel of the panel]. */
function packedBytes(groups: i32, C: i32, K: i32, taps: i32): u64 {
  return (4 * <u64> groups * panelsOf(K) * widthOf(K) * C * taps + 15) & ~15;
}

/** Bytes of the list of all taps. */
function listBytes(C: i32, taps: i32): u64 {
  return (8 * <u64> C * taps + 15) & ~15;
}

/** Bytes of a tile of results. */
const TILE: usize = 128;

/** Lists the taps of all phases. */
function listPhases(to: usize, vertical: Axis, horizontal: Axis, C: i32, strideC: usize): void {
  for (let a = 0; a < phasesOf(vertical); a++) {
    for (let b = 0; b < phasesOf(horizontal); b++) to += (<usize> listTaps(to, a, b, C, strideC)) << 3;
  }
}

export function convolveWeightsWorkspace(
  groups: i32,
  C: i32,
  K: i32,
  vertical: Axis,
  horizontal: Axis,
  threads: i32,
): u64 {
  const taps = vertical.taps * horizontal.taps;
  return packedBytes(groups, C, K, taps) + threads * listBytes(C, taps);
}

/**
 * Packs the weights of `groups` times K target channels by C source channels, in the order in which `convolve` uses
 * them. Strides are in bytes. A task is a panel.
 */
export function convolveWeights(
  call: usize,
  workspace: usize,
  w: usize,
  groups: i32,
  C: i32,
  K: i32,
  strideG: usize,
  strideK: usize,
  strideC: usize,
  vertical: Axis,
  horizontal: Axis,
): void {
  setAxes(vertical, horizontal);
  const taps = vertical.taps * horizontal.taps, width = widthOf(K), panels = panelsOf(K), depth = C * taps;
  const list = workspace + <usize> packedBytes(groups, C, K, taps) +
    (<usize> me) * <usize> listBytes(C, taps);
  memory.fill(list, 0, (<usize> depth) << 3); // phases without target positions list none
  listPhases(list, vertical, horizontal, C, strideC);
  for (let task = nextTask(call); task < groups * panels; task = nextTask(call)) {
    const k = task % panels * width, from = w + (<usize> (task / panels)) * strideG + (<usize> k) * strideK;
    let to = workspace + ((<usize> (task * depth * width)) << 2);
    for (let i = 0; i < depth; i++) {
      const tap = from + load<usize>(list + ((<usize> i) << 3), 4);
      for (let j = 0; j < width; j++, to += 4) {
        store<f32>(to, k + j < K ? load<f32>(tap + (<usize> j) * strideK) : 0);
      }
    }
  }
}

/** Two vectors of pixels of four channels, to a tile [channel][vector]. */
function fourChannels(x: usize, next: usize, list: usize, weights: usize, count: i32, tile: usize): void {
  let s0 = splat(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
  for (; count > 0; count--, list += 8, weights += 16) {
    const at = load<usize>(list), v = v128.load(weights);
    const p = v128.load(x + at), q = v128.load(next + at);
    s0 = madd(lane0(v), p, s0), t0 = madd(lane0(v), q, t0);
    s1 = madd(lane1(v), p, s1), t1 = madd(lane1(v), q, t1);
    s2 = madd(lane2(v), p, s2), t2 = madd(lane2(v), q, t2);
    s3 = madd(lane3(v), p, s3), t3 = madd(lane3(v), q, t3);
  }
  v128.store(tile, s0), v128.store(tile, t0, 16);
  v128.store(tile, s1, 32), v128.store(tile, t1, 48);
  v128.store(tile, s2, 64), v128.store(tile, t2, 80);
  v128.store(tile, s3, 96), v128.store(tile, t3, 112);
}

/** Two vectors of pixels of four rows of a channel, to a tile [row][vector]. */
function fourRows(
  x0: usize,
  x1: usize,
  x2: usize,
  x3: usize,
  list: usize,
  weights: usize,
  count: i32,
  tile: usize,
): void {
  let s0 = splat(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
  for (; count > 0; count--, list += 8, weights += 4) {
    const at = load<usize>(list), v = v128.load_splat<f32>(weights);
    s0 = madd(v, v128.load(x0 + at), s0), t0 = madd(v, v128.load(x0 + at, 16), t0);
    s1 = madd(v, v128.load(x1 + at), s1), t1 = madd(v, v128.load(x1 + at, 16), t1);
    s2 = madd(v, v128.load(x2 + at), s2), t2 = madd(v, v128.load(x2 + at, 16), t2);
    s3 = madd(v, v128.load(x3 + at), s3), t3 = madd(v, v128.load(x3 + at, 16), t3);
  }
  v128.store(tile, s0), v128.store(tile, t0, 16);
  v128.store(tile, s1, 32), v128.store(tile, t1, 48);
  v128.store(tile, s2, 64), v128.store(tile, t2, 80);
  v128.store(tile, s3, 96), v128.store(tile, t3, 112);
}

/** Stores up to four results, plus an offset and, unless `addend` is 0, what is there, at every pixel of a phase. */
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

/**
 * The pixels of a phase of one channel, from the padded source, the list of its taps and their weights.
 *
 * @param down, across number of pixels
 * @param offset, addend what to add: a number, and a plane; 0 for none
 */
function onePlane(
  padded: usize,
  list: usize,
  weights: usize,
  count: i32,
  tile: usize,
  a: i32,
  b: i32,
  down: i32,
  across: i32,
  offset: usize,
  addend: usize,
  to: usize,
): void {
  const step = rowStep, shift = offset ? load<f32>(offset) : 0;
  for (let i = 0; i < down; i += 4) {
    const last = down - 1 - i, rows = min(4, down - i);
    for (let q = 0; q < across; q += 8) {
      const x = padded + (<usize> i) * step + ((<usize> q) << 2);
      const x1 = x + (<usize> min(1, last)) * step, x2 = x + (<usize> min(2, last)) * step;
      fourRows(x, x1, x2, x + (<usize> min(3, last)) * step, list, weights, count, tile);
      for (let r = 0; r < rows; r++) {
        const from = tile + ((<usize> r) << 5),
          at = targetAt(a, b, i + r, q),
          next = targetAt(a, b, i + r, q + 4);
        storePixels(v128.load(from), shift, addend ? addend + at : 0, to + at, across - q);
        if (q + 4 >= across) continue;
        storePixels(v128.load(from, 16), shift, addend ? addend + next : 0, to + next, across - q - 4);
      }
    }
  }
}

/** The same of up to four channels, whose weights and offsets are neighbours, and whose planes are `step` bytes apart. */
function fourPlanes(
  padded: usize,
  list: usize,
  weights: usize,
  count: i32,
  tile: usize,
  a: i32,
  b: i32,
  down: i32,
  across: i32,
  offsets: usize,
  addend: usize,
  to: usize,
  channels: i32,
  step: usize,
): void {
  const row = rowStep;
  for (let i = 0, q = 0; i < down;) {
    // The vector after this one, in this row or the next.
    const i2 = q + 4 < across ? i : i + 1, q2 = q + 4 < across ? q + 4 : 0;
    const x = padded + (<usize> i) * row + ((<usize> q) << 2);
    const next = i2 < down ? padded + (<usize> i2) * row + ((<usize> q2) << 2) : x;
    fourChannels(x, next, list, weights, count, tile);
    const at = targetAt(a, b, i, q), at2 = targetAt(a, b, i2, q2);
    for (let k: usize = 0; k < <usize> channels; k++) {
      const from = tile + (k << 5), y = to + k * step, more = addend ? addend + k * step : 0;
      const shift = offsets ? load<f32>(offsets + (k << 2)) : 0;
      storePixels(v128.load(from), shift, more ? more + at : 0, y + at, across - q);
      if (i2 < down) storePixels(v128.load(from, 16), shift, more ? more + at2 : 0, y + at2, across - q2);
    }
    i = q2 + 4 < across ? i2 : i2 + 1, q = q2 + 4 < across ? q2 + 4 : 0;
  }
}

/** Bytes of scratch per thread: the list of taps, padded planes, a tile. */
function threadBytes(C: i32, vertical: Axis, horizontal: Axis): u64 {
  return listBytes(C, vertical.taps * horizontal.taps) +
    ((C * planeBytes(vertical, horizontal) + 15) & ~15) + TILE;
}

export function convolveWorkspace(
  groups: i32,
  C: i32,
  K: i32,
  vertical: Axis,
  horizontal: Axis,
  threads: i32,
): u64 {
  return packedBytes(groups, C, K, vertical.taps * horizontal.taps) +
    threads * threadBytes(C, vertical, horizontal);
}

/**
 * A convolution with the weights that `convolveWeights` left in the workspace: source [N][groups][C][H][W]
 * to target [N][groups][K][P][Q], plus bias[n % B][group][k] and an addend of the target's shape, unless
 * their addresses are 0. A task is a part of the target channels of a group of an image; there are `splits`.
 */
export function convolve(
  call: usize,
  workspace: usize,
  source: usize,
  bias: usize,
  addend: usize,
  target: usize,
  N: i32,
  B: i32,
  groups: i32,
  C: i32,
  K: i32,
  splits: i32,
  vertical: Axis,
  horizontal: Axis,
): void {
  setAxes(vertical, horizontal);
  const taps = vertical.taps * horizontal.taps, width = widthOf(K), panels = panelsOf(K);
  const list = workspace + <usize> packedBytes(groups, C, K, taps) +
    (<usize> me) * <usize> threadBytes(C, vertical, horizontal);
  const padded = list + <usize> listBytes(C, taps);
  const tile = padded + ((<usize> C * plane + 15) & ~15);
  const pixels: usize = (<usize> (vertical.target * horizontal.target)) << 2;
  listPhases(list, vertical, horizontal, C, 0);
  memory.fill(padded, 0, (<usize> C) * plane);
  for (let task = nextTask(call); task < N * groups * splits; task = nextTask(call)) {
    const image = task / splits, split = task % splits, g = image % groups;
    const offsets = bias ? bias + ((<usize> (image / groups % B * groups * K + g * K)) << 2) : 0;
    padPlanes(source + ((<usize> (image * C * vertical.source * horizontal.source)) << 2), C, padded);
    let from = list, before = 0;
    for (let a = 0; a < phasesOf(vertical); a++) {
      for (let b = 0; b < phasesOf(horizontal); b++) {
        const count = tapsOf(vertical, a) * tapsOf(horizontal, b) * C;
        const down = positionsOf(vertical, a), across = positionsOf(horizontal, b);
        for (let panel = split * panels / splits; panel < (split + 1) * panels / splits; panel++) {
          const k = panel * width, planeK = (<usize> (image * K + k)) * pixels;
          const weights = workspace + ((<usize> (((g * panels + panel) * C * taps + before) * width)) << 2);
          const shift = offsets ? offsets + ((<usize> k) << 2) : 0, more = addend ? addend + planeK : 0;
          const to = target + planeK;
          if (width == 1) onePlane(padded, from, weights, count, tile, a, b, down, across, shift, more, to);
          else {
            const some = min(4, K - k);
            fourPlanes(padded, from, weights, count, tile, a, b, down, across, shift, more, to, some, pixels);
          }
        }
        from += (<usize> count) << 3, before += count;
      }
    }
  }
}
