// The convolutions of `kernels/conv2d.ts` and their weight gradients, tap by tap: for values that overflow or lose
// precision in transforms. Tap (r, s) of pixel (h, w) reads x at (h + r - margin, w + s - margin).

import { splat } from "./simd.ts";

/**
 * One target channel [H][W] of an image: y[h][w] = offset + sum over c, r, s of x[c][h + ..][w + ..] weight[c][r][s].
 *
 * @param weight weights of the first source channel; channels are `strideC` bytes apart
 * @param taps along a side of the kernel
 * @param turned whether to read them backwards
 * @param addend a plane to add, or 0 for none
 */
export function directPlane(
  x: usize, weight: usize, strideC: usize, turned: bool, C: i32, H: i32, W: i32, taps: i32, offset: f32,
  addend: usize, y: usize,
): void {
  const margin = taps >> 1;
  const last = taps * taps - 1;
  const plane: usize = (<usize> (H * W)) << 2;
  for (let at: usize = 0; at < plane; at += 4) {
    store<f32>(y + at, addend ? offset + load<f32>(addend + at) : offset);
  }
  for (let c = 0; c < C; c++, x += plane, weight += strideC) {
    for (let tap = 0; tap <= last; tap++) {
      const down = tap / taps - margin, across = tap % taps - margin;
      const w = load<f32>(weight + ((<usize> (turned ? last - tap : tap)) << 2));
      const left = max(0, -across), width = min(W, W - across) - left;
      for (let p = max(0, -down); p < min(H, H - down); p++) {
        const from = x + ((<usize> ((p + down) * W + left + across)) << 2);
        addRow(from, w, width, y + ((<usize> (p * W + left)) << 2));
      }
    }
  }
}

/** y += x w of a row. Fused products would round in another way than the last pixels of a row. */
function addRow(x: usize, w: f32, width: i32, y: usize): void {
  for (; width >= 4; width -= 4, x += 16, y += 16) {
    v128.store(y, f32x4.add(v128.load(y), f32x4.mul(v128.load(x), splat(w))));
  }
  for (; width > 0; width--, x += 4, y += 4) store<f32>(y, load<f32>(y) + load<f32>(x) * w);
}

/**
 * The weight gradient of one pair of channels over some images: dw[r][s] = sum of x[n][h + ..][w + ..] dy[n][h][w].
 *
 * @param x, dy planes of the first image; images are `stepX` and `stepY` bytes apart
 */
export function directWeightGradient(
  x: usize, stepX: usize, dy: usize, stepY: usize, images: i32, H: i32, W: i32, taps: i32, dw: usize,
): void {
  for (let tap = 0; tap < taps * taps; tap++) {
    const down = tap / taps - (taps >> 1), across = tap % taps - (taps >> 1);
    let sum: f32 = 0;
    for (let n = 0; n < images; n++) {
      const from = x + (<usize> n) * stepX, slope = dy + (<usize> n) * stepY;
      let part: f32 = 0;
      for (let p = max(0, -down); p < min(H, H - down); p++) {
        for (let q = max(0, -across); q < min(W, W - across); q++) {
          part += load<f32>(from + ((<usize> ((p + down) * W + q + across)) << 2)) *
            load<f32>(slope + ((<usize> (p * W + q)) << 2));
        }
      }
      sum += part;
    }
    store<f32>(dw + ((<usize> tap) << 2), sum);
  }
}
