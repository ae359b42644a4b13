/** Optimizers and averages, also against PyTorch and the definition of Muon; see tests/vectors/README.md. */

import assert from "node:assert/strict";
import {
  gradients,
  multiply,
  record,
  reshape,
  square,
  sum,
  type Tensor,
  tensor,
} from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { readState, writeState } from "../../../models/nn/module.ts";
import { parameterGroups } from "../../../models/train/update_rules.ts";
import { upTo } from "../../refusing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { testWithVectors } from "../vectors.ts";
import { mean } from "./fields.ts";

const { createModel, Ema, flatten, optimizer, optimizerKinds } = models;
type Kind = models.OptimizerKind;

/** A convolution weight, which Muon updates by its own rule. */
const weight = () => tensor(Array.from({ length: 576 }, (_, i) => Math.sin(i * i)), [8, 8, 3, 3]);

/** Takes one step of an optimizer or an average. */
function stepOf(rule: models.Optimizer, gradients: readonly Tensor[], rate?: number): void {
  rule.beforeStep(rate);
  rule.update(gradients);
}

const kinds = {
  adam: "adam",
  adamw: "adamw",
  adamw_clipped: "adamw",
  sgd: "sgd",
  sgd_momentum: "sgd",
} as const;
testWithVectors(
  "optimizer() steps like PyTorch's, with parameters apart or flat",
  "optimizers",
  async (vectors) => {
    const norms: number[] = JSON.parse(vectors.metadata.norms);
    for (const [name, kind] of Object.entries(kinds)) {
      const { lr, weight_decay = 0, momentum = 0, max_norm = 0 } =
        JSON.parse(vectors.metadata.settings)[name];
      const settings = { learningRate: lr, weightDecay: weight_decay, momentum, clip: max_norm };
      for (const flat of [true, false]) {
        const apart = new Map(["a", "b"].map((p) => [p, vectors.tensor(`param.${p}`)]));
        const parameters = flat ? flatten(apart) : apart, rule = optimizer(kind, parameters, settings);
        for (const step of [1, 2, 3, 4, 5]) {
          stepOf(rule, ["a", "b"].map((p) => vectors.tensor(`grad.${step}.${p}`)));
          assertClose([await rule.gradientNorm()], [norms[step - 1]], 1e-6);
          for (const [p, values] of parameters) {
            const expected = vectors.values(`${name}.${step}.${p}`);
            assertClose(await values.read(), expected, 1e-6, `${p} after step ${step} of ${name}`);
          }
        }
      }
    }
  },
);

/** A quadratic loss with an optimizer and an average, and a function that takes one step. */
function bowl(kind: Kind) {
  const parameters = new Map([["x", tensor([1, -2, 3])], ["y", tensor([4])], ["w", weight()]]);
  flatten(parameters);
  const rule = optimizer(kind, parameters, { learningRate: 0.1 }), ema = new Ema(parameters, { decay: 0.5 });
  const step = () => {
    rule.update([...parameters.values()].flatMap((p) => gradients(sum(square(p)), [p])));
    ema.update();
  };
  const run = (times: number, once: () => void) => {
    for (let i = 0; i < times; i++) {
      rule.beforeStep(0.1 / (rule.step + 1));
      ema.beforeStep();
      once();
    }
  };
  return { parameters, rule, ema, step, run };
}

for (const kind of optimizerKinds) {
  testOnCpu(`${kind} gives the same recorded, restored and with a loss scale`, async () => {
    const [eager, stopped, resumed] = [bowl(kind), bowl(kind), bowl(kind)];
    const { run } = record(resumed.step);
    eager.run(5, eager.step);
    stopped.run(2, stopped.step);
    writeState(resumed.parameters, await readState(stopped.parameters), "parameters");
    resumed.rule.restore(await stopped.rule.state(), "moments");
    resumed.ema.restore(await stopped.ema.state(), "average");
    resumed.run(3, run);
    assert.equal(resumed.rule.step, 5);
    assertSameNumbers(await readState(resumed.parameters), await readState(eager.parameters));
    assertSameNumbers(await resumed.rule.state(), await eager.rule.state());
    assertSameNumbers(await resumed.ema.state(), await eager.ema.state());
    const scaled = (lossScale: number) => {
      const [p, w] = [tensor([1, -2, 3]), weight()], options = { learningRate: 0.1, clip: 0.5, lossScale };
      const rule = optimizer(kind, flatten(new Map([["p", p], ["w", w]])), options);
      const gradients = [tensor([0.3, -0.1, 2]), multiply(weight(), 0.3)].map((g) => multiply(g, lossScale));
      for (let step = 0; step < 3; step++) stepOf(rule, gradients);
      return Promise.all([p.read(), w.read(), rule.gradientNorm()]);
    };
    assert.deepEqual(await scaled(4096), await scaled(1), "it divides before clipping");
  });
}

