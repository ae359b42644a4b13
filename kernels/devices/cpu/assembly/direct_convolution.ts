// Convolutions with stride 1 and their weight gradients, tap by tap: for values that overflow or lose precision in
// transforms. Tap (r, s) of pixel (p, q) reads x at (p + originV + r stepV, q + originH + s stepH).

/**
 * One target channel [P][Q] of an image: y[p][q] = start + sum over c, r, s of x[c][p + ..][q + ..] weight[c][r][s].
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
  P: i32,
  Q: i32,
  R: i32,
  S: i32,
  originV: i32,
  originH: i32,
  stepV: i32,
  stepH: i32,
  offset: f32,
  addend: usize,
  y: usize,
): void {
  for (let p = 0; p < P; p++) {
    for (let q = 0; q < Q; q++) {
      const there: usize = (<usize> (p * Q + q)) << 2;
      let sum = offset;
      if (addend) sum += load<f32>(addend + there);
      for (let c = 0; c < C; c++) {
        const taps = weight + (<usize> c) * strideC;
        for (let r = 0; r < R; r++) {
          const h = p + originV + r * stepV;
          if (h < 0 || h >= H) continue;
          for (let s = 0; s < S; s++) {
            const w = q + originH + s * stepH;
            if (w < 0 || w >= W) continue;
            const tap = turned ? R * S - 1 - r * S - s : r * S + s;
            const from = x + ((<usize> ((c * H + h) * W + w)) << 2);
            sum += load<f32>(from) * load<f32>(taps + ((<usize> tap) << 2));
          }
        }
      }
      store<f32>(y + there, sum);
    }
  }
}

/**
 * The weight gradient of one pair of channels over some images: dw[r][s] = sum of x[n][p + ..][q + ..] dy[n][p][q].
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
  P: i32,
  Q: i32,
  R: i32,
  S: i32,
  originV: i32,
  originH: i32,
  stepV: i32,
  stepH: i32,
  dw: usize,
): void {
  for (let r = 0; r < R; r++) {
    for (let s = 0; s < S; s++) {
      const down = originV + r * stepV, across = originH + s * stepH;
      let sum: f32 = 0;
      for (let n = 0; n < images; n++) {
        const from = x + (<usize> n) * stepX, slope = dy + (<usize> n) * stepY;
        let part: f32 = 0;
        for (let p = max(0, -down); p < min(P, H - down); p++) {
          for (let q = max(0, -across); q < min(Q, W - across); q++) {
            part += load<f32>(from + ((<usize> ((p + down) * W + q + across)) << 2)) *
              load<f32>(slope + ((<usize> (p * Q + q)) << 2));
          }
        }
        sum += part;
      }
      store<f32>(dw + ((<usize> (r * S + s)) << 2), sum);
    }
  }
}
