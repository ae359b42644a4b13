import assert from "node:assert/strict";
import { add, multiply, reshape, scope, subtract, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  bosh3,
  type ButcherTableau,
  createModel,
  noise,
  sample,
  Sampler,
  type SolverName,
  solvers,
  step,
  uniformTimes,
} from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

const model = () => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
const shape = [2, 1, 5, 4];

/** dx/dt = 2 (t - x), so x(t) = (x(0) + 1/2) exp(-2 t) + t - 1/2; counts its evaluations. */
function linearField() {
  return {
    evaluations: 0,
    velocity(x: Tensor, t: Tensor): Tensor {
      this.evaluations++;
      return multiply(subtract(reshape(t, [t.size, 1]), x), 2);
    },
  };
}
const solution = (x0: number, t: number) => (x0 + 0.5) * Math.exp(-2 * t) + t - 0.5;

testOnDevices("Sampler solves at any increasing or decreasing times with one record", async () => {
  const times = [0, 0.02, 0.1, 0.4, 0.41, 1];
  const sampler = new Sampler(linearField(), [2, 1], { times, solver: "rk4" });
  const snapshots = await Array.fromAsync(sampler.trajectory(tensor([1, -2], [2, 1])));
  assert.deepEqual(snapshots.map(({ t }) => t), times);
  snapshots.forEach(({ t, image }) => assertClose(image, [solution(1, t), solution(-2, t)], 0.02));
  const back = new Sampler(linearField(), [2, 1], { times: times.toReversed(), solver: "rk4" });
  const x1 = tensor(snapshots[5].image, [2, 1]);
  assertClose(await back.run(x1).read(), [1, -2], 0.05);
});

testOnDevices("Sampler with `steps` equals Sampler with their times", async () => {
  const x0 = noise(3, shape);
  const [steps, times] = [{ steps: 5 }, { times: uniformTimes(5) }]
    .map((how) => new Sampler(model(), shape, { ...how, solver: "heun" }).run(x0));
  assert.deepEqual(await steps.read(), await times.read());
});

testOnDevices("trajectories of one sampler do not disturb each other, nor does run()", async () => {
  for (const solver of ["heun", bosh3] as const) {
    const sampler = new Sampler(model(), shape, { steps: 4, solver });
    const starts = [1, 2, 3].map((seed) => noise(seed, shape));
    const alone = [];
    for (const x0 of starts) alone.push(await Array.fromAsync(sampler.trajectory(x0)));
    const [a, b] = starts.map((x0) => sampler.trajectory(x0, { ahead: 1 }));
    const mixed: [unknown[], unknown[]] = [[], []];
    for (let i = 0; i < 5; i++) {
      mixed[0].push((await a.next()).value);
      const x1 = scope(() => sampler.run(starts[2]));
      mixed[1].push((await b.next()).value);
      assert.deepEqual(await x1.read(), alone[2][4].image);
    }
    assert.deepEqual(mixed, [alone[0], alone[1]]);
  }
});

testOnDevices(
  "a trajectory abandoned early does not affect the sampler, and copies its start",
  async () => {
    const sampler = new Sampler(model(), shape, { steps: 4 });
    const x0 = noise(1, shape);
    const expected = await sampler.run(x0).read();
    for await (const { t } of sampler.trajectory(x0, { ahead: 1 })) if (t > 0.3) break;
    assert.deepEqual(await sampler.run(x0).read(), expected);
    const later = sampler.trajectory(x0);
    x0.write(new Float32Array(x0.size));
    assert.deepEqual((await Array.fromAsync(later))[4].image, expected);
  },
);

testOnDevices("run() returns samples that the next run does not overwrite", async () => {
  const sampler = new Sampler(model(), shape, { steps: 2 });
  const first = sampler.run(noise(1, shape));
  const before = await first.read();
  sampler.run(noise(2, shape));
  assert.deepEqual(await first.read(), before);
});

testOnDevices("a first-same-as-last solver saves one evaluation per step", async () => {
  const steps = 6;
  const stepwise = (tableau: ButcherTableau) => {
    let x: Tensor = tensor([1, -2], [2, 1]);
    for (let i = 0; i < steps; i++) {
      const t = tensor([i / steps, i / steps]);
      x = step(tableau, linearField(), x, t, 1 / steps).x;
    }
    return x.read();
  };
  const field = linearField();
  const sampler = new Sampler(field, [2, 1], { steps, solver: bosh3 });
  assert.equal(field.evaluations, 1 + 3); // a record of the first velocity, and one of the other three
  const snapshots = await Array.fromAsync(sampler.trajectory(tensor([1, -2], [2, 1])));
  assertClose(snapshots[steps].image, await stepwise(bosh3), 1e-6);
  snapshots.slice(0, steps).forEach(({ t, image, velocity }) => {
    assertClose(velocity!, image.map((x) => 2 * (t - x)), 1e-5);
  });
});

