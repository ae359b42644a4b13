import assert from "node:assert/strict";
import {
  add,
  concat,
  maximum,
  multiply,
  reshape,
  slice,
  subtract,
  type Tensor,
  tensor,
} from "../../../kernels/mod.ts";
import {
  AdaptiveSampler,
  type AdaptiveSolverName,
  adaptiveSolvers,
  defineTableau,
  evaluationsPerStep,
} from "../../../models/mod.ts";
import { assertClose, largestDifference, testOnCpu, testOnDevices } from "../../testing.ts";

const each = (t: Tensor) => reshape(t, [t.size, 1]);
const names = Object.keys(adaptiveSolvers) as AdaptiveSolverName[];

/** A two-dimensional field with a known solution. */
interface Problem {
  readonly field: (x: Tensor, t: Tensor) => Tensor;
  readonly at: (t: number) => readonly [number, number];
  /** Whether every step is exact for any tolerance. */
  readonly exact?: boolean;
}

const [speed, rate] = [6, 2];
const problems: Readonly<Record<string, Problem>> = {
  constant: {
    field: (x) => add(multiply(x, 0), tensor([3, -1], [1, 2])),
    at: (t) => [3 * t, -t],
    exact: true,
  },
  linear: {
    field: (x, t) => add(multiply(x, 0), multiply(each(t), tensor([2, 4], [1, 2]))),
    at: (t) => [t * t, 2 * t * t],
    exact: true,
  },
  sine: {
    field: (x) => multiply(concat([slice(x, 1, 1, 1), multiply(slice(x, 1, 0, 1), -1)], 1), speed),
    at: (t) => [Math.sin(speed * t), Math.cos(speed * t)],
  },
  exponential: {
    field: (x) => multiply(x, -rate),
    at: (t) => [Math.exp(-rate * t), 2 * Math.exp(-rate * t)],
  },
};
const tolerances = [1e-2, 1e-3, 1e-4];

for (const solver of names) {
  testOnCpu(`the error of AdaptiveSampler with ${solver} follows its tolerance`, async () => {
    for (const [name, { field: velocity, at, exact = false }] of Object.entries(problems)) {
      const samplers = tolerances.map((rtol) =>
        new AdaptiveSampler({ velocity }, [1, 2], { solver, rtol, maxEvaluations: 10_000 })
      );
      for (const [from, to] of [[0, 1], [1, 0]]) {
        const errors: number[] = [];
        for (const sampler of samplers) {
          const before = sampler.evaluations;
          const solved = await sampler.solve(tensor(at(from), [1, 2]), { from, to });
          const { x, evaluations, steps: [steps] } = solved;
          errors.push(largestDifference(await x.read(), at(to)));
          assert.equal(evaluations, 2 + evaluationsPerStep(adaptiveSolvers[solver]) * steps.length);
          assert.equal(sampler.evaluations, before + evaluations);
          assert.ok(steps.every(({ ratio, accepted }) => accepted === ratio <= 1));
          const end = steps.filter(({ accepted }) => accepted).reduce((t, { dt }) => t + dt, from);
          assert.ok(Math.abs(end - to) < 1e-12, `${end}`);
        }
        const order = Math.log10(errors[0] / errors[2]) / 2;
        errors.forEach((error, i) =>
          assert.ok(error < (exact ? 1e-5 : 20 * tolerances[i]), `${name}: ${errors}`)
        );
        assert.ok(
          exact || order > 0.6 && order < 1.4,
          `${name}: the error is O(tolerance^${order}): ${errors}`,
        );
      }
    }
  });
}

/** Heun's method with Euler's for the error estimate: not first-same-as-last, with cubic interpolation. */
const heunEuler = defineTableau({
  order: 2,
  a: [[], [1]],
  b: [1 / 2, 1 / 2],
  c: [0, 1],
  error: [-1 / 2, 1 / 2],
});

testOnCpu("AdaptiveSampler compares each sample's root mean square error", async () => {
  // v = 2 a t, so x = 1 + a (t^2 - 1/4) from t = 1/2. Heun's method is exact; Euler's step is off by a dt^2.
  const [a, rtol, atol] = [[3, 4, 0, 1, 1, 1], 0.5, 0.25];
  const field = {
    velocity: (x: Tensor, t: Tensor) =>
      add(multiply(x, 0), multiply(each(t), tensor(a.map((a) => 2 * a), [2, 3]))),
  };
  const sampler = new AdaptiveSampler(field, [2, 3], { solver: heunEuler, rtol, atol });
  const { steps } = await sampler.solve(tensor(Array(6).fill(1), [2, 3]), { from: 0.5 });
  for (const [n, [{ t, dt, ratio }]] of steps.entries()) {
    const squares = a.slice(3 * n, 3 * n + 3)
      .map((a) => a * dt ** 2 / (atol + rtol * (1 + a * ((t + dt) ** 2 - 1 / 4))))
      .map((ratio) => ratio ** 2);
    assertClose([t, ratio], [0.5, Math.sqrt(squares.reduce((sum, square) => sum + square) / 3)], 1e-4);
  }
});

