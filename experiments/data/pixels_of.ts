/**
 * Some images of bytes as pixels.
 *
 * @param images u8[M, P], 0 black to 255 white
 * @param indices of the images, N of them
 * @param P values of an image
 * @returns f32[N, P], 0 black to 1 white
 */
export function pixelsOf(
  images: Uint8Array,
  indices: ArrayLike<number>,
  P: number,
): Float32Array<ArrayBuffer> {
  const pixels = new Float32Array(indices.length * P);
  for (let n = 0; n < indices.length; n++) {
    for (let p = 0; p < P; p++) pixels[n * P + p] = images[indices[n] * P + p] / 255;
  }
  return pixels;
}
