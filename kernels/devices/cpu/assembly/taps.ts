// Where the taps of a direct convolution read. Along an axis, target position p = phase + spread i reads the source at
// stride i + (phase + origin + step r) / spread, for each tap r for which that is whole: a convolution has spread 1, its
// transpose stride 1. The source is copied with zeros around it, its columns sorted by their remainder modulo the
// stride, so that neighbours in a target row read neighbours.

import { copyRow } from "./rows.ts";

/** The vertical axis of the running call: lengths of source and target, and where the taps read. */
let H: i32 = 0, P: i32 = 0, R: i32 = 0, stepV: i32 = 0, originV: i32 = 0;
let spreadV: i32 = 1, lowV: i32 = 0, rows: i32 = 0;

/** The horizontal axis. */
let W: i32 = 0, Q: i32 = 0, S: i32 = 0, stepH: i32 = 0, originH: i32 = 0;
let strideH: i32 = 1, spreadH: i32 = 1, lowH: i32 = 0, columns: i32 = 0;

/** Elements of a padded row: the columns of each remainder, and what a tile of eight reads beyond the last. */
function pitchOf(columns: i32, stride: i32): i32 {
  return stride * ((columns + stride - 1) / stride + 8);
}

/** Bytes of a padded row and of a padded plane. */
let pitch: usize = 0;
export let plane: usize = 0;
/** Bytes between the source rows of neighbouring target rows, and between target pixels, of a phase. */
export let rowStep: usize = 0, pixelStep: usize = 0;

/** Bytes of a padded plane, before `setAxes`. */
export function planeBytes(rows: i32, columns: i32, stride: i32): u64 {
  return 4 * <u64> rows * pitchOf(columns, stride);
}

/** Sets both axes for the functions below. */
export function setAxes(
  sourceV: i32,
  targetV: i32,
  tapsV: i32,
  stepOfV: i32,
  originOfV: i32,
  strideOfV: i32,
  spreadOfV: i32,
  lowOfV: i32,
  lengthV: i32,
  sourceH: i32,
  targetH: i32,
  tapsH: i32,
  stepOfH: i32,
  originOfH: i32,
  strideOfH: i32,
  spreadOfH: i32,
  lowOfH: i32,
  lengthH: i32,
): void {
  H = sourceV, P = targetV, R = tapsV, stepV = stepOfV, originV = originOfV;
  spreadV = spreadOfV, lowV = lowOfV, rows = lengthV;
  W = sourceH, Q = targetH, S = tapsH, stepH = stepOfH, originH = originOfH;
  strideH = strideOfH, spreadH = spreadOfH, lowH = lowOfH, columns = lengthH;
  pitch = (<usize> pitchOf(columns, strideH)) << 2;
  plane = (<usize> rows) * pitch;
  rowStep = (<usize> strideOfV) * pitch, pixelStep = (<usize> spreadH) << 2;
}

/** Number of phases of each axis that have target positions. */
export function phasesV(): i32 {
  return min(spreadV, P);
}

export function phasesH(): i32 {
  return min(spreadH, Q);
}

/** Number of target positions of a phase of each axis. */
export function lengthOfV(phase: i32): i32 {
  return (P - phase + spreadV - 1) / spreadV;
}

export function lengthOfH(phase: i32): i32 {
  return (Q - phase + spreadH - 1) / spreadH;
}

/** Number of taps of a phase of each axis. */
export function tapsIn(phaseV: i32, phaseH: i32): i32 {
  let down = 0, across = 0;
  for (let r = 0; r < R; r++) if ((phaseV + originV + r * stepV) % spreadV == 0) down++;
  for (let s = 0; s < S; s++) if ((phaseH + originH + s * stepH) % spreadH == 0) across++;
  return down * across;
}

/** Offset in a target plane of pixel j of row i of a phase, in bytes. */
export function targetAt(phaseV: i32, phaseH: i32, i: i32, j: i32): usize {
  return (<usize> ((phaseV + i * spreadV) * Q + phaseH + j * spreadH)) << 2;
}

/**
 * Lists the taps of a phase of each axis for C source channels: the offset of each in the padded source, and that of its
 * weight, in bytes. Returns their number.
 *
 * @param strideC bytes from the weights of a source channel to those of the next
 */
export function listTaps(to: usize, phaseV: i32, phaseH: i32, C: i32, strideC: usize): i32 {
  const start = to, segment = <i32> (pitch >> 2) / strideH;
  for (let c = 0; c < C; c++) {
    for (let r = 0; r < R; r++) {
      const v = phaseV + originV + r * stepV;
      if (v % spreadV != 0) continue;
      const row = (<usize> c) * plane + (<usize> (v / spreadV - lowV)) * pitch;
      for (let s = 0; s < S; s++) {
        const h = phaseH + originH + s * stepH;
        if (h % spreadH != 0) continue;
        const column = h / spreadH - lowH;
        store<usize>(to, row + ((<usize> (column % strideH * segment + column / strideH)) << 2));
        store<usize>(to, (<usize> c) * strideC + ((<usize> (r * S + s)) << 2), 4);
        to += 8;
      }
    }
  }
  return <i32> ((to - start) >> 3);
}

/** Copies planes [H][W] to padded ones, whose margins must be zero already. */
export function padPlanes(from: usize, channels: i32, to: usize): void {
  const segment = pitch / <usize> strideH, start = max(0, lowH), end = min(W, lowH + columns);
  for (let c = 0; c < channels; c++, from += (<usize> (H * W)) << 2, to += plane) {
    for (let h = max(0, lowV); h < min(H, lowV + rows); h++) {
      const source = from + ((<usize> (h * W)) << 2), row = to + (<usize> (h - lowV)) * pitch;
      if (strideH == 1) {
        copyRow(source + ((<usize> start) << 2), row + ((<usize> (start - lowH)) << 2), end - start);
      } else {
        let phase = (start - lowH) % strideH;
        let at = row + (<usize> phase) * segment + ((<usize> ((start - lowH) / strideH)) << 2);
        for (let w = start; w < end; w++) {
          store<f32>(at, load<f32>(source + ((<usize> w) << 2)));
          at += segment, phase++;
          if (phase == strideH) phase = 0, at += 4 - pitch;
        }
      }
    }
  }
}
