import assert from "node:assert/strict";
import vectors from "../../vectors/assignments.json" with { type: "json" };
import { normals, randomBits, randomNormal, tensor } from "../../../kernels/mod.ts";
import {
  batchSource,
  classTransportPairs,
  type Coupling,
  couplings,
  createModel,
  fit,
  flowMatching,
  independentCoupling,
  pairTransport,
  Trainer,
  transportPairs,
} from "../../../models/mod.ts";
import { streams } from "../../../models/random.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { hostRows } from "../../../models/train/batch_source.ts";
import { assignment, transport } from "../../../models/flow/transport.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const [M, P, N] = [40, 12, 16];
const values = Float32Array.from({ length: M * P }, (_, i) => Math.sin(i * i) + i % 3);
const labels = Uint32Array.from({ length: M }, (_, m) => m % 3);
const data = hostRows(values, P, labels);
const batch = Uint32Array.from({ length: N }, (_, n) => (n * 7 + 3) % M);
const sorted = (examples: ArrayLike<number>) => Array.from(examples).toSorted((a, b) => a - b);

/** The mean squared distance between a step's noise and its paired examples. */
function costOf(examples: Uint32Array, step: number): number {
  const x0 = normals(5, streams.noise, step, N * P);
  return data.values(examples).reduce((sum, x, i) => sum + (x - x0[i]) ** 2, 0) / x0.length;
}

for (const [name, { make }] of Object.entries(couplings)) {
  Deno.test(`couplings: ${name} reorders a batch without increasing the cost`, () => {
    const coupling = make();
    for (const step of [0, 1, 2]) {
      const paired = coupling.pair(batch, { seed: 5, step }, data);
      assert.deepEqual(sorted(paired), sorted(batch));
      assertSameNumbers(coupling.pair(batch, { seed: 5, step }, data), paired);
      assert.ok(costOf(paired, step) <= costOf(batch, step));
    }
  });
}

testOnDevices("transportPairs reports the cost for the device's noise, and reduces it a lot", async () => {
  const drawn = await randomNormal(tensor(Uint32Array.of(5, streams.noise, 4)), [N, P]).read();
  assertClose(normals(5, streams.noise, 4, N * P), drawn, 1e-5);
  const draw = { seed: 5, step: 4 };
  const { order, cost, independentCost } = pairTransport(transportPairs.batch(batch, draw, data));
  assertClose([independentCost], [costOf(batch, 4)], 1e-5);
  assertClose([cost], [costOf(order.map((at) => batch[at]), 4)], 1e-5);
  assert.ok(cost < 0.9 * independentCost, `${cost} of ${independentCost}`);
});

Deno.test("classTransportPairs keeps every label in place, and is optimal within classes", () => {
  const draw = { seed: 5, step: 4 };
  const paired = classTransportPairs.pair(batch, draw, data);
  assertSameNumbers(data.labels!(paired), data.labels!(batch));
  assert.notDeepEqual(paired, batch);
  const [free, within] = [transportPairs.pair(batch, draw, data), paired].map((pairs) => costOf(pairs, 4));
  assert.ok(free < within && within < costOf(batch, 4));
  const x0 = normals(5, streams.noise, 4, N * P);
  for (const label of [0, 1, 2]) {
    const places = [...batch.keys()].filter((n) => labels[batch[n]] === label);
    const rows = (from: Float32Array, of: readonly number[]) =>
      Float32Array.from(of.flatMap((n) => [...from.subarray(n * P, (n + 1) * P)]));
    const alone = transport(rows(x0, places), rows(data.values(batch), places), places.length);
    assert.deepEqual([...alone.order].map((at) => batch[places[at]]), places.map((n) => paired[n]));
  }
});

Deno.test("transport() keeps the marginals: over many steps, all pairs are equally frequent", () => {
  const counts = new Float64Array(N * N);
  const few = Uint32Array.from({ length: N }, (_, n) => n);
  for (let step = 0; step < 300; step++) {
    const paired = transportPairs.pair(few, { seed: 9, step }, data);
    paired.forEach((example, n) => counts[n * N + example]++);
  }
  const expected = 300 / N;
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  assert.ok(chiSquare < (N - 1) ** 2 + 4 * Math.sqrt(2) * (N - 1), `${chiSquare}`); // the mean is (N - 1)^2
});

