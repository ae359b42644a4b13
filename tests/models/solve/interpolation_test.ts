import assert from "node:assert/strict";
import { interpolation } from "../../../models/solve/interpolation.ts";
import { type ButcherTableau, solvers } from "../../../models/mod.ts";
import { assertClose } from "../../testing.ts";

/** dx/dt = x cos(3 t), whose solution is x(0) exp(sin(3 t) / 3). */
const velocity = (x: number, t: number) => x * Math.cos(3 * t);
const solution = (t: number) => Math.exp(Math.sin(3 * t) / 3);

/** One step in f64, and its interpolation. */
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

/** Errors of x and slope within steps from the solution, as root mean squares. */
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
  for (const direction of [1, -1]) {
    const where = direction > 0 ? "forward" : "back";
    Deno.test(`interpolation() of ${name} has order ${order}, and its slope one less, ${where}`, () => {
      const [coarse, fine] = [0.04, 0.02].map((dt) => errorsOf(solvers[name], direction * dt));
      const fitted = Math.log2(coarse.x / fine.x);
      assert.ok(Math.abs(fitted - (order + 1)) < 0.4, `a step's error is O(dt^${fitted})`);
      const slope = Math.log2(coarse.slope / fine.slope);
      assert.ok(Math.abs(slope - order) < 0.4, `its slope's is O(dt^${slope})`);
    });
  }
}

Deno.test("interpolation() is the step at both ends, to the bit, and its slope is the velocity there", () => {
  for (const dt of [0.3, -0.07]) {
    const [start, end] = [interpolation(0, dt), interpolation(1, dt)];
    assertClose(start.x, [1, 0, 0, 0, 0], 0);
    assertClose(end.x, [0, 1, 0, 0, 0], 0);
    assertClose(start.slope, [0, 0, 1, 0, 0], 0);
    assertClose(end.slope, [0, 0, 0, 1, 0], 0);
  }
});

Deno.test("interpolation() has the slope of its own x", () => {
  const [dt, small] = [0.3, 1e-6];
  for (const share of [0.1, 0.5, 0.8]) {
    const [before, after] = [share - small, share + small].map((share) => interpolation(share, dt).x);
    const slope = after.map((weight, i) => (weight - before[i]) / (2 * small * dt));
    assertClose(interpolation(share, dt).slope, slope, 1e-6);
  }
});
