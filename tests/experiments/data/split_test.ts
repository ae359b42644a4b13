import assert from "node:assert/strict";
import { splitImages } from "../../../experiments/data/split.ts";
import { sorted, upTo } from "../../counting.ts";

Deno.test("splitImages() splits all images, and keeps the validation images whatever the limit", () => {
  const options = { seed: 46020, valFraction: 0.1, trainLimit: 0, batchSize: 8 };
  const { train, validation } = splitImages(96, options);
  assert.equal(validation.length, 10);
  assert.deepEqual(sorted([...train, ...validation]), upTo(96));
  const limited = splitImages(96, { ...options, trainLimit: 20 });
  assert.deepEqual(limited.train, train.slice(0, 20));
  assert.deepEqual(limited.validation, validation);
  assert.deepEqual(splitImages(96, { ...options, trainLimit: 1000 }).train, train);
  assert.notDeepEqual(splitImages(96, { ...options, seed: 1 }).validation, validation);
  assert.equal(splitImages(96, { ...options, valFraction: 0 }).validation.length, 0);
});

Deno.test("splitImages() refuses batches that the training images do not fill", () => {
  const options = { seed: 46020, valFraction: 0.1, trainLimit: 0, batchSize: 86 };
  assert.equal(splitImages(96, options).train.length, 86);
  assert.throws(() => splitImages(96, { ...options, batchSize: 87 }), {
    name: "ConfigError",
    message: "Cannot take batches of 87 images from 86 training images: use a smaller --batch-size",
  });
  assert.throws(() => splitImages(96, { ...options, trainLimit: 85 }), /from 85 training images/);
  assert.throws(
    () => splitImages(96, { ...options, valFraction: 0.999 }),
    /from 0 training images: use a smaller --val-fraction$/,
  );
});
