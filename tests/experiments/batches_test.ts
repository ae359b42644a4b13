import assert from "node:assert/strict";
import { BatchOrder, permutation, splitImages } from "../../experiments/batches.ts";

const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
/** Images 100, 103, ... */
const images = (n: number) => Uint32Array.from({ length: n }, (_, i) => 100 + 3 * i);

Deno.test("permutation() is a permutation that seed, stream and counter change", () => {
  const first = permutation(46020, 1, 0, 50);
  assert.deepEqual(sorted(first), upTo(50));
  assert.deepEqual(permutation(46020, 1, 0, 50), first);
  for (
    const other of [permutation(1, 1, 0, 50), permutation(46020, 2, 0, 50), permutation(46020, 1, 1, 50)]
  ) {
    assert.deepEqual(sorted(other), upTo(50));
    assert.notDeepEqual(other, first);
  }
  assert.deepEqual(permutation(46020, 1, 0, 1), Uint32Array.of(0));
});

Deno.test("permutation() puts every value everywhere about equally often", () => {
  const n = 5;
  const draws = 2000;
  const counts = upTo(n).map(() => upTo(n).map(() => 0));
  for (let counter = 0; counter < draws; counter++) {
    permutation(46020, 1, counter, n).forEach((value, place) => counts[place][value]++);
  }
  // 5 standard deviations of a binomial count
  const allowed = 5 * Math.sqrt(draws * (1 / n) * (1 - 1 / n));
  for (const count of counts.flat()) assert.ok(Math.abs(count - draws / n) < allowed, `${count}`);
});

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
    name: "TrainingError",
    message: "Cannot take batches of 87 images from 86 training images: use a smaller --batch-size",
  });
  assert.throws(() => splitImages(96, { ...options, trainLimit: 85 }), /from 85 training images/);
});

Deno.test("BatchOrder.batch() shows every image once an epoch, each epoch in another order", () => {
  for (const [n, batchSize] of [[86, 8], [10, 10], [7, 3], [9, 3], [5, 1]]) {
    const order = new BatchOrder(images(n), batchSize, 46020);
    const epochs = 4;
    const seen = upTo(order.stepsFor(epochs)).flatMap((step) => [...order.batch(step)]);
    const orders = upTo(epochs).map((epoch) => seen.slice(epoch * n, (epoch + 1) * n));
    for (const epoch of orders) assert.deepEqual(sorted(epoch), [...images(n)]);
    assert.equal(new Set(orders.map(String)).size, epochs);
    assert.ok(upTo(order.stepsFor(epochs)).every((step) => order.batch(step).length === batchSize));
  }
});

Deno.test("BatchOrder.batch() depends on the seed and the step alone, not on what was asked before", () => {
  const order = new BatchOrder(images(7), 3, 46020);
  const steps = upTo(20);
  const forwards = steps.map((step) => order.batch(step));
  const backwards = steps.toReversed().map((step) => order.batch(step)).toReversed();
  assert.deepEqual(backwards, forwards);
  for (const step of [13, 2, 19, 2, 0]) {
    assert.deepEqual(order.batch(step), forwards[step]);
    assert.deepEqual(new BatchOrder(images(7), 3, 46020).batch(step), forwards[step]);
  }
  assert.notDeepEqual(new BatchOrder(images(7), 3, 1).batch(0), forwards[0]);
});

Deno.test("BatchOrder counts an epoch as over with the step that shows its last image", () => {
  const order = new BatchOrder(images(86), 8, 46020); // 10.75 steps an epoch
  assert.deepEqual([0, 1, 2, 3, 4].map((epochs) => order.stepsFor(epochs)), [0, 11, 22, 33, 43]);
  assert.deepEqual([0, 10, 11, 21, 22, 42, 43].map((steps) => order.epochsAfter(steps)), [
    0,
    0,
    1,
    1,
    2,
    3,
    4,
  ]);
});