Deno.test("couplings by transport refuse missing host data, large batches, and arrays without N rows", () => {
  const draw = { seed: 1, step: 0 };
  const [unlabelled, large] = [hostRows(values, P), new Uint32Array(257)];
  assert.throws(
    () => transportPairs.pair(batch, draw),
    /^TypeError: .* needs the values of the data on the h/,
  );
  assert.throws(() => classTransportPairs.pair(batch, draw, unlabelled), /^TypeError: .* needs the labels/);
  assert.throws(() => transportPairs.pair(large, draw, data), /^RangeError: Cannot pair 257 examples/);
  for (const [noise, data, rows] of [[4, 4, 3], [4, 8, 2], [0, 0, 2], [4, 4, 1.5], [4, 4, 0]]) {
    assert.throws(() => transport(new Float32Array(noise), new Float32Array(data), rows), {
      name: "RangeError",
      message: /^Cannot pair noise with data: .* \(expected /,
    });
  }
  assert.throws(() => transport(new Float32Array(4), new Float32Array(4), 2, new Uint32Array(3)), {
    message:
      "Cannot pair noise with data: 4 and 4 values and 3 labels in 2 rows (expected the same number of each, f32[N, P])",
  });
});

testOnCpu("Trainer gets the same result from pairs made in advance, bit for bit", async () => {
  const source = () => batchSource(tensor(values.slice(0, 32 * P), [32, 1, 3, 4]), hostRows(values, P));
  const make = (coupling: Coupling = transportPairs) =>
    new Trainer(createModel({ type: "UNet_FM", filters: [4], tEmb: 4 }, 1), source(), {
      batchSize: 8,
      seed: 5,
      learningRate: 0.01,
      objective: { ...flowMatching, coupling },
    });
  const examples = Uint32Array.from({ length: 8 }, (_, n) => n * 3);
  const inside = make();
  const [ahead, plain] = [make(independentCoupling), make(independentCoupling)];
  for (let step = 0; step < 3; step++) {
    for (const trainer of [inside, plain]) trainer.queueStep(examples, 0.01);
    const pairs = transportPairs.pair(examples, { seed: 5, step }, hostRows(values, P));
    ahead.queueStep(pairs, 0.01);
  }
  const losses = await inside.losses();
  assert.deepEqual(await ahead.losses(), losses);
  assert.notDeepEqual(await plain.losses(), losses);
});

testOnCpu("fit() pairs by transport, also within classes", async () => {
  const x1 = tensor(values.slice(0, 24 * P), [24, 1, 3, 4]);
  const condition = tensor(labels.slice(0, 24));
  const losses = (coupling: Coupling, classes: number) => {
    const model = createModel({ type: "UNet_FM", filters: [4], tEmb: 4, classes }, 1);
    const options = { steps: 20, batchSize: 24, objective: { ...flowMatching, coupling } };
    return fit(model, x1, { ...options, ...classes && { condition } });
  };
  for (const [coupling, classes] of [[transportPairs, 0], [classTransportPairs, 3]] as const) {
    const [plain, paired] = [await losses(independentCoupling, classes), await losses(coupling, classes)];
    assert.ok(paired[0] < plain[0] && paired[19] < plain[19], `${paired} and ${plain}`);
  }
  const unlabelled = /^FitError: .* the condition is .* \(expected a label per example/;
  await assert.rejects(losses(classTransportPairs, 0), unlabelled);
});

const totalOf = (cost: ArrayLike<number>, columns: ArrayLike<number>) =>
  Array.from(columns).reduce((sum, column, row) => sum + cost[row * columns.length + column], 0);

/** All permutations of 0 .. n - 1. */
function permutations(n: number): number[][] {
  if (n === 0) return [[]];
  return permutations(n - 1).flatMap((rest) => rest.concat(0).map((_, at) => rest.toSpliced(at, 0, n - 1)));
}

Deno.test("assignment() finds the smallest cost of all permutations, for up to 7 rows", () => {
  for (let n = 1; n <= 7; n++) {
    const orders = permutations(n);
    for (let draw = 0; draw < 5; draw++) {
      const cost = Float64Array.from(
        randomBits(1, n, draw, n * n),
        (bits) => bits % (draw < 2 ? 5 : 1e6) - 2,
      );
      const columns = assignment(cost, n);
      assert.deepEqual([...columns].toSorted((a, b) => a - b), [...Array(n).keys()]);
      assert.equal(totalOf(cost, columns), Math.min(...orders.map((order) => totalOf(cost, order))));
    }
  }
});

for (const { kind, n, cost, total } of vectors.problems) {
  Deno.test(`assignment() has the same cost as SciPy's linear_sum_assignment: ${kind}, ${n} rows`, () => {
    const columns = assignment(Float64Array.from(cost), n);
    assert.deepEqual([...columns].toSorted((a, b) => a - b), [...Array(n).keys()]);
    assert.equal(totalOf(cost, columns), total);
  });
}

Deno.test("assignment() accepts an empty matrix, and refuses invalid ones", () => {
  assert.deepEqual(assignment(new Float64Array(), 0), new Uint32Array());
  assert.throws(() => assignment(Float64Array.of(1, 2), 2), /^RangeError: Cannot assign 2 rows by 2 costs/);
  assert.throws(() => assignment(Float64Array.of(NaN), 1), RangeError);
});
