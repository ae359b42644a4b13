import assert from "node:assert/strict";
import { multiply, subtract, type Tensor, tensor } from "../../../kernels/mod.ts";
import { type SolverName, solvers, step, type VelocityField } from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

/** Solves from t = 0 to 1. */
function solve(name: SolverName, field: VelocityField, x0: Tensor, steps: number): Tensor {
  let x = x0;
  for (let i = 0; i < steps; i++) {
    const t = tensor(new Float32Array(x0.shape[0]).fill(i / steps));
    x = step(solvers[name], field, x, t, 1 / steps).x;
  }
  return x;
}

/** dx/dt = 2 (t - x), so x(t) = (x(0) + 1/2) exp(-2 t) + t - 1/2. */
const linear: VelocityField = { velocity: (x, t) => multiply(subtract(t, x), 2) };
const start = [1, -2, 0.5];
const end = start.map((x) => (x + 0.5) * Math.exp(-2) + 0.5);

for (const name of Object.keys(solvers) as SolverName[]) {
  const { order, a, b, c } = solvers[name];

  Deno.test(`solvers.${name} is consistent: rows of a sum to c, b to 1`, () => {
    const total = (row: readonly number[]) => row.reduce((sum, x) => sum + x, 0);
    assertClose(a.map(total), c, 1e-12);
    assert.ok(Math.abs(total(b) - 1) < 1e-15);
  });

  testOnDevices(`step() of ${name} converges with order ${order}`, async () => {
    const counts = order > 4 ? [4, 8] : [4, 8, 16]; // at more, f32 hides the error
    const solutions = counts.map((steps) => solve(name, linear, tensor(start), steps));
    const errors = await Promise.all(solutions.map(async (solution) => {
      return Math.hypot(...(await solution.read()).map((x, i) => x - end[i]));
    }));
    // Slope of log error against log dt.
    const fitted = Math.log(errors[0] / errors.at(-1)!) / Math.log(counts.at(-1)! / counts[0]);
    assert.ok(Math.abs(fitted - order) < 0.35, `order ${fitted} from errors ${errors}`);
  });

  testOnDevices(`step() of ${name} goes back where it came from`, async () => {
    const t = tensor([0.5, 0.5, 0.5]);
    const there = step(solvers[name], linear, tensor(start), t, 1 / 64);
    const back = step(
      solvers[name],
      linear,
      there.x,
      tensor([0.5, 0.5, 0.5].map((x) => x + 1 / 64)),
      -1 / 64,
    );
    assertClose(await back.x.read(), start, 4 * (2 / 64) ** (order + 1));
    assertClose(await there.v.read(), start.map((x) => 2 * (0.5 - x)), 1e-6);
  });
}

testOnDevices("step() of euler is exact for a straight field", async () => {
  const u = tensor([1, -3, 2.5]);
  const straight = { velocity: (_: Tensor) => u };
  const solutions = [1, 8].map((steps) => solve("euler", straight, tensor(start), steps));
  for (const solution of solutions) assert.deepEqual([...await solution.read()], [2, -5, 3]);
});
