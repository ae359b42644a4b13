/** Whole flows in batches: sample(), trajectory() and solveFlow(). */

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
  solverStep,
  timeGrids,
  trajectory,
} from "../../../models/mod.ts";
import { SampleBatches } from "../../../models/solve/solve_flow.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, largestDifference, testOnCpu, testOnDevices } from "../../testing.ts";

const tiny = () => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
const shape = [5, 1, 5, 4];
/** Faster for large x: x0 becomes x0 / (1 + x0). */
const slowing = { velocity: (x: Tensor) => multiply(multiply(x, x), -1) };

for (const solver of Object.keys(solvers) as SolverName[]) {
  const test = solver === "dopri5" ? testOnDevices : testOnCpu;
  test(`sample() and solveFlow() with ${solver} replay one step, with the results of calling each`, async () => {
    const [model, x0, how] = [tiny(), noise(3, shape), { solver, steps: 4 }];
    let x = x0;
    for (let i = 0; i < 4; i++) {
      x = solverStep(solvers[solver], model, x, tensor(Array(5).fill(i / 4)), 1 / 4).x;
    }
    const expected = await x.read();
    assert.deepEqual(await sample(model, { count: 5, shape: [1, 5, 4], seed: 3, ...how }).read(), expected);
    const whole = await solveFlow(model, x0, how);
    assert.deepEqual([whole.samples, whole.steps], [expected, undefined]);
    const parts = await solveFlow(model, x0, { ...how, batch: 2 });
    assertClose(parts.samples, expected, 1e-6);
    assert.deepEqual(parts.batches, Array(3).fill(whole.batches[0]));
    assert.equal(parts.evaluations, whole.evaluations);
  });
}

testOnDevices("sample() needs only a count: seed 0, 20 steps of heun, the model's shape", async () => {
  const field = { velocity: (x: Tensor) => multiply(x, -1), shape: [2] };
  const expected = sample(field, { count: 3, shape: [2], seed: 0, steps: 20, solver: "heun" });
  assert.deepEqual(await sample(field, { count: 3 }).read(), await expected.read());
  const snapshots = await Array.fromAsync(trajectory(field, { count: 3 }));
  assert.deepEqual([snapshots.length, snapshots[20].image], [21, await expected.read()]);
  const first = await sample(field, { count: 1 }).read();
  assertClose(first, (await expected.read()).slice(0, 2), 1e-6, "sample 0 in any batch");
});

testOnCpu("sample() takes all options of solveFlow(), and returns the same samples", async () => {
  const x0 = noise(3, shape);
  const cases: SolverOptions[] = [
    { solver: "dopri5", rtol: 1e-3 },
    { atol: 1e-2 },
    { solver: "bosh3", rtol: 0.1, atol: 1e-3 },
    { solver: "sde", steps: 5, seed: 4 },
    { solver: "sde", steps: 5, seed: 4, grid: timeGrids.logarithmic.make({ ratio: 5 }) },
    { solver: "sde", steps: 5, seed: 5 },
  ];
  const all = [];
  for (const how of cases) {
    const { samples } = await solveFlow(tiny(), x0, { ...how, batch: 2 });
    const drawn = sample(tiny(), { x0, ...how, batch: 2 } as Parameters<typeof sample>[1]);
    assert.deepEqual(await (await drawn).read(), samples);
    assertClose((await solveFlow(tiny(), x0, how)).samples, samples, 1e-5, "in any batch");
    all.push(samples);
  }
  const noisy = all.slice(3);
  noisy.slice(1).forEach((other) => assert.ok(largestDifference(other, noisy[0]) > 0.01));
});

testOnCpu("sample() and solveFlow() pass every sample its condition, and keep x0", async () => {
  const field = {
    velocity: (x: Tensor, _: Tensor, condition?: Tensor) =>
      add(multiply(x, 0), reshape(condition!, [x.shape[0], 1])),
  };
  const x0 = tensor([0, 0, 0, 0, 0], [5, 1]);
  const condition = tensor([3, 1, 4, 1, 5]);
  for (const how of [{ steps: 3 }, { rtol: 1e-3 }, { solver: "sde", noise: 0, steps: 3 }] as const) {
    const { samples } = await solveFlow(field, x0, { ...how, condition, batch: 2 });
    assertClose(samples, [3, 1, 4, 1, 5], 1e-5);
  }
  for (const batch of [5, 2, 1]) {
    assertClose(await sample(field, { x0, steps: 3, condition, batch }).read(), [3, 1, 4, 1, 5], 1e-6);
  }
  assert.deepEqual(await x0.read(), new Float32Array(5));
  assert.throws(() => sample(field, { x0, steps: 1, condition: tensor([1]) }), {
    name: "ShapeError",
    message: "Cannot sample 5 images with the condition f32[1] (expected 5 rows)",
  });
});

testOnDevices("trajectory() returns steps + 1 snapshots, each but the last with a velocity", async () => {
  const options = { count: 2, shape: [1, 5, 4], seed: 3, steps: 70, solver: "euler" } as const; // read back in two parts
  const snapshots = await Array.fromAsync(trajectory(tiny(), options));
  assert.deepEqual(snapshots.map(({ t }) => t), upTo(71).map((i) => i / 70));
  for (const [i, { image, velocity }] of snapshots.slice(0, 70).entries()) {
    assertClose(snapshots[i + 1].image, image.map((x, j) => x + velocity![j] / 70), 1e-6);
  }
  assert.deepEqual(snapshots[70].image, await sample(tiny(), options).read());
  assert.equal(snapshots[70].velocity, undefined);
});

