/** Known answers for step control and interpolation, by the formulas of Hairer, Nørsett and Wanner 1993. */

import assert from "node:assert/strict";
import { interpolation } from "../../../models/solve/adaptive_steps.ts";
import { guessedStep, refinedStep, SampleClock, stepFactor } from "../../../models/solve/step_control.ts";
import { type ButcherTableau, solvers } from "../../../models/mod.ts";
import { assertClose } from "../../testing.ts";

Deno.test("stepFactor() is 0.9 ratio^(-1 / order), within its bounds", () => {
  const cases: [ratio: number, order: number, factor: number][] = [
    [1 / 32, 5, 1.8], // 32^(1/5) = 2
    [1 / 8, 3, 1.8], // 8^(1/3) = 2
    [32, 5, 0.45],
    [8, 3, 0.45],
    [2, 2, 0.9 / Math.SQRT2],
    [1, 5, 1], // accepted, so the next step is no shorter
    [0.9, 5, 1],
    [1 + 1e-9, 5, 0.9], // rejected, so the next one is shorter
    [0, 5, 10],
    [1e-9, 3, 10],
    [1e9, 5, 0.2],
    [Infinity, 5, 0.2],
    [NaN, 5, 0.2],
  ];
  for (const [ratio, order, factor] of cases) {
    assertClose([stepFactor(ratio, order)], [factor], 1e-8, `${ratio}, order ${order}`);
  }
});

Deno.test("guessedStep() and refinedStep() choose the first step from the norms of x, v and its change", () => {
  assertClose([guessedStep(3, 6)], [0.005], 1e-12);
  for (const [d0, d1] of [[1e-6, 1], [1, 1e-6]]) assert.equal(guessedStep(d0, d1), 1e-6);
  const cases: [guess: number, d1: number, d2: number, order: number, expected: number][] = [
    [1, 1, 32 * 0.01, 5, 0.01 ** (1 / 5)], // d1 is larger
    [1, 1, 0.01 * 32, 1, 0.01],
    [1, 0.1, 0.32, 5, 0.5], // (1 / 32)^(1/5)
    [1, 0.04, 0.08, 3, 0.5],
    [0.001, 0.1, 0.32, 5, 0.1], // at most 100 times the guess
    [0.5, 0, 0, 5, 5e-4],
    [1e-6, 0, 0, 5, 1e-6],
  ];
  for (const [guess, d1, d2, order, expected] of cases) {
    assertClose([refinedStep(guess, d1, d2, order)], [expected], 1e-12, `${[guess, d1, d2, order]}`);
  }
});

for (const [from, to] of [[0, 1], [1, 0.25]]) {
  Deno.test(`SampleClock goes from ${from} to ${to}: a rejected step does not advance, and the last one arrives`, () => {
    const sign = Math.sign(to - from);
    const clock = new SampleClock({ from, to }, 5);
    clock.begin(0.25);
    assert.equal(clock.dt, 0.25 * sign);
    assert.equal(clock.take(32), false);
    assert.deepEqual([clock.t, clock.left], [from, to - from]);
    assertClose([clock.dt], [0.25 * 0.45 * sign], 1e-12);
    assert.equal(clock.take(1 / 32), true);
    assertClose([clock.t, clock.dt], [from + 0.1125 * sign, 0.1125 * 1.8 * sign], 1e-12);
    while (!clock.done) assert.equal(clock.take(0), true);
    assert.deepEqual([clock.t, clock.dt, clock.left, clock.take(0)], [to, 0, 0, false]);
    const { t, dt } = clock.steps.at(-1)!;
    assert.equal(t + dt, to);
    const rest = Array(clock.steps.length - 2).fill([true, 0]);
    const tried = clock.steps.map(({ accepted, ratio }) => [accepted, ratio]);
    assert.deepEqual(tried, [[false, 32], [true, 1 / 32], ...rest]);
  });
}

Deno.test("SampleClock ends exactly, and is stuck if any step but the last gets too short", () => {
  const exact = new SampleClock({ from: 0.03, to: 0.33 }, 5); // 0.03 + (0.33 - 0.03) is slightly above 0.33
  exact.begin(1);
  exact.take(0);
  assert.deepEqual([exact.t, exact.done], [0.33, true]);
  const clock = new SampleClock({ from: 0, to: 1 }, 5);
  clock.begin(1e-3);
  while (!clock.stuck) assert.equal(clock.take(NaN), false);
  assert.ok(clock.dt <= 1e-7 && clock.dt > 1e-8, `${clock.dt}`);
  const last = new SampleClock({ from: 0, to: 1e-12 }, 5);
  last.begin(1e-3);
  assert.deepEqual([last.stuck, last.dt], [false, 1e-12]);
});

/** dx/dt = x cos(3 t), whose solution is x(0) exp(sin(3 t) / 3). */
const velocity = (x: number, t: number) => x * Math.cos(3 * t);
const solution = (t: number) => Math.exp(Math.sin(3 * t) / 3);

/** One step in f64 with its interpolation. */
function interpolated({ a, b, c, dense }: ButcherTableau, x0: number, t: number, dt: number) {
  const k: number[] = [];
  const sum = (weights: readonly number[]) => weights.reduce((sum, w, i) => sum + w * (k[i] ?? 0), 0);
  c.forEach((c, i) => k.push(velocity(x0 + dt * sum(a[i]), t + c * dt)));
  const x1 = x0 + dt * sum(b);
  const known = [x0, x1, k[0], velocity(x1, t + dt), dense ? dt * sum(dense) : 0];
  return (share: number) => {
    const { x, slope } = interpolation(share, dt);
    const dot = (weights: readonly number[]) => weights.reduce((sum, w, i) => sum + w * known[i], 0);
    return { x: dot(x), slope: dot(slope) };
  };
}

const starts = [0.1, 0.3, 0.45, 0.6, 0.8];
const shares = Array.from({ length: 19 }, (_, i) => (i + 1) / 20);

/** Root mean square errors of interpolated x and slope. */
function errorsOf(tableau: ButcherTableau, dt: number) {
  const all = starts.flatMap((t) => {
    const at = interpolated(tableau, solution(t), t, dt);
    return shares.map((share) => {
      const [time, { x, slope }] = [t + share * dt, at(share)];
      return { x: x - solution(time), slope: slope - velocity(solution(time), time) };
    });
  });
  const size = (name: "x" | "slope") => Math.hypot(...all.map((errors) => errors[name]));
  return { x: size("x"), slope: size("slope") };
}

for (const [name, order] of [["dopri5", 4], ["bosh3", 3]] as const) {
  Deno.test(`interpolation() of ${name} has order ${order}, and its slope one less`, () => {
    for (const direction of [1, -1]) {
      const [coarse, fine] = [0.04, 0.02].map((dt) => errorsOf(solvers[name], direction * dt));
      const [x, slope] = (["x", "slope"] as const).map((of) => Math.log2(coarse[of] / fine[of]));
      assert.ok(Math.abs(x - (order + 1)) < 0.4, `a step's error is O(dt^${x})`);
      assert.ok(Math.abs(slope - order) < 0.4, `its slope's is O(dt^${slope})`);
    }
  });
}

Deno.test("interpolation() is exact at both ends, to the bit", () => {
  for (const dt of [0.3, -0.07]) {
    const [start, end] = [interpolation(0, dt), interpolation(1, dt)];
    assertClose([...start.x, ...start.slope], [1, 0, 0, 0, 0, 0, 0, 1, 0, 0], 0);
    assertClose([...end.x, ...end.slope], [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], 0);
  }
});
