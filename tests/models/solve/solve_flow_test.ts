import assert from "node:assert/strict";
import { add, multiply, reshape, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  createModel,
  type FlowSolver,
  noise,
  sample,
  solveFlow,
  type SolverName,
  solvers,
  timeGrids,
} from "../../../models/mod.ts";
import { assertClose, largestDifference, testOnDevices } from "../../testing.ts";

const model = () => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
const shape = [5, 1, 5, 4];
const adaptive = (rtol: number, solver: "dopri5" | "bosh3" = "dopri5") =>
  ({ method: "adaptive", solver, rtol, atol: rtol, maxEvaluations: 1000 }) as const;

for (const solver of Object.keys(solvers) as SolverName[]) {
  testOnDevices(`solveFlow() by ${solver} draws what sample() draws, in any batches`, async () => {
    const x0 = noise(3, shape);
    const how: FlowSolver = { method: "fixed", solver, steps: 4 };
    const expected = await sample(model(), { x0, steps: 4, solver }).read();
    const whole = await solveFlow(model(), x0, how);
    assert.deepEqual(whole.samples, expected);
    assert.equal(whole.steps, undefined);
    const parts = await solveFlow(model(), x0, how, { batch: 2 });
    assertClose(parts.samples, expected, 1e-6);
    assert.deepEqual(parts.batches, Array(3).fill(whole.batches[0]));
    assert.equal(parts.evaluations, whole.evaluations);
  });
}

testOnDevices(
  "solveFlow() tells evaluations and steps of every sample where these choose their own",
  async () => {
    // Fast where x is large.
    const field = { velocity: (x: Tensor) => multiply(multiply(x, x), -1) };
    const starts = [0.1, 40, 3, 0.2, 5];
    const x0 = tensor(starts, [5, 1]);
    const told: number[] = [];
    const solved = await solveFlow(field, x0, adaptive(1e-4), {
      batch: 2,
      onProgress: (done) => void told.push(done),
    });
    assertClose(solved.samples, starts.map((x) => x / (1 + x)), 1e-3);
    const tries = solved.steps!.map((own) => own.length);
    const ofBatches = [[0, 1], [2, 3], [3, 4]].map((rows) => 2 + 6 * Math.max(...rows.map((n) => tries[n])));
    assert.deepEqual(solved.batches, ofBatches);
    const [a, b, c] = ofBatches;
    assert.ok(
      Math.abs(solved.evaluations - (2 * a + 2 * b + c) / 5) < 1e-9,
      "the last batch has one new sample",
    );
    assert.deepEqual(told.toSorted((a, b) => a - b), told);
    assert.equal(told.at(-1), 5);
    const alone = await solveFlow(field, tensor([40], [1, 1]), adaptive(1e-4));
    assertClose(alone.samples, [solved.samples[1]], 1e-6);
    assert.equal(alone.steps![0].length, tries[1]);
  },
);

testOnDevices("solveFlow() goes from data to noise and back", async () => {
  const x1 = noise(5, shape);
  const data = await x1.read();
  const ways: [FlowSolver, tolerance: number][] = [
    [{ method: "fixed", solver: "rk4", steps: 20 }, 1e-4],
    [{ method: "fixed", solver: "heun", steps: 60, grid: "quadratic" }, 2e-3],
    [{ method: "fixed", solver: "dopri5", times: [0, 0.1, 0.3, 0.6, 1] }, 1e-3],
    [adaptive(1e-5), 1e-3],
    [adaptive(1e-4, "bosh3"), 5e-3],
  ];
  for (const [how, tolerance] of ways) {
    const back = await solveFlow(model(), x1, how, { back: true });
    assert.ok(largestDifference(back.samples, data) > 0.05, "noise is elsewhere");
    const there = await solveFlow(model(), tensor(back.samples, shape), how);
    assertClose(there.samples, data, tolerance);
  }
  await assert.rejects(
    solveFlow(model(), x1, { method: "stochastic", solver: "sde", noise: 1, steps: 9 }, { back: true }),
    { name: "TypeError", message: "Cannot go back by a stochastic solver (expected another solver)" },
  );
});

testOnDevices("solveFlow() by the stochastic solver gives a sample the same noise in any batch", async () => {
  const how = { method: "stochastic", solver: "sde", noise: 1, steps: 6, seed: 4 } as const;
  const x0 = noise(3, shape);
  const whole = await solveFlow(model(), x0, how);
  assert.equal(whole.evaluations, 6);
  assertClose((await solveFlow(model(), x0, how, { batch: 2 })).samples, whole.samples, 1e-5);
  const other = await solveFlow(model(), x0, { ...how, seed: 5 });
  assert.ok(largestDifference(other.samples, whole.samples) > 0.1);
  const spread = await solveFlow(model(), x0, { ...how, grid: timeGrids.logarithmic.make({ ratio: 5 }) });
  assert.ok(largestDifference(spread.samples, whole.samples) > 0.01);
});

testOnDevices("solveFlow() gives every sample its condition", async () => {
  const field = {
    velocity: (x: Tensor, _: Tensor, condition?: Tensor) =>
      add(multiply(x, 0), reshape(condition!, [x.shape[0], 1])),
  };
  const condition = tensor([3, 1, 4, 1, 5]);
  const ways: FlowSolver[] = [
    { method: "fixed", solver: "euler", steps: 3 },
    adaptive(1e-3),
    { method: "stochastic", solver: "sde", noise: 0, steps: 3 },
  ];
  for (const how of ways) {
    const { samples } = await solveFlow(field, tensor([0, 0, 0, 0, 0], [5, 1]), how, { condition, batch: 2 });
    assertClose(samples, [3, 1, 4, 1, 5], 1e-5);
  }
});

testOnDevices("solveFlow() goes back from the time at which samples start", async () => {
  const x = tensor([1, -2, 3], [3, 1]);
  const field = { velocity: (x: Tensor, t: Tensor) => multiply(x, reshape(t, [3, 1])) }; // x0 exp(t^2 / 2)
  const ways: FlowSolver[] = [
    { method: "fixed", solver: "rk4", steps: 8 },
    { method: "fixed", solver: "rk4", times: [0, 0.2, 0.5, 1] },
    adaptive(1e-5),
  ];
  for (const how of ways) {
    const { samples } = await solveFlow(field, x, how, { back: true, start: 0.6 });
    assertClose(samples, [1, -2, 3].map((value) => value * Math.exp(-0.18)), 1e-4);
  }
  const way = (options: object) => solveFlow(field, x, ways[0], options);
  for (const start of [0, -1, 1.1, NaN]) {
    await assert.rejects(() => way({ back: true, start }), {
      name: "RangeError",
      message: `Cannot follow a flow from t = ${start} back to 0 (expected a time in (0, 1])`,
    });
  }
  await assert.rejects(() => way({ start: 0.6 }), {
    name: "RangeError",
    message: "Cannot follow a flow from t = 0.6 to data (expected a start on a way back only)",
  });
});
