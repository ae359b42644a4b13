/** What needs no device: streams, permutations, the order of batches, and schedules, also against PyTorch's. */

import assert from "node:assert/strict";
import * as models from "../../../models/mod.ts";
import { permutation, streams } from "../../../models/random.ts";
import { testNeeding } from "../../permissions.ts";
import { sorted, upTo } from "../../refusing.ts";
import { assertClose } from "../../testing.ts";
import { folder } from "../vectors.ts";
import { constantSchedule, plateauSchedule } from "../../../models/train/schedule.ts";

const { BatchOrder, cosineSchedule, createSchedule, scheduleNames } = models;

Deno.test("streams are distinct and keep their numbers, so that seeds stay valid across versions", () => {
  assert.deepEqual(streams, {
    ...{ weights: 0, order: 1, noise: 2, time: 3, heldOutNoise: 4, heldOutTime: 5, samples: 6, split: 7 },
    ...{ labelDropout: 8, shifts: 16, probes: 17, dequantization: 18, diffusion: 19, resamples: 20 },
    ...{ entries: 21, stepLengths: 22, pairOrder: 23, pairNoise: 24, references: 25, faults: 26 },
    ...{ augmentation: 27, guidance: 28, driftNoise: 29, dropout: 1024 },
  });
});

Deno.test("permutation() is uniform, and depends on seed, stream and counter", () => {
  const first = permutation(46020, 1, 0, 50);
  assert.deepEqual(sorted(first), upTo(50));
  assert.deepEqual(permutation(46020, 1, 0, 50), first);
  for (const [seed, stream, counter] of [[1, 1, 0], [46020, 2, 0], [46020, 1, 1]]) {
    assert.notDeepEqual(permutation(seed, stream, counter, 50), first);
  }
  const [n, draws] = [5, 2000];
  const counts = upTo(n).map(() => upTo(n).map(() => 0));
  for (let counter = 0; counter < draws; counter++) {
    permutation(46020, 1, counter, n).forEach((value, place) => counts[place][value]++);
  }
  const allowed = 5 * Math.sqrt(draws * (1 / n) * (1 - 1 / n)); // 5 standard deviations of a binomial count
  for (const count of counts.flat()) assert.ok(Math.abs(count - draws / n) < allowed, `${count}`);
});

Deno.test("BatchOrder uses every example once per epoch, in a new order that depends on seed and step", () => {
  const order = (n: number, batchSize: number, seed = 46020) =>
    new BatchOrder(Uint32Array.from(upTo(n), (i) => 100 + 3 * i), batchSize, seed);
  for (const [n, batchSize] of [[86, 8], [10, 10], [7, 3], [9, 3], [5, 1]]) {
    const made = order(n, batchSize), epochs = 4;
    const batches = upTo(made.stepsFor(epochs)).map((step) => made.batch(step));
    assert.ok(batches.every(({ length }) => length === batchSize));
    const seen = batches.flatMap((batch) => [...batch]);
    const orders = upTo(epochs).map((epoch) => seen.slice(epoch * n, (epoch + 1) * n));
    for (const epoch of orders) assert.deepEqual(sorted(epoch), upTo(n).map((i) => 100 + 3 * i));
    assert.equal(new Set(orders.map(String)).size, epochs);
    const late = order(n, batchSize);
    for (const [step, batch] of [...batches.entries()].reverse()) assert.deepEqual(late.batch(step), batch);
  }
  const first = permutation(1, streams.order, 0, 7).map((i) => 100 + 3 * i);
  assert.deepEqual(order(7, 3, 1).batch(1), first.slice(3, 6));
  assert.notDeepEqual(order(7, 3).batch(1), first.slice(3, 6));
});

Deno.test("BatchOrder counts an epoch, or a fraction, when a step contains its last example", () => {
  const order = (n: number, batchSize: number) => new BatchOrder(Uint32Array.from(upTo(n)), batchSize, 46020);
  const whole = order(86, 8); // 10.75 steps per epoch
  assert.deepEqual([0, 1, 2, 3, 4].map((epochs) => whole.stepsFor(epochs)), [0, 11, 22, 33, 43]);
  const after = [0, 10, 11, 21, 22, 42, 43].map((steps) => whole.epochsAfter(steps));
  assert.deepEqual(after, [0, 0, 1, 1, 2, 3, 4]);
  for (const made of [whole, order(54000, 32), order(7, 3), order(3, 2)]) {
    for (const epochs of [0.1, 0.25, 1 / 3, 0.7, 1, 1.5, 2, 1e-6]) {
      for (let k = 1; k < 50; k++) {
        const end = made.stepsFor(k, epochs);
        assert.ok(made.intervalsAfter(end, epochs) >= k && made.intervalsAfter(end - 1, epochs) < k, `${k}`);
        assert.ok(
          made.stepsFor(made.intervalsAfter(end, epochs) + 1, epochs) > end,
          "the next is still ahead",
        );
      }
    }
    assert.ok(Math.abs(made.stepsFor(4, 0.25) - made.stepsFor(1)) <= 1);
  }
});

