import assert from "node:assert/strict";
import { BatchOrder } from "../../../models/train/batch_order.ts";
import { permutation, streams } from "../../../models/random.ts";
import { sorted, upTo } from "../../refusing.ts";

/** Examples 100, 103, ... */
const examples = (n: number) => Uint32Array.from({ length: n }, (_, i) => 100 + 3 * i);

Deno.test("streams are distinct and keep their numbers, so that seeds stay valid across versions", () => {
  assert.deepEqual(streams, {
    weights: 0,
    order: 1,
    noise: 2,
    time: 3,
    heldOutNoise: 4,
    heldOutTime: 5,
    samples: 6,
    split: 7,
    labelDropout: 8,
    shifts: 16,
    probes: 17,
    dequantization: 18,
    diffusion: 19,
    resamples: 20,
    entries: 21,
    stepLengths: 22,
    pairOrder: 23,
    pairNoise: 24,
    references: 25,
    faults: 26,
    augmentation: 27,
    guidance: 28,
    dropout: 1024,
  });
});

Deno.test("permutation() is a permutation that depends on seed, stream and counter", () => {
  const first = permutation(46020, 1, 0, 50);
  assert.deepEqual(sorted(first), upTo(50));
  assert.deepEqual(permutation(46020, 1, 0, 50), first);
  for (const [seed, stream, counter] of [[1, 1, 0], [46020, 2, 0], [46020, 1, 1]]) {
    assert.notDeepEqual(permutation(seed, stream, counter, 50), first);
  }
});

Deno.test("permutation() is uniform: every value is equally likely at every position", () => {
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

Deno.test("BatchOrder.batch() uses every example once per epoch, in a new order each epoch", () => {
  for (const [n, batchSize] of [[86, 8], [10, 10], [7, 3], [9, 3], [5, 1]]) {
    const order = new BatchOrder(examples(n), batchSize, 46020);
    const epochs = 4;
    const seen = upTo(order.stepsFor(epochs)).flatMap((step) => [...order.batch(step)]);
    const orders = upTo(epochs).map((epoch) => seen.slice(epoch * n, (epoch + 1) * n));
    for (const epoch of orders) assert.deepEqual(sorted(epoch), [...examples(n)]);
    assert.equal(new Set(orders.map(String)).size, epochs);
    assert.ok(upTo(order.stepsFor(epochs)).every((step) => order.batch(step).length === batchSize));
  }
});

Deno.test("BatchOrder.batch() depends only on the seed and the step, not on earlier calls", () => {
  const order = new BatchOrder(examples(7), 3, 46020);
  const steps = upTo(20);
  const forwards = steps.map((step) => order.batch(step));
  const backwards = steps.toReversed().map((step) => order.batch(step)).toReversed();
  assert.deepEqual(backwards, forwards);
  for (const step of [13, 2, 19, 2, 0]) {
    assert.deepEqual(order.batch(step), forwards[step]);
    assert.deepEqual(new BatchOrder(examples(7), 3, 46020).batch(step), forwards[step]);
  }
  assert.notDeepEqual(new BatchOrder(examples(7), 3, 1).batch(0), forwards[0]);
});

Deno.test("BatchOrder counts an epoch, or a fraction, when a step contains its last example", () => {
  const whole = new BatchOrder(examples(86), 8, 46020); // 10.75 steps per epoch
  assert.deepEqual([0, 1, 2, 3, 4].map((epochs) => whole.stepsFor(epochs)), [0, 11, 22, 33, 43]);
  const after = [0, 10, 11, 21, 22, 42, 43].map((steps) => whole.epochsAfter(steps));
  assert.deepEqual(after, [0, 0, 1, 1, 2, 3, 4]);
  for (const [n, batchSize] of [[86, 8], [54000, 32], [7, 3], [3, 2]]) {
    const order = new BatchOrder(examples(n), batchSize, 46020);
    for (const epochs of [0.1, 0.25, 1 / 3, 0.7, 1, 1.5, 2, 1e-6]) {
      for (let k = 1; k < 50; k++) {
        const end = order.stepsFor(k, epochs);
        assert.ok(order.intervalsAfter(end, epochs) >= k, `${n} ${epochs} ${k}`);
        assert.ok(order.intervalsAfter(end - 1, epochs) < k, `${n} ${epochs} ${k}`);
        // The end of the next interval is still ahead.
        assert.ok(order.stepsFor(order.intervalsAfter(end, epochs) + 1, epochs) > end);
      }
    }
    const quarters = order.stepsFor(4, 0.25);
    assert.ok(Math.abs(quarters - order.stepsFor(1)) <= 1, `${quarters}`);
  }
});
