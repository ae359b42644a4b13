/** Layers, initialisers and embeddings, also against PyTorch; see tests/vectors/README.md. */

import assert from "node:assert/strict";
import {
  gelu,
  gradients,
  multiply,
  randomNormal,
  randomUniform,
  record,
  sum,
  type Tensor,
  tensor,
  uniforms,
  zeros,
} from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { timeFeatures } from "../../../models/nn/embeddings.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { testWithVectors } from "../vectors.ts";
import { flowMatching, lossOf } from "../../../models/flow/objective.ts";

const { Conv2d, ConvTranspose2d, createInitialiser, createModel, Embedding, fit, LayerNorm, Linear } = models;
const { loadCheckpoint, namedParameters, noise, saveCheckpoint, Sequential, stateOf } = models;

const layers: Record<string, () => models.Module & { forward(x: Tensor): Tensor }> = {
  linear: () => new Linear(5, 6),
  linear_vector: () => new Linear(5, 6),
  layer_norm: () => new LayerNorm(7),
  layer_norm_plain: () => new LayerNorm(7, { affine: false, epsilon: 1e-3 }),
  sequential: () => new Sequential(new Linear(5, 8), gelu, new LayerNorm(8), new Linear(8, 2)),
  embedding: () => new Embedding(5, 3),
};

testWithVectors("layers give PyTorch's values and gradients", "layers", async (vectors) => {
  for (const [name, make] of Object.entries(layers)) {
    const layer = make(), input = vectors.tensor(`${name}.x`), isIndex = name === "embedding";
    models.loadState(layer, vectors.part(`${name}.param.`), "vectors");
    const x = isIndex ? tensor(Uint32Array.from(vectors.values(`${name}.x`)), input.shape) : input;
    const y = layer.forward(x), { shape, data } = vectors.tensors.get(`${name}.y`)!;
    assert.deepEqual(y.shape, shape);
    assertClose(await y.read(), data, 1e-5, name);
    const variables = new Map([...isIndex ? [] : [["x", x] as const], ...namedParameters(layer)]);
    assert.deepEqual([...vectors.part(`${name}.grad.`).keys()], [...variables.keys()]);
    const computed = gradients(sum(multiply(y, vectors.tensor(`${name}.probe`))), [...variables.values()]);
    for (const [i, of] of [...variables.keys()].entries()) {
      assertClose(await computed[i].read(), vectors.values(`${name}.grad.${of}`), 2e-5, `${name}.${of}`);
    }
  }
});

/** Root mean square and largest of values. */
async function spreadOf(drawn: Tensor): Promise<readonly [number, number]> {
  const values = await drawn.read();
  return [Math.hypot(...values) / Math.sqrt(values.length), Math.max(...values.map(Math.abs))];
}

/** Compares spreads, and the largest value if it is a bound: for normal numbers it is random. */
async function assertDrawnAs(name: string, drawn: Tensor, [rms, largest]: readonly number[]): Promise<void> {
  const [ownRms, ownLargest] = await spreadOf(drawn);
  assert.ok(Math.abs(ownRms - rms) <= 0.05 * rms, `${name}: ${ownRms}, not ${rms}`);
  if (largest <= 1.75 * rms) {
    assert.ok(Math.abs(ownLargest - largest) <= 0.04 * largest, `${name}: ${ownLargest}`);
  } else assert.ok(ownLargest > 2.5 * rms, `${name}: no normal numbers, as the largest is ${ownLargest}`);
}

testWithVectors(
  "layers and createInitialiser() draw weights as PyTorch does",
  "layers",
  async ({ metadata }) => {
    const [shape, initialisers, defaults] = ["shape", "initialisers", "defaults"].map((key) =>
      JSON.parse(metadata[key])
    );
    for (const [name, spread] of Object.entries<number[]>(initialisers)) {
      const made = createInitialiser(name as models.InitialiserName, 1);
      await assertDrawnAs(name, made.uniform(shape, 1e3), spread);
      assertSameNumbers(await made.uniform([2], 1).read(), new Float32Array(2));
      assertSameNumbers(await made.constant([2], 1).read(), Float32Array.of(1, 1));
    }
    const from = createInitialiser("pytorch", 1);
    const made: Record<string, models.Module> = {
      Linear: new Linear(160, 128, from),
      Conv2d: new Conv2d(48, 64, 3, from),
      ConvTranspose2d: new ConvTranspose2d(48, 64, from),
      Embedding: new Embedding(128, 160, from),
      LayerNorm: new LayerNorm(160, {}, from),
    };
    for (const [name, spreads] of Object.entries<Record<string, number[]>>(defaults)) {
      const parameters = namedParameters(made[name]);
      assert.deepEqual([...parameters.keys()], Object.keys(spreads));
      for (const [key, parameter] of parameters) {
        // A bias has few numbers, which may all be far from the bound.
        if (key === "weight" || spreads[key][0] === 0) {
          await assertDrawnAs(
            `${name}.${key}`,
            parameter,
            spreads[key],
          );
        } else assert.ok((await spreadOf(parameter))[1] <= 1.02 * spreads[key][1], `${name}.${key}`);
      }
    }
  },
  testOnCpu,
);

