/** Steps of solvers: their order, those that each sample chooses, grids of times, and snapshots between them. */

import assert from "node:assert/strict";
import { add, maximum, multiply, subtract, type Tensor, tensor } from "../../../kernels/mod.ts";
import { AdaptiveSampler, adaptiveSolvers, defineTableau, evaluationsPerStep } from "../../../models/mod.ts";
import { assertClose, largestDifference, testOnCpu, testOnDevices } from "../../testing.ts";
import { column, each, linear, names, rotating, slowing } from "./fields.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { timesWithin } from "../../../models/solve/time_grids.ts";
import { solverStep } from "../../../models/solve/tableau.ts";
import * as models from "../../../models/mod.ts";

/** Heun's method with Euler's for the error estimate: not first-same-as-last, with cubic interpolation. */
const heunEuler = defineTableau({
  ...{ order: 2, a: [[], [1]], b: [1 / 2, 1 / 2], c: [0, 1], error: [-1 / 2, 1 / 2] },
});
const tableaus = { ...adaptiveSolvers, heunEuler };
const tolerances = [1e-2, 1e-3, 1e-4];
const starts = [1, -2, 30];

for (const [name, solver] of Object.entries(tableaus)) {
  testOnCpu(`the error of AdaptiveSampler with ${name} follows its tolerance, both ways`, async () => {
    const circle = (t: number) => [Math.sin(6 * t), Math.cos(6 * t)];
    const samplers = tolerances.map((rtol) =>
      new AdaptiveSampler(rotating(-6), [1, 2], { solver, rtol, maxEvaluations: 10_000 })
    );
    for (const [from, to] of [[0, 1], [1, 0]]) {
      const errors: number[] = [];
      for (const sampler of samplers) {
        const before = sampler.evaluations;
        const { x, evaluations, steps: [steps] } = await sampler.solve(tensor(circle(from), [1, 2]), {
          from,
          to,
        });
        errors.push(largestDifference(await x.read(), circle(to)));
        assert.equal(evaluations, 2 + evaluationsPerStep(solver) * steps.length);
        assert.equal(sampler.evaluations, before + evaluations);
        assert.ok(steps.every(({ ratio, accepted }) => accepted === ratio <= 1));
        for (const [i, { dt, ratio }] of steps.slice(0, -2).entries()) { // Hairer, Nørsett and Wanner 1993
          const factor = 0.9 * ratio ** (-1 / solver.order);
          const bounds = ratio <= 1 ? [1, 10] : [0.2, 0.9];
          assertClose([steps[i + 1].dt / dt], [Math.min(Math.max(factor, bounds[0]), bounds[1])], 1e-6);
        }
        const end = steps.filter(({ accepted }) => accepted).reduce((t, { dt }) => t + dt, from);
        assert.ok(Math.abs(end - to) < 1e-12, `${end}`);
      }
      const order = Math.log10(errors[0] / errors[2]) / 2;
      assert.ok(errors.every((error, i) => error < 20 * tolerances[i]), `${errors}`);
      assert.ok(order > 0.6 && order < 1.4, `the error is O(tolerance^${order}): ${errors}`);
    }
  });

  const test = name === "dopri5" ? testOnDevices : testOnCpu;
  test(`AdaptiveSampler with ${name} returns snapshots at any times, both ways`, async () => {
    const allowed = name === "heunEuler" ? 1e-3 : 1e-4;
    const sampler = new AdaptiveSampler(linear, [3, 1], { solver, rtol: allowed });
    const times = [0, 0.01, 0.02, 0.3, 0.5, 0.999, 1];
    const plain = await sampler.solve(column(starts));
    const there = await sampler.solve(column(starts), { snapshots: times });
    assert.deepEqual([there.evaluations, there.steps], [plain.evaluations, plain.steps], "at no cost");
    assert.deepEqual(there.snapshots.map(({ t }) => t), times);
    const back = await sampler.solve(there.x, { from: 1, to: 0, snapshots: times.toReversed() });
    for (const { t, image, velocity } of [...there.snapshots, ...back.snapshots]) {
      const expected = starts.map((x0) => linear.at(t, x0));
      assertClose(image, expected, 30 * allowed);
      assertClose(velocity, expected.map((x) => 2 * (t - x)), 100 * allowed);
    }
    assertClose(there.snapshots[0].image, starts, 0);
    assertSameNumbers(there.snapshots[6].image, await there.x.read());
  });
}

