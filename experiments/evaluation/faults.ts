import { normals } from "../../kernels/mod.ts";
import { streams } from "../../models/mod.ts";

/** Size of images f32[N, C, H, W] with 0 black and 1 white. */
export interface ImageSize {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Blurs images by a Gaussian; outside an image is black.
 *
 * @param sigma its standard deviation in pixels, above 0
 */
export function blurred(pixels: Float32Array, { height, width }: ImageSize, sigma: number): Float32Array {
  const reach = Math.ceil(3 * sigma);
  const raw = Array.from(
    { length: 2 * reach + 1 },
    (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)),
  );
  const total = raw.reduce((sum, weight) => sum + weight, 0);
  const weights = raw.map((weight) => weight / total);
  /** One pass along an axis, whose pixels are `stride` apart. */
  const along = (x: Float32Array, stride: number, length: number) =>
    x.map((_, i) => {
      const at = Math.floor(i / stride) % length;
      let sum = 0;
      for (let j = Math.max(-reach, -at); j <= Math.min(reach, length - 1 - at); j++) {
        sum += weights[j + reach] * x[i + j * stride];
      }
      return sum;
    });
  return along(along(pixels, 1, width), width, height);
}

/**
 * Adds independent normal noise to every pixel, and clips to [0, 1].
 *
 * @param sigma its standard deviation, where white is 1
 * @param seed of the noise, an integer in [0, 2^32)
 * @param draw separates draws of one seed, an integer in [0, 2^32)
 */
export function grainy(pixels: Float32Array, sigma: number, seed: number, draw = 0): Float32Array {
  const noise = normals(seed, streams.faults, draw, pixels.length);
  return pixels.map((value, i) => Math.min(Math.max(value + sigma * noise[i], 0), 1));
}

/**
 * Thins bright strokes: mixes each pixel with the darkest of itself and its four neighbours.
 *
 * @param share of the darkest, from 0 to 1
 */
export function thinned(pixels: Float32Array, { height, width }: ImageSize, share: number): Float32Array {
  return pixels.map((value, i) => {
    const [h, w] = [Math.floor(i / width) % height, i % width];
    const darkest = Math.min(
      value,
      h > 0 ? pixels[i - width] : 0,
      h < height - 1 ? pixels[i + width] : 0,
      w > 0 ? pixels[i - 1] : 0,
      w < width - 1 ? pixels[i + 1] : 0,
    );
    return (1 - share) * value + share * darkest;
  });
}

/**
 * Breaks strokes: moves the lower half of each image to the right; what enters is black.
 *
 * @param by pixels, a whole number of at least 0
 */
export function broken(pixels: Float32Array, { height, width }: ImageSize, by: number): Float32Array {
  return pixels.map((value, i) => {
    const [h, w] = [Math.floor(i / width) % height, i % width];
    if (2 * h < height) return value;
    return w >= by ? pixels[i - by] : 0;
  });
}