testOnCpu("Sequential names its layers as PyTorch does", () => {
  const layer = new Linear(2, 2);
  const model = new Sequential(layer, gelu, layer, new Sequential(gelu, new Linear(2, 1)));
  assert.deepEqual([...namedParameters(model).keys()], ["0.weight", "0.bias", "3.1.weight", "3.1.bias"]);
  assert.deepEqual(model.forward(zeros([5, 2])).shape, [5, 1]);
  assert.equal(model[0], layer);
});

testOnCpu("timeFeatures: sinusoidal has waves of 1000 t, cosines first", async () => {
  const times = [0, 0.25, 0.9, 1], features = await timeFeatures.sinusoidal.of(tensor(times), 8).read();
  const frequencies = [1, 0.1, 0.01, 0.001]; // 10,000^(-k/4)
  const waves = [Math.cos, Math.sin];
  const expected = times.flatMap((t) => waves.flatMap((wave) => frequencies.map((f) => wave(1000 * t * f))));
  assertClose(features, expected, 1e-4);
  assert.deepEqual([...features.subarray(0, 8)], [1, 1, 1, 1, 0, 0, 0, 0]);
});

testOnCpu("a network keeps its time embedding; files omit the default and refuse invalid ones", async () => {
  const options = { type: "UNet_FM", filters: [4, 8], tEmb: 6, groups: 2 } as const;
  const model = createModel({ ...options, timeEmbedding: "sinusoidal" }, 1);
  assert.deepEqual(namedParameters(model).get("time_mlp.0.weight")!.shape, [6, 6]);
  const before = await stateOf(model);
  await fit(model, noise(1, [4, 1, 4, 4]), { steps: 1, optimizer: "sgd" });
  const first = "time_mlp.0.weight";
  assert.notDeepEqual((await stateOf(model)).get(first), before.get(first), "it learns");
  const loaded = loadCheckpoint(await saveCheckpoint(model), "a checkpoint");
  assert.equal(loaded.info.config.timeEmbedding, "sinusoidal");
  const [x, t] = [noise(2, [1, 1, 4, 4]), tensor([0.3])];
  assertSameNumbers(await loaded.model.velocity(x, t).read(), await model.velocity(x, t).read());
  const bytes = await saveCheckpoint(createModel({ type: "UNet_FM", filters: [4], tEmb: 3 }, 1));
  const { tensors, metadata } = models.decodeSafetensors(bytes, "a checkpoint");
  assert.ok(!("time_embedding" in JSON.parse(metadata.config)), metadata.config);
  assert.equal(loadCheckpoint(bytes, "a checkpoint").info.config.timeEmbedding, "scalar");
  for (const time_embedding of ["sinusoidal", "waves"]) { // of 3 features, and unknown
    const config = JSON.stringify({ ...JSON.parse(metadata.config), time_embedding });
    const changed = models.encodeSafetensors(tensors, { ...metadata, config });
    const message = /even number|scalar or sinusoidal/;
    assert.throws(() => loadCheckpoint(changed, "a checkpoint"), { name: "CheckpointError", message });
  }
});

