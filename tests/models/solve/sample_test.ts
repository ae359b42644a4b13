import assert from "node:assert/strict";
import { add, multiply, type Tensor, tensor, withDevice } from "../../../kernels/mod.ts";
import {
  createModel,
  namedParameters,
  noise,
  sample,
  Sampler,
  type SolverName,
  solvers,
  step,
  trajectory,
  withParameters,
} from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

const tiny = { type: "UNet_FM", filters: [2, 4], tEmb: 4 } as const;
const shape = [1, 5, 4];

testOnDevices("noise() is standard normal, and row n does not depend on N", async () => {
  const [many, few] = [400, 3].map((N) => noise(7, [N, ...shape]));
  const values = await many.read();
  assert.deepEqual(await few.read(), values.slice(0, 60));
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
  assert.ok(Math.abs(mean) < 4 / Math.sqrt(8000), `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 4 * Math.sqrt(2 / 8000), `variance ${variance}`);
});

for (const solver of Object.keys(solvers) as SolverName[]) {
  testOnDevices(`sample() with ${solver} replays one recorded step, equal to calling each step`, async () => {
    const model = createModel(tiny, 46020);
    const x1 = sample(model, { count: 2, shape, seed: 3, steps: 4, solver });
    let x = noise(3, [2, ...shape]);
    for (let i = 0; i < 4; i++) x = step(solvers[solver], model, x, tensor([i / 4, i / 4]), 1 / 4).x;
    assert.deepEqual(await x1.read(), await x.read());
  });
}

testOnDevices("sample() gives the same samples in batches", async () => {
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
  assertClose(await sample(twice, { x0, steps: 2 }).read(), [2.25, 4.5], 1e-6);
  assertClose(await x0.read(), [1, 2], 0);
});

testOnDevices(
  "trajectory() has steps + 1 snapshots, with the velocity between each and the next",
  async () => {
    const model = createModel(tiny, 46020);
    const steps = 70; // more than are read ahead
    const x1 = sample(model, { count: 2, shape, seed: 3, steps });
    const snapshots = await Array.fromAsync(trajectory(model, { count: 2, shape, seed: 3, steps }));
    assert.equal(snapshots.length, steps + 1);
    snapshots.forEach(({ t, image, velocity }, i) => {
      assert.equal(t, i / steps);
      assert.equal(image.length, 40);
      if (i === steps) return assert.equal(velocity, undefined);
      assertClose(snapshots[i + 1].image, image.map((x, j) => x + velocity![j] / steps), 1e-6);
    });
    assert.deepEqual(snapshots[steps].image, await x1.read());
  },
);

testOnDevices("Sampler.trajectory() continues from any step", async () => {
  const model = createModel(tiny, 46020);
  const [steps, solver] = [5, "heun"] as const;
  const sampler = new Sampler(model, [2, ...shape], { steps, solver });
  const whole = await Array.fromAsync(sampler.trajectory(noise(3, [2, ...shape])));
  const x = tensor(whole[3].image, [2, ...shape]);
  for (const ahead of [1, 64]) {
    const rest = await Array.fromAsync(sampler.trajectory(x, { first: 3, ahead }));
    assert.deepEqual(rest, whole.slice(3));
  }
  const other = await Array.fromAsync(sampler.trajectory(add(x, 1), { first: 3 }));
  assert.deepEqual(other[0].image, whole[3].image.map((value) => Math.fround(value + 1)));
  assert.notDeepEqual(other[2].image, whole[5].image);
  for (const first of [-1, 0.5, 5]) {
    assert.throws(() => sampler.trajectory(x, { first }), {
      name: "RangeError",
      message: `Cannot sample from step ${first} (expected 0 to 4)`,
    });
  }
  assert.throws(
    () => sampler.trajectory(x, { ahead: 0 }),
    /with 0 snapshots ahead \(expected a positive integer\)/,
  );
});

testOnDevices("Sampler keeps the weights of withParameters() that it was made with", async (device) => {
  const model = createModel(tiny, 1);
  const parameters = namedParameters(model);
  const other = namedParameters(createModel(tiny, 2));
  const sampler = withParameters(parameters, other, () => new Sampler(model, [1, ...shape], { steps: 2 }));
  const x0 = noise(3, [1, ...shape]);
  const [own, swapped, expected] = [
    sample(model, { x0, steps: 2 }),
    add(sampler.run(x0), 0),
    sample(createModel(tiny, 2), { x0, steps: 2 }),
  ];
  assert.deepEqual(await swapped.read(), await expected.read());
  assert.notDeepEqual(await own.read(), await expected.read());
  const again = withDevice(device, () => sampler.run(x0));
  assert.deepEqual(await again.read(), await expected.read());
});

testOnDevices("sample() refuses invalid options", () => {
  const model = createModel(tiny, 0);
  const start = { count: 1, shape, seed: 0 };
  assert.throws(() => sample(model, { ...start, steps: 0 }), /0 steps \(expected a positive integer,/);
  assert.throws(() => sample(model, { ...start, steps: 1, batch: 0 }), /batches of 0/);
  assert.throws(() => sample(model, { ...start, steps: 1, count: 0 }), /as many as 0/);
  const x0 = noise(1, [1, ...shape]);
  for (const [name, value] of Object.entries(start)) {
    assert.throws(() => sample(model, { x0, steps: 1, [name]: value }), {
      name: "TypeError",
      message: `Cannot sample: both x0 and ${name} given (expected noise, or a seed with count and shape)`,
    });
  }
  const given = { x0: undefined as never, ...start, steps: 1 };
  assert.deepEqual(sample(model, given).shape, [1, ...shape]);
  for (const seed of [-1, 0.5, NaN, 2 ** 32]) {
    const refused = { name: "RangeError", message: /^Cannot draw from the seed / };
    assert.throws(() => sample(model, { ...start, steps: 1, seed }), refused);
    assert.throws(() => createModel(tiny, seed), refused);
  }
  for (
    const [given, said] of [["rk5", /"rk5": did you mean "rk4"/], [
      "toString",
      /^Unknown solver "toString"/,
    ]] as const
  ) {
    assert.throws(() => sample(model, { ...start, steps: 1, solver: given as SolverName }), {
      message: said,
    });
  }
});