testOnCpu("AdaptiveSampler with dopri5 interpolates with its own polynomial of degree four", async () => {
  const snapshots = Array.from({ length: 19 }, (_, i) => (i + 1) / 20);
  const sampler = new AdaptiveSampler(slowing, [2, 1], { solver: adaptiveSolvers.dopri5, rtol: 1e-4 });
  const solution = await sampler.solve(column([1, 3]), { snapshots });
  for (const { t, image } of solution.snapshots) {
    const error = largestDifference(image, [1, 3].map((x0) => slowing.at(t, x0)));
    assert.ok(error < 5e-4, `${error} at ${t}`); // with the cubic one: 1.1e-3
  }
});

testOnCpu("AdaptiveSampler compares each sample's root mean square error", async () => {
  // v = 2 a t, so x = 1 + a (t^2 - 1/4) from t = 1/2. Heun's method is exact; Euler's step is off by a dt^2.
  const [a, rtol, atol] = [[3, 4, 0, 1, 1, 1], 0.5, 0.25];
  const slopes = tensor(a.map((a) => 2 * a), [2, 3]);
  const field = { velocity: (x: Tensor, t: Tensor) => add(multiply(x, 0), multiply(each(t), slopes)) };
  const sampler = new AdaptiveSampler(field, [2, 3], { solver: heunEuler, rtol, atol });
  const { steps } = await sampler.solve(tensor(Array(6).fill(1), [2, 3]), { from: 0.5 });
  for (const [n, [{ t, dt, ratio }]] of steps.entries()) {
    const squares = a.slice(3 * n, 3 * n + 3)
      .map((a) => (a * dt ** 2 / (atol + rtol * (1 + a * ((t + dt) ** 2 - 1 / 4)))) ** 2);
    assertClose([t, ratio], [0.5, Math.sqrt(squares.reduce((sum, square) => sum + square) / 3)], 1e-4);
  }
});

testOnCpu("AdaptiveSampler starts with the step size of Hairer, Nørsett and Wanner", async () => {
  const first = (largest: number) => (0.01 / largest) ** (1 / 5);
  // At x = 2, the allowed error is 3 rtol. v changes by h |x| over an Euler step h.
  const decay = (x: Tensor) => multiply(x, -1);
  // v = 1 before t = 1/2, then grows by 100 per unit of time. At x = 1, the allowed error is 0.02.
  const growing = (x: Tensor, t: Tensor) =>
    add(multiply(x, 0), each(add(multiply(maximum(subtract(t, 0.5), 0), 100), 1)));
  const cases: [velocity: typeof growing, x: number, rtol: number, from: number, to: number, step: number][] =
    [
      [decay, 2, 1e-2, 0, 1, first(2 / (3 * 1e-2))],
      [decay, 2, 1e-5, 1, 0, -first(2 / (3 * 1e-5))],
      [growing, 1, 0.01, 0.5, 1, first(100 / 0.02)],
      [growing, 1, 0.01, 0.5, 0, -first(1 / 0.02)],
    ];
  for (const [velocity, x, rtol, from, to, step] of cases) {
    const sampler = new AdaptiveSampler({ velocity }, [1, 1], { rtol });
    const { steps: [[{ dt }]] } = await sampler.solve(tensor([x], [1, 1]), { from, to });
    assertClose([dt], [step], 1e-4);
  }
});

testOnCpu("AdaptiveSampler solves each sample independently of the others", async () => {
  const x0 = [0.1, 40, 3];
  const together = await new AdaptiveSampler(slowing, [3, 1]).solve(column(x0));
  const values = await together.x.read();
  assertClose(values, x0.map((x) => slowing.at(1, x)), 1e-4);
  assert.ok(together.steps[1].length > 2 * together.steps[0].length);
  assert.ok(together.steps[1].some(({ accepted }) => !accepted), "which rejects steps");
  for (const [i, x] of x0.entries()) {
    const alone = await new AdaptiveSampler(slowing, [1, 1]).solve(column([x]));
    assertClose(await alone.x.read(), [values[i]], 1e-6);
    assert.equal(alone.steps[0].length, together.steps[i].length);
  }
});

