import { type Estimate, meanEstimate, type Points } from "../../models/mod.ts";

/** Images of a class that are compared with each other. */
const mostOfClass = 200;

/**
 * How different images of one class are: the mean distance of an image from the others of its class. Few steps and
 * strong guidance lower it.
 *
 * @param images pixels, one image per row
 * @param labels the class of each
 * @returns the mean over images, with its interval; undefined if no class has two images
 */
export function classSpread({ values, width }: Points, labels: ArrayLike<number>): Estimate | undefined {
  const byClass = Map.groupBy(Array.from(labels).keys(), (n) => labels[n]);
  const distances = [...byClass.values()].map((all) => all.slice(0, mostOfClass))
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
