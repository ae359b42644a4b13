/** Calls with the fewest arguments, and arguments that public functions refuse with a clear error. */

import assert from "node:assert/strict";
import {
  attend,
  divide,
  full,
  greater,
  less,
  minimum,
  subtract,
  type Tensor,
  tensor,
  UserError,
  zeros,
} from "../../kernels/mod.ts";
import * as models from "../../models/mod.ts";
import { checkName, nearest, rejectUnknown } from "../../models/names.ts";
import { assertRefuses, type Counting, notCounts } from "../refusing.ts";
import { assertClose, testOnCpu } from "../testing.ts";
import { transportPairs } from "../../models/flow/coupling.ts";
import { flowMatching } from "../../models/flow/objective.ts";
import { constantSchedule, plateauSchedule } from "../../models/train/schedule.ts";
import { assertSameNumbers } from "../same_numbers.ts";

const { batchSource, createModel, fit, Linear, noise, sample, Sampler, slerp, Trainer } = models;

const field = { velocity: (x: Tensor) => x };
const made = models.randomInitialiser(1);
const data = (count = 4) => zeros([count, 1, 4, 4]);
const tiny = (filters = [2, 4]) => createModel({ type: "UNet_FM", filters, tEmb: 4 }, 46020);
const options = { batchSize: 2, seed: 1, learningRate: 0.1 };
const start = { count: 2, shape: [1, 4, 4], seed: 1, steps: 2 };
const x = () => zeros([2, 3]);
const sde = { solver: "sde", steps: 1 } as const;
const source = () => batchSource(data());
const trainer = (change: object) => new Trainer(tiny(), source(), { ...options, ...change });
const heldOut = (change: object) => new models.HeldOutLoss(field, source(), { ...options, ...change });
const two = Uint32Array.of(0, 1);
const withZero = [...notCounts, 0];
const seeds = [1.5, NaN, -2, Infinity, 2 ** 32];