testOnCpu("Ema keeps a share of min(d, (1 + k) / (10 + k)) in step k", async () => {
  for (const d of [0, 0.2, 0.6]) {
    const x = tensor([0]), ema = new Ema(new Map([["x", x]]), { decay: d });
    x.write(Float32Array.of(1));
    let e = 0;
    for (let k = 0; k < 20; k++) {
      ema.beforeStep();
      ema.update();
      const share = Math.min(d, (1 + k) / (10 + k));
      e = share * e + 1 - share;
      assertClose(await ema.values.get("x")!.read(), [e], 1e-6);
    }
  }
  const one = () => new Ema(new Map([["x", tensor([0])]]), { decay: 1 });
  assert.throws(one, /^RangeError: Cannot average: decay is 1 \(expected 0 <= decay < 1\)/);
});

testOnCpu("optimizer() refuses invalid settings, parameters and states", async () => {
  const a = tensor([1, 2]);
  const make = (kind: string, options: object = {}, parameters: [string, Tensor][] = [["x", tensor([0])]]) =>
    optimizer(kind as Kind, new Map(parameters), { learningRate: 1, ...options });
  const state = await bowl("adamw").rule.state();
  const refused: [() => unknown, message: string][] = [
    [() => bowl("sgd").rule.restore(state, "a file"), 'StateError: Cannot load a file: "v.x" is not'],
    [
      () => make("sgd", {}, [["x.weight", a], ["y.weight", reshape(a, [2, 1])]]),
      'RangeError: Cannot train "x.weight" and "y.weight": they share memory',
    ],
    [() => make("sgd", {}, []), "there are no parameters"],
    [() => make("muon"), "TypeError: Cannot make the optimizer muon: no parameter is the weight of a"],
    [() => make("adamv"), 'Unknown optimizer "adamv": did you mean "adamw"'],
    [() => make("adamw", { weight_decay: 0 }), 'optimizer: did you mean "weightDecay"'],
    [() => make("sgd").update([]), "Cannot update 1 parameters with 0 gradients"],
    ...[NaN, Infinity, -1].map((rate): [() => unknown, string] => [
      () => make("adam").beforeStep(rate),
      `RangeError: Cannot begin a step: the learning rate is ${rate} (expected a number of at least 0)`,
    ]),
  ];
  const ranges: [names: string[], values: number[], range: string][] = [
    [["momentum", "clip"], [-1, NaN, Infinity], "of at least 0"],
    [["lossScale"], [0, NaN, Infinity], "above 0"],
    [["beta1", "beta2"], [1, 1.5, 1 - 1e-9, -0.1, NaN], "from 0 to below 1"],
  ];
  for (const [names, values, range] of ranges) {
    for (const [name, value] of names.flatMap((name) => values.map((value) => [name, value] as const))) {
      const message = `TypeError: Cannot make an optimizer: ${name} is ${value} (expected a number ${range})`;
      refused.push([() => make("adam", { [name]: value }), message]);
    }
  }
  for (const [call, message] of refused) {
    assert.throws(
      call,
      (error: Error) => `${error}`.includes(message) || assert.fail(`${error}, not ${message}`),
    );
  }
});

