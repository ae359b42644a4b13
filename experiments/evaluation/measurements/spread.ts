import { type Estimate, meanEstimate, type Points } from "../../../models/mod.ts";
import type { Measurement } from "../measurement.ts";

/** Images of a class that are compared with each other. */
const maxOfClass = 200;

/** How different the samples of a class are, next to real images and noise. */
export const spread: Measurement = {
  judged: false,
  sampled: true,
  measure({ sets: { samples, test, noise }, labels, subject: { data } }) {
    const found = labels && classSpread(samples, labels);
    if (!found) return Promise.resolve({ figures: {} });
    const real = data.test.labels && classSpread(test, data.test.labels)?.value;
    const none = classSpread(noise, labels)?.value;
    const marks = {
      ...real !== undefined && { real, realCount: test.rows },
      ...none !== undefined && { noise: none },
    };
    return Promise.resolve({ figures: { class_spread: { ...found, ...marks } } });
  },
};

/**
 * How different images of one class are: the mean distance of an image from the others of its class, of 200 at most.
 *
 * @param images pixels, one image per row
 * @param labels the class of each row
 * @returns the mean over images, with its interval; undefined if no class has two images
 */
export function classSpread(
  { values, rows, width }: Points,
  labels: ArrayLike<number>,
): Estimate | undefined {
  const byClass = Map.groupBy(Array.from({ length: rows }, (_, n) => n), (n) => labels[n]);
  const distances = [...byClass.values()].map((all) => all.slice(0, maxOfClass))
    .filter((members) => members.length > 1)
    .flatMap((members) =>
      members.map((a) =>
        members.reduce((sum, b) => sum + distance(values, width, a, b), 0) / (members.length - 1)
      )
    );
  return distances.length > 0 ? meanEstimate(distances) : undefined;
}

/** The distance between rows a and b. */
function distance(values: Float32Array, width: number, a: number, b: number): number {
  let squares = 0;
  for (let i = 0; i < width; i++) squares += (values[a * width + i] - values[b * width + i]) ** 2;
  return Math.sqrt(squares);
}
