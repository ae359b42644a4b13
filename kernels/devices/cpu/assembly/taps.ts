// Where the taps of a direct convolution read. Along an axis, target position p = phase + spread i reads the source at
// stride i + (phase + origin + step r) / spread, for each tap r for which that is whole: a convolution has spread 1, its
// transpose stride 1. The source is copied with zeros around it, its columns sorted by their remainder modulo the
// stride, so that neighbours in a target row read neighbours.

import { Axis } from "./axis.ts";
import { firstLanes } from "./simd.ts";

/** The axes of the running call. */
let vertical = changetype<Axis>(0);
let horizontal = vertical;
/** Bytes of a padded row. */
export let pitch: usize = 0;
/** Bytes of a padded plane. */
export let plane: usize = 0;
/** Bytes between the source rows of neighbouring target rows of a phase. */
export let rowStep: usize = 0;
/** Bytes between neighbouring target pixels of a phase. */
export let pixelStep: usize = 0;
/** Whether the pixels of two phases make up whole rows. */
export let inPairs: bool = false;

/** Elements of a padded row: the columns of each remainder, and what a tile of eight reads beyond the last. */
function pitchOf(axis: Axis): i32 {
  return axis.stride * ((axis.length + axis.stride - 1) / axis.stride + 8);
}

/** Bytes of padded planes, and of what tiles read beyond the last; before `setAxes`. */
export function paddedBytes(channels: i32, vertical: Axis, horizontal: Axis): u64 {
  return (4 * (channels * <u64> vertical.length + 7) * pitchOf(horizontal) + 15) & ~15;
}

/** Whether a group has enough target channels for a product; otherwise channels are computed one by one. */
export function isProduct(K: i32): bool {
  return K >= 4;
}

/** Sets both axes for the functions below. */
export function setAxes(v: Axis, h: Axis): void {
  vertical = v;
  horizontal = h;
  pitch = (<usize> pitchOf(h)) << 2;
  plane = (<usize> v.length) * pitch;
  rowStep = (<usize> v.stride) * pitch;
  pixelStep = (<usize> h.spread) << 2;
  inPairs = h.spread == 2 && (h.target & 1) == 0;
}

/** Number of phases of an axis that have target positions. */
export function phasesOf(axis: Axis): i32 {
  return min(axis.spread, axis.target);
}

/** Number of target positions of a phase of an axis. */
export function positionsOf(axis: Axis, phase: i32): i32 {
  return (axis.target - phase + axis.spread - 1) / axis.spread;
}

/** Number of taps of a phase of an axis. */
export function tapsOf(axis: Axis, phase: i32): i32 {
  let count = 0;
  for (let r = 0; r < axis.taps; r++) if ((phase + axis.origin + r * axis.step) % axis.spread == 0) count++;
  return count;
}

/** Offset in a target plane of pixel j of row i of a phase, in bytes. */
export function targetAt(phaseV: i32, phaseH: i32, i: i32, j: i32): usize {
  return (<usize> ((phaseV + i * vertical.spread) * horizontal.target + phaseH + j * horizontal.spread)) << 2;
}

/** Offset in the padded source of what the first tap of vector j of a phase reads, of `inRow` in each row; in bytes. */
export function vectorAt(j: i32, inRow: i32): usize {
  return (<usize> (j / inRow)) * rowStep + ((<usize> (j % inRow)) << 4);
}

/**
 * Lists the taps of a phase of each axis for C source channels: the offset of each in the padded source, and that of its
 * weight, in bytes. Returns their number.
 *
 * @param strideC bytes from the weights of a source channel to those of the next
 */
export function listTaps(to: usize, phaseV: i32, phaseH: i32, C: i32, strideC: usize): i32 {
  const start = to;
  const strideH = horizontal.stride;
  const segment = <i32> (pitch >> 2) / strideH;
  const R = vertical.taps, S = horizontal.taps, spreadV = vertical.spread, spreadH = horizontal.spread;
  for (let r = 0; r < R; r++) {
    const v = phaseV + vertical.origin + r * vertical.step;
    if (v % spreadV != 0) continue;
    const row = (<usize> (v / spreadV - vertical.low)) * pitch;
    for (let s = 0; s < S; s++) {
      const h = phaseH + horizontal.origin + s * horizontal.step;
      if (h % spreadH != 0) continue;
      const column = h / spreadH - horizontal.low;
      store<usize>(to, row + ((<usize> (column % strideH * segment + column / strideH)) << 2));
      store<usize>(to, (<usize> (r * S + s)) << 2, 4);
      to += 8;
    }
  }
  const count = <i32> ((to - start) >> 3);
  for (let i = count * (C - 1), from = start; i > 0; i--, from += 8, to += 8) {
    store<usize>(to, load<usize>(from) + plane);
    store<usize>(to, load<usize>(from, 4) + strideC, 4);
  }
  return C * count;
}

/** Copies planes [H][W] to padded ones, whose margins must be zero already. */
export function padPlanes(from: usize, channels: i32, to: usize): void {
  const H = vertical.source, lowV = vertical.low, W = horizontal.source, lowH = horizontal.low;
  const stride = horizontal.stride;
  const segment = pitch / <usize> stride;
  const start = max(0, lowH);
  const count = min(W, lowH + horizontal.length) - start;
  const first = start - lowH;
  const top = max(0, lowV);
  const end = min(H, lowV + vertical.length);
  const row: usize = (<usize> W) << 2;
  if (count <= 0) return;
  // Where the first two columns go; of several remainders, each has a part of the row.
  const one = (<usize> (first % stride)) * segment + ((<usize> (first / stride)) << 2);
  const two = (<usize> ((first + 1) % stride)) * segment + ((<usize> ((first + 1) / stride)) << 2);
  // The last vectors of a row have zeros where there are no columns.
  const last = (count - 1) & (stride == 1 ? ~3 : ~7);
  const rest = count - last;
  const whole: usize = (<usize> last) << 2;
  const mask = firstLanes(stride == 1 ? rest : (rest + 1) >> 1), mask2 = firstLanes(rest >> 1);
  for (let c = 0; c < channels; c++, from += (<usize> H) * row, to += plane) {
    let source = from + ((<usize> (top * W + start)) << 2);
    let target = to + (<usize> (top - lowV)) * pitch;
    for (let h = top; h < end; h++, source += row, target += pitch) {
      let at = target + one;
      let n: usize = 0;
      if (stride == 1) {
        for (; n < whole; n += 16) v128.store(at + n, v128.load(source + n));
        v128.store(at + n, v128.and(v128.load(source + n), mask));
      } else if (stride == 2) {
        let next = target + two;
        for (; n < whole; n += 32, at += 16, next += 16) {
          const p = v128.load(source + n), q = v128.load(source + n, 16);
          v128.store(at, i32x4.shuffle(p, q, 0, 2, 4, 6));
          v128.store(next, i32x4.shuffle(p, q, 1, 3, 5, 7));
        }
        const p = v128.load(source + n), q = v128.load(source + n, 16);
        v128.store(at, v128.and(i32x4.shuffle(p, q, 0, 2, 4, 6), mask));
        v128.store(next, v128.and(i32x4.shuffle(p, q, 1, 3, 5, 7), mask2));
      } else {
        let phase = first % stride;
        for (let w = 0; w < count; w++) {
          store<f32>(at, load<f32>(source + ((<usize> w) << 2)));
          at += segment;
          phase++;
          if (phase == stride) {
            phase = 0;
            at += 4 - pitch;
          }
        }
      }
    }
  }
}
