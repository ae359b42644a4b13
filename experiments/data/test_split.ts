import { permutation, streams } from "../../models/random.ts";

/** The seed of all splits: every run, whatever its own seed, and every task have the same test images. */
const seed = 0;
/** Share of the images of a class that are held out. */
const testShare = 0.1;

/** Indices of images, in random order. */
export interface TestSplit {
  readonly train: readonly number[];
  readonly test: readonly number[];
}

/**
 * Holds out a tenth of the images of each class for the test, but at least one of two.
 *
 * @param labels of the images, one class without labels
 * @returns the same for the same labels; both parts in random order, so that their beginnings hold all classes
 */
export function splitTest(labels: readonly number[]): TestSplit {
  const sizes = new Map<number, number>();
  for (const label of labels) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  const left = new Map([...sizes].map(([label, size]) => [
    label,
    size < 2 ? 0 : Math.max(1, Math.round(size * testShare)),
  ]));
  const order = [...shuffled(labels.length)];
  // From the end: what is left keeps a random beginning.
  const test = order.toReversed().filter((image) => {
    const wanted = left.get(labels[image])!;
    left.set(labels[image], wanted - 1);
    return wanted > 0;
  });
  const held = new Set(test);
  return { train: order.filter((image) => !held.has(image)), test };
}

/** 0 to count - 1 in the random order of all data sets. */
export function shuffled(count: number): Uint32Array {
  return permutation(seed, streams.split, 0, count);
}
