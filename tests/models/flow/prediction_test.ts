import assert from "node:assert/strict";
import { type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  batchSource,
  cosinePath,
  createModel,
  dataPrediction,
  flowMatching,
  HeldOutLoss,
  linearPath,
  loadCheckpoint,
  noise,
  noisePrediction,
  type PathName,
  paths,
  predicting,
  type PredictionName,
  predictions,
  saveCheckpoint,
  Trainer,
  type UNetModelOptions,
} from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const pathNames = Object.keys(paths) as PathName[];
const predictionNames = Object.keys(predictions) as PredictionName[];
const times = [0.06, 0.3, 0.5, 0.9, 0.94];
const wave = (phase: number) =>
  tensor(times.flatMap((t) => [Math.sin(phase + t), Math.cos(phase * t)]), [5, 2]);

for (const name of pathNames) {
  testOnDevices(`predictions on the ${name} path convert true outputs to the velocity`, async () => {
    const path = paths[name].make();
    const [x0, x1, t] = [wave(1), wave(5), tensor(times)];
    const { xt, u } = path.at(x0, x1, t);
    const expected = await u.read();
    const outputs: Record<PredictionName, Tensor> = { velocity: u, data: x1, noise: x0 };
    for (const [name, output] of Object.entries(outputs)) {
      const { velocity } = predictions[name as PredictionName].make();
      assertClose(await velocity(output, xt, t, path).read(), expected, 1e-5, name);
    }
    const { alpha, sigma, alphaSlope, sigmaSlope } = path.coefficients!(t);
    const [n, d] = await Promise.all([x0, x1].map((value) => value.read()));
    for (const [data, noise, whole] of [[alpha, sigma, xt], [alphaSlope, sigmaSlope, u]]) {
      const [a, s, x] = await Promise.all([data, noise, whole].map((value) => value.read()));
      assertClose(x, x.map((_, i) => a[i >> 1] * d[i] + s[i >> 1] * n[i]), 1e-6, "alpha x1 + sigma x0");
    }
  });
}

testOnDevices("dataPrediction and noisePrediction divide by at least 0.05", async () => {
  const [xt, output] = [tensor([0.5, 0.5], [2, 1]), tensor([1, 1], [2, 1])];
  const data = dataPrediction.velocity(output, xt, tensor([0.9, 1]), linearPath);
  assertClose(await data.read(), [0.5 / 0.1, 0.5 / 0.05], 1e-4);
  const noise = noisePrediction.velocity(output, xt, tensor([0, 0.2]), linearPath);
  assertClose(await noise.read(), [-0.5 / 0.05, -0.5 / 0.2], 1e-4);
});

testOnDevices("predicting() refuses an output that would broadcast, and a path without coefficients", () => {
  const [x, t] = [tensor([1, 2, 3, 4], [2, 2]), tensor([0.2, 0.4])];
  for (const prediction of predictionNames) {
    const flat = { velocity: () => tensor([1, 2], [2, 1]) };
    const field = predicting(flat, predictions[prediction].make(), linearPath);
    assert.throws(
      () => field.velocity(x, t),
      /^ShapeError: .* returned f32\[2, 1\] \(expected f32\[2, 2\]\)/,
    );
  }
  const bare = predicting({ velocity: (x) => x }, dataPrediction, { at: linearPath.at });
  assert.throws(() => bare.velocity(x, t), /^TypeError: Cannot predict data on a path without coefficients/);
});

/** A small network, and the same one without the conversion. */
function pairOf(options: Partial<UNetModelOptions>) {
  const config = { type: "UNet_FM", filters: [4], tEmb: 4, ...options } as const;
  return { model: createModel(config, 3), raw: createModel({ ...config, prediction: "velocity" }, 3) };
}

for (const path of pathNames) {
  for (const prediction of predictionNames) {
    testOnDevices(`a network that predicts ${prediction} has a velocity on the ${path} path`, async () => {
      const { model, raw } = pairOf({ path, prediction });
      const [x, t] = [noise(1, [2, 1, 4, 4]), tensor([0.2, 0.97])];
      const { velocity } = predictions[prediction].make();
      const expected = await velocity(raw.velocity(x, t), x, t, paths[path].make()).read();
      assertSameNumbers(await model.velocity(x, t).read(), expected);
      const { model: loaded, info } = loadCheckpoint(await saveCheckpoint(model), "a checkpoint");
      assert.deepEqual([info.config.path, info.config.prediction], [path, prediction]);
      assertSameNumbers(await loaded.velocity(x, t).read(), expected);
    });
  }
}

testOnDevices("Trainer and HeldOutLoss refuse a network of another path, and a second conversion", () => {
  const { model } = pairOf({ path: "cosine", prediction: "data" });
  const source = batchSource(noise(1, [4, 1, 4, 4]));
  const options = { batchSize: 2, seed: 1, learningRate: 0.1 };
  const make = (objective: typeof flowMatching) => new Trainer(model, source, { ...options, objective });
  const refused = /^TypeError: Cannot train: the network was created for the path cosine/;
  assert.throws(() => make(flowMatching), refused);
  assert.throws(() => new HeldOutLoss(model, source, { ...options, objective: flowMatching }), refused);
  const twice = { ...flowMatching, path: cosinePath, prediction: dataPrediction };
  assert.throws(
    () => make(twice),
    /^TypeError: Cannot train: the network already converts its data to a velocity/,
  );
  make({ ...flowMatching, path: cosinePath });
});
