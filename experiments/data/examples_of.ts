import type { Examples } from "../../viz/report/mod.ts";
import type { Dataset } from "./labelled_images.ts";
import { pixelsOf } from "./pixels_of.ts";

/** The first test images of the classes in turn, or the first ones where there are no labels. */
export function examplesOf({ test, classNames, ...data }: Dataset, count: number): Examples {
  const indices = inTurn(test.labels ?? new Uint8Array(test.count)).slice(0, count);
  const { channels: C, height: H, width: W } = data;
  return {
    shape: [indices.length, C, H, W],
    image: pixelsOf(test.images, indices, C * H * W),
    ...test.labels && { labels: indices.map((index) => test.labels![index]) },
    ...classNames && { classNames },
  };
}

/** Indices of labels: the first of each class, then the second of each, and so on. */
function inTurn(labels: Uint8Array): number[] {
  const seen = new Map<number, number>();
  const turns = Array.from(labels, (label, index) => {
    const turn = seen.get(label) ?? 0;
    seen.set(label, turn + 1);
    return { turn, label, index };
  });
  return turns.sort((a, b) => a.turn - b.turn || a.label - b.label).map(({ index }) => index);
}
