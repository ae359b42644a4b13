/** Prints digit_means.json: what digits look like from afar, for tests that must tell them from noise without MNIST. */

import { pixelsOf } from "../../experiments/data/images.ts";
import { loadDataset } from "../../experiments/data/load_dataset.ts";
import { digitFeatures, distance, nearestDigit } from "../digit_features.ts";

const { train, test } = await loadDataset();
const featuresOf = (images: Uint8Array, n: number) => digitFeatures(pixelsOf(images, [n], 784));
const sums = Array.from({ length: 10 }, () => ({ count: 0, total: new Float64Array(49) }));
for (let n = 0; n < train.count; n++) {
  const sum = sums[train.labels![n]];
  sum.count++;
  featuresOf(train.images, n).forEach((value, i) => sum.total[i] += value);
}
const means = sums.map(({ count, total }) =>
  Array.from(total, (value) => Number((value / count).toFixed(3)))
);
const tried = Array.from({ length: test.count }, (_, n) => {
  const features = featuresOf(test.images, n);
  const digit = nearestDigit(features, means);
  return { right: digit === test.labels![n], distance: distance(features, means[digit]) };
});
const distances = tried.map(({ distance }) => distance).sort((a, b) => a - b);
console.log(JSON.stringify({
  /** Share of MNIST's test images that the nearest mean names rightly. */
  accuracy: tried.filter(({ right }) => right).length / tried.length,
  /** Within this distance of their nearest mean are 99 of 100 test images. */
  near: Number(distances[Math.floor(0.99 * distances.length)].toFixed(3)),
  means,
}));
