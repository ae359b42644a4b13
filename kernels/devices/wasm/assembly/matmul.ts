// Products of matrices, of images as matrices [channel][pixel], and their gradients.

import { nextTask, pointer, word } from "./call.ts";
import { fillRows, gemm, GEMM_SCRATCH, staysPacked } from "./gemm.ts";
import { add, splat } from "./simd.ts";
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
  const scratch = load<usize>(WORKSPACE) + (<usize>me) * GEMM_SCRATCH;
  const across = (N + TASK_COLUMNS - 1) / TASK_COLUMNS, down = (M + TASK_ROWS - 1) / TASK_ROWS;
  const row: usize = (<usize>N) << 2;
  for (let task = nextTask(call); task < Y * across * down; task = nextTask(call)) {
    const n = task % across * TASK_COLUMNS, m = task / across % down * TASK_ROWS, batch = task / (across * down);
    const rows = min(TASK_ROWS, M - m), columns = min(TASK_COLUMNS, N - n);
    const to = y + (<usize>(batch * M + m)) * row + ((<usize>n) << 2);
    fillRows(to, row, rows, columns, 0);
    gemm(
      rows,
      columns,
      K,
      a + ((<usize>(batch % A * M * K)) << 2) + (<usize>m) * am,
      am,
      ak,
      b + ((<usize>(batch % B * N * K)) << 2) + (<usize>n) * bn,
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
  const x = pointer(call, 0), w = pointer(call, 1), bias = pointer(call, 2), addend = pointer(call, 3), y = pointer(call, 4);
  const N = word(call, 5), C = word(call, 6), pixels = word(call, 7), K = word(call, 8), B = word(call, 9);
  const wk = pointer(call, 10), wc = pointer(call, 11);
  const scratch = load<usize>(WORKSPACE) + (<usize>me) * GEMM_SCRATCH;
  const row: usize = (<usize>pixels) << 2;
  let packed = false;
  for (let n = nextTask(call); n < N; n = nextTask(call)) {
    const to = y + (<usize>(n * K)) * row;
    if (addend) {
      const from = addend + (<usize>(n * K)) * row;
      for (let k = 0; k < K; k++) {
        const shift = bias ? load<f32>(bias + ((<usize>(n % B * K + k)) << 2)) : 0;
        for (let i: usize = (<usize>k) * row; i < (<usize>(k + 1)) * row; i += 4) {
          store<f32>(to + i, load<f32>(from + i) + shift);
        }
      }
    } else fillRows(to, row, K, pixels, bias ? bias + ((<usize>(n % B * K)) << 2) : 0);
    gemm(K, pixels, C, w, wk, wc, x + (<usize>(n * C)) * row, row, 4, to, row, scratch, packed);
    packed = staysPacked(K, C);
  }
}

/** Planes [k][2h + r][2w + s] to [4k + 2r + s][h][w]. */
function unfold(from: usize, K: i32, H: i32, W: i32, to: usize): void {
  const plane: usize = (<usize>(H * W)) << 2;
  for (let k = 0; k < K; k++, to += 4 * plane) {
    for (let h = 0; h < H; h++) {
      for (let r: usize = 0; r < 2; r++, from += (<usize>W) << 3) {
        const even = to + 2 * r * plane + ((<usize>(h * W)) << 2), odd = even + plane;
        let w = 0;
        for (; w + 4 <= W; w += 4) {
          const a = v128.load(from + ((<usize>w) << 3)), b = v128.load(from + ((<usize>w) << 3), 16);
          v128.store(even + ((<usize>w) << 2), i32x4.shuffle(a, b, 0, 2, 4, 6));
          v128.store(odd + ((<usize>w) << 2), i32x4.shuffle(a, b, 1, 3, 5, 7));
        }
        for (; w < W; w++) {
          store<f32>(even + ((<usize>w) << 2), load<f32>(from + ((<usize>w) << 3)));
          store<f32>(odd + ((<usize>w) << 2), load<f32>(from + ((<usize>w) << 3), 4));
        }
      }
    }
  }
}

/** The way back, plus a bias for each k. */
function fold(from: usize, K: i32, H: i32, W: i32, bias: usize, to: usize): void {
  const plane: usize = (<usize>(H * W)) << 2;
  for (let k = 0; k < K; k++, from += 4 * plane) {
    const offset = load<f32>(bias + ((<usize>k) << 2));
    const shift = splat(offset);
    for (let h = 0; h < H; h++) {
      for (let r: usize = 0; r < 2; r++, to += (<usize>W) << 3) {
        const even = from + 2 * r * plane + ((<usize>(h * W)) << 2), odd = even + plane;
        let w = 0;
        for (; w + 4 <= W; w += 4) {
          const a = add(v128.load(even + ((<usize>w) << 2)), shift), b = add(v128.load(odd + ((<usize>w) << 2)), shift);
          v128.store(to + ((<usize>w) << 3), i32x4.shuffle(a, b, 0, 4, 1, 5));
          v128.store(to + ((<usize>w) << 3), i32x4.shuffle(a, b, 2, 6, 3, 7), 16);
        }
        for (; w < W; w++) {
          store<f32>(to + ((<usize>w) << 3), load<f32>(even + ((<usize>w) << 2)) + offset);
          store<f32>(to + ((<usize>w) << 3), load<f32>(odd + ((<usize>w) << 2)) + offset, 4);
        }
      }
    }
  }
}

/** Transposed 2x2 convolution: a product with the weights as [4K][C], then the four taps go to their places. A task is an image. */
export function convTranspose(call: usize): void {
  const x = pointer(call, 0), w = pointer(call, 1), bias = pointer(call, 2), y = pointer(call, 3);
  const N = word(call, 4), C = word(call, 5), H = word(call, 6), W = word(call, 7), K = word(call, 8);
  const scratch = load<usize>(WORKSPACE) + (<usize>me) * pointer(call, 9);
  const taps = scratch + GEMM_SCRATCH;
  const row: usize = (<usize>(H * W)) << 2;
  let packed = false;
  for (let n = nextTask(call); n < N; n = nextTask(call)) {
    memory.fill(taps, 0, (<usize>(4 * K)) * row);
    gemm(4 * K, H * W, C, w, 4, (<usize>K) << 4, x + (<usize>(n * C)) * row, row, 4, taps, row, scratch, packed);
    packed = staysPacked(4 * K, C);
    fold(taps, K, H, W, bias, y + (<usize>(n * K)) * 4 * row);
  }
}

/** Its input gradient. H and W are of dx. */
export function convTransposeInputGradient(call: usize): void {
  const dy = pointer(call, 0), w = pointer(call, 1), dx = pointer(call, 2);
  const N = word(call, 3), K = word(call, 4), C = word(call, 5), H = word(call, 6), W = word(call, 7);
  const scratch = load<usize>(WORKSPACE) + (<usize>me) * pointer(call, 8);
  const taps = scratch + GEMM_SCRATCH;
  const row: usize = (<usize>(H * W)) << 2;
  let packed = false;
  for (let n = nextTask(call); n < N; n = nextTask(call)) {
    unfold(dy + (<usize>(n * K)) * 4 * row, K, H, W, taps);
    const to = dx + (<usize>(n * C)) * row;
    memory.fill(to, 0, (<usize>C) * row);
    gemm(C, H * W, 4 * K, w, (<usize>K) << 4, 4, taps, row, 4, to, row, scratch, packed);
    packed = staysPacked(C, 4 * K);
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
  const scratch = work + pointer(call, 11) + (<usize>me) * pointer(call, 12);
  const taps = scratch + GEMM_SCRATCH;
  const row: usize = (<usize>(H * W)) << 2;
  for (let task = nextTask(call); task < groups * parts; task = nextTask(call)) {
    const start = task / parts * run, count = min(run, N - start), part = task % parts;
    const sum = work + ((<usize>(task * M * K)) << 2);
    memory.fill(sum, 0, (<usize>(M * K)) << 2);
    for (let n = start + part * count / parts; n < start + (part + 1) * count / parts; n++) {
      let other = b + (<usize>(n * K)) * row;
      if (folded) unfold(other, K >> 2, H, W, taps), other = taps;
      gemm(M, K, H * W, a + (<usize>(n * M)) * row, row, 4, other, 4, row, sum, (<usize>K) << 2, scratch, false);
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
        sum += load<f32>(work + ((<usize>((group * parts + part) * n + i)) << 2));
      }
      store<f32>(y + ((<usize>(group * n + i)) << 2), sum);
    }
  }
}