/** Calls of public functions with a number, by argument, and numbers that they refuse. */
const counting: Record<string, readonly [Counting, readonly number[]]> = {
  "noise() seed": [(n) => models.noise(n, [1, 2]), seeds],
  "noise() shape": [(n) => models.noise(1, [n, 2]), notCounts],
  "sample() count": [(n) => sample(field, { ...start, count: n }), withZero],
  "sample() seed": [(n) => sample(field, { ...start, seed: n }), seeds],
  "sample() steps": [(n) => sample(field, { ...start, steps: n }), withZero],
  "sample() batch": [(n) => sample(field, { ...start, batch: n }), withZero],
  "sample() times": [(n) => sample(field, { x0: x(), times: [0, n] }), [NaN, -1, Infinity, 2]],
  "Sampler() shape": [(n) => new Sampler(field, [n, 2], { steps: 1 }), withZero],
  "Sampler() seed": [(n) => new Sampler(field, [2, 2], { ...sde, seed: n }), seeds],
  "Sampler.plan() shape": [(n) => Sampler.plan(field, [n, 2], { steps: 1 }), withZero],
  "Sampler.run() row": [(n) => new Sampler(field, [2, 3], sde).run(x(), { row: n }), notCounts],
  "trajectory() first": [(n) => new Sampler(field, [2, 3], sde).trajectory(x(), { first: n }), [
    1,
    ...notCounts,
  ]],
  "trajectory() ahead": [(n) => new Sampler(field, [2, 3], sde).trajectory(x(), { ahead: n }), withZero],
  "AdaptiveSampler() shape": [(n) => new models.AdaptiveSampler(field, [n, 2]), withZero],
  "maxEvaluations": [(n) => new models.AdaptiveSampler(field, [2, 2], { maxEvaluations: n }), withZero],
  "solveFlow() batch": [(n) => models.solveFlow(field, x(), { batch: n }), withZero],
  "gridTimes() steps": [(n) => models.gridTimes(n, "quadratic"), withZero],
  "defineTableau() order": [(n) => models.defineTableau({ order: n, a: [[]], b: [1], c: [0] }), withZero],
  "defineTableau() b": [(n) => models.defineTableau({ order: 1, a: [[]], b: [n], c: [0] }), [NaN, 0.5]],
  "progressAt() step": [(n) => models.progressAt(n, 3), notCounts],
  "progressAt() steps": [(n) => models.progressAt(1, n), notCounts],
  "plateau() patience": [(n) => plateauSchedule(0.1, { patience: n }), notCounts],
  "plateau() cooldown": [(n) => plateauSchedule(0.1, { cooldown: n }), notCounts],
  "BatchOrder() batchSize": [(n) => new models.BatchOrder(two, n, 1), withZero],
  "BatchOrder() seed": [(n) => new models.BatchOrder(two, 1, n), seeds],
  "BatchOrder.batch() step": [(n) => new models.BatchOrder(two, 1, 1).batch(n), notCounts],
  "HeldOutLoss() batchSize": [(n) => heldOut({ batchSize: n }), withZero],
  "HeldOutLoss() seed": [(n) => heldOut({ seed: n }), seeds],
  "Trainer() batchSize": [(n) => trainer({ batchSize: n }), withZero],
  "Trainer() seed": [(n) => trainer({ seed: n }), seeds],
  "Trainer() ema": [(n) => trainer({ ema: n }), [NaN, -0.1, 1]],
  "Trainer.plan() batchSize": [(n) => trainer({}).plan(n), withZero],
  "fit() steps": [(n) => fit(tiny(), data(), { steps: n }), withZero],
  "fit() batchSize": [(n) => fit(tiny(), data(), { steps: 1, batchSize: n }), [5, ...withZero]],
  "fit() progressSteps": [(n) => fit(tiny(), data(), { steps: 1, progressSteps: n }), withZero],
  "Embedding() rows": [(n) => new models.Embedding(n, 2, made), withZero],
  "LayerNorm() width": [(n) => new models.LayerNorm(n, {}, made), withZero],
  "Linear() inputs": [(n) => new models.Linear(n, 2, made), withZero],
  "Conv2d() outputs": [(n) => new models.Conv2d(2, n, 3, made), withZero],
  "Conv2d() kernel": [(n) => new models.Conv2d(2, 2, n, made), withZero],
  "Conv2d() groups": [(n) => new models.Conv2d(2, 2, 3, { groups: n }, made), [...withZero, 3]],
  "ConvTranspose2d() kernel": [(n) => new models.ConvTranspose2d(2, 2, [2, n], {}, made), withZero],
  "ConvTranspose2d() outputs": [(n) => new models.ConvTranspose2d(2, n, made), withZero],
  "GroupNorm() groups": [(n) => new models.GroupNorm(n, 4, made), [...withZero, 0.5]],
  "Attention() channels": [(n) => new models.Attention(n, 1, made), withZero],
  "TimeEmbedding() tEmb": [(n) => new models.TimeEmbedding({ tEmb: n }, made), withZero],
  "createModel() filters": [(n) => tiny([2, n]), withZero],
  "createModel() seed": [(n) => createModel({ type: "UNet_FM", filters: [2], tEmb: 4 }, n), seeds],
  "Initialiser.uniform() shape": [(n) => made.uniform([n, 2], 1), notCounts],
};

testOnCpu("invalid numbers are refused with a clear message, and take no memory", async (device) => {
  for (const [name, [call, values]] of Object.entries(counting)) await assertRefuses(name, call, values);
  assert.ok(Number.isFinite(device.allocatedBytes), `allocatedBytes is ${device.allocatedBytes}`);
  assertClose(await full([2], 3).read(), [3, 3], 0);
});

// @ts-expect-error: sample() takes any object with a velocity, but fit() needs a module
export const notTrained = () => fit(field, data());

/** Hides options from the type checker. */
const untyped = (given: object) => given as never;
const points = { values: new Float32Array(9), rows: 9, width: 1 };
const sampler = () => new Sampler(field, [1, 1], { steps: 2 });
const adaptive = () => new models.AdaptiveSampler(field, [1, 1]);
const guide = { scale: 2, none: 1, zerostar: 1 };

