// Products of matrices, of images as matrices [channel][pixel], and their gradients.

import { nextTask, pointer, word } from "./call.ts";
import { fillRows, gemm, GEMM_SCRATCH, staysPacked } from "./gemm.ts";
import { unfold } from "./conv_transpose.ts";
import { me, WORKSPACE } from "./team.ts";

/** Rows and columns of a task. */
const TASK_ROWS: i32 = 192;
const TASK_COLUMNS: i32 = 128;

/** y[batch] = a[batch] b[batch] for any strides; a batch of 1 serves all. A task is a block of a result. */
export function matmul(call: usize): void {
  const a = pointer(call, 0), b = pointer(call, 1), y = pointer(call, 2);
  const A = word(call, 3), B = word(call, 4), Y = word(call, 5);
  const M = word(call, 6), N = word(call, 7), K = word(call, 8);
  const am = pointer(call, 9), ak = pointer(call, 10), bk = pointer(call, 11), bn = pointer(call, 12);
  const scratch = load<usize>(WORKSPACE) + (<usize> me) * GEMM_SCRATCH;
  const across = (N + TASK_COLUMNS - 1) / TASK_COLUMNS, down = (M + TASK_ROWS - 1) / TASK_ROWS;
  const row: usize = (<usize> N) << 2;
  for (let task = nextTask(call); task < Y * across * down; task = nextTask(call)) {
    const n = task % across * TASK_COLUMNS,
      m = task / across % down * TASK_ROWS,
      batch = task / (across * down);
    const rows = min(TASK_ROWS, M - m), columns = min(TASK_COLUMNS, N - n);
    const to = y + (<usize> (batch * M + m)) * row + ((<usize> n) << 2);
    fillRows(to, row, rows, columns, 0);
    gemm(
      rows,
      columns,
      K,
      a + ((<usize> (batch % A * M * K)) << 2) + (<usize> m) * am,
      am,
      ak,
      b + ((<usize> (batch % B * N * K)) << 2) + (<usize> n) * bn,
      bk,
      bn,
      to,
      row,
      scratch,
      false,
    );
  }
}

/** y[n] = w x[n] + bias[n] + addend[n] for images [channel][pixel]: a 1x1 convolution or its input gradient. A task is an image. */
export function mixChannels(call: usize): void {
  const x = pointer(call, 0),
    w = pointer(call, 1),
    bias = pointer(call, 2),
    addend = pointer(call, 3),
    y = pointer(call, 4);
  const N = word(call, 5), C = word(call, 6), pixels = word(call, 7), K = word(call, 8), B = word(call, 9);
  const wk = pointer(call, 10), wc = pointer(call, 11);
  const scratch = load<usize>(WORKSPACE) + (<usize> me) * GEMM_SCRATCH;
  const row: usize = (<usize> pixels) << 2;
  let packed = false;
  for (let n = nextTask(call); n < N; n = nextTask(call)) {
    const to = y + (<usize> (n * K)) * row;
    if (addend) {
      const from = addend + (<usize> (n * K)) * row;
      for (let k = 0; k < K; k++) {
        const shift = bias ? load<f32>(bias + ((<usize> (n % B * K + k)) << 2)) : 0;
        for (let i: usize = (<usize> k) * row; i < (<usize> (k + 1)) * row; i += 4) {
          store<f32>(to + i, load<f32>(from + i) + shift);
        }
      }
    } else fillRows(to, row, K, pixels, bias ? bias + ((<usize> (n % B * K)) << 2) : 0);
    gemm(K, pixels, C, w, wk, wc, x + (<usize> (n * C)) * row, row, 4, to, row, scratch, packed);
    packed = staysPacked(K, C);
  }
}

/**
 * Sums over images and pixels of a[n][m][pixel] b[n][k][pixel], for groups of `run` images, each in parts:
 * the weight gradient of 1x1 and (with b unfolded) of transposed convolutions. To the workspace as [group][part][m][k].
 */
export function correlateParts(call: usize): void {
  const a = pointer(call, 0), b = pointer(call, 1);
  const N = word(call, 2), M = word(call, 3), H = word(call, 4), W = word(call, 5), K = word(call, 6);
  const groups = word(call, 7), run = word(call, 8), parts = word(call, 9), folded = word(call, 10) != 0;
  const work = load<usize>(WORKSPACE);
  const scratch = work + pointer(call, 11) + (<usize> me) * pointer(call, 12);
  const taps = scratch + GEMM_SCRATCH;
  const row: usize = (<usize> (H * W)) << 2;
  for (let task = nextTask(call); task < groups * parts; task = nextTask(call)) {
    const start = task / parts * run, count = min(run, N - start), part = task % parts;
    const sum = work + ((<usize> (task * M * K)) << 2);
    memory.fill(sum, 0, (<usize> (M * K)) << 2);
    for (let n = start + part * count / parts; n < start + (part + 1) * count / parts; n++) {
      let other = b + (<usize> (n * K)) * row;
      if (folded) unfold(other, K >> 2, H, W, taps), other = taps;
      gemm(
        M,
        K,
        H * W,
        a + (<usize> (n * M)) * row,
        row,
        4,
        other,
        4,
        row,
        sum,
        (<usize> K) << 2,
        scratch,
        false,
      );
    }
  }
}

/** Sum of the parts of each group: y[group][i]. A task is 4096 elements. */
export function sumParts(call: usize): void {
  const y = pointer(call, 0);
  const groups = word(call, 1), parts = word(call, 2), n = word(call, 3);
  const work = load<usize>(WORKSPACE);
  const across = (n + 4095) >> 12;
  for (let task = nextTask(call); task < groups * across; task = nextTask(call)) {
    const group = task / across, first = (task % across) << 12;
    for (let i = first; i < min(n, first + 4096); i++) {
      let sum: f32 = 0;
      for (let part = 0; part < parts; part++) {
        sum += load<f32>(work + ((<usize> ((group * parts + part) * n + i)) << 2));
      }
      store<f32>(y + ((<usize> (group * n + i)) << 2), sum);
    }
  }
}
