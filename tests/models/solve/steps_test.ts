/** One step of each solver, the choice of steps, and what lies between them. */

import assert from "node:assert/strict";
import { multiply, tensor } from "../../../kernels/mod.ts";
import {
  guessedStep,
  interpolation,
  refinedStep,
  SampleClock,
  stepFactor,
} from "../../../models/solve/adaptive_sampler.ts";
import { timesWithin } from "../../../models/solve/time_grids.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { column, linear, names } from "./fields.ts";
import { solverStep } from "../../../models/solve/tableau.ts";
import * as models from "../../../models/mod.ts";

const { bosh3, evaluationsOf, gridTimes, solvers, timeGrids } = models;
const starts = [1, -2, 0.5];

for (const name of names) {
  const { order, error: hasError } = solvers[name] as models.ButcherTableau;
  const test = name === "dopri5" ? testOnDevices : testOnCpu;
  test(`${name} has order ${order}, and its error estimate one less`, async () => {
    const counts = order > 4 ? [4, 8] : [4, 16]; // with more steps, f32 rounding hides the error
    const errors: number[] = [], estimates: number[] = [];
    for (const steps of counts) {
      let x = column(starts);
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
      errors.push(Math.hypot(...(await x.read()).map((value, i) => value - linear.at(1, starts[i]))));
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

Deno.test("step control follows Hairer, Nørsett and Wanner 1993", () => {
  const factors: [ratio: number, order: number, factor: number][] = [
    ...[[1 / 32, 5, 1.8], [1 / 8, 3, 1.8], [32, 5, 0.45], [8, 3, 0.45], [2, 2, 0.9 / Math.SQRT2]],
    ...[[1, 5, 1], [0.9, 5, 1], [1 + 1e-9, 5, 0.9], [0, 5, 10], [1e9, 5, 0.2], [NaN, 5, 0.2]],
  ] as [number, number, number][];
  for (const [ratio, order, factor] of factors) {
    assertClose([stepFactor(ratio, order)], [factor], 1e-8, `${ratio}, order ${order}`);
  }
  assertClose([guessedStep(3, 6), guessedStep(1e-6, 1), guessedStep(1, 1e-6)], [0.005, 1e-6, 1e-6], 1e-12);
  const firsts = [[1, 1, 0.32, 5, 0.01 ** 0.2], [1, 0.1, 0.32, 5, 0.5], [1, 0.04, 0.08, 3, 0.5]];
  for (
    const [guess, d1, d2, order, expected] of [...firsts, [1e-3, 0.1, 0.32, 5, 0.1], [0.5, 0, 0, 5, 5e-4]]
  ) {
    assertClose([refinedStep(guess, d1, d2, order)], [expected], 1e-12, `${[guess, d1, d2, order]}`);
  }
});

Deno.test("SampleClock arrives exactly, repeats rejected steps, and gets stuck", () => {
  for (const [from, to] of [[0, 1], [1, 0.25], [0.03, 0.33]]) {
    const sign = Math.sign(to - from), clock = new SampleClock({ from, to }, 5);
    clock.begin(0.25);
    assert.deepEqual([clock.dt, clock.take(32), clock.t], [0.25 * sign, false, from]);
    assertClose([clock.dt], [0.25 * 0.45 * sign], 1e-12);
    assert.equal(clock.take(1 / 32), true);
    assertClose([clock.t], [from + 0.1125 * sign], 1e-12);
    while (!clock.done) assert.equal(clock.take(0), true);
    assert.deepEqual([clock.t, clock.dt, clock.left, clock.take(0)], [to, 0, 0, false]);
    assert.deepEqual(clock.steps.slice(0, 2).map(({ accepted }) => accepted), [false, true]);
  }
  const clock = new SampleClock({ from: 0, to: 1 }, 5), last = new SampleClock({ from: 0, to: 1e-12 }, 5);
  for (const started of [clock, last]) started.begin(1e-3);
  while (!clock.stuck) assert.equal(clock.take(NaN), false);
  assert.ok(clock.dt <= 1e-7 && clock.dt > 1e-8, `${clock.dt}`);
  assert.deepEqual([last.stuck, last.dt], [false, 1e-12]);
});

/** Errors of steps of dx/dt = x cos 3t, and of their slopes, interpolated at several shares, in f64. */
function errorsOf({ a, b, c, dense }: models.ButcherTableau, dt: number) {
  const velocity = (x: number, t: number) => x * Math.cos(3 * t);
  const solution = (t: number) => Math.exp(Math.sin(3 * t) / 3);
  const sum = (weights: readonly number[], of: readonly number[]) =>
    weights.reduce((sum, weight, i) => sum + weight * (of[i] ?? 0), 0);
  const all = [0.1, 0.3, 0.45, 0.6, 0.8].flatMap((t) => {
    const x0 = solution(t), k: number[] = [];
    c.forEach((c, i) => k.push(velocity(x0 + dt * sum(a[i], k), t + c * dt)));
    const x1 = x0 + dt * sum(b, k);
    const known = [x0, x1, k[0], velocity(x1, t + dt), dense ? dt * sum(dense, k) : 0];
    return Array.from({ length: 19 }, (_, i) => {
      const share = (i + 1) / 20, { x, slope } = interpolation(share, dt), at = t + share * dt;
      return [sum(x, known) - solution(at), sum(slope, known) - velocity(solution(at), at)];
    });
  });
  return [0, 1].map((of) => Math.hypot(...all.map((errors) => errors[of])));
}

Deno.test("interpolation() is exact at both ends, of order 4 for dopri5 and of order 3 for bosh3", () => {
  for (const [name, order] of [["dopri5", 4], ["bosh3", 3]] as const) {
    for (const sign of [1, -1]) {
      const [coarse, fine] = [0.04, 0.02].map((dt) => errorsOf(solvers[name], sign * dt));
      const [x, slope] = coarse.map((error, i) => Math.log2(error / fine[i]));
      assert.ok(Math.abs(x - order - 1) < 0.4 && Math.abs(slope - order) < 0.4, `${name}: ${x}, ${slope}`);
    }
  }
  for (const dt of [0.3, -0.07]) {
    const [start, end] = [interpolation(0, dt), interpolation(1, dt)];
    assertClose([...start.x, ...start.slope], [1, 0, 0, 0, 0, 0, 0, 1, 0, 0], 0);
    assertClose([...end.x, ...end.slope], [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], 0);
  }
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
