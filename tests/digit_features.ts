import assert from "node:assert/strict";
import digits from "./vectors/digit_means.json" with { type: "json" };

/** Mean brightness of the 7 x 7 blocks of a 28 x 28 image, f32[28, 28] with 0 black and 1 white. */
export function digitFeatures(image: ArrayLike<number>): number[] {
  const features = new Array<number>(49).fill(0);
  for (let i = 0; i < 784; i++) features[Math.floor(i / 112) * 7 + Math.floor(i % 28 / 4)] += image[i] / 16;
  return features;
}

/** Euclidean distance. */
export function distance(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(...a.map((value, i) => value - b[i]));
}

/** The digit with the nearest mean. */
export function nearestDigit(features: readonly number[], means: readonly (readonly number[])[]): number {
  const distances = means.map((mean) => distance(features, mean));
  return distances.indexOf(Math.min(...distances));
}

/** Asserts that 16 images look like digits of several kinds, as near to digits as those of MNIST. */
export function assertLikeDigits(images: readonly ArrayLike<number>[]): void {
  assert.equal(images.length, 16);
  const seen = images.map((image) => {
    const features = digitFeatures(image);
    const digit = nearestDigit(features, digits.means);
    return { digit, near: distance(features, digits.means[digit]) <= digits.near };
  });
  const summary = JSON.stringify(seen);
  assert.ok(seen.filter(({ near }) => near).length >= 14, `as near to digits as MNIST's own: ${summary}`);
  assert.ok(new Set(seen.map(({ digit }) => digit)).size >= 5, `several digits: ${summary}`);
}
