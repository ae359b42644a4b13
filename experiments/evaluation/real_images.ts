import { type Tensor, tensor } from "../../kernels/mod.ts";
import { permutation, streams } from "../../models/random.ts";
import { type LabelledImages, pixelsOf } from "../data/dataset.ts";
import type { Points } from "../../models/measures/points.ts";
import type { Subject } from "./subject.ts";

/** Some images of a data set, as pixels from 0 black to 1 white. */
export function imagesOf({ images, count }: LabelledImages, indices: Uint32Array): Points {
  const width = images.length / count;
  return { values: pixelsOf(images, indices, width), rows: indices.length, width };
}

/** Some of the given images, drawn without replacement by a seed. */
export function drawImages(from: Uint32Array, count: number, seed: number): Uint32Array {
  return permutation(seed, streams.split, 1, from.length).slice(0, count).map((n) => from[n]);
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