testOnDevices("solveFlow() returns evaluations and steps of every sample in adaptive steps", async () => {
  const starts = [0.1, 40, 3, 0.2, 5];
  const progress: number[] = [];
  const onProgress = (done: number) => void progress.push(done);
  const solved = await solveFlow(slowing, tensor(starts, [5, 1]), { rtol: 1e-4, batch: 2, onProgress });
  assertClose(solved.samples, starts.map((x) => x / (1 + x)), 1e-3);
  const tries = solved.steps!.map((own) => own.length);
  const ofBatches = [[0, 1], [2, 3], [3, 4]].map((rows) => 2 + 6 * Math.max(...rows.map((n) => tries[n])));
  assert.deepEqual(solved.batches, ofBatches);
  const [a, b, c] = ofBatches;
  assertClose([solved.evaluations], [(2 * a + 2 * b + c) / 5], 1e-9, "the last batch has one new sample");
  assert.deepEqual(progress.toSorted((a, b) => a - b), progress);
  assert.equal(progress.at(-1), 5);
});

testOnCpu("solveFlow() goes from data to noise and back, between any two times", async () => {
  const field = { velocity: (x: Tensor, t: Tensor) => multiply(x, reshape(t, [3, 1])) }; // x0 exp(t^2 / 2)
  const cases: [SolverOptions, tolerance: number][] = [
    [{ solver: "rk4", steps: 20 }, 1e-4],
    [{ solver: "heun", steps: 60, grid: "quadratic" }, 2e-3],
    [{ solver: "dopri5", times: [0, 0.1, 0.3, 0.6, 1] }, 1e-3],
    [{ solver: "dopri5", rtol: 1e-5 }, 1e-3],
    [{ solver: "bosh3", atol: 1e-4 }, 5e-3],
  ];
  const data = await noise(5, shape).read();
  for (const [how, tolerance] of cases) {
    const back = await solveFlow(tiny(), tensor(data, shape), { ...how, from: 1, to: 0 });
    assert.ok(largestDifference(back.samples, data) > 0.05, "noise is elsewhere");
    const there = await solveFlow(tiny(), tensor(back.samples, shape), how);
    assertClose(there.samples, data, tolerance);
    for (const [from, to] of [[0.6, 0], [0.2, 0.8]]) {
      const { samples } = await solveFlow(field, tensor([1, -2, 3], [3, 1]), { ...how, from, to });
      assertClose(samples, [1, -2, 3].map((x) => x * Math.exp((to ** 2 - from ** 2) / 2)), tolerance);
    }
  }
  for (const [span, of] of [[{ from: 1 }, "to"], [{ to: 1.1 }, "to"], [{ from: NaN }, "from"]] as const) {
    for (const how of [{ steps: 2 }, { rtol: 1e-3 }]) {
      const refused = solveFlow(field, tensor([1, 2, 3], [3, 1]), { ...how, ...span });
      await assert.rejects(refused, new RegExp(`^RangeError: Cannot solve: ${of} is `));
    }
  }
  await assert.rejects(solveFlow(tiny(), tensor(data, shape), { solver: "sde", from: 1, to: 0 }), {
    name: "TypeError",
    message: "Cannot go from t = 1 to 0 with noise (expected increasing times, or another solver)",
  });
});

testOnCpu("sample() and trajectory() refuse options that contradict each other", () => {
  const start = { count: 1, shape: [1, 5, 4], seed: 0 };
  const x0 = noise(1, [1, 1, 5, 4]);
  for (const draw of [sample, trajectory]) {
    const refused = (given: object, message: RegExp) => assert.throws(() => draw(tiny(), given), message);
    for (const [name, value] of Object.entries(start)) {
      refused(
        { x0, [name]: value },
        new RegExp(`^TypeError: Cannot sample: both x0 and ${name} were given \\(expec`),
      );
    }
    refused({ ...start, solver: "rk5" }, /^TypeError: Unknown solver "rk5": did you mean "rk4"/);
    refused({ ...start, solver: "toString" }, /^TypeError: Unknown solver "toString"/);
  }
  assert.deepEqual(sample(tiny(), { x0: undefined as never, ...start, steps: 1 }).shape, [1, 1, 5, 4]);
  const adaptive = Object.assign({ rtol: 1e-3 }, start);
  assert.throws(() => trajectory(tiny(), adaptive), /^TypeError: Cannot use a tolerance with given steps/);
});

testOnCpu("SampleBatches covers every sample once with batches of one size", async () => {
  for (const [count, batch] of [[1, 1], [3, 2], [10, 3], [16, 256], [257, 256], [200, 32], [7, 7]]) {
    const batches = new SampleBatches(tensor(upTo(count), [count, 1]), batch);
    assert.ok(batches.length <= batch);
    let before = 0;
    const parts = Array.from(batches, ({ first, fresh, count: own, x0 }) => {
      assert.ok(first >= 0 && first <= fresh && first + batches.length <= count);
      assert.deepEqual([fresh, first + batches.length - fresh], [before, own]);
      before += own;
      return [slice(x0, 0, 0, batches.length)];
    });
    assert.deepEqual([...await batches.join(parts)[0].read()], upTo(count), `${count} by ${batch}`);
  }
});