/** Calls with an option that is misspelt or has no effect: what it belongs to, the option, and the right name. */
const misspelt: readonly (readonly [call: (x: Tensor) => unknown, words: string])[] = [
  [(x) => fit(tiny(), x, untyped({ batch_size: 1 })), "fit(): batch_size, batchSize"],
  [(x) => fit(tiny(), x, untyped({ lr: 1 })), "fit(): lr, learningRate"],
  [(x0) => sample(field, untyped({ x0, solvr: "heun" })), "sampling: solvr, solver"],
  [(x0) => models.trajectory(field, untyped({ x0, step: 2 })), "sampling: step, steps"],
  [() => new Sampler(field, [1, 1], untyped({ gird: 1 })), "a sampler without noise: gird, grid"],
  [() => new Sampler(field, [1, 1], untyped({ ...sde, nois: 1 })), "a sampler with noise: nois, noise"],
  [(x) => sampler().trajectory(x, untyped({ frist: 1 })), "a trajectory: frist, first"],
  [(x) => sampler().run(x, untyped({ form: 1 })), "a run: form, from"],
  [(x) => adaptive().solve(x, untyped({ frm: 1 })), "a run: frm, from"],
  [() => constantSchedule(1, untyped({ warmUp: 1 })), "schedule constant: warmUp, warmup"],
  [() => models.cosineSchedule(1, untyped({ finale: 1 })), "schedule cosine: finale, final"],
  [
    () => models.precisionRecall(points, points, untyped({ resample: 2 })),
    "precisionRecall(): resample, resamples",
  ],
  [(x) => models.solveFlow(field, x, untyped({ form: 1 })), "solveFlow(): form, from"],
  [(x) => models.logLikelihood(field, x, untyped({ rTol: 1 })), "logLikelihood(): rTol, rtol"],
  [() => models.guided(field, untyped(guide)), "guided(): zerostar, zeroStar"],
  [(x) => models.flowGeometry(field, x, untyped({ solve: "heun" })), "flowGeometry(): solve, solver"],
  [(x) => models.roundTrip(field, x, untyped({ batches: 2 })), "roundTrip(): batches, batch"],
  [(x) => models.solveFlow(field, x, { noise: 1 }), "a sampler without noise: noise"],
  [(x) => models.solveFlow(field, x, { rtol: 1e-3, steps: 5 }), "a sampler with adaptive steps: steps"],
  [(x) => models.solveFlow(field, x, { ...sde, maxEvaluations: 9 }), "a sampler with noise: maxEvaluations"],
];

testOnCpu("options that are unknown, or that a solver does not use, are refused", async () => {
  for (const [call, words] of misspelt) {
    const [of, option, meant] = words.split(/: |, /);
    await assert.rejects(async () => await call(tensor([1], [1, 1])), (error: Error) => {
      const question = meant ? `: did you mean "${meant}"` : "";
      assert.ok(
        `${error}`.startsWith(`TypeError: Unknown setting "${option}" of ${of}${question}`),
        `${error}`,
      );
      return true;
    });
  }
});

Deno.test("checkName() suggests the nearest name, ignoring case, but no unrelated one", () => {
  assert.equal(nearest("AdamW", ["sgd", "adam", "adamw"]), "adamw");
  assert.equal(nearest("unet_fm", ["UNet_FM", "UNet_FM_Residuals"]), "UNet_FM");
  assert.equal(nearest("dropout", ["lr", "warm-up"]), undefined);
  assert.equal(nearest("lr", []), undefined);
  assert.equal(nearest("gpu", ["auto", "webgpu", "cpu"]), "webgpu");
  assert.equal(nearest("lr", ["steps", "learningRate"]), "learningRate");
  assert.equal(nearest("bs", ["seed", "batch_size"]), "batch_size");
  assert.equal(nearest("logit_normal:mean=1", ["uniform", "logit_normal"]), "logit_normal");
  const known = ["euler", "heun"];
  const all = "(known: euler, heun)";
  const message = `Unknown solver "huen": did you mean "heun"? ${all}`;
  assert.throws(() => checkName("solver", "huen", known), { name: "TypeError", message });
  const unlike = { message: `Unknown solver "dopri" of a run ${all}` };
  assert.throws(() => checkName("solver", "dopri", known, "a run"), unlike);
  rejectUnknown({ euler: 1, other: undefined }, known, "a run");
  assert.throws(() => rejectUnknown({ euler: 1, huen: 2 }, known, "a run"), {
    name: "TypeError",
    message: `Unknown setting "huen" of a run: did you mean "heun"? ${all}`,
  });
});

