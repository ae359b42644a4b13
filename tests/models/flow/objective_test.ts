/** What flow matching is made of: paths, predictions, times, losses and couplings, also against SciPy's assignments. */

import assert from "node:assert/strict";
import {
  multiply,
  normals,
  randomBits,
  randomNormal,
  reshape,
  subtract,
  type Tensor,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { sorted, upTo } from "../../refusing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { testWithVectors } from "../vectors.ts";
import { counted } from "../../../models/flow/field.ts";
import {
  dataPrediction,
  flowMatching,
  lossesOf,
  lossOf,
  noisePrediction,
} from "../../../models/flow/objective.ts";
import { cosinePath } from "../../../models/flow/path.ts";
import vectors from "../../vectors/assignments.json" with { type: "json" };
import {
  assignment,
  classTransportPairs,
  pairTransport,
  transport,
  transportPairs,
} from "../../../models/flow/coupling.ts";
import { streams } from "../../../models/random.ts";
import { hostRows } from "../../../models/train/batches.ts";

const { batchSource, createModel, flowMatchingLoss, independentCoupling } = models;
const { linearPath, noise, paths, predicting, predictions, timeDistributions } = models;
const pathNames = Object.keys(paths) as models.PathName[];
const predictionNames = Object.keys(predictions) as models.PredictionName[];
const times = [0.06, 0.3, 0.5, 0.9, 0.94];
const wave = (phase: number) =>
  tensor(times.flatMap((t) => [Math.sin(phase + t), Math.cos(phase * t)]), [5, 2]);

for (const name of pathNames) {
  testOnCpu(`the ${name} path goes from noise to data, and predictions on it have its velocity`, async () => {
    const path = paths[name].make(), [x0, x1, t] = [wave(1), wave(5), tensor(times)];
    const at = async (shift: number, of = times) => {
      const { xt, u } = path.at(x0, x1, tensor(of.map((t) => t + shift)));
      return { xt: await xt.read(), u: await u.read() };
    };
    const [n, d] = await Promise.all([x0, x1].map((value) => value.read()));
    assertClose((await at(0, Array(5).fill(0))).xt, n, 1e-6);
    assertClose((await at(1, Array(5).fill(0))).xt, d, 1e-6);
    const dt = 1e-2, [before, after] = [(await at(-dt)).xt, (await at(dt)).xt];
    assertClose((await at(0)).u, after.map((x, i) => (x - before[i]) / (2 * dt)), 1e-2);

    const { xt, u } = path.at(x0, x1, t), expected = await u.read();
    const outputs: Record<models.PredictionName, Tensor> = { velocity: u, data: x1, noise: x0 };
    for (const name of predictionNames) {
      const { velocity } = predictions[name].make();
      assertClose(await velocity(outputs[name], xt, t, path).read(), expected, 1e-5, name);
    }
    const { alpha, sigma, alphaSlope, sigmaSlope } = path.coefficients!(t);
    for (const [data, noise, whole] of [[alpha, sigma, xt], [alphaSlope, sigmaSlope, u]]) {
      const [a, s, x] = await Promise.all([data, noise, whole].map((value) => value.read()));
      assertClose(x, x.map((_, i) => a[i >> 1] * d[i] + s[i >> 1] * n[i]), 1e-6, "alpha x1 + sigma x0");
    }
    for (const prediction of predictionNames) {
      const config = { type: "UNet_FM", filters: [4], tEmb: 4, path: name, prediction } as const;
      const [model, raw] = [createModel(config, 3), createModel({ ...config, prediction: "velocity" }, 3)];
      const [x, t] = [noise(1, [2, 1, 4, 4]), tensor([0.2, 0.97])];
      const { velocity } = predictions[prediction].make();
      const expected = await velocity(raw.velocity(x, t), x, t, path).read();
      assertSameNumbers(await model.velocity(x, t).read(), expected);
      const { model: loaded, info } = models.loadCheckpoint(
        await models.saveCheckpoint(model),
        "a checkpoint",
      );
      assert.deepEqual([info.config.path, info.config.prediction], [name, prediction]);
      assertSameNumbers(await loaded.velocity(x, t).read(), expected);
    }
  });
}

testOnCpu("dataPrediction and noisePrediction divide by at least 0.05", async () => {
  const [xt, output] = [tensor([0.5, 0.5], [2, 1]), tensor([1, 1], [2, 1])];
  const data = dataPrediction.velocity(output, xt, tensor([0.9, 1]), linearPath);
  assertClose(await data.read(), [0.5 / 0.1, 0.5 / 0.05], 1e-4);
  const noise = noisePrediction.velocity(output, xt, tensor([0, 0.2]), linearPath);
  assertClose(await noise.read(), [-0.5 / 0.05, -0.5 / 0.2], 1e-4);
});

testWithVectors("linearPath.at() agrees with PyTorch", "base", async (vectors) => {
  const [x0, x1, t] = ["x0", "x1", "t"].map(vectors.tensor);
  const { xt, u } = linearPath.at(x0, x1, t);
  assertClose(await xt.read(), vectors.values("xt"), 1e-6);
  assertClose(await u.read(), vectors.values("u"), 1e-6);
}, testOnCpu);

testOnCpu("lossOf() uses the objective's path and prediction", async () => {
  const [x0, x1, t] = [tensor([0, 1], [2, 1]), tensor([1, 3], [2, 1]), tensor([0.5, 0.25])];
  const none = { velocity: (x: Tensor) => multiply(x, 0) }, pairs = { x0, x1, t };
  const truth = { velocity: (_: Tensor, t: Tensor) => reshape(subtract(3, multiply(t, 4)), [2, 1]) }; // 1 and 2
  const doubled = { ...flowMatching, prediction: { velocity: (_: Tensor, xt: Tensor) => multiply(xt, 2) } };
  const still = { ...flowMatching, path: { at: (x0: Tensor) => ({ xt: x0, u: multiply(x0, 0) }) } };
  const cases: [Tensor, number[]][] = [
    [lossesOf(flowMatching, none, pairs), [1, 4]],
    [lossOf(flowMatching, none, pairs), [2.5]],
    [flowMatchingLoss(none, x0, x1, t), [2.5]],
    [flowMatchingLoss(truth, x0, x1, t), [0]],
    [lossesOf(doubled, none, pairs), [0, 1]], // xt is 0.5 and 1.5
    [lossOf(still, none, pairs), [0]],
  ];
  for (const [loss, expected] of cases) assertClose(await loss.read(), expected, 1e-6);
});

testOnCpu("HeldOutLoss uses the field's own path, and the objective's prediction", async () => {
  const source = batchSource(tensor([1, 2, 3, 4, 5, 6], [2, 3]));
  const plain = { velocity: (x: Tensor) => multiply(x, 2) }, named = { ...plain, path: cosinePath };
  const loss = async (field: models.VelocityField, objective?: models.Objective) => {
    const options = { batchSize: 2, seed: 1, ...objective && { objective } };
    return (await new models.HeldOutLoss(field, source, options).losses(Uint32Array.of(0, 1))).loss;
  };
  const prediction = { velocity: (output: Tensor) => multiply(output, 2) };
  const four = await loss({ velocity: (x) => multiply(x, 4) });
  assert.deepEqual(await loss(plain, { ...flowMatching, prediction }), four);
  const onCosine = await loss(plain, { ...flowMatching, path: cosinePath });
  assert.deepEqual(await loss(counted(named)), onCosine);
  await assert.rejects(
    loss(named, flowMatching),
    /created for the path cosine \(expected it as objective.path\)/,
  );
});

type Registry = Record<string, { settings: object; make(settings: object): models.TimeDistribution }>;
const distributions = timeDistributions as Registry;
const drawn = (name: string, settings: object, counter: number, n: number) =>
  distributions[name].make(settings).draw(tensor(Uint32Array.of(46020, 3, counter)), n).read();

/** Unnormalised densities of t on [0, 1], with their settings. */
const densities: Record<string, readonly [settings: object, (t: number) => number]> = {
  uniform: [{}, () => 1],
  logit_normal: [
    { mean: -0.8, scale: 0.8 },
    (t) => Math.exp(-(((Math.log(t / (1 - t)) + 0.8) / 0.8) ** 2) / 2) / (t * (1 - t)),
  ],
  stratified: [{}, () => 1],
  u_shaped: [{ a: 4 }, (t) => Math.exp(4 * t) + Math.exp(4 * (1 - t))],
};

for (const [name, { settings }] of Object.entries(distributions)) {
  testOnCpu(
    `timeDistributions: ${name} draws times that depend only on the key, by its density`,
    async () => {
      const entries = Object.entries<{ default: number }>({ ...settings }), N = 20_000;
      const defaults = Object.fromEntries(entries.map(([key, setting]) => [key, setting.default]));
      const first = await drawn(name, defaults, 5, 1000);
      assert.ok(first.every((t) => t >= 0 && t <= 1) && new Set(first).size > 900, name);
      assertSameNumbers(await drawn(name, defaults, 5, 1000), first);
      assert.notDeepEqual(await drawn(name, defaults, 6, 1000), first);
      if (!(name in densities)) return;
      const [given, density] = densities[name], t = await drawn(name, given, 5, N);
      const points = upTo(N).map((i) => (i + 0.5) / N), weights = points.map(density);
      const total = weights.reduce((a, b) => a + b);
      const expected = (k: number) => points.reduce((sum, t, i) => sum + t ** k * weights[i], 0) / total;
      for (const k of [1, 2, 3]) {
        const estimate = t.reduce((sum, t) => sum + t ** k, 0) / N, moment = expected(k);
        const error = Math.sqrt((expected(2 * k) - moment ** 2) / N);
        assert.ok(Math.abs(estimate - moment) < 4 * error, `moment ${k} is ${estimate}, not ${moment}`);
      }
    },
  );
}

testOnCpu(
  "stratified times are one per bin, u_shaped ones follow their formula for any steepness",
  async () => {
    for (const counter of [0, 1]) {
      const t = await drawn("stratified", {}, counter, 64);
      assert.deepEqual([...t].map((t) => Math.floor(t * 64)), upTo(64));
    }
    const u = await drawn("uniform", {}, 1, 1000);
    for (const a of [1e-9, 1e-4, 0.0299, 0.03, 0.1, 40]) {
      const t = await drawn("u_shaped", { a }, 1, 1000);
      assertClose(t, u.map((u) => 0.5 + Math.asinh((2 * u - 1) * Math.sinh(a / 2)) / a), 1e-5);
      assert.ok(t.every((t) => t >= 0 && t <= 1) && new Set(t).size > 900, "times differ");
    }
  },
);

testOnCpu("paths, predictions, times and losses refuse what would broadcast or does not fit", () => {
  const refused: [RegExp, () => unknown][] = [];
  const misfits: [x0: number[], x1: number[], t: number[], why: string][] = [
    [[1, 1], [2, 1], [1], "x0 is f32[1, 1] (expected f32[2, 1])"],
    [[2, 1], [2, 3], [2], "x0 is f32[2, 1] (expected f32[2, 3])"],
    [[2, 3], [2, 1], [2], "x0 is f32[2, 3] (expected f32[2, 1])"],
    [[2, 1], [2, 1], [1], "t is f32[1] (expected f32[2])"],
    [[1, 2], [1, 2], [1, 1], "t is f32[1, 1] (expected f32[1])"],
  ];
  for (const [x0, x1, t, why] of misfits) {
    const message = new RegExp(`^ShapeError: Cannot follow a path: ${RegExp.escape(why)}$`);
    const triple = [zeros(x0), zeros(x1), zeros(t)] as const;
    for (const { make } of Object.values(paths)) refused.push([message, () => make().at(...triple)]);
    refused.push([message, () => flowMatchingLoss({ velocity: (x) => x }, ...triple)]);
  }
  const [x, t, one] = [zeros([2, 2]), tensor([0.2, 0.4]), () => zeros([2, 1])];
  const part = (parts: Partial<models.Objective>) => () =>
    lossOf({ ...flowMatching, ...parts }, { velocity: (x) => x }, { x0: x, x1: x, t });
  const { model: cosine } = {
    model: createModel({ type: "UNet_FM", filters: [4], tEmb: 4, path: "cosine", prediction: "data" }),
  };
  const source = batchSource(noise(1, [4, 1, 4, 4])), options = { batchSize: 2, seed: 1, learningRate: 0.1 };
  const train = (objective: models.Objective) => () => {
    const trainer = new models.Trainer(cosine, source, { ...options, objective });
    trainer.queueStep(Uint32Array.of(0, 1), 0.1);
  };
  const own = { ...flowMatching, path: cosinePath }, times = { draw: () => zeros([1]) };
  refused.push(
    [/the path: its point xt is f32\[2, 1\] \(expected/, part({ path: { at: () => ({ xt: one(), u: x }) } })],
    [/the path: its velocity u is f32\[2, 1\]/, part({ path: { at: () => ({ xt: x, u: one() }) } })],
    [/^ShapeError: .*the prediction: its velocity is f32\[2, 1\]/, part({ prediction: { velocity: one } })],
    ...predictionNames.map((name): [RegExp, () => unknown] => [
      /^ShapeError: .* returned f32\[2, 1\] \(expected f32\[2, 2\]\)/,
      () => predicting({ velocity: one }, predictions[name].make(), linearPath).velocity(x, t),
    ]),
    [
      /^TypeError: Cannot predict data on a path without coefficients/,
      () => predicting({ velocity: (x) => x }, dataPrediction, { at: linearPath.at }).velocity(x, t),
    ],
    [/^TypeError: Cannot train: the network was created for the path cosine/, train(flowMatching)],
    [
      /^TypeError: Cannot train: the network was created for the path cosine|the field is for the path cosine/,
      () => new models.HeldOutLoss(cosine, source, { ...options, objective: flowMatching } as never),
    ],
    [/^TypeError: Cannot train: the network already converts/, train({ ...own, prediction: dataPrediction })],
    [/^ShapeError: Cannot draw pairs: the times are f32\[1\] \(expected/, train({ ...own, times })],
    ...[0, -1, 41, NaN, Infinity].map((a): [RegExp, () => unknown] => [
      RegExp(
        `^RangeError: Cannot draw u_shaped times: a is ${a} \\(expected a number above 0, at most 40\\)$`,
      ),
      () => timeDistributions.u_shaped.make({ a }),
    ]),
    ...[[0, -1], [0, 0], [0, NaN], [NaN, 1], [0, Infinity]].map(([mean, scale]): [RegExp, () => unknown] => [
      RegExp(
        `^RangeError: Cannot draw logit_normal times: mean is ${mean} and scale ${scale} \\(expected finite`,
      ),
      () => timeDistributions.logit_normal.make({ mean, scale }),
    ]),
  );
  for (const [message, call] of refused) assert.throws(call, message);
  train(own)();
});

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
    [/: 4 and 4 values and 3 labels in 2 rows \(expected/, arrays(4, 4, 2, new Uint32Array(3))],
    [/^RangeError: Cannot assign 2 rows by 2 costs/, () => assignment(Float64Array.of(1, 2), 2)],
    [/^RangeError/, () => assignment(Float64Array.of(NaN), 1)],
  ];
  for (const [message, call] of refused) assert.throws(call, message);
  assert.equal(transportPairs.pair(new Uint32Array(256), draw, data).length, 256, "the largest batch");
});
