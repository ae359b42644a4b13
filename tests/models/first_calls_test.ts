import assert from "node:assert/strict";
import {
  add,
  attend,
  divide,
  greater,
  less,
  matmul,
  maximum,
  minimum,
  multiply,
  subtract,
  type Tensor,
  tensor,
  UserError,
} from "../../kernels/mod.ts";
import * as models from "../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../testing.ts";

const { createModel, fit, Linear, Module } = models;

const tiny = () => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 });
const images = (count = 3) => models.noise(1, [count, 1, 4, 4]);

/** A user's first field: points and one layer. */
class Field extends Module {
  map = new Linear(2, 2);
  velocity = (x: Tensor) => this.map.forward(x);
}

testOnDevices("new Linear() and other layers draw their own weights by default", async () => {
  const [first, second] = [new Linear(2, 3), new Linear(2, 3)];
  const [a, b] = await Promise.all([first, second].map(({ weight }) => weight.read()));
  assert.ok(a.every((value) => value !== 0 && Math.abs(value) <= Math.SQRT1_2));
  assert.notDeepEqual(a, b);
  assert.deepEqual(new models.Conv2d(2, 3, 3).weight.shape, [3, 2, 3, 3]);
  assert.deepEqual(new models.ConvTranspose2d(2, 3).weight.shape, [2, 3, 2, 2]);
  assert.deepEqual(new models.GroupNorm(2, 4).weight.shape, [4]);
  assert.deepEqual(new models.Attention(4, 2).q.weight.shape, [4, 4, 1, 1]);
});

testOnDevices("binary ops accept a number as first argument", async () => {
  const x = tensor([0.5, 2, 4]);
  const cases: [Tensor, number[]][] = [
    [add(1, x), [1.5, 3, 5]],
    [subtract(1, x), [0.5, -1, -3]],
    [multiply(3, x), [1.5, 6, 12]],
    [divide(1, x), [2, 0.5, 0.25]],
    [maximum(1, x), [1, 2, 4]],
    [minimum(1, x), [0.5, 1, 1]],
  ];
  for (const [y, expected] of cases) assertClose(await y.read(), expected, 1e-6);
  assert.deepEqual([...await greater(1, x).readWords()], [1, 0, 0]);
  assert.deepEqual([...await less(1, x).readWords()], [0, 1, 1]);
});

testOnDevices("attend() scales by 1 / sqrt(C) by default", async () => {
  const [q, k, v] = [1, 2, 3].map((seed) => models.noise(seed, [2, 4, 5]));
  const expected = await attend(q, k, v, { scale: 0.5 }).read();
  assert.deepEqual(await attend(q, k, v).read(), expected);
});

testOnDevices(
  "sample() takes the shape from the training data or the file, else 28 x 28",
  async () => {
    const model = tiny();
    assert.deepEqual(model.shape, [1, 28, 28]);
    assert.deepEqual(createModel({ type: "UNet_FM", filters: [2], tEmb: 4, channels: 3 }).shape, [3, 28, 28]);
    await fit(model, images(), { steps: 1 });
    assert.deepEqual(model.shape, [1, 4, 4]);
    const { model: loaded } = models.loadCheckpoint(await models.saveCheckpoint(model), "a file");
    assert.deepEqual(loaded.shape, [1, 4, 4]);
    assert.deepEqual(models.autoguided(loaded, model, 2).shape, [1, 4, 4]);
    const field = new Field();
    await fit(field, models.noise(1, [4, 2]), { steps: 1 });
    assert.deepEqual(models.sample(field, { count: 3 }).shape, [3, 2]);
  },
);

testOnDevices("fit() uses the given noise of pairs", async () => {
  const [x0, x1] = [tensor([1, 2, -1, 0.5], [2, 2]), tensor([2, 4, -2, 1], [2, 2])];
  const still = new Field();
  still.map.weight.write(new Float32Array(4));
  still.map.bias.write(new Float32Array(2));
  const [loss] = await fit(still, { x0, x1 }, { steps: 1, batchSize: 2 });
  assertClose([loss], [(1 + 4 + 1 + 0.25) / 4], 1e-6);
});

