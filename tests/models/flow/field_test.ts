import assert from "node:assert/strict";
import { mean, multiply, ShapeError, slice, Tensor, tensor, zeros } from "../../../kernels/mod.ts";
import {
  AdaptiveSampler,
  autoguided,
  batchSource,
  cosinePath,
  CountedField,
  createModel,
  fit,
  flowGeometry,
  flowMatching,
  flowMatchingLoss,
  guided,
  HeldOutLoss,
  heun,
  linearPath,
  logLikelihood,
  lossOf,
  Module,
  type Objective,
  predicting,
  roundTrip,
  sample,
  Sampler,
  solveFlow,
  solverStep,
  Trainer,
  trajectory,
  type VelocityField,
  velocityPrediction,
} from "../../../models/mod.ts";
import { testOnCpu, testOnDevices } from "../../testing.ts";

const shape = [2, 1, 4, 4];

/** Wrong velocities and their error messages. Some would broadcast to the shape of x. */
const wrong: Record<string, readonly [(x: Tensor) => unknown, string]> = {
  "one number": [(x) => mean(x), "f32[]"],
  "a row for each sample": [(x) => mean(x, [1, 2, 3], true), "f32[2, 1, 1, 1]"],
  "one sample": [(x) => slice(x, 0, 0, 1), "f32[1, 1, 4, 4]"],
  "another type": [(x) => new Tensor(x.storage, x.shape, "u32"), "u32[2, 1, 4, 4]"],
  "nothing": [() => undefined, "undefined"],
  "a number": [() => 1, "1"],
  "an array": [(x) => [x], "an array"],
  "a promise": [(x) => Promise.resolve(x), "a promise"],
};

/** All functions that take a field. */
const uses: Record<string, (field: VelocityField) => unknown> = {
  "sample()": (field) => sample(field, { x0: zeros(shape), steps: 2 }),
  "Sampler()": (field) => new Sampler(field, shape, { steps: 2 }),
  "Sampler() of a solver whose first stage is the last": (field) =>
    new Sampler(field, shape, { steps: 2, solver: firstSameAsLast }),
  "AdaptiveSampler()": (field) => new AdaptiveSampler(field, shape),
  "logLikelihood()": (field) => logLikelihood(field, zeros(shape), { steps: 2, exact: true }),
  "flowGeometry()": (field) => flowGeometry(field, zeros(shape), { steps: 2 }),
  "roundTrip()": (field) => roundTrip(field, zeros(shape), { steps: 2 }),
  "Sampler() with noise": (field) => new Sampler(field, shape, { solver: "sde", steps: 2 }),
  "Sampler.plan()": (field) => Sampler.plan(field, shape, { steps: 2 }),
  "trajectory()": (field) => trajectory(field, { x0: zeros(shape), steps: 2 }),
  "solverStep()": (field) => solverStep(heun, field, zeros(shape), zeros([2]), 0.5),
  "lossOf()": (field) => lossOf(flowMatching, field, pairs()),
  "flowMatchingLoss()": (field) => flowMatchingLoss(field, zeros(shape), zeros(shape), zeros([2])),
  "HeldOutLoss()": (field) => new HeldOutLoss(field, batchSource(zeros(shape)), { batchSize: 2, seed: 1 }),
  "Trainer.queueStep()": (field) =>
    new Trainer(trained(field), batchSource(zeros(shape)), { batchSize: 2, seed: 1, learningRate: 0.1 })
      .queueStep(Uint32Array.of(0, 1), 0.1),
  "fit()": (field) => fit(trained(field), zeros(shape), { steps: 1 }),
};

const firstSameAsLast = { ...heun, firstSameAsLast: true };
const pairs = () => ({ x0: zeros(shape), x1: zeros(shape), t: zeros([2]) });

/** A model with parameters and the velocity of a field. */
function trained(field: VelocityField) {
  return Object.assign(createModel({ type: "UNet_FM", filters: [2], tEmb: 2 }, 1), {
    velocity: (x: Tensor, t: Tensor) => field.velocity(x, t),
  });
}

testOnCpu("functions that take a field refuse a velocity of the wrong shape or type", async () => {
  for (const [use, run] of Object.entries(uses)) {
    for (const [velocity, given] of Object.values(wrong)) {
      const late = given === "a promise" ? " from a synchronous function" : "";
      await assert.rejects(async () => await run({ velocity } as unknown as VelocityField), {
        name: given.includes("[") ? "ShapeError" : "TypeError",
        message: `Cannot use the field: velocity() of x f32[2, 1, 4, 4] returned ${given} ` +
          `(expected f32[2, 1, 4, 4]${late})`,
      }, `${use}: ${given}`);
    }
    await assert.rejects(async () => await run({} as VelocityField), { name: "TypeError" }, use);
  }
});

