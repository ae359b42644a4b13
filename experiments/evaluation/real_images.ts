import { type Tensor, tensor } from "../../kernels/mod.ts";
import { permutation } from "../../models/random/permutation.ts";
import { streams } from "../../models/random/streams.ts";
import type { LabelledImages } from "../data/dataset.ts";
import type { Points } from "../measures/points.ts";
import type { Subject } from "./subject.ts";

/** Some images of a data set, as pixels from 0 black to 1 white. */
export function imagesOf({ images, count }: LabelledImages, indices: Uint32Array): Points {
  const width = images.length / count;
  const values = new Float32Array(indices.length * width);
  indices.forEach((image, n) => {
    for (let p = 0; p < width; p++) values[n * width + p] = images[image * width + p] / 255;
  });
  return { values, rows: indices.length, width };
}

/** Some of the given images, drawn without replacement by a seed. */
export function drawImages(from: Uint32Array, count: number, seed: number): Uint32Array {
  return permutation(seed, streams.split, 1, from.length).slice(0, count).map((n) => from[n]);
}

/** Pixels as a file of images holds them: black, white and 254 greys between. */
export function asBytes(pixels: Float32Array): Float32Array {
  return pixels.map((pixel) => Math.round(255 * Math.min(Math.max(pixel, 0), 1)) / 255);
}

/** The labels of some test images as the condition of a network that takes one, u32[count]. */
export function conditionOf(
  { classes, data: { test } }: Subject,
  from: number,
  count: number,
): Tensor | undefined {
  return classes > 0 && test.labels
    ? tensor(Uint32Array.from(test.labels.subarray(from, from + count)))
    : undefined;
}
