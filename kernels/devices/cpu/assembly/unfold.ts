// The four taps of a 2x2 kernel with stride 2 as separate channels.

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
