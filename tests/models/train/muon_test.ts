import assert from "node:assert/strict";
import { tensor } from "../../../kernels/mod.ts";
import {
  batchSource,
  createModel,
  flatten,
  isMuonWeight,
  modelTypes,
  namedParameters,
  optimizer,
  Trainer,
} from "../../../models/mod.ts";
import { parameterGroups } from "../../../models/train/update_rules.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

/** A matrix as rows of numbers, in f64. */
type Matrix = number[][];

const product = (x: Matrix, y: Matrix): Matrix =>
  x.map((row) => y[0].map((_, j) => row.reduce((sum, value, k) => sum + value * y[k][j], 0)));
const transposed = (x: Matrix): Matrix => x[0].map((_, j) => x.map((row) => row[j]));
const sumOf = (...terms: readonly (readonly [number, Matrix])[]): Matrix =>
  terms[0][1].map((row, i) => row.map((_, j) => terms.reduce((sum, [by, x]) => sum + by * x[i][j], 0)));
const matrix = (values: ArrayLike<number>, rows: number): Matrix => {
  const columns = values.length / rows;
  return upTo(rows).map((i) => upTo(columns).map((j) => values[i * columns + j]));
};

/** Jordan's five Newton-Schulz steps, with the shorter side as rows. */
function newtonSchulz(g: Matrix): Matrix {
  if (g.length > g[0].length) return transposed(newtonSchulz(transposed(g)));
  let x = sumOf([1 / (Math.hypot(...g.flat()) + 1e-7), g]);
  for (let i = 0; i < 5; i++) {
    const gram = product(x, transposed(x));
    x = sumOf([3.4445, x], [1, product(sumOf([-4.775, gram], [2.0315, product(gram, gram)]), x)]);
  }
  return x;
}

const wave = (n: number, phase: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i * i + phase));

testOnDevices("isMuonWeight() is true for inner 3x3 convolutions only", () => {
  for (const type of modelTypes) {
    const parameters = namedParameters(createModel({ type, filters: [8, 16], tEmb: 16, attn: true }, 1));
    const [taken, left] = [true, false].map((wanted) =>
      [...parameters].filter(([, { shape }]) => isMuonWeight(shape) === wanted).map(([name]) => name)
    );
    assert.ok(taken.every((name) => /(downs|mid|ups|residual|conv).*weight$/.test(name)), `${taken}`);
    const first = type === "UNet_FM" ? "downs.0.weight" : "downs.0.conv.weight";
    const inner = ["last.weight", "time_mlp.2.weight", "ups.0.upsample.weight", "ups.0.convskip.bias"];
    for (const name of [first, ...inner]) assert.ok(left.includes(name), `${name} is not among ${left}`);
    assert.ok(taken.includes("ups.0.convskip.weight"));
    const groups = parameterGroups("muon", parameters);
    assert.deepEqual(groups.map((names) => names.toSorted()), [taken.toSorted(), left.toSorted()]);
    assert.deepEqual(parameterGroups("adamw", parameters), [[...parameters.keys()]]);
  }
});

/** Adjacent convolutions, two with a gap between them, a tall one, and a bias. */
const shapes = {
  a: [8, 8, 3, 3],
  bias: [5],
  b: [8, 8, 3, 3],
  gap: [12, 9, 3, 3],
  gap2: [12, 9, 3, 3],
  tall: [80, 8, 3, 3],
};

const start = Object.entries(shapes).map(([name, shape], k) =>
  [name, { shape, values: wave(shape.reduce((x, y) => x * y), k) }] as const
);
const gradientsOf = (step: number) => start.map(([, { values }], k) => wave(values.length, 10 * step + k));
/** What a step multiplies its gradients by. */
const scaleOf = (step: number, clip: number) => {
  const norm = Math.hypot(...gradientsOf(step).map((values) => Math.hypot(...values)));
  return clip > 0 ? Math.min(1, clip / (norm + 1e-6)) : 1;
};