testOnDevices("step() estimates its error if the solver has error weights", async () => {
  const t = tensor([0.2, 0.2]);
  const x = tensor([1, -2], [2, 1]);
  const errors = [];
  for (const dt of [0.1, 0.05]) {
    const { error } = step(bosh3, linearField(), x, t, tensor([dt, dt]));
    errors.push(Math.abs((await error!.read())[0]));
  }
  // The estimate is of order 2, so a step's error falls as dt^3.
  assert.ok(Math.abs(Math.log2(errors[0] / errors[1]) - 3) < 0.35, `${errors}`);
  assert.equal(step(solvers.heun, linearField(), x, t, 0.1).error, undefined);
});

testOnDevices("step() takes a step length per sample from a tensor", async () => {
  const x = tensor([1, -2], [2, 1]);
  const t = tensor([0.2, 0.5]);
  const both = await step(solvers.rk4, linearField(), x, t, tensor([0.1, -0.3])).x.read();
  const each = [
    step(solvers.rk4, linearField(), tensor([1], [1, 1]), tensor([0.2]), 0.1),
    step(solvers.rk4, linearField(), tensor([-2], [1, 1]), tensor([0.5]), -0.3),
  ];
  assertClose(both, (await Promise.all(each.map(({ x }) => x.read()))).flatMap((x) => [...x]), 1e-6);
});

/** v(x, t, c) = the number of the class. */
const conditioned = {
  velocity: (x: Tensor, _: Tensor, condition?: Tensor) =>
    add(multiply(x, 0), reshape(condition!, [x.shape[0], 1])),
};

testOnDevices("a condition reaches the field, row by row, in batches too", async () => {
  const x0 = tensor([0, 0, 0, 0, 0], [5, 1]);
  const condition = tensor([3, 1, 4, 1, 5]);
  for (const batch of [5, 2, 1]) {
    const x1 = sample(conditioned, { x0, steps: 3, condition, batch });
    assertClose(await x1.read(), [3, 1, 4, 1, 5], 1e-6);
  }
  assert.throws(() => sample(conditioned, { x0, steps: 1, condition: tensor([1]) }), {
    name: "ShapeError",
    message: "Cannot sample 5 images with the condition f32[1] (expected 5 rows)",
  });
});

testOnDevices("networks without a condition refuse one", () => {
  const labels = tensor(Uint32Array.of(1, 2));
  assert.throws(() => model().velocity(noise(0, shape), tensor([0, 1]), labels), {
    name: "TypeError",
    message:
      "Cannot use the condition u32[2]: the network was made without one (expected a network with classes)",
  });
});

testOnDevices("Sampler refuses times that are not monotonic, and states of another shape", () => {
  const at = (times: number[]) => () => new Sampler(linearField(), [2, 1], { times });
  const expected = "(expected increasing or decreasing times in [0, 1])";
  assert.throws(at([0]), { message: "Cannot sample at 1 times (expected two or more)" });
  assert.throws(at([0, 0.5, 0.5]), { message: `Cannot sample at t = 0.5, time 2 of 3 ${expected}` });
  assert.throws(at([0, 0]), { message: `Cannot sample at t = 0, time 1 of 2 ${expected}` });
  assert.throws(at([0, 1.5]), { message: `Cannot sample at t = 1.5, time 1 of 2 ${expected}` });
  assert.throws(at([1, 0.5, 0.7]), { message: `Cannot sample at t = 0.7, time 2 of 3 ${expected}` });
  assert.throws(at([NaN, 1]), { message: `Cannot sample at t = NaN, time 0 of 2 ${expected}` });
  assert.throws(() => new Sampler(linearField(), [2, 1], {}), {
    name: "TypeError",
    message: "Cannot sample: neither of steps and times given (expected one of them)",
  });
  assert.throws(
    () => new Sampler(linearField(), [2, 1], { steps: 1, times: [0, 1] }),
    /both of steps and times/,
  );
  const sampler = new Sampler(linearField(), [2, 1], { steps: 1 });
  assert.throws(() => sampler.run(tensor([1], [1, 1])), {
    name: "ShapeError",
    message: "Cannot sample from f32[1, 1] (expected f32[2, 1], the shape of the sampler)",
  });
});

for (const solver of Object.keys(solvers) as SolverName[]) {
  testOnDevices(`Sampler by ${solver} gives the velocity of a field that returns its own x`, async () => {
    const follow = (velocity: (x: Tensor) => Tensor) =>
      Array.fromAsync(
        new Sampler({ velocity }, [2, 1], { steps: 2, solver }).trajectory(tensor([1, 2], [2, 1])),
      );
    const expected = await follow((x) => multiply(x, 1));
    assert.deepEqual(await follow((x) => x), expected);
    assert.deepEqual(await follow((x) => reshape(x, [2, 1])), expected);
    assert.deepEqual(expected[0].velocity, Float32Array.of(1, 2));
  });
}
