import assert from "node:assert/strict";
import { multiply, reshape, subtract, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  AdaptiveSampler,
  type AdaptiveSolverName,
  adaptiveSolvers,
  createModel,
  defineTableau,
  noise,
  SolverError,
  trajectory,
} from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

/** dx/dt = 2 (t - x) and its solution. */
const driven = { velocity: (x: Tensor, t: Tensor) => multiply(subtract(reshape(t, [t.size, 1]), x), 2) };
const at = (x0: number, t: number) => (x0 + 0.5) * Math.exp(-2 * t) + t - 0.5;
/** Not first-same-as-last, and without interpolation of its own: the cubic serves. */
const heunEuler = defineTableau({
  order: 2,
  a: [[], [1]],
  b: [1 / 2, 1 / 2],
  c: [0, 1],
  error: [-1 / 2, 1 / 2],
});
const starts = [1, -2, 30];

for (const solver of [...Object.keys(adaptiveSolvers) as AdaptiveSolverName[], heunEuler]) {
  const name = typeof solver === "string" ? solver : "a solver that is not first-same-as-last";
  testOnDevices(`AdaptiveSampler by ${name} gives snapshots at asked times, there and back`, async () => {
    const allowed = solver === heunEuler ? 1e-3 : 1e-4;
    const tolerance = { solver, rtol: allowed, atol: allowed };
    const sampler = new AdaptiveSampler(driven, [3, 1], tolerance);
    const asked = [0, 0.01, 0.02, 0.3, 0.5, 0.999, 1];
    const plain = await sampler.run(tensor(starts, [3, 1]));
    assert.deepEqual(plain.snapshots, []);
    const there = await sampler.run(tensor(starts, [3, 1]), { snapshots: asked });
    assert.equal(there.evaluations, plain.evaluations, "snapshots cost no evaluation");
    assert.deepEqual(there.steps, plain.steps, "nor do they change the steps");
    assert.deepEqual(there.snapshots.map(({ t }) => t), asked);
    for (const { t, image, velocity } of there.snapshots) {
      assertClose(image, starts.map((x0) => at(x0, t)), 10 * allowed);
      assertClose(velocity, starts.map((x0) => 2 * (t - at(x0, t))), 100 * allowed);
    }
    assertClose(there.snapshots[0].image, starts, 0);
    assert.deepEqual(there.snapshots[6].image, await there.x.read());

    const back = await sampler.run(there.x, { from: 1, to: 0, snapshots: asked.toReversed() });
    for (const { t, image } of back.snapshots) {
      assertClose(
        image,
        starts.map((x0) => at(x0, t)),
        30 * allowed,
      );
    }
    const part = await sampler.run(tensor([0, 0, 0], [3, 1]), { from: 0.25, to: 0.5, snapshots: [0.4] });
    assertClose(part.snapshots[0].image, Array(3).fill(0.4 - 0.5 + 0.25 * Math.exp(-2 * 0.15)), 10 * allowed);
  });
}

testOnDevices("snapshots of a network are those of many small steps", async () => {
  const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
  const shape = [3, 1, 5, 4];
  const sampler = new AdaptiveSampler(model, shape);
  const { snapshots } = await sampler.run(noise(3, shape), { snapshots: [0.25, 0.5, 0.75] });
  const fine = await Array.fromAsync(trajectory(model, { x0: noise(3, shape), steps: 100, solver: "rk4" }));
  for (const { t, image, velocity } of snapshots) {
    const expected = fine[Math.round(100 * t)];
    assertClose(image, expected.image, 1e-3);
    assertClose(velocity, expected.velocity!, 2e-3);
  }
});

testOnDevices(
  "AdaptiveSampler tells how far it is, waits for who listens, and stops if that throws",
  async () => {
    const sampler = new AdaptiveSampler(driven, [3, 1], { rtol: 1e-3, atol: 1e-3 });
    const told: number[] = [];
    const x = tensor(starts, [3, 1]);
    const { steps } = await sampler.run(x, { onProgress: (share) => void told.push(share) });
    assert.equal(told.length, Math.max(...steps.map((own) => own.length)));
    assert.deepEqual(told.toSorted((a, b) => a - b), told);
    assert.equal(told.at(-1), 1);
    const stop = sampler.run(x, { onProgress: () => Promise.reject(new Error("enough")) });
    await assert.rejects(stop, /^Error: enough$/);
    assert.deepEqual((await sampler.run(x)).steps, steps, "the next run begins anew");
  },
);

testOnDevices("SolverError says where each sample was", async () => {
  const sampler = new AdaptiveSampler(driven, [3, 1], { rtol: 1e-5, atol: 1e-5, maxEvaluations: 30 });
  const error = await sampler.run(tensor(starts, [3, 1])).then(() => undefined, (error) => error);
  assert.ok(error instanceof SolverError);
  const { t, evaluations, steps } = error.reached;
  assert.equal(evaluations, 26, "one try more would be 32");
  assert.ok(
    t.every((t, n) =>
      t ===
        steps[n].findLast(({ accepted }) => accepted)!.t + steps[n].findLast(({ accepted }) => accepted)!.dt
    ),
  );
  assert.match(error.message, new RegExp(`the slowest sample is at t = ${Math.min(...t).toFixed(4)};`));
});

testOnDevices("AdaptiveSampler refuses snapshots outside its way or out of order", async () => {
  const sampler = new AdaptiveSampler(driven, [3, 1]);
  const refused = (options: Parameters<typeof sampler.run>[1], says: string) =>
    assert.rejects(sampler.run(tensor(starts, [3, 1]), options), { name: "RangeError", message: says });
  const from = (a: number, b: number) => `(expected different times in order, from ${a} to ${b})`;
  await refused({ snapshots: [0, 1.5] }, `Cannot solve: snapshot 1 is at t = 1.5 ${from(0, 1)}`);
  await refused({ snapshots: [0.5, 0.5] }, `Cannot solve: snapshot 1 is at t = 0.5 ${from(0, 1)}`);
  await refused({ snapshots: [NaN] }, `Cannot solve: snapshot 0 is at t = NaN ${from(0, 1)}`);
  await refused({ snapshots: [0.3], from: 0.5 }, `Cannot solve: snapshot 0 is at t = 0.3 ${from(0.5, 1)}`);
  await refused(
    { from: 1, to: 0, snapshots: [0.3, 0.4] },
    `Cannot solve: snapshot 1 is at t = 0.4 ${from(1, 0)}`,
  );
  await refused({ from: 1 }, "Cannot solve: to is 1 (expected another time than `from`)");
});