testNeeding({ read: true }, "schedules match PyTorch's, plateauSchedule() also through its state", () => {
  const vectors = JSON.parse(Deno.readTextFileSync(new URL("schedules.json", folder)));
  const rates = (name: string, schedule: models.Schedule, last: number) => {
    const expected: number[] = vectors[name].learning_rates;
    assertClose(expected.map((_, i) => schedule.learningRate(i / last)), expected, 1e-12, name);
  };
  const { settings: cycle } = vectors.OneCycleLR, last = cycle.total_steps - 1;
  const shape = { startDivisor: cycle.div_factor, endDivisor: cycle.final_div_factor };
  const warmup = (cycle.pct_start * cycle.total_steps - 1) / last;
  rates("OneCycleLR", models.oneCycleSchedule(cycle.max_lr, { ...shape, warmup }), last);
  const { settings: cosine } = vectors.CosineAnnealingLR;
  rates("CosineAnnealingLR", cosineSchedule(cosine.lr, { final: cosine.eta_min }), cosine.T_max);
  const { settings: { lr, factor, patience, threshold }, losses, learning_rates } = vectors.ReduceLROnPlateau;
  const found = losses.map((_: number, i: number) => {
    const [first, second] = [0, 1].map(() => plateauSchedule(lr, { factor, patience, threshold }));
    losses.slice(0, i / 2).forEach(first.observe);
    second.restore(JSON.parse(JSON.stringify(first.state())));
    losses.slice(i / 2, i + 1).forEach(second.observe);
    return second.learningRate(i / losses.length);
  });
  assertClose(found, learning_rates, 1e-12);
});

Deno.test("plateauSchedule() cools down, stops at its minimum, and counts NaN as no improvement", () => {
  const cases: [settings: object, losses: number[], rates: number[]][] = [
    [{ patience: 0, cooldown: 2, minimum: 0.4 }, Array(8).fill(1), [1, 0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4]],
    [{ patience: 1 }, [1, NaN, NaN, 0.9, NaN, 0.95, 0.8], [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]],
  ];
  for (const [settings, losses, rates] of cases) {
    const schedule = plateauSchedule(1, { factor: 0.5, ...settings });
    assert.deepEqual(losses.map((loss) => (schedule.observe(loss), schedule.learningRate(0))), rates);
    assert.equal(schedule.state().best, Math.min(...losses.filter(Number.isFinite)));
  }
});

Deno.test("schedules warm up linearly, are made by name, and clamp progress to [0, 1]", () => {
  for (const make of [constantSchedule, cosineSchedule, plateauSchedule]) {
    const { learningRate } = make(2, { warmup: 0.5 });
    assert.deepEqual([0, 0.125, 0.25, 0.5].map(learningRate), [0, 0.5, 1, 2]);
  }
  assertClose([cosineSchedule(2, { warmup: 0.5, final: 1 }).learningRate(0.75)], [1.5], 1e-15);
  for (const name of scheduleNames) {
    const { learningRate } = createSchedule(name, 0.5, { warmup: 0.25 });
    assertClose([learningRate(0.25)], [0.5], 1e-12, name);
    assert.deepEqual([learningRate(-1), learningRate(7)], [learningRate(0), learningRate(1)], name);
  }
  assert.equal(createSchedule("one_cycle", 1, { warmup: 0 }).learningRate(-1), 1);
});

Deno.test("createSchedule() refuses unknown names and invalid settings", () => {
  const refused: [name: string, settings: Record<string, number>, message: string, rate?: number][] = [
    ["cosin", {}, 'TypeError: Unknown schedule "cosin": did you mean "cosine"'],
    ["cosine", { warmup: 1 }, "warm up for 1 of a run"],
    ["plateau", { factor: 2 }, "factor 2 (expected 0 < factor < 1)"],
    ["cosine", { final: NaN }, "final is NaN (expected a number of at least 0)"],
    ["one_cycle", { startDivisor: 0 }, "startDivisor is 0 (expected a number above 0)"],
    ["one_cycle", { endDivisor: NaN }, "endDivisor is NaN (expected a number above 0)"],
    ["plateau", { threshold: NaN }, "threshold is NaN"],
    ["plateau", { minimum: -1 }, "minimum is -1"],
  ];
  for (const name of scheduleNames) {
    refused.push([
      name,
      { warmups: 0.1 },
      `TypeError: Unknown setting "warmups" of schedule ${name}: did you mean`,
    ]);
    for (const rate of [NaN, Infinity, -1]) {
      refused.push([name, {}, `the learning rate is ${rate} (expected a number of at least 0)`, rate]);
    }
  }
  for (const [name, settings, message, rate = 1] of refused) {
    assert.throws(() => createSchedule(name as models.ScheduleName, rate, settings), (error: Error) => {
      const expected = message.startsWith("TypeError") ? message : "RangeError: Cannot ";
      assert.ok(`${error}`.startsWith(expected) && `${error}`.includes(message), `${error}`);
      return true;
    });
  }
});
