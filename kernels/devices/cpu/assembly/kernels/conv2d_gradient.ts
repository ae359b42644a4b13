// The weight gradient of the convolutions in `conv2d.ts`.

import { firstTask, nextTask } from "../call.ts";
import { add } from "../simd.ts";
import { directWeightGradient } from "../direct_convolution.ts";
import { gemm, panelAddress, panelOffset, panelPitch } from "../gemm.ts";
import { me } from "../threads.ts";
import { transformLargeGradient, transformLargeSource } from "../winograd_large.ts";
import { isEven } from "../winograd_range.ts";
import { transformGradient } from "../winograd_gradient.ts";
import { warm } from "../rows.ts";
import { transformSource } from "../winograd_source.ts";
import { transformWeightGradient } from "../winograd_weights.ts";
import { chunkOf, mStep, setKernel, setSizes, Sizes, tapsOfPart, threadBytes, vStep } from "../winograd_sizes.ts";

export function winogradGradientPartsWorkspace(
  N: i32, C: i32, H: i32, W: i32, K: i32, taps: i32, groups: i32, parts: i32, threads: i32,
): u64 {
  setSizes(C, H, W, K, taps);
  return groups * parts * Sizes.uBytes + threads * (threadBytes(N) + planesBytes());
}

/** Bytes of scratch planes, and of what loads read beyond them: four for the last channels, four of zeros. */
function planesBytes(): u64 {
  return (8 * <u64> Sizes.plane + 79) & ~63;
}

/** dU of groups of `run` images, each in parts, to the workspace: [group][part][element][all C][K]. A task is a part. */
export function winogradGradientParts(
  call: usize, workspace: usize, x: usize, dy: usize, N: i32, C: i32, H: i32, W: i32, K: i32, taps: i32,
  groups: i32, run: i32, parts: i32,
): void {
  setSizes(C, H, W, K, taps);
  const chunk = chunkOf(N), vs = vStep(chunk), ds = mStep(chunk);
  const planes = workspace + <usize> (groups * parts) * <usize> Sizes.uBytes +
    (<usize> me) * <usize> (threadBytes(N) + planesBytes());
  const rows = planes + <usize> planesBytes();
  const V = rows + Sizes.scratch;
  const D = V + Sizes.elements * vs;
  memory.fill(rows, 0, Sizes.scratch);
  memory.fill(planes, 0, 8 * Sizes.plane);

  for (let task = firstTask(call, groups * parts); task >= 0; task = nextTask()) {
    const start = task / parts * run;
    const total = min(run, N - start);
    const part = task % parts;
    const end = start + (part + 1) * total / parts;
    const U = workspace + (<usize> task) * Sizes.elements * Sizes.uStep;
    const begin = start + part * total / parts;
    if (begin == end) memory.fill(U, 0, Sizes.elements * Sizes.uStep);
    let suits = true;
    for (let first = begin; first < end; first += chunk) {
      const images = min(chunk, end - first);
      const count = images * Sizes.tiles;
      for (let i = 0; i < images; i++) {
        const n = first + i;
        const from = x + (<usize> (n * C)) * Sizes.plane, slope = dy + (<usize> (n * K)) * Sizes.plane;
        const to = V + (<usize> (i * Sizes.tiles)) * Sizes.pitchC;
        if (taps == 3) transformSource(from, C, H, W, rows, to, vs, Sizes.pitchC);
        else transformLargeSource(from, C, H, W, rows, to, vs, Sizes.pitchC);
        warm(slope, (<usize> K) * Sizes.plane, rows + 16);
        const rest = (<usize> (K & 3)) * Sizes.plane; // of a vector of channels that is not full
        memory.copy(planes, slope + (<usize> (K & ~3)) * Sizes.plane, rest);
        for (let y = 0; y < Sizes.down; y++) {
          for (let k = 0; k < Sizes.columns; k += 4) {
            const pitch = panelPitch(k, Sizes.columns);
            const at = <usize> (i * Sizes.tiles + y * Sizes.across);
            const to = D + panelOffset(k, count) + at * pitch;
            let some = slope + (<usize> k) * Sizes.plane;
            if (k + 4 > K) some = k < K ? planes : planes + 4 * Sizes.plane;
            if (taps == 3) transformGradient(some, H, W, y, to, ds, pitch);
            else transformLargeGradient(some, H, W, y, to, ds, pitch, panelAddress());
          }
        }
      }
      for (let i = 0; i < images; i++) {
        const at = i * Sizes.tiles;
        suits = suits && isEven(V + Sizes.centre * vs, at, count, Sizes.all, false) &&
          isEven(D + Sizes.centre * ds, at, count, K, true);
      }
      for (let f: usize = 0; f < Sizes.elements; f++) {
        const v = V + f * vs, d = D + f * ds, u = U + f * Sizes.uStep;
        gemm(Sizes.all, Sizes.columns, count, v, 4, Sizes.pitchC, d, 0, 0, u, Sizes.pitchK, first == begin);
      }
    }
    if (!suits) memory.fill(U, 0xff, Sizes.elements * Sizes.uStep); // NaN, which the sum detects
  }
}