for (const type of models.modelTypes) {
  const config = { type, filters: [4, 8], tEmb: 6, groups: 2 };
  testOnCpu(`${type} learns from labels, samples by label, and keeps its classes`, async () => {
    const model = createModel({ type, filters: [8], tEmb: 4, groups: 2, classes: 2 }, 46020);
    const x1 = tensor(Float32Array.from({ length: 4 * 16 }, (_, i) => i < 32 ? 1 : -1), [4, 1, 4, 4]);
    const condition = tensor(Uint32Array.of(0, 0, 1, 1));
    const losses = await fit(model, x1, { steps: 150, learningRate: 0.01, condition });
    assert.ok(losses[149] < losses[0] / 2, `${losses[0]} to ${losses[149]}`);
    const loaded = loadCheckpoint(await saveCheckpoint(model), "a checkpoint");
    assert.equal(loaded.info.config.classes, 2);
    const how = { x0: noise(0, [4, 1, 4, 4]), steps: 8, condition };
    const images = await models.sample(loaded.model, how).read();
    assertSameNumbers(images, await models.sample(model, how).read());
    const mean = (values: Float32Array) => values.reduce((sum, x) => sum + x) / values.length;
    assert.ok(mean(images.subarray(0, 32)) > 0.3 && mean(images.subarray(32)) < -0.3);
  });

  testOnCpu(`${type} with classes begins as one without, and takes no condition as none`, async () => {
    const model = createModel({ ...config, classes: 300 }, 5);
    const [x, t] = [noise(1, [3, 1, 8, 8]), tensor([0, 0.5, 1])];
    assert.equal(models.noneOf(model), 300);
    const [plain, none, labelled] = await Promise.all(
      [undefined, [300, 300, 300], [0, 256, 299]].map((labels) =>
        model.velocity(x, t, labels && tensor(Uint32Array.from(labels))).read()
      ),
    );
    assert.deepEqual(none, plain);
    for (const n of [0, 1, 2]) {
      assert.notDeepEqual(labelled.slice(64 * n, 64 * n + 64), plain.slice(64 * n, 64 * n + 64));
    }
    const state = await stateOf(model), { shape, data } = state.get("label_emb.weight")!;
    assert.deepEqual([shape, [...state.keys()].at(-1)], [[301, 6], "label_emb.weight"]);
    assertClose([Math.hypot(...data) / Math.sqrt(data.length)], [0.02], 0.005, "deviation");
    for (const [name, { data }] of await stateOf(createModel(config, 5))) {
      assert.deepEqual(state.get(name)!.data, data, name);
    }
  });
}

testOnCpu("layers and networks refuse invalid arguments with a one-line message", () => {
  const x = zeros([4, 3]), labels = (...shape: number[]) => tensor(new Uint32Array(3), shape);
  const network = (classes: number, condition: Tensor) => () =>
    createModel({ type: "UNet_FM", filters: [2], tEmb: 4, classes }, 5)
      .velocity(zeros([3, 1, 4, 4]), tensor([0, 0, 0]), condition);
  const two = tensor(Uint32Array.of(1, 2));
  const cases: readonly [call: () => unknown, message: string][] = [
    [() => new Linear(2, 1).forward(zeros([2, 2, 3])), "a Linear: x is f32[2, 2, 3] (expected f32[..., 2])"],
    [() => new Linear(2, 1).forward(zeros([])), "Cannot run a Linear: x is f32[] (expected f32[..., 2])"],
    [() => new Linear(2, 1).forward([1, 2] as never), "a Linear: x is an array (expected a tensor)"],
    [() => new LayerNorm(2).forward(x), "Cannot run a LayerNorm: x is f32[4, 3] (expected f32[..., 2])"],
    [() => new LayerNorm(2, { epsilon: -1 }), "a LayerNorm: epsilon is -1 (expected a number of at least 0)"],
    [() => new LayerNorm(2, { eps: 1 } as never), 'Unknown setting "eps" of a LayerNorm'],
    [() => new Embedding(3, 2).forward(x), "an Embedding: the indices are f32[4, 3] (expected u32[...])"],
    [() => new Sequential(gelu, Linear as never), "a Sequential: layer 1 is a class (expected"],
    [() => new Sequential({} as never), "a Sequential: layer 0 is an object of type Object (expected"],
    [() => createInitialiser("xavier" as never), '"xavier": did you mean "xavier_normal"?'],
    [network(0, labels(3)), "TypeError: Cannot use the condition u32[3]: the network was made"],
    ...[two, zeros([3]), labels(3, 1)].map((wrong): [() => unknown, string] => [
      network(3, wrong),
      `ShapeError: Cannot use the condition ${wrong} (expected labels u32[3], one per image)`,
    ]),
  ];
  for (const [call, message] of cases) {
    assert.throws(call, (error: Error) => {
      assert.ok(`${error}`.includes(message) && !error.message.includes("\n"), `${error}, not ${message}`);
      return true;
    });
  }
});

const { batchSource, Dropout, streams, Trainer, withDropout } = models;
const ones = (count: number) => tensor(new Float32Array(count).fill(1));

