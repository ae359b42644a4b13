// Transposed 2x2 convolutions and their input gradients, as matrix products.

import { firstTask, nextTask } from "../call.ts";
import { gemm, panelAddress } from "../gemm.ts";
import { add, splat } from "../simd.ts";
import { me } from "../threads.ts";
import { unfold, warm } from "../rows.ts";

/** Planes [4k + 2r + s][h][w] to [k][2h + r][2w + s], the inverse of `unfold`, plus a bias for each k if there is one. */
function fold(from: usize, K: i32, H: i32, W: i32, bias: usize, to: usize): void {
  const plane: usize = (<usize> (H * W)) << 2;
  for (let k = 0; k < K; k++, from += 4 * plane) {
    const offset = bias ? load<f32>(bias + ((<usize> k) << 2)) : 0;
    const shift = splat(offset);
    for (let h = 0; h < H; h++) {
      for (let r: usize = 0; r < 2; r++, to += (<usize> W) << 3) {
        const even = from + 2 * r * plane + ((<usize> (h * W)) << 2);
        const odd = even + plane;
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

/** Bytes of scratch per thread: the four taps of an image. */
function threadBytes(K: i32, H: i32, W: i32): u64 {
  return 16 * <u64> K * H * W;
}

export function convTranspose2dWorkspace(K: i32, H: i32, W: i32, threads: i32): u64 {
  return threads * threadBytes(K, H, W);
}

export function convTranspose2dInputGradientWorkspace(K: i32, H: i32, W: i32, threads: i32): u64 {
  return threads * threadBytes(K, H, W);
}

/**
 * Transposed 2x2 convolution: a product with the weights as [4K][C], whose four taps then move to their pixels. A task
 * is an image.
 */
export function convTranspose2d(
  call: usize, workspace: usize, x: usize, w: usize, bias: usize, y: usize, N: i32, C: i32, H: i32, W: i32,
  K: i32,
): void {
  const taps = workspace + (<usize> me) * (<usize> threadBytes(K, H, W));
  const row: usize = (<usize> (H * W)) << 2;
  for (let n = firstTask(call, N); n >= 0; n = nextTask()) {
    const from = x + (<usize> (n * C)) * row;
    warm(from, (<usize> C) * row, panelAddress());
    gemm(4 * K, H * W, C, w, 4, (<usize> K) << 4, from, row, 4, taps, row, 1);
    fold(taps, K, H, W, bias, y + (<usize> (n * K)) * 4 * row);
  }
}

/**
 * Input gradient of `convTranspose2d`, which is a 2x2 convolution with stride 2, plus a bias unless its address is 0; H and
 * W are those of dx. A task is an image.
 */
export function convTranspose2dInputGradient(
  call: usize, workspace: usize, dy: usize, w: usize, bias: usize, dx: usize, N: i32, K: i32, C: i32, H: i32,
  W: i32,
): void {
  const taps = workspace + (<usize> me) * (<usize> threadBytes(K, H, W));
  const row: usize = (<usize> (H * W)) << 2;
  for (let n = firstTask(call, N); n >= 0; n = nextTask()) {
    unfold(dy + (<usize> (n * K)) * 4 * row, K, H, W, taps);
    const to = dx + (<usize> (n * C)) * row;
    gemm(C, H * W, 4 * K, w, (<usize> K) << 4, 4, taps, row, 4, to, row, bias ? bias : 1);
  }
}