testOnCpu("AdaptiveSampler arrives exactly, without a last step that only rounding asks for", async () => {
  const sampler = new AdaptiveSampler(linear, [1, 1], { rtol: 1e-2 });
  for (let i = 0; i < 40; i++) {
    const [from, to] = [0.03 + 0.01 * i, i % 2 === 0 ? 0.93 - 0.007 * i : 0.013];
    const { steps: [own] } = await sampler.solve(column([1]), { from, to });
    assert.ok(own.every(({ dt }) => Math.abs(dt) > 1e-9), `from ${from} to ${to}: ${own.at(-1)!.dt}`);
  }
});

testOnCpu("AdaptiveSampler reports progress, can be stopped, and says how far it got", async () => {
  const x = column(starts), sampler = new AdaptiveSampler(linear, [3, 1], { rtol: 1e-3 });
  const shares: number[] = [];
  const { steps } = await sampler.solve(x, { onProgress: (share) => void shares.push(share) });
  assert.equal(shares.length, Math.max(...steps.map((own) => own.length)));
  assert.deepEqual([shares.toSorted((a, b) => a - b), shares.at(-1)], [shares, 1]);
  const stop = sampler.solve(x, { onProgress: () => Promise.reject(new Error("enough")) });
  await assert.rejects(
    () => sampler.solve(x),
    /^Error: Cannot run: another run of this sampler is in progress/,
  );
  await assert.rejects(stop, /^Error: enough$/);
  assert.deepEqual((await sampler.solve(x)).steps, steps, "the next run starts from scratch");

  const failing = (factor: number, maxEvaluations: number) =>
    new AdaptiveSampler({ velocity: (x) => multiply(x, factor) }, [3, 1], { maxEvaluations });
  const short = failing(-5, 30);
  for (const _ of ["first", "second run"]) {
    const reached: number[] = [];
    const failed = short.solve(x, { onProgress: (share) => void reached.push(share) });
    await assert.rejects(failed, (error: Error) => {
      const at = `SolverError: Cannot solve in 30 evaluations: the slowest sample is at t = `;
      assert.ok(`${error}`.startsWith(`${at}${reached.at(-1)!.toFixed(4)}`), `${error}`);
      return true;
    });
    assert.equal(reached.length, 4, "2 + 4 * 6 evaluations; one more try would make 32");
  }
  await assert.rejects(failing(NaN, 1000).solve(x), /^SolverError: Cannot solve sample 0 beyond t = 0\.0000/);
});

const { bosh3, evaluationsOf, gridTimes, solvers, timeGrids } = models;
const begins = [1, -2, 0.5];

for (const name of names) {
  const { order, error: hasError } = solvers[name] as models.ButcherTableau;
  testOnCpu(`${name} has order ${order}, and its error estimate one less`, async () => {
    const counts = order > 4 ? [4, 8] : [4, 16]; // with more steps, f32 rounding hides the error
    const errors: number[] = [], estimates: number[] = [];
    for (const steps of counts) {
      let x = column(begins);
      for (let i = 0; i < steps; i++) {
        const step = solverStep(
          solvers[name],
          linear,
          x,
          tensor(Array(3).fill(i / steps)),
          tensor(Array(3).fill(1 / steps)),
        );
        if (i === 0 && step.error) estimates.push(Math.hypot(...await step.error.read()));
        x = step.x;
      }
      errors.push(Math.hypot(...(await x.read()).map((value, i) => value - linear.at(1, begins[i]))));
    }
    const slope = ([coarse, fine]: readonly number[]) =>
      Math.log(coarse / fine) / Math.log(counts[1] / counts[0]);
    assert.ok(Math.abs(slope(errors) - order) < 0.35, `order ${slope(errors)} from errors ${errors}`);
    assert.equal(estimates.length, hasError ? 2 : 0);
    if (hasError) assert.ok(Math.abs(slope(estimates) - order) < 0.5, `estimates ${estimates}`);
  });
}