/** A user's first field: points and one layer. */
class Field extends models.Module {
  map = new models.Linear(2, 2);
  velocity = (x: Tensor) => this.map.forward(x);
}

/** A module without layers. */
class Still extends models.Module {
  velocity = (x: Tensor) => x;
}

type Slip = readonly [call: unknown, given: readonly unknown[] | (() => unknown[]), message: string];

const newTrainer = (...given: unknown[]) => Reflect.construct(Trainer, given);
const paired = { objective: { ...flowMatching, coupling: transportPairs } };

/** Typical first mistakes of a JavaScript user, and the messages of their UserErrors. */
const slips: readonly Slip[] = [
  [fit, [], "Cannot train: the model is undefined (expected a Module with velocity(x, t), whose"],
  [fit, () => [tiny()], "Cannot use the data: it is undefined (expected a tensor"],
  [fit, () => [{ velocity: (x: Tensor) => x }, data()], "is an object of type Object (expected a Module"],
  [fit, () => [new Still(), data()], "Cannot train: the model has no parameters"],
  [fit, () => [new Field(), [1, 2]], "the data: it is an array (expected a tensor f32[M, ...], or { x0,"],
  [fit, () => [tiny(), new Float32Array(4)], "or { x0, x1 }; tensor(values, [M, ...]) makes one)"],
  [fit, () => [tiny(), data(), 300], "the settings of fit(): they are 300 (expected an object with steps"],
  [fit, () => [tiny(), { x1: [1, 2] }], "Cannot use the data: it is an object of type Object (expected"],
  [fit, () => [tiny(), { x1: data(), x0: [1] }], "Cannot use the data: its x0 is an array (expected a"],
  [fit, () => [tiny(), { x1: data(), x0: data(2) }], "the data: x0 is f32[2, 1, 4, 4] for x1 f32[4, 1, 4,"],
  [fit, () => [tiny(), { x1: data(), x0: data() }, paired], "Cannot train: x0 already pairs the data"],
  [fit, () => [tiny(), data(), { validation: [1] }], "the validation data: it is an array (expected a"],
  [fit, () => [tiny(), data(), { condition: [1] }], "the data: its condition is an array (expected a tensor"],
  [models.flatten, () => [tiny()], "parameters: the parameters are an object of type UNet (expected those"],
  [models.optimizer, () => ["adam", tiny(), { learningRate: 1 }], "the parameters are an object of type"],
  [models.optimizer, ["adamw"], "Cannot use the settings of an optimizer: they are undefined"],
  [models.encodeSafetensors, [{}], "an object of type Object (expected a Map from names to shape and data)"],
  [batchSource, [], "Cannot use the data: it is undefined"],
  [batchSource, () => [data(0)], "Cannot use the data: it has no rows: f32[0, 1, 4, 4]"],
  [batchSource, () => [{ x1: data(), condition: tensor([1]) }], "f32[4, 1, 4, 4] (expected 4 rows)"],
  [createModel, [], "settings of a network: they are undefined (expected an object with type, filters"],
  [models.guided, () => [tiny()], "settings of guided(): they are undefined (expected an object with scale"],
  [sample, () => [tiny(), 16], "settings of sampling: they are 16 (expected an object with count, shape"],
  [models.loadCheckpoint, ["a", "a"], 'Cannot read a: its bytes are "a" (expected the Uint8Array of a file)'],
  [newTrainer, () => [tiny(), data(), options], "(expected the result of batchSource(data))"],
  [newTrainer, () => [tiny(), source()], "the options are missing (expected at least batchSize and seed)"],
];