testOnCpu(
  "Dropout draws by seed, step and layer, the same in a recorded step as outside one",
  async () => {
    const [dropout, other] = [new Dropout(0.25), new Dropout(0.5)], x = ones(1000);
    let step = 0;
    const layers = () => [dropout.forward(x), other.forward(x), dropout.forward(x)];
    const run = () => withDropout(() => ({ seed: 46020, step }), layers);
    const recorded = record(run);
    for (step of [0, 3, 0]) {
      recorded.run();
      for (const outputs of [recorded.result, run()]) {
        for (const [layer, probability] of [0.25, 0.5, 0.25].entries()) {
          const drawn = uniforms(46020, streams.dropout + layer, step, 1000);
          const expected = drawn.map((u) => u < Math.fround(probability) ? 0 : 1 / (1 - probability));
          assertClose(await outputs[layer].read(), expected, 1e-6);
        }
      }
    }
  },
);

testOnCpu("Dropout is off outside training, and its gradient passes where x passed", async () => {
  const dropout = new Dropout(0.4), x = ones(64), at = () => ({ seed: 46020, step: 5 });
  const y = withDropout(at, () => dropout.forward(x));
  assertSameNumbers(await gradients(sum(y), [x])[0].read(), await y.read());
  assert.equal(dropout.forward(x), x);
  assert.throws(() =>
    withDropout(at, () => {
      throw new Error("a failure inside");
    })
  );
  assert.equal(dropout.forward(x), x);
  assertSameNumbers(await withDropout(at, () => new Dropout(0).forward(x)).read(), await x.read());
  for (const probability of [-0.1, 1, NaN]) {
    assert.throws(() => new Dropout(probability), {
      name: "RangeError",
      message: `Cannot make a Dropout: probability is ${probability} (expected a number from 0 to below 1)`,
    });
  }
});

class DroppingField extends models.Module {
  readonly layers: models.Sequential;

  constructor(probability: number) {
    super();
    const made = models.randomInitialiser(1);
    this.layers = new models.Sequential(
      new Linear(2, 16, made),
      new Dropout(probability),
      new Linear(16, 2, made),
    );
  }

  velocity(x: Tensor): Tensor {
    return this.layers.forward(x);
  }
}
const x1 = () => tensor([3, 4, 5, 6, 7, 8, 9, 10], [4, 2]);
const trainerOf = (model: DroppingField) =>
  new Trainer(model, batchSource(x1()), { batchSize: 2, seed: 7, learningRate: 0.01 });

/** Losses of steps, and the state after them. */
async function trained(trainer: models.Trainer, steps: number) {
  for (const end = trainer.step + steps; trainer.step < end;) {
    trainer.queueStep(Uint32Array.of(trainer.step % 2, 2), 0.01);
  }
  return { losses: await trainer.losses(), state: await trainer.state() };
}

testOnCpu(
  "Trainer drops by its seed and the number of the step, and resumes to the same bits",
  async () => {
    const model = new DroppingField(0.5), whole = await trained(trainerOf(new DroppingField(0.5)), 6);
    const trainer = trainerOf(model), begun = await trained(trainer, 0);
    for (let step = 0; step < 3; step++) {
      const key = (stream: number) => tensor(Uint32Array.of(7, stream, step));
      const [x0, t] = [randomNormal(key(streams.noise), [2, 2]), randomUniform(key(streams.time), [2])];
      const data = tensor([...(step % 2 ? [5, 6] : [3, 4]), 7, 8], [2, 2]);
      const pairs = { x0, x1: data, t };
      const loss = withDropout(
        () => ({ seed: 7, step }),
        () => lossOf(flowMatching, model, pairs),
      );
      const expected = await loss.read();
      begun.losses.push(...(await trained(trainer, 1)).losses);
      assertClose(begun.losses.slice(-1), expected, 1e-6);
    }
    assertSameNumbers(begun.losses, whole.losses.slice(0, 3));
    const other = new DroppingField(0.5), resumed = trainerOf(other);
    resumed.restore(await trainer.state(), "the state");
    assertSameNumbers(await trained(resumed, 3), { losses: whole.losses.slice(3), state: whole.state });
    // Neither validation nor samples drop anything, so they repeat.
    const held = new models.HeldOutLoss(other, batchSource(x1()), { batchSize: 4, seed: 1 });
    const measure = async () => [...(await held.losses(Uint32Array.of(0, 1, 2, 3))).loss];
    assert.deepEqual(await measure(), await measure());
    const plain = new DroppingField(0), x0 = models.noise(3, [5, 2]);
    models.loadState(plain, whole.state.parameters, "the state");
    assertSameNumbers(await models.sample(other, { x0 }).read(), await models.sample(plain, { x0 }).read());
  },
);
