import assert from "node:assert/strict";
import { add, multiply, reshape, slice, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  createModel,
  noise,
  sample,
  solveFlow,
  type SolverName,
  type SolverOptions,
  solvers,
  timeGrids,
} from "../../../models/mod.ts";
import { SampleBatches } from "../../../models/solve/solve_flow.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, largestDifference, testOnCpu, testOnDevices } from "../../testing.ts";

const model = () => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
const shape = [5, 1, 5, 4];

for (const solver of Object.keys(solvers) as SolverName[]) {
  testOnDevices(`solveFlow() by ${solver} returns the samples of sample(), in any batches`, async () => {
    const x0 = noise(3, shape);
    const how = { solver, steps: 4 };
    const expected = await sample(model(), { x0, ...how }).read();
    const whole = await solveFlow(model(), x0, how);
    assert.deepEqual(whole.samples, expected);
    assert.equal(whole.steps, undefined);
    const parts = await solveFlow(model(), x0, { ...how, batch: 2 });
    assertClose(parts.samples, expected, 1e-6);
    assert.deepEqual(parts.batches, Array(3).fill(whole.batches[0]));
    assert.equal(parts.evaluations, whole.evaluations);
  });
}

testOnDevices("solveFlow() returns evaluations and steps of every sample in adaptive steps", async () => {
  // Faster for large x.
  const field = { velocity: (x: Tensor) => multiply(multiply(x, x), -1) };
  const starts = [0.1, 40, 3, 0.2, 5];
  const progress: number[] = [];
  const solved = await solveFlow(field, tensor(starts, [5, 1]), {
    rtol: 1e-4,
    batch: 2,
    onProgress: (done) => void progress.push(done),
  });
  assertClose(solved.samples, starts.map((x) => x / (1 + x)), 1e-3);
  const tries = solved.steps!.map((own) => own.length);
  const ofBatches = [[0, 1], [2, 3], [3, 4]].map((rows) => 2 + 6 * Math.max(...rows.map((n) => tries[n])));
  assert.deepEqual(solved.batches, ofBatches);
  const [a, b, c] = ofBatches;
  assertClose([solved.evaluations], [(2 * a + 2 * b + c) / 5], 1e-9, "the last batch has one new sample");
  assert.deepEqual(progress.toSorted((a, b) => a - b), progress);
  assert.equal(progress.at(-1), 5);
  const alone = await solveFlow(field, tensor([40], [1, 1]), { rtol: 1e-4 });
  assertClose(alone.samples, [solved.samples[1]], 1e-6);
  assert.equal(alone.steps![0].length, tries[1]);
});

testOnCpu("solveFlow() goes from data to noise and back", async () => {
  const x1 = noise(5, shape);
  const data = await x1.read();
  const cases: [SolverOptions, tolerance: number][] = [
    [{ solver: "rk4", steps: 20 }, 1e-4],
    [{ solver: "heun", steps: 60, grid: "quadratic" }, 2e-3],
    [{ solver: "dopri5", times: [0, 0.1, 0.3, 0.6, 1] }, 1e-3],
    [{ solver: "dopri5", rtol: 1e-5 }, 1e-3],
    [{ solver: "bosh3", atol: 1e-4 }, 5e-3],
  ];
  for (const [how, tolerance] of cases) {
    const back = await solveFlow(model(), x1, { ...how, from: 1, to: 0 });
    assert.ok(largestDifference(back.samples, data) > 0.05, "noise is elsewhere");
    const there = await solveFlow(model(), tensor(back.samples, shape), how);
    assertClose(there.samples, data, tolerance);
  }
  await assert.rejects(solveFlow(model(), x1, { solver: "sde", from: 1, to: 0 }), {
    name: "TypeError",
    message: "Cannot go from t = 1 to 0 with noise (expected increasing times, or another solver)",
  });
});

testOnDevices("solveFlow() goes between any two times", async () => {
  const field = { velocity: (x: Tensor, t: Tensor) => multiply(x, reshape(t, [3, 1])) }; // x0 exp(t^2 / 2)
  const cases: SolverOptions[] = [
    { solver: "rk4", steps: 8 },
    { solver: "rk4", times: [0, 0.2, 0.5, 1] },
    { solver: "dopri5", rtol: 1e-5 },
  ];
  for (const how of cases) {
    for (const [from, to] of [[0.6, 0], [0.2, 0.8]]) {
      const { samples } = await solveFlow(field, tensor([1, -2, 3], [3, 1]), { ...how, from, to });
      assertClose(samples, [1, -2, 3].map((x) => x * Math.exp((to ** 2 - from ** 2) / 2)), 1e-4);
    }
    for (const span of [{ from: 1 }, { to: 1.1 }, { from: NaN }]) {
      await assert.rejects(solveFlow(field, tensor([1, -2, 3], [3, 1]), { ...how, ...span }), {
        name: "RangeError",
        message: /^Cannot solve: (from|to) is /,
      });
    }
  }
});

testOnDevices("solveFlow() with noise uses the same noise for a sample in any batch", async () => {
  const how = { solver: "sde", noise: 1, steps: 6, seed: 4 } as const;
  const x0 = noise(3, shape);
  const whole = await solveFlow(model(), x0, how);
  assert.equal(whole.evaluations, 6);
  assertClose((await solveFlow(model(), x0, { ...how, batch: 2 })).samples, whole.samples, 1e-5);
  const spread = { ...how, grid: timeGrids.logarithmic.make({ ratio: 5 }) };
  assert.ok(largestDifference((await solveFlow(model(), x0, spread)).samples, whole.samples) > 0.01);
});

testOnDevices("solveFlow() passes every sample its condition", async () => {
  const field = {
    velocity: (x: Tensor, _: Tensor, condition?: Tensor) =>
      add(multiply(x, 0), reshape(condition!, [x.shape[0], 1])),
  };
  const condition = tensor([3, 1, 4, 1, 5]);
  const cases = [{ steps: 3 }, { rtol: 1e-3 }, { solver: "sde", noise: 0, steps: 3 }] as const;
  for (const how of cases) {
    const { samples } = await solveFlow(field, tensor([0, 0, 0, 0, 0], [5, 1]), {
      ...how,
      condition,
      batch: 2,
    });
    assertClose(samples, [3, 1, 4, 1, 5], 1e-5);
  }
});

testOnCpu("SampleBatches covers every sample once with batches of one size", async () => {
  for (const [count, batch] of [[1, 1], [3, 2], [10, 3], [16, 256], [257, 256], [200, 32], [7, 7]]) {
    const batches = new SampleBatches(tensor(upTo(count), [count, 1]), batch);
    assert.ok(batches.length <= batch);
    const counts: number[] = [];
    const parts = Array.from(batches, ({ first, fresh, count: own, x0 }) => {
      assert.ok(first >= 0 && first <= fresh && first + batches.length <= count);
      assert.equal(fresh, counts.reduce((sum, count) => sum + count, 0));
      counts.push(own);
      assert.equal(first + batches.length - fresh, own);
      return [slice(x0, 0, 0, batches.length)];
    });
    assert.deepEqual([...await batches.join(parts)[0].read()], upTo(count), `${count} by ${batch}`);
  }
});
