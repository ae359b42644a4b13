/** What flow matching is made of: paths, predictions, times and losses. */

import assert from "node:assert/strict";
import { multiply, reshape, subtract, type Tensor, tensor, zeros } from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { upTo } from "../../refusing.ts";
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

const { batchSource, createModel, flowMatchingLoss } = models;
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
    [
      /the path: its point xt is f32\[2, 1\] \(expected f32\[2, 2\]/,
      part({ path: { at: () => ({ xt: one(), u: x }) } }),
    ],
    [
      /the path: its velocity u is f32\[2, 1\] \(expected/,
      part({ path: { at: () => ({ xt: x, u: one() }) } }),
    ],
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
    [
      /^TypeError: Cannot train: the network already converts its data to a velocity/,
      train({ ...own, prediction: dataPrediction }),
    ],
    [
      /^ShapeError: Cannot draw pairs: the times are f32\[1\] \(expected f32\[2\]\)/,
      train({ ...own, times }),
    ],
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
