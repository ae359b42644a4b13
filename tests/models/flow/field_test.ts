import assert from "node:assert/strict";
import {
  add,
  checkGradients,
  defineOp,
  gradients,
  mean,
  ShapeError,
  slice,
  sum,
  Tensor,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import { registry } from "../../../kernels/op.ts";
import {
  AdaptiveSampler,
  batchSource,
  createModel,
  fit,
  flowGeometry,
  flowMatching,
  flowMatchingLoss,
  HeldOutLoss,
  heun,
  logLikelihood,
  lossesOf,
  lossOf,
  type Objective,
  roundTrip,
  sample,
  Sampler,
  solveFlow,
  solverStep,
  Trainer,
  trajectory,
  type VelocityField,
} from "../../../models/mod.ts";
import { testOnDevices } from "../../testing.ts";

const shape = [2, 1, 4, 4];

/** Velocities of x that are wrong, and what the error says of them. Some would broadcast to the shape of x. */
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

/** What takes a field, and runs it. */
const uses: Record<string, (field: VelocityField) => unknown> = {
  "sample()": (field) => sample(field, { x0: zeros(shape), steps: 2 }),
  "sample() with heun": (field) => sample(field, { x0: zeros(shape), steps: 2, solver: "heun" }),
  "Sampler()": (field) => new Sampler(field, shape, { steps: 2 }),
  "Sampler() of a solver whose first stage is the last": (field) =>
    new Sampler(field, shape, { steps: 2, solver: firstSameAsLast }),
  "AdaptiveSampler()": (field) => new AdaptiveSampler(field, shape),
  "logLikelihood()": (field) => logLikelihood(field, zeros(shape), { steps: 2, exact: true }),
  "flowGeometry()": (field) => flowGeometry(field, zeros(shape), { steps: 2 }),
  "roundTrip()": (field) => roundTrip(field, zeros(shape), { steps: 2 }),
  "Sampler() with noise": (field) => new Sampler(field, shape, { solver: "sde", steps: 2 }),
  "solveFlow()": (field) => solveFlow(field, zeros(shape), { steps: 2 }),
  "Sampler.plan()": (field) => Sampler.plan(field, shape, { steps: 2 }),
  "trajectory()": (field) => trajectory(field, { x0: zeros(shape), steps: 2 }),
  "solverStep()": (field) => solverStep(heun, field, zeros(shape), zeros([2]), 0.5),
  "lossOf()": (field) => lossOf(flowMatching, field, pairs()),
  "lossesOf()": (field) => lossesOf(flowMatching, field, pairs()),
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

for (const [use, run] of Object.entries(uses)) {
  testOnDevices(`${use} refuses a velocity that is not a tensor of the shape of x`, async () => {
    for (const [velocity, given] of Object.values(wrong)) {
      const field = { velocity } as unknown as VelocityField;
      const late = given === "a promise" ? ", at once: it may not be asynchronous" : "";
      await assert.rejects(async () => await run(field), {
        name: given.includes("[") ? "ShapeError" : "TypeError",
        message: `Cannot use the field: velocity() of x f32[2, 1, 4, 4] returned ${given} ` +
          `(expected f32[2, 1, 4, 4]${late})`,
      }, given);
    }
    await assert.rejects(
      async () => await run({} as VelocityField),
      (error: Error) => error instanceof TypeError,
    );
  });
}

testOnDevices("solverStep() refuses times, lengths and a first velocity of other shapes", () => {
  const x = zeros([2, 3]), t = zeros([2]), field = { velocity: (x: Tensor) => x };
  assert.throws(
    () => solverStep(heun, field, x, zeros([1]), 0.5),
    /^ShapeError: Cannot take a step: t is f32\[1\]/,
  );
  assert.throws(
    () => solverStep(heun, field, x, t, zeros([3])),
    /^ShapeError: Cannot take a step: dt is f32\[3\]/,
  );
  assert.throws(
    () => solverStep(heun, field, x, t, 0.5, { first: zeros([1, 3]) }),
    /^ShapeError: Cannot take a step: the first velocity is f32\[1, 3\]/,
  );
});

testOnDevices("lossOf() refuses parts of an objective that give other shapes", () => {
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

testOnDevices("checkGradients() refuses what is not a tensor", async () => {
  const given = (result: unknown) => checkGradients(() => result as Tensor, [tensor([1])]);
  await assert.rejects(
    given(undefined),
    /^TypeError: Cannot check gradients: the function returned undefined/,
  );
  await assert.rejects(given(Promise.resolve(tensor([1]))), /^TypeError: Cannot .*asynchronous/);
  await assert.rejects(
    checkGradients((x) => x, [[1] as unknown as Tensor]),
    /^TypeError: Cannot check gradients: input 0 is an array/,
  );
  let calls = 0;
  await assert.rejects(
    checkGradients((x) => calls++ === 0 ? x : sum(x), [tensor([1])]),
    /^ShapeError: Cannot check gradients: a second call returned f32\[\] \(expected f32\[1\]\)/,
  );
});

testOnDevices("gradients() refuses losses, parameters and gradients of ops that do not fit", () => {
  const x = tensor([1, 2]);
  const of = (loss: unknown, parameters: unknown[]) => () =>
    gradients(loss as Tensor, parameters as Tensor[]);
  assert.throws(of(undefined, [x]), /^TypeError: Cannot take gradients: the loss is undefined/);
  assert.throws(of(Promise.resolve(x), [x]), /^TypeError: Cannot take gradients: the loss is a promise/);
  assert.throws(
    of(sum(x), [x, 3]),
    /^TypeError: Cannot take gradients: parameter 1 is 3 \(expected a tensor\)/,
  );
  for (
    const [dx, why] of [[zeros([1]), /^ShapeError: .* gives f32\[1\]/], [
      undefined,
      /^TypeError: .*undefined/,
    ]] as const
  ) {
    const op = defineOp({
      name: "gradientForTest",
      signature: "x[n] -> y[n]",
      wgsl: "fn kernel(i: u32) { y[i] = x[i]; }",
      backward: () => ({ x: () => dx as Tensor }),
      reference: ({ x, y }) => y.set(x),
      samples: [],
    }, { replace: true });
    registry.delete("gradientForTest");
    assert.throws(() => gradients(sum(add(op(x), 1)), [x]), why);
  }
});
