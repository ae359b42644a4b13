/** Couplings and assignments, also against SciPy's; see tests/vectors/README.md. */

import assert from "node:assert/strict";
import vectors from "../../vectors/assignments.json" with { type: "json" };
import { normals, randomBits, randomNormal, tensor } from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import {
  assignment,
  classTransportPairs,
  pairTransport,
  transport,
  transportPairs,
} from "../../../models/flow/coupling.ts";
import { streams } from "../../../models/random.ts";
import { hostRows } from "../../../models/train/batches.ts";
import { sorted, upTo } from "../../refusing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { flowMatching } from "../../../models/flow/objective.ts";

const { batchSource, createModel, independentCoupling } = models;
const [M, P, N] = [40, 12, 16];
const values = Float32Array.from({ length: M * P }, (_, i) => Math.sin(i * i) + i % 3);
const labels = Uint32Array.from({ length: M }, (_, m) => m % 3);
const data = hostRows(values, P, labels);
const batch = Uint32Array.from({ length: N }, (_, n) => (n * 7 + 3) % M);
const draw = { seed: 5, step: 4 };
const rowsOf = (from: Float32Array, rows: readonly number[]) =>
  Float32Array.from(rows.flatMap((n) => [...from.subarray(n * P, (n + 1) * P)]));

/** The mean squared distance between a step's noise and its paired examples. */
function costOf(examples: Uint32Array, step: number): number {
  const x0 = normals(5, streams.noise, step, N * P);
  return data.values(examples).reduce((sum, x, i) => sum + (x - x0[i]) ** 2, 0) / x0.length;
}

Deno.test("couplings reorder a batch without increasing the cost, transport reduces it a lot", () => {
  for (const [name, { make }] of Object.entries(models.couplings)) {
    const coupling = make();
    for (const step of [0, 1, 2]) {
      const paired = coupling.pair(batch, { seed: 5, step }, data);
      assert.deepEqual(sorted(paired), sorted(batch), name);
      assert.deepEqual(coupling.pair(batch, { seed: 5, step }, data), paired);
      assert.ok(costOf(paired, step) <= costOf(batch, step));
    }
  }
  const { order, cost, independentCost } = pairTransport(transportPairs.batch(batch, draw, data));
  assertClose([independentCost], [costOf(batch, 4)], 1e-5);
  assertClose([cost], [costOf(order.map((at) => batch[at]), 4)], 1e-5);
  assert.ok(cost < 0.9 * independentCost, `${cost} of ${independentCost}`);
});

Deno.test("classTransportPairs keeps every label in place, and is optimal within classes", () => {
  const paired = classTransportPairs.pair(batch, draw, data);
  assert.deepEqual(data.labels!(paired), data.labels!(batch));
  assert.notDeepEqual(paired, batch);
  const [free, within] = [transportPairs.pair(batch, draw, data), paired].map((pairs) => costOf(pairs, 4));
  assert.ok(free < within && within < costOf(batch, 4));
  const x0 = normals(5, streams.noise, 4, N * P);
  for (const label of [0, 1, 2]) {
    const places = [...batch.keys()].filter((n) => labels[batch[n]] === label);
    const alone = transport(rowsOf(x0, places), rowsOf(data.values(batch), places), places.length);
    assert.deepEqual([...alone.order].map((at) => batch[places[at]]), places.map((n) => paired[n]));
  }
});

Deno.test("transport() keeps the marginals: over many steps, all pairs are equally frequent", () => {
  const counts = new Float64Array(N * N), few = Uint32Array.from(upTo(N));
  for (let step = 0; step < 300; step++) {
    transportPairs.pair(few, { seed: 9, step }, data).forEach((example, n) => counts[n * N + example]++);
  }
  const expected = 300 / N;
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  assert.ok(chiSquare < (N - 1) ** 2 + 4 * Math.sqrt(2) * (N - 1), `${chiSquare}`); // the mean is (N - 1)^2
});