/** Mistakes whose errors are not UserErrors. */
const otherSlips: readonly Slip[] = [
  [sample, () => [new Field(), { x0: x(), solver: "heun:steps=5" }], '{ solver: "heun", steps: 5 }'],
  [sample, [], "count is undefined (expected a whole number of at least 1, as in sample(model, { count:"],
  [sample, [undefined, { count: 1 }], "Cannot use the field: it has no velocity (expected an object with"],
  [sample, () => [new Field(), { count: 3 }], "the model does not know the shape of a sample (expected one"],
  [sample, () => [tiny(), { count: 3, shape: 28 }], "Cannot sample: shape is 28 (expected one as in"],
  [sample, () => [tiny(), { x0: [1] }], "Cannot sample: x0 is an array (expected a tensor)"],
  [sample, () => [tiny(), { count: 3, condition: [1] }], "Cannot sample: the condition is an array"],
  [sample, () => [tiny(), { count: 3, times: 5 }], "Cannot sample at the times 5 (expected two or more,"],
  [sample, () => [field, { x0: data(0), steps: 1 }], "Cannot sample a batch of shape [0, 1, 4, 4]"],
  [(x: Tensor) => tiny().velocity(x, x), [[1]], "Cannot run a U-Net: x is an array"],
  [() => new Sampler(field, [], { steps: 1 }), [], "Cannot sample a batch of shape []"],
  [() => new models.BatchOrder(new Uint32Array(), 1, 1), [], "Cannot order batches: there are no examples"],
];

testOnCpu("sample() says that fit() was not awaited", async () => {
  for (const model of [tiny(), new Field()]) {
    const training = fit(model, model instanceof Field ? zeros([2, 2]) : data(), { steps: 1 });
    assert.throws(() => sample(model, { count: 1 }), {
      name: "UserError",
      message: "Cannot sample: fit() is still training the model (expected `await fit(...)`)",
    });
    await training;
    assert.equal(sample(model, { count: 1, steps: 1 }).shape[0], 1);
  }
});

testOnCpu("first mistakes get a one-line message that says what is expected", async () => {
  for (const [call, input, message] of [...slips, ...otherSlips]) {
    const run = async () =>
      await (call as (...all: unknown[]) => unknown)(...typeof input === "function" ? input() : input);
    await assert.rejects(run, (error: Error) => {
      assert.ok(error.message.includes(message) && !error.message.includes("\n"), `${error}`);
      return error instanceof UserError || otherSlips.some(([, , other]) => other === message);
    });
  }
});

const pictures = (count = 3) => noise(1, [count, 1, 4, 4]);

testOnCpu("layers draw their own weights, attend() scales, and ops accept a number first", async () => {
  const [a, b] = await Promise.all([new Linear(2, 3), new Linear(2, 3)].map(({ weight }) => weight.read()));
  assert.ok(a.every((value) => value !== 0 && Math.abs(value) <= Math.SQRT1_2));
  assert.notDeepEqual(a, b);
  assert.deepEqual(new models.ConvTranspose2d(2, 3).weight.shape, [2, 3, 2, 2]);
  assert.deepEqual(new models.Attention(4, 2).q.weight.shape, [4, 4, 1, 1]);
  const [q, k, v] = [1, 2, 3].map((seed) => noise(seed, [2, 4, 5]));
  assertSameNumbers(await attend(q, k, v).read(), await attend(q, k, v, { scale: 0.5 }).read());
  const x = tensor([0.5, 2, 4]);
  assertClose(await subtract(1, x).read(), [0.5, -1, -3], 1e-6);
  assertClose(await divide(1, x).read(), [2, 0.5, 0.25], 1e-6);
  assertClose(await minimum(1, x).read(), [0.5, 1, 1], 1e-6);
  assert.deepEqual([...await greater(1, x).readWords(), ...await less(1, x).readWords()], [1, 0, 0, 0, 1, 1]);
});

testOnCpu("sample() takes the shape from the training data or the file, else 28 x 28", async () => {
  const model = tiny(), field = new Field();
  assert.deepEqual(sample(model, { count: 2, steps: 1 }).shape, [2, 1, 28, 28]);
  assert.deepEqual(createModel({ type: "UNet_FM", filters: [2], tEmb: 4, channels: 3 }).shape, [3, 28, 28]);
  await fit(model, pictures(), { steps: 1 });
  assert.deepEqual(model.shape, [1, 4, 4]);
  const { model: loaded } = models.loadCheckpoint(await models.saveCheckpoint(model), "a file");
  assert.deepEqual(models.autoguided(loaded, model, 2).shape, [1, 4, 4]);
  await fit(field, noise(1, [4, 2]), { steps: 1 });
  assert.deepEqual(sample(field, { count: 3 }).shape, [3, 2]);
});