testOnCpu("solverStep() takes one step length per sample", async () => {
  const [t, dt] = [[0.2, 0.5], [0.1, -0.3]];
  const both = await solverStep(solvers.rk4, linear, column([1, -2]), tensor(t), tensor(dt)).x.read();
  for (const [n, x] of [1, -2].entries()) {
    const alone = solverStep(solvers.rk4, linear, column([x]), tensor([t[n]]), tensor([dt[n]]));
    assertClose(await alone.x.read(), [both[n]], 1e-6);
  }
});

Deno.test("evaluationsOf() counts the evaluations of given steps, fewer if first is same as last", () => {
  const perStep = { euler: 1, midpoint: 2, heun: 2, bosh3: 3, rk4: 4, dopri5: 6, sde: 1 } as const;
  for (const solver of Object.keys(perStep) as (keyof typeof perStep)[]) {
    const first = solver === "bosh3" || solver === "dopri5" ? 1 : 0;
    assert.equal(evaluationsOf({ solver, steps: 5 }), first + 5 * perStep[solver], solver);
    assert.equal(evaluationsOf({ solver, times: [0, 0.5, 1] }), first + 2 * perStep[solver], solver);
  }
  assert.deepEqual([evaluationsOf({}), evaluationsOf({ rtol: 1e-3 })], [40, undefined]);
  assert.deepEqual(Object.keys(models.adaptiveSolvers).toSorted(), ["bosh3", "dopri5"]);
});

Deno.test("grids rise from 0 to 1 by their formulas, and are scaled to a span", () => {
  const lengths = (times: readonly number[]) => times.slice(1).map((t, i) => t - times[i]);
  for (const name of Object.keys(timeGrids) as models.TimeGridName[]) {
    for (const steps of [1, 7, 1000]) {
      const times = gridTimes(steps, name);
      assert.deepEqual([times.length, times[0], times[steps]], [steps + 1, 0, 1]);
      assert.ok(lengths(times).every((length) => length > 0));
    }
  }
  const bent = (bend: number) => gridTimes(4, timeGrids.quadratic.make({ bend }));
  assertClose(gridTimes(4, "quadratic"), [0, 7 / 16, 12 / 16, 15 / 16, 1], 1e-12);
  assertClose([...bent(-1), ...bent(0)], [0, 1 / 16, 4 / 16, 9 / 16, 1, 0, 0.25, 0.5, 0.75, 1], 1e-12);
  for (const ratio of [100, 0.01, 1, 1 + 1e-13]) {
    const all = lengths(gridTimes(10, timeGrids.logarithmic.make({ ratio })));
    assertClose(all.slice(1).map((length, i) => length / all[i]), Array(9).fill(ratio ** -0.1), 1e-9);
  }
  const spans: [models.Span, number[]][] = [
    ...[[{}, [0, 0.25, 1]], [{ from: 1, to: 0 }, [1, 0.25, 0]], [{ from: 0.5 }, [0.5, 0.625, 1]]],
    ...[[{ from: 0.75, to: 0.25 }, [0.75, 0.375, 0.25]], [{ from: 0.03, to: 0.33 }, [0.03, 0.105, 0.33]]],
  ] as [models.Span, number[]][];
  for (const [span, times] of spans) {
    assertClose(timesWithin([0, 0.25, 1], span), times, 1e-15);
    assert.equal(timesWithin([0, 0.25, 1], span).at(-1), times[2], "exact");
  }
});

testOnCpu("sample() accepts a grid by name, a grid object and times", async () => {
  const field = { velocity: (x: Parameters<typeof linear.velocity>[0]) => multiply(x, -2) };
  const by = (how: models.TimesOptions) => models.sample(field, { x0: column([1, 3]), ...how }).read();
  const expected = await by({ times: [0, 7 / 16, 12 / 16, 15 / 16, 1] });
  assertClose(await by({ steps: 4, grid: "quadratic" }), expected, 1e-6);
  assertClose(await by({ steps: 4, grid: { at: (s) => 1 - (1 - s) ** 2 } }), expected, 1e-6);
  const reusing = { ...bosh3, firstSameAsLast: false }; // the same without reuse of the last velocity
  assertClose(
    await by({ steps: 3, solver: bosh3 } as object),
    await by({ steps: 3, solver: reusing } as object),
    1e-6,
  );
});
