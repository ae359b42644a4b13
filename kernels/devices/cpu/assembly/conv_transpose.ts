// Transposed 2x2 convolutions as products of matrices, and their input gradient.

import { nextTask, pointer, word } from "./call.ts";
import { gemm, GEMM_SCRATCH, staysPacked } from "./gemm.ts";
import { add, splat } from "./simd.ts";
import { me, WORKSPACE } from "./team.ts";

/** Planes [k][2h + r][2w + s] to [4k + 2r + s][h][w]. */
export function unfold(from: usize, K: i32, H: i32, W: i32, to: usize): void {
  const plane: usize = (<usize> (H * W)) << 2;
  for (let k = 0; k < K; k++, to += 4 * plane) {
    for (let h = 0; h < H; h++) {
      for (let r: usize = 0; r < 2; r++, from += (<usize> W) << 3) {
        const even = to + 2 * r * plane + ((<usize> (h * W)) << 2), odd = even + plane;
        let w = 0;
        for (; w + 4 <= W; w += 4) {
          const a = v128.load(from + ((<usize> w) << 3)), b = v128.load(from + ((<usize> w) << 3), 16);
          v128.store(even + ((<usize> w) << 2), i32x4.shuffle(a, b, 0, 2, 4, 6));
          v128.store(odd + ((<usize> w) << 2), i32x4.shuffle(a, b, 1, 3, 5, 7));
        }
        for (; w < W; w++) {
          store<f32>(even + ((<usize> w) << 2), load<f32>(from + ((<usize> w) << 3)));
          store<f32>(odd + ((<usize> w) << 2), load<f32>(from + ((<usize> w) << 3), 4));
        }
      }
    }
  }
}

/** The way back, plus a bias for each k. */
function fold(from: usize, K: i32, H: i32, W: i32, bias: usize, to: usize): void {
  const plane: usize = (<usize> (H * W)) << 2;
  for (let k = 0; k < K; k++, from += 4 * plane) {
    const offset = load<f32>(bias + ((<usize> k) << 2));
    const shift = splat(offset);
    for (let h = 0; h < H; h++) {
      for (let r: usize = 0; r < 2; r++, to += (<usize> W) << 3) {
        const even = from + 2 * r * plane + ((<usize> (h * W)) << 2), odd = even + plane;
        let w = 0;
        for (; w + 4 <= W; w += 4) {
          const a = add(v128.load(even + ((<usize> w) << 2)), shift),
            b = add(v128.load(odd + ((<usize> w) << 2)), shift);
          v128.store(to + ((<usize> w) << 3), i32x4.shuffle(a, b, 0, 4, 1, 5));
          v128.store(to + ((<usize> w) << 3), i32x4.shuffle(a, b, 2, 6, 3, 7), 16);
        }
        for (; w < W; w++) {
          store<f32>(to + ((<usize> w) << 3), load<f32>(even + ((<usize> w) << 2)) + offset);
          store<f32>(to + ((<usize> w) << 3), load<f32>(odd + ((<usize> w) << 2)) + offset, 4);
        }
      }
    }
  }
}

/** Transposed 2x2 convolution: a product with the weights as [4K][C], then the four taps go to their places. A task is an image. */
export function convTranspose(call: usize): void {
  const x = pointer(call, 0), w = pointer(call, 1), bias = pointer(call, 2), y = pointer(call, 3);
  const N = word(call, 4), C = word(call, 5), H = word(call, 6), W = word(call, 7), K = word(call, 8);
  const scratch = load<usize>(WORKSPACE) + (<usize> me) * pointer(call, 9);
  const taps = scratch + GEMM_SCRATCH;
  const row: usize = (<usize> (H * W)) << 2;
  let packed = false;
  for (let n = nextTask(call); n < N; n = nextTask(call)) {
    memory.fill(taps, 0, (<usize> (4 * K)) * row);
    gemm(
      4 * K,
      H * W,
      C,
      w,
      4,
      (<usize> K) << 4,
      x + (<usize> (n * C)) * row,
      row,
      4,
      taps,
      row,
      scratch,
      packed,
    );
    packed = staysPacked(4 * K, C);
    fold(taps, K, H, W, bias, y + (<usize> (n * K)) * 4 * row);
  }
}

/** Its input gradient. H and W are of dx. */
export function convTransposeInputGradient(call: usize): void {
  const dy = pointer(call, 0), w = pointer(call, 1), dx = pointer(call, 2);
  const N = word(call, 3), K = word(call, 4), C = word(call, 5), H = word(call, 6), W = word(call, 7);
  const scratch = load<usize>(WORKSPACE) + (<usize> me) * pointer(call, 8);
  const taps = scratch + GEMM_SCRATCH;
  const row: usize = (<usize> (H * W)) << 2;
  let packed = false;
  for (let n = nextTask(call); n < N; n = nextTask(call)) {
    unfold(dy + (<usize> (n * K)) * 4 * row, K, H, W, taps);
    const to = dx + (<usize> (n * C)) * row;
    memory.fill(to, 0, (<usize> C) * row);
    gemm(C, H * W, 4 * K, w, (<usize> K) << 4, 4, taps, row, 4, to, row, scratch, packed);
    packed = staysPacked(C, 4 * K);
  }
}