/** The convolutions after three steps, by the definition of Muon. */
function exactSteps(clip: number): ReadonlyMap<string, Float64Array> {
  const convolutions = start.map(([name, part], k) => ({ name, k, ...part })).filter(({ name }) =>
    name !== "bias"
  );
  return new Map(convolutions.map(({ name, k, shape: [rows], values }) => {
    const p = Float64Array.from(values), m = new Float64Array(p.length);
    for (let step = 1; step <= 3; step++) {
      const scale = scaleOf(step, clip),
        g = Float64Array.from(gradientsOf(step)[k], (value) => scale * value);
      m.forEach((value, i) => m[i] = 0.95 * value + 0.05 * g[i]);
      const update = newtonSchulz(matrix(m.map((value, i) => 0.05 * g[i] + 0.95 * value), rows)).flat();
      const rate = 0.02 * Math.sqrt(Math.max(1, rows * rows / p.length));
      p.forEach((value, i) => p[i] = value * (1 - 0.02 * 0.1) - rate * update[i]);
    }
    return [name, p];
  }));
}

for (const clip of [0, 1]) {
  let exact: ReturnType<typeof exactSteps> | undefined; // for all devices
  testOnDevices(`optimizer() of muon follows its definition, clip ${clip}`, async () => {
    const settings = { learningRate: 0.01, muonFactor: 2, weightDecay: 0.1, clip };
    const make = (flat: boolean) => {
      const parameters = new Map(start.map(([name, { shape, values }]) => [name, tensor(values, shape)]));
      if (flat) flatten(parameters);
      return { parameters, rule: optimizer("muon", parameters, settings) };
    };
    const [flat, apart] = [make(true), make(false)];
    const bias = { parameters: new Map([["bias", tensor(start[1][1].values)]]) };
    const adamw = optimizer("adamw", bias.parameters, { learningRate: 0.01, weightDecay: 0.1 });
    for (let step = 1; step <= 3; step++) {
      const gradients = gradientsOf(step), scale = scaleOf(step, clip);
      for (const { rule } of [flat, apart]) {
        rule.beforeStep();
        rule.update(gradients.map((values, k) => tensor(values, start[k][1].shape)));
      }
      adamw.beforeStep();
      adamw.update([tensor(gradients[1].map((g) => g * scale))]);
    }
    exact ??= exactSteps(clip);
    const expectedBias = await bias.parameters.get("bias")!.read();
    for (const { parameters } of [flat, apart]) {
      for (const [name, values] of exact) assertClose(await parameters.get(name)!.read(), values, 5e-6, name);
      assertClose(await parameters.get("bias")!.read(), expectedBias, 1e-6);
    }
    const { tensors } = await flat.rule.state();
    const names = Object.keys(shapes).map((name) => `m.${name}`).toSorted();
    assert.deepEqual([...tensors.keys()].toSorted(), [...names, "v.bias"]);
  });
}

testOnDevices("Trainer learns with muon, also with f16 activations", async (device) => {
  const x1 = tensor(wave(8 * 36, 3), [8, 1, 6, 6]);
  const train = async (precision: "f32" | "f16") => {
    const model = createModel({ type: "UNet_FM", filters: [8, 16], tEmb: 8 }, 1);
    const options = { batchSize: 8, seed: 1, learningRate: 4e-3, clip: 1, precision };
    const trainer = new Trainer(model, batchSource(x1), { ...options, optimizer: "muon" });
    for (let i = 0; i < 30; i++) trainer.queueStep(Uint32Array.from({ length: 8 }, (_, n) => n), 4e-3);
    const losses = await trainer.losses();
    const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x) / values.length;
    return { first: mean(losses.slice(0, 5)), last: mean(losses.slice(20)) };
  };
  const { first, last } = await train("f32");
  assert.ok(last < 0.92 * first, `${first} to ${last}`);
  if (device.halfStorage) assertClose([(await train("f16")).last], [last], 0.02);
});
