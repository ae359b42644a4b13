/** Functions that take a field, and wrappers of fields. */

import assert from "node:assert/strict";
import { mean, multiply, slice, Tensor, tensor, zeros } from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { testOnCpu } from "../../testing.ts";
import { counted } from "../../../models/flow/field.ts";
import { flowMatching, lossOf } from "../../../models/flow/objective.ts";
import { cosinePath } from "../../../models/flow/path.ts";
import { solverStep } from "../../../models/solve/tableau.ts";

const { autoguided, batchSource, guided, heun, Sampler } = models;
type Field = models.VelocityField;
const shape = [2, 1, 4, 4];
const trainerOptions = { batchSize: 2, seed: 1, learningRate: 0.1 };

/** Wrong velocities and what messages call them. Some would broadcast to the shape of x. */
const wrong: readonly (readonly [velocity: (x: Tensor) => unknown, given: string])[] = [
  [(x) => mean(x), "f32[]"],
  [(x) => mean(x, [1, 2, 3], true), "f32[2, 1, 1, 1]"],
  [(x) => slice(x, 0, 0, 1), "f32[1, 1, 4, 4]"],
  [(x) => new Tensor(x.storage, x.shape, "u32"), "u32[2, 1, 4, 4]"],
  [() => undefined, "undefined"],
  [() => 1, "1"],
  [(x) => [x], "an array"],
  [(x) => Promise.resolve(x), "a promise"],
];

/** A model with parameters and the velocity of a field. */
const trained = (field: Field) =>
  Object.assign(models.createModel({ type: "UNet_FM", filters: [2], tEmb: 2 }, 1), {
    velocity: (x: Tensor, t: Tensor) => field.velocity(x, t),
  });
const three = () => [zeros(shape), zeros(shape), zeros([2])] as const;

/** All functions that take a field. */
const uses: readonly ((field: Field) => unknown)[] = [
  (field) => models.sample(field, { x0: zeros(shape), steps: 2 }),
  (field) => new Sampler(field, shape, { steps: 2 }),
  (field) => new Sampler(field, shape, { steps: 2, solver: { ...heun, firstSameAsLast: true } }),
  (field) => new models.AdaptiveSampler(field, shape),
  (field) => models.logLikelihood(field, zeros(shape), { steps: 2, exact: true }),
  (field) => models.flowGeometry(field, zeros(shape), { steps: 2 }),
  (field) => models.roundTrip(field, zeros(shape), { steps: 2 }),
  (field) => new Sampler(field, shape, { solver: "sde", steps: 2 }),
  (field) => Sampler.plan(field, shape, { steps: 2 }),
  (field) => models.trajectory(field, { x0: zeros(shape), steps: 2 }),
  (field) => solverStep(heun, field, zeros(shape), zeros([2]), zeros([2])),
  (field) => lossOf(flowMatching, field, { x0: three()[0], x1: three()[1], t: three()[2] }),
  (field) => models.flowMatchingLoss(field, ...three()),
  (field) => new models.HeldOutLoss(field, batchSource(zeros(shape)), { batchSize: 2, seed: 1 }),
  (field) =>
    new models.Trainer(trained(field), batchSource(zeros(shape)), trainerOptions)
      .queueStep(Uint32Array.of(0, 1), 0.1),
  (field) => models.fit(trained(field), zeros(shape), { steps: 1 }),
];

testOnCpu("functions that take a field refuse a velocity of the wrong shape or type", async () => {
  for (const run of uses) {
    for (const [velocity, given] of wrong) {
      const late = given === "a promise" ? " from a synchronous function" : "";
      await assert.rejects(async () => await run({ velocity } as unknown as Field), {
        name: given.includes("[") ? "ShapeError" : "TypeError",
        message: `Cannot use the field: velocity() of x f32[2, 1, 4, 4] returned ${given} ` +
          `(expected f32[2, 1, 4, 4]${late})`,
      }, `${run}: ${given}`);
    }
    await assert.rejects(async () => await run({} as Field), { name: "TypeError" }, `${run}`);
  }
});

const points = [2, 3];
const plain: Field = { velocity: (x: Tensor) => multiply(x, 2) };

/** All wrappers of fields. */
const wrappers: Record<string, (field: Field) => Field> = {
  counted: (field) => counted(field),
  "guided at scale 0": (field) => guided(field, { scale: 0, none: 2 }),
  "guided at scale 1": (field) => guided(field, { scale: 1, none: 2 }),
  "guided at scale 2": (field) => guided(field, { scale: 2, none: 2 }),
  "autoguided at scale 1": (field) => autoguided(field, plain, 1),
  "autoguided at scale 2": (field) => autoguided(field, plain, 2),
  "predicting on its own path": (field) =>
    models.predicting(field, models.velocityPrediction, field.path ?? models.linearPath),
};

testOnCpu("a wrapped field says whether it is guided, and for which path", async () => {
  const x1 = zeros(points), condition = tensor(Uint32Array.of(0, 1));
  for (const [name, wrapped] of Object.entries(wrappers)) {
    await assert.rejects(
      models.logLikelihood(wrapped({ ...plain, guided: true }), x1, { exact: true, condition }),
      /Cannot take the likelihood of a guided field/,
      name,
    );
    const field = wrapped({ ...plain, path: cosinePath }),
      how = { solver: "sde", steps: 2, condition } as const;
    const refused =
      /^TypeError: Cannot sample with noise: the field is for another path.*expected the linear/;
    assert.throws(() => new Sampler(field, points, how), refused, name);
    await assert.rejects(models.solveFlow(field, x1, how), refused, name);
  }
});

testOnCpu("a field whose `path` is not a path is refused with a clear message", async () => {
  class Field extends models.Module {
    readonly path = "downs";
    readonly weight = tensor([1]);
    readonly velocity = plain.velocity;
  }
  const field = new Field() as unknown as models.Module & models.VelocityField;
  const message = /^Cannot use the field: its path is not a path from noise to data \(expected /;
  const refused = { name: "TypeError", message };
  assert.throws(() => counted(field).path, refused);
  assert.throws(() => new Sampler(field, points, { solver: "sde", steps: 2 }), refused);
  await assert.rejects(() => models.fit(field, tensor([1, 2, 3, 4, 5, 6], points), { steps: 1 }), refused);
});