testOnCpu("Trainer pairs with the device's noise, as pairs made in advance do, bit for bit", async () => {
  const drawn = await randomNormal(tensor(Uint32Array.of(5, streams.noise, 4)), [N, P]).read();
  assertClose(normals(5, streams.noise, 4, N * P), drawn, 1e-5);
  const source = () => batchSource(tensor(values.slice(0, 32 * P), [32, 1, 3, 4]), hostRows(values, P));
  const [inside, ahead, plain] = [transportPairs, independentCoupling, independentCoupling].map((coupling) =>
    new models.Trainer(createModel({ type: "UNet_FM", filters: [4], tEmb: 4 }, 1), source(), {
      ...{ batchSize: 8, seed: 5, learningRate: 0.01, objective: { ...flowMatching, coupling } },
    })
  );
  const examples = Uint32Array.from({ length: 8 }, (_, n) => n * 3);
  for (let step = 0; step < 3; step++) {
    for (const trainer of [inside, plain]) trainer.queueStep(examples, 0.01);
    ahead.queueStep(transportPairs.pair(examples, { seed: 5, step }, hostRows(values, P)), 0.01);
  }
  const losses = await inside.losses();
  assertSameNumbers(await ahead.losses(), losses);
  assert.notDeepEqual(await plain.losses(), losses);
});

testOnCpu("fit() pairs by transport, also within classes", async () => {
  const x1 = tensor(values.slice(0, 24 * P), [24, 1, 3, 4]), condition = tensor(labels.slice(0, 24));
  const losses = (coupling: models.Coupling, classes: number) => {
    const model = createModel({ type: "UNet_FM", filters: [4], tEmb: 4, classes }, 1);
    const options = { steps: 20, batchSize: 24, objective: { ...flowMatching, coupling } };
    return models.fit(model, x1, { ...options, ...classes && { condition } });
  };
  for (const [coupling, classes] of [[transportPairs, 0], [classTransportPairs, 3]] as const) {
    const [plain, paired] = [await losses(independentCoupling, classes), await losses(coupling, classes)];
    assert.ok(paired[0] < plain[0] && paired[19] < plain[19], `${paired} and ${plain}`);
  }
  const unlabelled = /^FitError: .* the condition is .* \(expected a label per example/;
  await assert.rejects(losses(classTransportPairs, 0), unlabelled);
});

Deno.test("assignment() finds the smallest cost: of all permutations, and as SciPy's linear_sum_assignment", () => {
  const totalOf = (cost: ArrayLike<number>, columns: ArrayLike<number>) =>
    Array.from(columns).reduce((sum, column, row) => sum + cost[row * columns.length + column], 0);
  const assertLeast = (cost: Float64Array, n: number, least: number) => {
    const columns = assignment(cost, n);
    assert.deepEqual(sorted(columns), upTo(n));
    assert.equal(totalOf(cost, columns), least);
  };
  let orders: number[][] = [[]];
  for (let n = 1; n <= 7; n++) {
    orders = orders.flatMap((rest) => rest.concat(0).map((_, at) => rest.toSpliced(at, 0, n - 1)));
    for (let draw = 0; draw < 5; draw++) {
      const bits = randomBits(1, n, draw, n * n);
      const cost = Float64Array.from(bits, (bits) => bits % (draw < 2 ? 5 : 1e6) - 2);
      assertLeast(cost, n, Math.min(...orders.map((order) => totalOf(cost, order))));
    }
  }
  for (const { n, cost, total } of vectors.problems) assertLeast(Float64Array.from(cost), n, total);
  assert.deepEqual(assignment(new Float64Array(), 0), new Uint32Array());
});

Deno.test("couplings and assignments refuse what they cannot pair", () => {
  const arrays = (noise: number, data: number, rows: number, labels?: Uint32Array) => () =>
    transport(new Float32Array(noise), new Float32Array(data), rows, labels);
  const refused: [RegExp, () => unknown][] = [
    [/^TypeError: .* needs the values of the data on the h/, () => transportPairs.pair(batch, draw)],
    [/^TypeError: .* needs the labels/, () => classTransportPairs.pair(batch, draw, hostRows(values, P))],
    [/^RangeError: Cannot pair 257 examples/, () => transportPairs.pair(new Uint32Array(257), draw, data)],
    ...[[4, 4, 3], [4, 8, 2], [0, 0, 2], [4, 4, 1.5], [4, 4, 0]].map(([noise, data, rows]) =>
      [/^RangeError: Cannot pair noise with data: .* \(expected /, arrays(noise, data, rows)] as [
        RegExp,
        () => void,
      ]
    ),
    [
      /: 4 and 4 values and 3 labels in 2 rows \(expected the same number of each, f32\[N, P\]\)$/,
      arrays(4, 4, 2, new Uint32Array(3)),
    ],
    [/^RangeError: Cannot assign 2 rows by 2 costs/, () => assignment(Float64Array.of(1, 2), 2)],
    [/^RangeError/, () => assignment(Float64Array.of(NaN), 1)],
  ];
  for (const [message, call] of refused) assert.throws(call, message);
  assert.equal(transportPairs.pair(new Uint32Array(256), draw, data).length, 256, "the largest batch");
});
