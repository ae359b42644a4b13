// Average pooling with square windows. A task is a plane.

import { nextTask } from "../call.ts";
import { add, loadEvery, mul, splat } from "../simd.ts";

/** Sum over a window whose rows and columns from h and w on are cut at the edges of the plane. */
function windowSum(x: usize, H: i32, W: i32, h: i32, w: i32, size: i32): f32 {
  let sum: f32 = 0;
  for (let r = max(0, h); r < min(H, h + size); r++) {
    const row = x + ((<usize> (r * W)) << 2);
    for (let c = max(0, w); c < min(W, w + size); c++) sum += load<f32>(row + ((<usize> c) << 2));
  }
  return sum;
}

/** Mean over each window; pixels beyond the edges are zeros. */
export function averagePool2d(
  call: usize,
  x: usize,
  y: usize,
  N: i32,
  C: i32,
  H: i32,
  W: i32,
  P: i32,
  Q: i32,
  size: i32,
  stride: i32,
  padding: i32,
): void {
  const scale: f32 = 1 / <f32> (size * size), step: usize = (<usize> stride) << 2;
  for (let plane = nextTask(call); plane < N * C; plane = nextTask(call)) {
    const from = x + ((<usize> (plane * H * W)) << 2);
    let to = y + ((<usize> (plane * P * Q)) << 2);
    for (let p = 0; p < P; p++) {
      const h = p * stride - padding;
      let q = 0;
      while (q < Q) {
        const w = q * stride - padding;
        if (q + 4 > Q || w < 0 || w + 3 * stride + size > W) {
          store<f32>(to, scale * windowSum(from, H, W, h, w, size));
          q++, to += 4;
          continue;
        }
        let sum = splat(0);
        for (let r = max(0, h); r < min(H, h + size); r++) {
          const row = from + ((<usize> (r * W + w)) << 2);
          for (let c = 0; c < size; c++) sum = add(sum, loadEvery(row + ((<usize> c) << 2), step));
        }
        v128.store(to, mul(splat(scale), sum));
        q += 4, to += 16;
      }
    }
  }
}

/** Each pixel of dx gets its share of the windows that it is in. */
export function averagePool2dGradient(
  call: usize,
  dy: usize,
  dx: usize,
  N: i32,
  C: i32,
  H: i32,
  W: i32,
  P: i32,
  Q: i32,
  size: i32,
  stride: i32,
  padding: i32,
): void {
  const scale: f32 = 1 / <f32> (size * size);
  for (let plane = nextTask(call); plane < N * C; plane = nextTask(call)) {
    const to = dx + ((<usize> (plane * H * W)) << 2);
    memory.fill(to, 0, (<usize> (H * W)) << 2);
    let from = dy + ((<usize> (plane * P * Q)) << 2);
    for (let p = 0; p < P; p++) {
      const h = p * stride - padding;
      for (let q = 0; q < Q; q++, from += 4) {
        const w = q * stride - padding, share = scale * load<f32>(from);
        for (let r = max(0, h); r < min(H, h + size); r++) {
          const row = to + ((<usize> (r * W)) << 2);
          for (let c = max(0, w); c < min(W, w + size); c++) {
            const at = row + ((<usize> c) << 2);
            store<f32>(at, load<f32>(at) + share);
          }
        }
      }
    }
  }
}