testOnCpu("AdaptiveSampler starts with the step size of Hairer, Nørsett and Wanner", async () => {
  const expected = (largest: number) => (0.01 / largest) ** (1 / 5);
  // At x = 2, the allowed error is 3 rtol. |v| = |x|, and over an Euler step h, v changes by h |x|.
  const decay = (x: Tensor) => multiply(x, -1);
  // v = 1 before t = 1/2, then grows by 100 per unit of time. At x = 1, the allowed error is 0.02.
  const growing = (x: Tensor, t: Tensor) =>
    add(multiply(x, 0), each(add(multiply(maximum(subtract(t, 0.5), 0), 100), 1)));
  const cases: [velocity: typeof growing, x: number, rtol: number, from: number, to: number, step: number][] =
    [
      [decay, 2, 1e-2, 0, 1, expected(2 / (3 * 1e-2))],
      [decay, 2, 1e-5, 1, 0, -expected(2 / (3 * 1e-5))],
      [growing, 1, 0.01, 0.5, 1, expected(100 / 0.02)],
      [growing, 1, 0.01, 0.5, 0, -expected(1 / 0.02)],
    ];
  for (const [velocity, x, rtol, from, to, step] of cases) {
    const sampler = new AdaptiveSampler({ velocity }, [1, 1], { rtol });
    const { steps: [[{ dt }]] } = await sampler.solve(tensor([x], [1, 1]), { from, to });
    assertClose([dt], [step], 1e-4);
  }
});

testOnDevices("AdaptiveSampler solves each sample independently of the others", async () => {
  // Faster for large x: the samples need very different step lengths.
  const field = { velocity: (x: Tensor) => multiply(multiply(x, x), -1) };
  const x0 = [0.1, 40, 3];
  const together = await new AdaptiveSampler(field, [3, 1]).solve(tensor(x0, [3, 1]));
  const values = await together.x.read();
  assertClose(values, x0.map((x) => x / (1 + x)), 1e-4);
  assert.ok(together.steps[1].length > 2 * together.steps[0].length);
  assert.ok(together.steps[1].some(({ accepted }) => !accepted), "which rejects steps");
  for (const [i, x] of x0.entries()) {
    const alone = await new AdaptiveSampler(field, [1, 1]).solve(tensor([x], [1, 1]));
    assertClose(await alone.x.read(), [values[i]], 1e-6);
    assert.equal(alone.steps[0].length, together.steps[i].length);
  }
});

testOnDevices("AdaptiveSampler says how far it got when it fails", async () => {
  const x0 = tensor([1, -2, 30], [3, 1]);
  const make = (factor: number, maxEvaluations: number) =>
    new AdaptiveSampler({ velocity: (x) => multiply(x, factor) }, [3, 1], { maxEvaluations });
  const sampler = make(-5, 30);
  for (const _ of ["first", "second run"]) {
    const reached: number[] = [];
    const failed = sampler.solve(x0, { onProgress: (share) => void reached.push(share) });
    await assert.rejects(failed, (error: Error) => {
      const slowest = `the slowest sample is at t = ${reached.at(-1)!.toFixed(4)}`;
      const advice = "use a larger tolerance or maxEvaluations";
      assert.equal(`${error}`, `SolverError: Cannot solve in 30 evaluations: ${slowest}; ${advice}`);
      return true;
    });
    assert.equal(reached.length, 4, "2 + 4 * 6 evaluations; one more try would make 32");
  }
  const stuck = /^SolverError: Cannot solve sample 0 beyond t = 0\.0000: its steps get too short/;
  await assert.rejects(make(NaN, 1000).solve(x0), stuck);
});

/** dx/dt = 2 (t - x) and its solution. */
const driven = { velocity: (x: Tensor, t: Tensor) => multiply(subtract(each(t), x), 2) };
const at = (x0: number, t: number) => (x0 + 0.5) * Math.exp(-2 * t) + t - 0.5;
const starts = [1, -2, 30];

