import assert from "node:assert/strict";
import { add, multiply, reshape, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  createModel,
  noise,
  sample,
  Sampler,
  solveFlow,
  type SolverName,
  solvers,
  solverStep,
  trajectory,
} from "../../../models/mod.ts";
import { assertClose, largestDifference, testOnCpu, testOnDevices } from "../../testing.ts";

const tiny = { type: "UNet_FM", filters: [2, 4], tEmb: 4 } as const;
const shape = [1, 5, 4];

for (const solver of Object.keys(solvers) as SolverName[]) {
  testOnDevices(`sample() with ${solver} replays one recorded step, equal to calling each step`, async () => {
    const model = createModel(tiny, 46020);
    const x1 = sample(model, { count: 2, shape, seed: 3, steps: 4, solver });
    let x = noise(3, [2, ...shape]);
    for (let i = 0; i < 4; i++) {
      x = solverStep(solvers[solver], model, x, tensor([i / 4, i / 4]), 1 / 4).x;
    }
    assert.deepEqual(await x1.read(), await x.read());
  });
}

testOnDevices("sample() needs only a count: seed 0, 20 steps of heun, the model's shape", async () => {
  const field = { velocity: (x: Tensor) => multiply(x, -1), shape: [2] };
  const expected = sample(field, { count: 3, shape: [2], seed: 0, steps: 20, solver: "heun" });
  assert.deepEqual(await sample(field, { count: 3 }).read(), await expected.read());
  assert.deepEqual(sample(createModel(tiny, 1), { count: 2, steps: 1 }).shape, [2, 1, 28, 28]);
  const snapshots = await Array.fromAsync(trajectory(field, { count: 3 }));
  assert.deepEqual([snapshots.length, snapshots[20].image], [21, await expected.read()]);
});

testOnDevices("sample() accepts adaptive steps and noise, like solveFlow()", async () => {
  const model = createModel(tiny, 46020);
  const x0 = noise(3, [3, ...shape]);
  for (
    const how of [{ solver: "dopri5", rtol: 1e-3 }, { atol: 1e-2 }, {
      solver: "bosh3",
      rtol: 0.1,
      atol: 1e-3,
    }] as const
  ) {
    const x1 = await sample(model, { count: 3, shape, seed: 3, batch: 2, ...how });
    assert.deepEqual(x1.shape, x0.shape);
    assert.deepEqual(await x1.read(), (await solveFlow(model, x0, { ...how, batch: 2 })).samples);
  }
  const how = { solver: "sde", steps: 5, seed: 4 } as const;
  const noisy = await sample(model, { x0, ...how, batch: 2 }).read();
  assert.deepEqual(noisy, (await solveFlow(model, x0, { ...how, batch: 2 })).samples);
  const other = await sample(model, { x0, ...how, seed: 5 }).read();
  assert.ok(largestDifference(noisy, other) > 0.1);
});

testOnDevices("sample() returns the same samples in any batches", async () => {
  const model = createModel(tiny, 46020);
  const options = { shape, seed: 3, steps: 2 };
  const [whole, batches, first] = [
    sample(model, { ...options, count: 5 }),
    sample(model, { ...options, count: 5, batch: 2 }),
    sample(model, { ...options, count: 1 }),
  ];
  assert.deepEqual(whole.shape, [5, ...shape]);
  assert.deepEqual(batches.shape, [5, ...shape]);
  assertClose(await batches.read(), await whole.read(), 1e-6);
  assertClose(await first.read(), (await whole.read()).slice(0, 20), 1e-6);
});

testOnDevices("sample() starts from given noise", async () => {
  const x0 = tensor([1, 2], [2, 1, 1, 1]);
  const twice = { velocity: (x: Tensor) => multiply(x, 1) };
  assertClose(await sample(twice, { x0, steps: 2, solver: "euler" }).read(), [2.25, 4.5], 1e-6);
  assertClose(await x0.read(), [1, 2], 0);
});

testOnDevices("sample() passes the condition to the field, row by row, also in batches", async () => {
  const field = {
    velocity: (x: Tensor, _: Tensor, condition?: Tensor) =>
      add(multiply(x, 0), reshape(condition!, [x.shape[0], 1])),
  };
  const x0 = tensor([0, 0, 0, 0, 0], [5, 1]);
  const condition = tensor([3, 1, 4, 1, 5]);
  for (const batch of [5, 2, 1]) {
    assertClose(await sample(field, { x0, steps: 3, condition, batch }).read(), [3, 1, 4, 1, 5], 1e-6);
  }
  assert.throws(() => sample(field, { x0, steps: 1, condition: tensor([1]) }), {
    name: "ShapeError",
    message: "Cannot sample 5 images with the condition f32[1] (expected 5 rows)",
  });
});

testOnDevices("trajectory() returns steps + 1 snapshots, each but the last with a velocity", async () => {
  const model = createModel(tiny, 46020);
  const options = { count: 2, shape, seed: 3, steps: 70, solver: "euler" } as const; // more than are read back at once
  const x1 = sample(model, options);
  const snapshots = await Array.fromAsync(trajectory(model, options));
  assert.equal(snapshots.length, 71);
  snapshots.forEach(({ t, image, velocity }, i) => {
    assert.equal(t, i / 70);
    assert.equal(image.length, 40);
    if (i === 70) return assert.equal(velocity, undefined);
    assertClose(snapshots[i + 1].image, image.map((x, j) => x + velocity![j] / 70), 1e-6);
  });
  assert.deepEqual(snapshots[70].image, await x1.read());
});

testOnCpu("Sampler, sample() and trajectory() refuse invalid options", () => {
  const model = createModel(tiny, 0);
  const start = { count: 1, shape, seed: 0 };
  const x0 = noise(1, [1, ...shape]);
  for (const draw of [sample, trajectory]) {
    const refused = (given: object, message: RegExp) => assert.throws(() => draw(model, given), message);
    refused({ ...start, steps: 0 }, /0 steps \(expected a positive integer,/);
    refused(
      { ...start, count: 0 },
      /^RangeError: Cannot sample: count is 0 \(expected a whole number of at least 1/,
    );
    for (const [name, value] of Object.entries(start)) {
      refused(
        { x0, [name]: value },
        new RegExp(`^TypeError: Cannot sample: both x0 and ${name} given \\(expected`),
      );
    }
    for (const seed of [-1, 0.5, NaN, 2 ** 32]) {
      refused({ ...start, seed }, /^RangeError: Cannot draw from the seed /);
    }
    refused({ ...start, solver: "rk5" }, /^TypeError: Unknown solver "rk5": did you mean "rk4"/);
    refused({ ...start, solver: "toString" }, /^TypeError: Unknown solver "toString"/);
  }
  assert.throws(() => sample(model, { ...start, batch: 0 }), /batch is 0/);
  assert.deepEqual(sample(model, { x0: undefined as never, ...start, steps: 1 }).shape, [1, ...shape]);
  assert.throws(
    () => trajectory(model, Object.assign({ rtol: 1e-3 }, start)),
    /^TypeError: Cannot use a tolerance/,
  );
  assert.throws(
    () => new Sampler(model, [], { steps: 1 }),
    /^ShapeError: Cannot sample a batch of shape \[\]/,
  );
});