testOnDevices("fit() accepts validation data as a tensor, as pairs, and with a condition", async () => {
  const losses: unknown[] = [];
  for (const validation of [images(2), { x1: images(2) }, { x0: images(2), x1: images(2) }]) {
    await fit(tiny(), images(), {
      steps: 1,
      validation,
      onProgress: ({ validationLoss }) => losses.push(validationLoss),
    });
  }
  assert.ok(losses.every(Number.isFinite));
  assert.equal(losses[0], losses[1]);
  assert.notEqual(losses[1], losses[2]);
});

/** Typical first mistakes of a JavaScript user, and their error messages. */
const slips: Record<string, readonly [call: () => unknown, message: RegExp]> = {
  "fit()": [untyped(() => fit), /^Cannot train: the model is undefined \(expected a Module with/],
  "fit(model)": [untyped(() => fit, tiny), /^Cannot use the data: it is undefined \(expected a tensor/],
  "fit(field) without parameters": [
    untyped(() => fit, () => ({ velocity: (x: Tensor) => x }), images),
    /^Cannot train: the model has no parameters/,
  ],
  "fit(field, array)": [
    untyped(() => fit, () => new Field(), () => [1, 2, 3]),
    /^Cannot use the data: it is an array \(expected a tensor f32\[M, \.\.\.\], or { x0, x1 }\)/,
  ],
  "fit(model, images, 300)": [
    untyped(() => fit, tiny, images, () => 300),
    /^Cannot use the settings of fit\(\): they are 300 \(expected an object with steps/,
  ],
  "fit(x1 as an array)": [
    untyped(() => fit, tiny, () => ({ x1: [1, 2] })),
    /^Cannot use the data: it is an object of type Object \(expected a tensor/,
  ],
  "fit(x0 as an array)": [
    untyped(() => fit, tiny, () => ({ x1: images(), x0: [1, 2] })),
    /^Cannot use the data: its x0 is an array \(expected a tensor\)/,
  ],
  "fit(pairs of two shapes)": [
    untyped(() => fit, tiny, () => ({ x1: images(), x0: images(2) })),
    /^Cannot use the data: x0 is f32\[2, 1, 4, 4\] for x1 f32\[3, 1, 4, 4\]/,
  ],
  "fit(pairs, a coupling)": [
    untyped(() => fit, tiny, () => ({ x1: images(), x0: images() }), () => ({
      objective: { ...models.flowMatching, coupling: models.transportPairs },
    })),
    /^Cannot train: x0 pairs the data already/,
  ],
  "fit(validation array)": [
    untyped(() => fit, tiny, images, () => ({ validation: [1, 2] })),
    /^Cannot use the validation data: it is an array \(expected a tensor/,
  ],
  "fit(condition array)": [
    untyped(() => fit, tiny, images, () => ({ condition: [1, 2, 3] })),
    /^Cannot use the data: its condition is an array \(expected a tensor\)/,
  ],
  "new Trainer(model, images)": [
    () => Reflect.construct(models.Trainer, [tiny(), images(), { batchSize: 1, seed: 1, learningRate: 1 }]),
    /^Cannot train: the source is .*expected what batchSource\(\) makes/,
  ],
  "new Trainer(model, source)": [
    () => Reflect.construct(models.Trainer, [tiny(), models.batchSource(images())]),
    /^Cannot train: the options are missing \(expected at least batchSize and seed\)/,
  ],
  "new HeldOutLoss(model, images)": [
    () => Reflect.construct(models.HeldOutLoss, [tiny(), images()]),
    /^Cannot measure losses: the source is f32\[3, 1, 4, 4\] \(expected what batchSource\(\) makes/,
  ],
  "flatten(model)": [
    untyped(() => models.flatten, tiny),
    /^Cannot flatten parameters: the parameters are an object of type UNet \(expected those of namedPara/,
  ],
  "optimizer(kind, model, options)": [
    untyped(() => models.optimizer, () => "adam", tiny, () => ({ learningRate: 1 })),
    /^Cannot make an optimizer: the parameters are an object of type UNet /,
  ],
  "encodeSafetensors({})": [
    untyped(() => models.encodeSafetensors, () => ({})),
    /^Cannot encode an object of type Object \(expected a Map from names to shape and data\)/,
  ],
  "batchSource()": [untyped(() => models.batchSource), /^Cannot use the data: it is undefined/],
  "createModel()": [
    untyped(() => createModel),
    /^Cannot use the settings of a network: they are undefined \(expected an object with type, filters/,
  ],
  "guided(model)": [
    untyped(() => models.guided, tiny),
    /^Cannot use the settings of guided\(\): they are undefined \(expected an object with scale, none/,
  ],
  "sample(model, 16)": [
    untyped(() => models.sample, tiny, () => 16),
    /^Cannot use the settings of sampling: they are 16 \(expected an object with count, shape/,
  ],
  "optimizer(kind)": [
    untyped(() => models.optimizer, () => "adamw"),
    /^Cannot use the settings of an optimizer: they are undefined/,
  ],
  "loadCheckpoint(path)": [
    untyped(() => models.loadCheckpoint, () => "a.safetensors", () => "a.safetensors"),
    /^Cannot read a.safetensors: its bytes are a.safetensors \(expected the Uint8Array of a file\)/,
  ],
  "add(x)": [untyped(() => add, images), /^Cannot run add: a is .* and b is undefined \(expected tensors/],
  "add(array, x)": [untyped(() => add, () => [1], images), /^Cannot run add: a is an array and b is /],
  "divide(1, 2)": [untyped(() => divide, () => 1, () => 2), /^Cannot run divide: a is 1 and b is 2/],
};

/** Calls a function with arguments of the wrong type. */
function untyped(call: () => (...given: never[]) => unknown, ...given: (() => unknown)[]) {
  return () => Reflect.apply(call(), undefined, given.map((make) => make()));
}

testOnCpu("first mistakes get a one-line message that says what is expected", async () => {
  for (const [name, [call, message]] of Object.entries(slips)) {
    await assert.rejects(async () => await call(), (error) => {
      assert.ok(error instanceof UserError, `${name}: ${error}`);
      assert.match(error.message, message, name);
      return true;
    });
  }
  const calls: [call: () => unknown, message: RegExp][] = [
    [
      untyped(() => matmul, () => [[1]], images),
      /^Cannot multiply matrices: a is an array \(expected a tensor\)/,
    ],
    [
      untyped(() => models.sample),
      /^Cannot sample: count is undefined .* as in sample\(model, { count: 16 }\)/,
    ],
    [
      untyped(() => models.sample, () => undefined, () => ({ count: 1 })),
      /^Cannot use the field: it has no velocity \(expected an object with velocity\(x, t\)\)/,
    ],
    [
      untyped(() => models.sample, () => new Field(), () => ({ count: 3 })),
      /^Cannot sample: the model does not know the shape of a sample \(expected it as in sample\(model, /,
    ],
    [
      untyped(() => models.sample, tiny, () => ({ count: 3, shape: 28 })),
      /^Cannot sample: shape is 28 \(expected it as in sample\(model, { count: 16, shape: /,
    ],
    [
      untyped(() => models.sample, tiny, () => ({ x0: [1] })),
      /^Cannot sample: x0 is an array \(expected a tensor\)/,
    ],
    [
      untyped(() => models.sample, tiny, () => ({ count: 3, condition: [1] })),
      /^Cannot sample: the condition is an array \(expected a tensor\)/,
    ],
    [
      untyped(() => models.sample, tiny, () => ({ count: 3, times: 5 })),
      /^Cannot sample at the times 5 \(expected two or more, such as \[0, 0.5, 1\]\)/,
    ],
    [untyped(() => attend, images), /^Cannot run attend: k is undefined \(expected a tensor\)/],
    [() => Reflect.apply(tiny().velocity, tiny(), [[1], [1]]), /^Cannot run a U-Net: x is an array/],
  ];
  for (const [call, message] of calls) assert.throws(call, { message });
});