for (const solver of [...names, heunEuler]) {
  const name = typeof solver === "string" ? solver : "a solver that is not first-same-as-last";
  const test = solver === "dopri5" ? testOnDevices : testOnCpu;
  test(`AdaptiveSampler with ${name} returns snapshots at any times, in both directions`, async () => {
    const allowed = solver === heunEuler ? 1e-3 : 1e-4;
    const sampler = new AdaptiveSampler(driven, [3, 1], { solver, rtol: allowed });
    const times = [0, 0.01, 0.02, 0.3, 0.5, 0.999, 1];
    const plain = await sampler.solve(tensor(starts, [3, 1]));
    assert.deepEqual(plain.snapshots, []);
    const there = await sampler.solve(tensor(starts, [3, 1]), { snapshots: times });
    assert.equal(there.evaluations, plain.evaluations, "snapshots cost no evaluation");
    assert.deepEqual(there.steps, plain.steps, "nor do they change the steps");
    assert.deepEqual(there.snapshots.map(({ t }) => t), times);
    for (const { t, image, velocity } of there.snapshots) {
      assertClose(image, starts.map((x0) => at(x0, t)), 10 * allowed);
      assertClose(velocity, starts.map((x0) => 2 * (t - at(x0, t))), 100 * allowed);
    }
    assertClose(there.snapshots[0].image, starts, 0);
    assert.deepEqual(there.snapshots[6].image, await there.x.read());

    const back = await sampler.solve(there.x, { from: 1, to: 0, snapshots: times.toReversed() });
    for (const { t, image } of back.snapshots) {
      assertClose(
        image,
        starts.map((x0) => at(x0, t)),
        30 * allowed,
      );
    }
    const part = await sampler.solve(tensor([0, 0, 0], [3, 1]), { from: 0.25, to: 0.5, snapshots: [0.4] });
    assertClose(part.snapshots[0].image, Array(3).fill(0.4 - 0.5 + 0.25 * Math.exp(-2 * 0.15)), 10 * allowed);
  });
}

testOnDevices("AdaptiveSampler awaits onProgress, and stops if it throws", async () => {
  const sampler = new AdaptiveSampler(driven, [3, 1], { rtol: 1e-3 });
  const shares: number[] = [];
  const x = tensor(starts, [3, 1]);
  const { steps } = await sampler.solve(x, { onProgress: (share) => void shares.push(share) });
  assert.equal(shares.length, Math.max(...steps.map((own) => own.length)));
  assert.deepEqual(shares.toSorted((a, b) => a - b), shares);
  assert.equal(shares.at(-1), 1);
  const stop = sampler.solve(x, { onProgress: () => Promise.reject(new Error("enough")) });
  await assert.rejects(() => sampler.solve(x), {
    name: "Error",
    message:
      "Cannot run: another run of this sampler is in progress; await it first, or make another sampler",
  });
  await assert.rejects(stop, /^Error: enough$/);
  assert.deepEqual((await sampler.solve(x)).steps, steps, "the next run starts from scratch");
});

testOnCpu("AdaptiveSampler refuses invalid options", async () => {
  const refuse = (options: object, message: string) =>
    assert.throws(() => new AdaptiveSampler(driven, [3, 1], options), new RegExp(`^${message}`));
  for (const [name, value] of [["rtol", 0], ["rtol", NaN], ["rtol", 2], ["maxEvaluations", 1.5]]) {
    refuse({ [name]: value }, `RangeError: Cannot solve: ${name} is ${value} \\(expected `);
  }
  refuse({ solver: "dopri" }, 'TypeError: Unknown solver "dopri": did you mean "dopri5"');
  for (const solver of ["heun", "sde"]) {
    refuse({ solver }, `TypeError: Cannot choose the steps of the solver ${solver}: it has no error`);
  }
  const sampler = new AdaptiveSampler(driven, [3, 1]);
  const refused = (options: Parameters<typeof sampler.solve>[1], message: string) =>
    assert.rejects(sampler.solve(tensor(starts, [3, 1]), options), { name: "RangeError", message });
  const from = (a: number, b: number) => `(expected different times in order, from ${a} to ${b})`;
  const snapshot = "Cannot solve: snapshot";
  await refused({ snapshots: [0, 1.5] }, `${snapshot} 1 is at t = 1.5 ${from(0, 1)}`);
  await refused({ snapshots: [0.5, 0.5] }, `${snapshot} 1 is at t = 0.5 ${from(0, 1)}`);
  await refused({ snapshots: [NaN] }, `${snapshot} 0 is at t = NaN ${from(0, 1)}`);
  await refused({ snapshots: [0.3], from: 0.5 }, `${snapshot} 0 is at t = 0.3 ${from(0.5, 1)}`);
  await refused({ from: 1, to: 0, snapshots: [0.3, 0.4] }, `${snapshot} 1 is at t = 0.4 ${from(1, 0)}`);
  await refused({ from: 1 }, "Cannot solve: to is 1 (expected a time other than `from`)");
  await refused({ from: -1 }, "Cannot solve: from is -1 (expected a time in [0, 1])");
});
