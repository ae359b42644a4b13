// 3x3 convolutions with one pixel of padding and their weight gradients, tap by tap: for values that overflow or lose
// precision in Winograd's transforms.

/**
 * One target channel of an image: y[h][w] = start + sum over c, r, s of x[c][h + r - 1][w + s - 1] weight[c][r][s].
 *
 * @param weight of the first source channel; channels are `strideC` bytes apart
 * @param turned whether to read the taps backwards
 * @param addend a plane to add, or 0 for none
 */
export function directPlane(
  x: usize,
  weight: usize,
  strideC: usize,
  turned: bool,
  C: i32,
  H: i32,
  W: i32,
  offset: f32,
  addend: usize,
  y: usize,
): void {
  for (let h = 0; h < H; h++) {
    for (let w = 0; w < W; w++) {
      const there: usize = (<usize> (h * W + w)) << 2;
      let sum = offset;
      if (addend) sum += load<f32>(addend + there);
      for (let c = 0; c < C; c++) {
        const taps = weight + (<usize> c) * strideC;
        for (let r = max(0, 1 - h); r < min(3, H + 1 - h); r++) {
          for (let s = max(0, 1 - w); s < min(3, W + 1 - w); s++) {
            const tap = turned ? 8 - 3 * r - s : 3 * r + s;
            const from = x + ((<usize> ((c * H + h + r - 1) * W + w + s - 1)) << 2);
            sum += load<f32>(from) * load<f32>(taps + ((<usize> tap) << 2));
          }
        }
      }
      store<f32>(y + there, sum);
    }
  }
}

/**
 * The weight gradient of one pair of channels over some images: dw[r][s] = sum of x[n][h + r - 1][w + s - 1] dy[n][h][w].
 *
 * @param x, dy planes of the first image; images are `stepX` and `stepY` bytes apart
 */
export function directWeightGradient(
  x: usize,
  stepX: usize,
  dy: usize,
  stepY: usize,
  images: i32,
  H: i32,
  W: i32,
  dw: usize,
): void {
  for (let r = 0; r < 3; r++) {
    for (let s = 0; s < 3; s++) {
      let sum: f32 = 0;
      for (let n = 0; n < images; n++) {
        const from = x + (<usize> n) * stepX, slope = dy + (<usize> n) * stepY;
        let part: f32 = 0;
        for (let h = max(0, 1 - r); h < min(H, H + 1 - r); h++) {
          for (let w = max(0, 1 - s); w < min(W, W + 1 - s); w++) {
            part += load<f32>(from + ((<usize> ((h + r - 1) * W + w + s - 1)) << 2)) *
              load<f32>(slope + ((<usize> (h * W + w)) << 2));
          }
        }
        sum += part;
      }
      store<f32>(dw + ((<usize> (3 * r + s)) << 2), sum);
    }
  }
}