testOnCpu("fit() takes pairs, and validation data as a tensor, as pairs or as an object", async () => {
  const [x0, x1] = [tensor([1, 2, -1, 0.5], [2, 2]), tensor([2, 4, -2, 1], [2, 2])], still = new Field();
  for (const parameter of [still.map.weight, still.map.bias]) {
    parameter.write(new Float32Array(parameter.size));
  }
  const [loss] = await fit(still, { x0, x1 }, { steps: 1, batchSize: 2 });
  assertClose([loss], [(1 + 4 + 1 + 0.25) / 4], 1e-6);
  const losses: unknown[] = [];
  const onProgress = ({ validationLoss }: models.FitProgress) => void losses.push(validationLoss);
  for (const validation of [pictures(2), { x1: pictures(2) }, { x0: pictures(2), x1: pictures(2) }]) {
    await fit(tiny(), pictures(), { steps: 1, validation, onProgress });
  }
  assert.ok(losses.every(Number.isFinite));
  assert.equal(losses[0], losses[1]);
  assert.notEqual(losses[1], losses[2]);
});

testOnCpu("noise() is standard normal, and row n does not depend on N", async () => {
  const [many, few] = [400, 3].map((N) => noise(7, [N, 1, 5, 4])), values = await many.read();
  assertSameNumbers(await few.read(), values.slice(0, 60));
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
  assert.ok(Math.abs(mean) < 4 / Math.sqrt(8000), `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 4 * Math.sqrt(2 / 8000), `variance ${variance}`);
});

Deno.test("slerp() follows White's formula, and is linear between nearly parallel or zero vectors", () => {
  const shares = [0, 0.1, 0.25, 0.5, 0.9, 1], norm = (x: Float32Array) => Math.hypot(...x);
  const [x, y] = [Float32Array.of(1, -2, 0.5), Float32Array.of(0.3, 4, 2)];
  const angle = Math.acos(x.reduce((sum, value, i) => sum + value * y[i], 0) / norm(x) / norm(y));
  const arc = (angle: number) => Float32Array.of(2 * Math.cos(angle), 2 * Math.sin(angle));
  const longer = x.map((value) => 3 * value),
    beside = Float32Array.of(1, -2, 0.50000006),
    none = x.map(() => 0);
  for (const share of shares) {
    const [a, b] = [1 - share, share].map((part) => Math.sin(part * angle) / Math.sin(angle));
    assertClose(slerp(x, y, share), x.map((value, i) => a * value + b * y[i]), 1e-6);
    for (const angle of [0.01, 3]) assertClose(slerp(arc(0), arc(angle), share), arc(share * angle), 1e-6);
    for (const other of [x, longer, beside, none]) {
      assertClose(slerp(x, other, share), x.map((value, i) => (1 - share) * value + share * other[i]), 1e-6);
    }
  }
  const [start, end] = [Float32Array.of(0.1, -0, 3e-39), Float32Array.of(-7, 0.3, -0)];
  assert.deepEqual([slerp(start, end, 0), slerp(start, end, 1)], [start, end], "to the bit");
  const refused: [() => unknown, string][] = [
    [
      () => slerp(x, x.map((value) => -2 * value), 0.5),
      "between opposite noise vectors: no arc is the shortest (expected other noise)",
    ],
    [
      () => slerp(x, Float32Array.of(1), 0.5),
      "between noise vectors of 3 and 1 elements (expected the same number)",
    ],
    ...[-0.1, 1.1, NaN].map((share): [() => unknown, string] => [
      () => slerp(x, x, share),
      `noise at share ${share} (expected a number in [0, 1])`,
    ]),
  ];
  for (const [call, message] of refused) {
    assert.throws(call, { name: "RangeError", message: `Cannot interpolate ${message}` });
  }
});
