import { shuffled } from "./test_split.ts";

/** Images of which some are to stand for all. */
interface Labelled {
  /** One for each image; none where the data set has no labels. */
  readonly labels?: ArrayLike<number> | undefined;
  readonly count: number;
}

/**
 * A random order for images that stand class by class, so that whoever takes the first ones gets all classes. It is always
 * the same.
 *
 * @returns indices; undefined where the order of the images will do, and without labels, as nothing tells then
 */
export function mixedOrder({ labels, count }: Labelled): Uint32Array | undefined {
  return labels && isByClass(labels, count) ? shuffled(count) : undefined;
}

/** Whether labels change less than half as often from one image to the next as they do in a random order. */
function isByClass(labels: ArrayLike<number>, count: number): boolean {
  const sizes = new Map<number, number>();
  let changes = 0;
  for (let n = 0; n < count; n++) {
    sizes.set(labels[n], (sizes.get(labels[n]) ?? 0) + 1);
    if (n > 0 && labels[n] !== labels[n - 1]) changes++;
  }
  // Two images of a random order differ with probability 1 - sum of (size / count)^2, a bit more without replacement.
  const differ = sizes.values().reduce((rest, size) => rest - (size / count) ** 2, 1);
  return changes < 0.5 * (count - 1) * differ;
}