/** Bytes of scratch per thread: the sums of a source channel, vectors between the halves of their transform, a result. */
function sumScratch(): u64 {
  return <u64> Sizes.elements * Sizes.pitchK + 1040;
}

export function winogradGradientSumWorkspace(
  C: i32, K: i32, taps: i32, groups: i32, parts: i32, threads: i32,
): u64 {
  setKernel(C, K, taps);
  return groups * parts * Sizes.uBytes + threads * sumScratch();
}

/**
 * dw of each group of `run` images from its partial sums. A task is a source channel of a group. Results that are not
 * finite are computed again, tap by tap.
 */
export function winogradGradientSum(
  call: usize, workspace: usize, dw: usize, C: i32, K: i32, taps: i32, groups: i32, parts: i32, x: usize,
  dy: usize, N: i32, H: i32, W: i32, run: i32,
): void {
  setSizes(C, H, W, K, taps);
  const partStep = Sizes.elements * Sizes.uStep;
  const side = Sizes.parts;
  const u = workspace + <usize> (groups * parts) * <usize> Sizes.uBytes + (<usize> me) * <usize> sumScratch();
  const rows = u + Sizes.elements * Sizes.pitchK;
  const result = rows + 640;
  for (let task = firstTask(call, groups * C); task >= 0; task = nextTask()) {
    const c = task % C, group = task / C;
    for (let shift = 0; shift < side * side; shift++) {
      const row = shift / side;
      const column = shift % side;
      const channel = shift * (Sizes.all / (side * side)) + c;
      const tapsDown = tapsOfPart(row), tapsAcross = tapsOfPart(column);
      const first = workspace + (<usize> (group * parts)) * partStep + (<usize> channel) * Sizes.pitchK;
      for (let f: usize = 0; f < Sizes.elements; f++) {
        for (let at: usize = 0; at < Sizes.pitchK; at += 16) {
          let from = first + f * Sizes.uStep + at;
          let sum = v128.load(from);
          for (let part = 1; part < parts; part++) {
            from += partStep;
            sum = add(sum, v128.load(from));
          }
          v128.store(u + f * Sizes.pitchK + at, sum);
        }
      }
      for (let k = 0; k < K; k++) {
        if ((k & 3) == 0) transformWeightGradient(u + ((<usize> k) << 2), Sizes.pitchK, rows, result);
        const to = dw + ((<usize> (((group * K + k) * C + c) * taps * taps)) << 2);
        let zero: f32 = 0; // NaN as soon as one is not finite
        for (let r = 0; r < tapsDown; r++) {
          for (let s = 0; s < tapsAcross; s++) {
            const value = load<f32>(result + ((<usize> (5 * r + s)) << 4) + (<usize> (k & 3) << 2));
            zero += value * 0;
            store<f32>(to + ((<usize> ((4 * row + r) * taps + 4 * column + s)) << 2), value);
          }
        }
        if (zero == 0) continue;
        const n = group * run;
        const images = min(run, N - n);
        const from = x + (<usize> (n * C + c)) * Sizes.plane, slope = dy + (<usize> (n * K + k)) * Sizes.plane;
        directWeightGradient(from, <usize> C * Sizes.plane, slope, <usize> K * Sizes.plane, images, H, W, taps, to);
      }
    }
  }
}