testOnDevices("lossOf() refuses objectives whose parts return wrong shapes", () => {
  const field = { velocity: (x: Tensor) => x };
  const one = () => zeros([1, 1, 4, 4]);
  const parts: Record<string, Partial<Objective>> = {
    "the path: its point xt is": { path: { at: (_, x1) => ({ xt: one(), u: x1 }) } },
    "the path: its velocity u is": { path: { at: (_, x1) => ({ xt: x1, u: one() }) } },
    "the prediction: its velocity is": { prediction: { velocity: one } },
  };
  for (const [why, part] of Object.entries(parts)) {
    assert.throws(
      () => lossOf({ ...flowMatching, ...part }, field, pairs()),
      (error) =>
        error instanceof ShapeError && error.message.includes(`${why} f32[1, 1, 4, 4] (expected f32[2`),
    );
  }
  const times = { draw: () => zeros([1]) };
  assert.throws(
    () =>
      new Trainer(trained(field), batchSource(zeros(shape)), {
        batchSize: 2,
        seed: 1,
        learningRate: 0.1,
        objective: { ...flowMatching, times },
      }).queueStep(Uint32Array.of(0, 1), 0.1),
    /^ShapeError: Cannot draw pairs: the times are f32\[1\] \(expected f32\[2\]\)/,
  );
});

const points = [2, 3];
const condition = () => tensor(Uint32Array.of(0, 1));
const plain: VelocityField = { velocity: (x: Tensor) => multiply(x, 2) };

/** All wrappers of fields. */
const wrappers: Record<string, (field: VelocityField) => VelocityField> = {
  counted: (field) => new CountedField(field),
  "guided at scale 0": (field) => guided(field, { scale: 0, none: 2 }),
  "guided at scale 1": (field) => guided(field, { scale: 1, none: 2 }),
  "guided at scale 2": (field) => guided(field, { scale: 2, none: 2 }),
  "autoguided at scale 1": (field) => autoguided(field, plain, 1),
  "autoguided at scale 2": (field) => autoguided(field, plain, 2),
  "predicting on its own path": (field) => predicting(field, velocityPrediction, field.path ?? linearPath),
};

for (const [name, wrapped] of Object.entries(wrappers)) {
  testOnDevices(`a field that is ${name} says whether it is guided, and for which path`, async () => {
    const x1 = zeros(points);
    await assert.rejects(
      logLikelihood(wrapped({ ...plain, guided: true }), x1, { exact: true, condition: condition() }),
      /Cannot take the likelihood of a guided field/,
    );
    const field = wrapped({ ...plain, path: cosinePath });
    const options = { steps: 2, condition: condition() };
    const refused =
      /^TypeError: Cannot sample with noise: the field is for another path.*expected the linear/;
    assert.throws(() => new Sampler(field, points, { solver: "sde", ...options }), refused);
    await assert.rejects(solveFlow(field, x1, { solver: "sde", ...options }), refused);
  });
}

testOnDevices("HeldOutLoss uses the field's own path, and the objective's prediction", async () => {
  const source = batchSource(tensor([1, 2, 3, 4, 5, 6], points));
  const loss = async (field: VelocityField, options = {}) => {
    const heldOut = new HeldOutLoss(field, source, { batchSize: 2, seed: 1, ...options });
    return (await heldOut.losses(Uint32Array.of(0, 1))).loss;
  };
  const doubled = { velocity: (output: Tensor) => multiply(output, 2) };
  assert.deepEqual(
    await loss(plain, { objective: { ...flowMatching, prediction: doubled } }),
    await loss({ velocity: (x) => multiply(x, 4) }),
  );
  const named = { ...plain, path: cosinePath };
  const expected = await loss(plain, { objective: { ...flowMatching, path: cosinePath } });
  assert.deepEqual(await loss(new CountedField(named)), expected);
  assert.throws(
    () => new HeldOutLoss(named, source, { batchSize: 2, seed: 1, objective: flowMatching }),
    /created for the path cosine \(expected it as objective.path\)/,
  );
});

testOnDevices("a field whose `path` is not a path is refused with a clear message", async () => {
  class Field extends Module {
    readonly path = "downs";
    readonly weight = tensor([1]);
    readonly velocity = plain.velocity;
  }
  const field = new Field() as unknown as Module & VelocityField;
  const refused = {
    name: "TypeError",
    message: /^Cannot use the field: its path is not a path from noise to data \(expected /,
  };
  assert.throws(() => new CountedField(field).path, refused);
  assert.throws(() => new Sampler(field, points, { solver: "sde", steps: 2 }), refused);
  await assert.rejects(() => fit(field, tensor([1, 2, 3, 4, 5, 6], points), { steps: 1 }), refused);
});