testOnCpu("optimizer() and Ema refuse to update before beforeStep(), recorded or not", async () => {
  const x = tensor([1]), parameters = new Map([["x", x]]);
  const update = (made: { update(gradients: Tensor[]): void }) => () => made.update([multiply(x, 2)]);
  const both = [optimizer("adam", parameters, { learningRate: 0.1 }), new Ema(parameters, { decay: 0.5 })];
  for (const made of both) {
    const step = record(update(made));
    const refused = (run: () => void) =>
      assert.throws(run, /no step has begun \(expected beforeStep\(\) before/);
    refused(update(made));
    refused(() => step.run());
    made.beforeStep();
    step.run();
    update(made)();
    made.restore(await made.state(), "the state");
    refused(() => step.run());
  }
  assert.ok(Number.isFinite((await x.read())[0]));
});

testOnCpu("isMuonWeight() is true for inner 3x3 convolutions only", () => {
  for (const type of models.modelTypes) {
    const parameters = models.namedParameters(
      createModel({ type, filters: [8, 16], tEmb: 16, attn: true }, 1),
    );
    const [taken, left] = [true, false].map((wanted) =>
      [...parameters].filter(([, { shape }]) => models.isMuonWeight(shape) === wanted).map(([name]) => name)
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

/** A matrix as rows of numbers, in f64. */
type Matrix = number[][];
const product = (x: Matrix, y: Matrix): Matrix =>
  x.map((row) => y[0].map((_, j) => row.reduce((sum, value, k) => sum + value * y[k][j], 0)));
const transposed = (x: Matrix): Matrix => x[0].map((_, j) => x.map((row) => row[j]));
const sumOf = (...terms: readonly (readonly [number, Matrix])[]): Matrix =>
  terms[0][1].map((row, i) => row.map((_, j) => terms.reduce((sum, [by, x]) => sum + by * x[i][j], 0)));

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

/** Adjacent convolutions, two with a gap between them, a tall one, and a bias. */
const shapes = {
  ...{ a: [8, 8, 3, 3], bias: [5], b: [8, 8, 3, 3], gap: [12, 9, 3, 3], gap2: [12, 9, 3, 3] },
  tall: [80, 8, 3, 3],
};
const wave = (n: number, phase: number) => Float32Array.from(upTo(n), (i) => Math.sin(i * i + phase));
const start = Object.entries(shapes).map(([name, shape], k) =>
  [name, { shape, values: wave(shape.reduce((x, y) => x * y), k) }] as const
);
const gradientsOf = (step: number) => start.map(([, { values }], k) => wave(values.length, 10 * step + k));
/** What a step multiplies its gradients by. */
const scaleOf = (step: number, clip: number) => {
  const norm = Math.hypot(...gradientsOf(step).map((values) => Math.hypot(...values)));
  return clip > 0 ? Math.min(1, clip / (norm + 1e-6)) : 1;
};

/** A convolution after two steps, by the definition of Muon. */
function exactSteps(clip: number, k: number): Float64Array {
  const [, { shape: [rows], values }] = start[k];
  const p = Float64Array.from(values), m = new Float64Array(p.length);
  for (const step of [1, 2]) {
    const scale = scaleOf(step, clip), g = Float64Array.from(gradientsOf(step)[k], (value) => scale * value);
    m.forEach((value, i) => m[i] = 0.95 * value + 0.05 * g[i]);
    const change = [...m.map((value, i) => 0.05 * g[i] + 0.95 * value)], columns = p.length / rows;
    const update = newtonSchulz(upTo(rows).map((i) => change.slice(i * columns, (i + 1) * columns))).flat();
    const rate = 0.02 * Math.sqrt(Math.max(1, rows * rows / p.length));
    p.forEach((value, i) => p[i] = value * (1 - 0.02 * 0.1) - rate * update[i]);
  }
  return p;
}

for (const [clip, test] of [[0, testOnDevices], [1, testOnCpu]] as const) {
  test(`optimizer() of muon follows its definition, clip ${clip}`, async () => {
    const settings = { learningRate: 0.01, muonFactor: 2, weightDecay: 0.1, clip };
    const [flat, apart] = [true, false].map((flat) => {
      const parameters = new Map(start.map(([name, { shape, values }]) => [name, tensor(values, shape)]));
      if (flat) flatten(parameters);
      return { parameters, rule: optimizer("muon", parameters, settings) };
    });
    const bias = new Map([["bias", tensor(start[1][1].values)]]);
    const adamw = optimizer("adamw", bias, { learningRate: 0.01, weightDecay: 0.1 });
    for (const step of [1, 2]) {
      const gradients = gradientsOf(step), scale = scaleOf(step, clip);
      for (const { rule } of [flat, apart]) {
        stepOf(rule, gradients.map((values, k) => tensor(values, start[k][1].shape)));
      }
      stepOf(adamw, [tensor(gradients[1].map((g) => g * scale))]);
    }
    for (const [k, [name]] of start.entries()) {
      const expected = name === "bias" ? await bias.get("bias")!.read() : exactSteps(clip, k);
      for (const { parameters } of [flat, apart]) {
        assertClose(await parameters.get(name)!.read(), expected, 5e-6, name);
      }
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
    const options = {
      batchSize: 8,
      seed: 1,
      learningRate: 4e-3,
      clip: 1,
      precision,
      optimizer: "muon",
    } as const;
    const trainer = new models.Trainer(model, models.batchSource(x1), options);
    for (let i = 0; i < 30; i++) trainer.queueStep(Uint32Array.from(upTo(8)), 4e-3);
    const losses = await trainer.losses();
    return { first: mean(losses.slice(0, 5)), last: mean(losses.slice(20)) };
  };
  const { first, last } = await train("f32");
  assert.ok(last < 0.92 * first, `${first} to ${last}`);
  if (device.halfStorage) assertClose([(await train("f16")).last], [last], 0.02);
});
