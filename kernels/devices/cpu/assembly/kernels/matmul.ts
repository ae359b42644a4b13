// Products of matrices and of images as matrices [channel][pixel], and their gradients.

import { firstTask, isAlone, nextTask } from "../call.ts";
import { Layout } from "../../memory_layout.ts";
import { gemm, panelAddress } from "../gemm.ts";
import { add, splat, storeFirst } from "../simd.ts";
import { me, team } from "../threads.ts";
import { unfold, warm } from "../rows.ts";

/** Most rows of a task; more if they are columns of a, since fewer tasks pack b less often. */
const TASK_ROWS: i32 = 192;
const TALL_TASK_ROWS: i32 = Layout.spreadColumns;
/** Most columns of a task. */
const TASK_COLUMNS: i32 = 256;
/** Fewer rows would be packed for too few products. */
const LEAST_ROWS: i32 = 16;

/** Bytes of results that go to the workspace. */
export function matmulWorkspace(y: usize, Y: i32, M: i32, N: i32): u64 {
  return y ? 0 : 4 * <u64> Y * M * N;
}

/**
 * y[batch] = a[batch] b[batch] + bias, if there is one, for any strides; a batch of 1 is shared by all. If y is 0, the
 * results go to the workspace, for `sumParts`. A task is a block of a result.
 */
export function matmul(
  call: usize, workspace: usize, a: usize, b: usize, bias: usize, y: usize, A: i32, B: i32, Y: i32, M: i32,
  N: i32, K: i32, am: usize, ak: usize, bk: usize, bn: usize,
): void {
  const pieces = max(1, (N + TASK_COLUMNS - 1) / TASK_COLUMNS);
  const width = max(16, ((N + pieces - 1) / pieces + 15) & ~15), across = max(1, (N + width - 1) / width);
  const strips = max(1, Y * across);
  const most = ak == 4 ? TASK_ROWS : TALL_TASK_ROWS;
  let down = max(1, (M + most - 1) / most);
  if (team > 1 && !isAlone(call)) {
    // A few tasks per thread; if there are few in total, the same number for each.
    down = max(down, (2 * team + strips - 1) / strips);
    if (strips * down < 16 * team && strips * down % team) down = (down + team - 1) / team * team;
  }
  // Tiles have six or four rows.
  let height = max(LEAST_ROWS, (M + down - 1) / down);
  height = height < 48 ? (height + 1) & ~1 : (height + 5) / 6 * 6;
  down = (M + height - 1) / height;
  const row: usize = (<usize> N) << 2;
  const target = y ? y : workspace;
  for (let task = firstTask(call, Y * across * down); task >= 0; task = nextTask()) {
    const n = task % across * width;
    const m = task / across % down * height;
    const batch = task / (across * down);
    const rows = min(height, M - m), columns = min(width, N - n);
    const to = target + (<usize> (batch * M + m)) * row + ((<usize> n) << 2);
    const left = a + ((<usize> (batch % A * M * K)) << 2) + (<usize> m) * am;
    const right = b + ((<usize> (batch % B * N * K)) << 2) + (<usize> n) * bn;
    const shifts = bias ? bias + ((<usize> n) << 2) : 0;
    gemm(rows, columns, K, left, am, ak, right, bk, bn, to, row, 1, shifts);
  }
}

/** y[n] = w x[n] + bias[n] + addend[n] for images [channel][pixel]: a 1x1 convolution or its input gradient. A task is an image. */
export function conv1x1(
  call: usize, x: usize, w: usize, bias: usize, addend: usize, y: usize, N: i32, C: i32, pixels: i32, K: i32,
  B: i32, wk: usize, wc: usize,
): void {
  const row: usize = (<usize> pixels) << 2;
  for (let n = firstTask(call, N); n >= 0; n = nextTask()) {
    const to = y + (<usize> (n * K)) * row;
    const shifts = bias ? bias + ((<usize> (n % B * K)) << 2) : 0;
    if (addend) {
      let from = addend + (<usize> (n * K)) * row;
      let at = to;
      for (let k = 0; k < K; k++, from += row, at += row) {
        const shift = splat(shifts ? load<f32>(shifts + ((<usize> k) << 2)) : 0);
        for (let i: usize = 0; i < <usize> pixels; i += 4) {
          storeFirst(at + (i << 2), add(v128.load(from + (i << 2)), shift), pixels - <i32> i);
        }
      }
    }
    let start: usize = shifts ? shifts : 1;
    if (addend) start = 0;
    const from = x + (<usize> (n * C)) * row;
    warm(from, (<usize> C) * row, panelAddress());
    gemm(K, pixels, C, w, wk, wc, from, row, 4, to, row, start);
  }
}

export function sumPartsWorkspace(groups: i32, parts: i32, n: i32): u64 {
  return 4 * <u64> groups * parts * n;
}

/** Bytes of scratch per thread of `correlateParts`: an unfolded image. */
function threadBytes(K: i32, H: i32, W: i32, folded: i32): u64 {
  return folded ? 4 * <u64> K * H * W : 0;
}

export function correlatePartsWorkspace(
  M: i32, H: i32, W: i32, K: i32, groups: i32, parts: i32, folded: i32, threads: i32,
): u64 {
  return sumPartsWorkspace(groups, parts, M * K) + threads * threadBytes(K, H, W, folded);
}

/**
 * Sums over images and pixels of a[n][m][pixel] b[n][k][pixel], for groups of `run` images, each in parts: the weight
 * gradient of 1x1 convolutions and (with b unfolded) of transposed ones. Writes [group][part][m][k] to the workspace. A
 * task is a part.
 */
export function correlateParts(
  call: usize, workspace: usize, a: usize, b: usize, N: i32, M: i32, H: i32, W: i32, K: i32, groups: i32,
  run: i32, parts: i32, folded: i32,
): void {
  const taps = workspace + <usize> sumPartsWorkspace(groups, parts, M * K) +
    (<usize> me) * <usize> threadBytes(K, H, W, folded);
  const row: usize = (<usize> (H * W)) << 2;
  for (let task = firstTask(call, groups * parts); task >= 0; task = nextTask()) {
    const start = task / parts * run;
    const count = min(run, N - start);
    const part = task % parts;
    const sum = workspace + ((<usize> (task * M * K)) << 2);
    memory.fill(sum, 0, (<usize> (M * K)) << 2);
    for (let n = start + part * count / parts; n < start + (part + 1) * count / parts; n++) {
      let other = b + (<usize> (n * K)) * row;
      if (folded) {
        unfold(other, K >> 2, H, W, taps);
        other = taps;
      }
      else warm(other, (<usize> K) * row, panelAddress());
      const from = a + (<usize> (n * M)) * row;
      gemm(M, K, H * W, from, row, 4, other, 4, row, sum, (<usize> K) << 2, 0);
    }
  }
}

/** y[group][i] = sum over the parts of a group. A task is 4096 elements. */
export function sumParts(call: usize, workspace: usize, y: usize, groups: i32, parts: i32, n: i32): void {
  const across = (n + 4095) >> 12;
  for (let task = firstTask(call, groups * across); task >= 0; task = nextTask()) {
    const group = task / across;
    const first = (task % across) << 12;
    const step: usize = (<usize> n) << 2;
    const end = min(n, first + 4096);
    for (let i = first; i < end; i += 4) {
      let from = workspace + ((<usize> (group * parts * n + i)) << 2);
      let sum = splat(0);
      for (let part = 0; part < parts; part++, from += step) sum = add(sum, v128.load(from));
      storeFirst(y + ((<usize> (group * n + i)) << 2), sum, end - i);
    }
  }
}
