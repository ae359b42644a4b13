import assert from "node:assert/strict";
import { multiply, reshape, subtract, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  adaptiveSolvers,
  bosh3,
  defineTableau,
  evaluationsOf,
  type SolverName,
  solvers,
  solverStep,
  type VelocityField,
} from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";

const order2 = { order: 2, a: [[], [1]], b: [1 / 2, 1 / 2], c: [0, 1] };

Deno.test("defineTableau() refuses tableaus that are not explicit or not consistent", () => {
  const refused = (change: Partial<Parameters<typeof defineTableau>[0]>, message: RegExp) =>
    assert.throws(() => defineTableau({ ...order2, ...change }), { name: "RangeError", message });
  refused({ order: 0 }, /^Cannot make a solver: its order is 0 \(expected a positive integer\)$/);
  refused({ b: [1 / 2, 1 / 3] }, /b sums to 0.83\d* \(expected 1\)/);
  refused({ c: [0, 1 / 2] }, /row 1 of a sums to 1 \(expected 0.5\)/);
  refused({ c: [0] }, /a has 2 rows and c 1 values \(expected 2, the length of b\)/);
  refused({ a: [[0], [1]] }, /row 0 of a has 1 values \(expected at most 0 in an explicit method\)/);
  refused({ error: [1 / 2, 1 / 2] }, /error sums to 1 \(expected 0\)/);
  refused({ error: [0] }, /error has 1 values \(expected 2, the length of b\)/);
});

Deno.test("evaluationsOf() counts the evaluations of given steps, fewer if first is same as last", () => {
  assert.equal(defineTableau(order2).firstSameAsLast, false);
  const a = [[], [1 / 2], [1 / 2, 1 / 2]];
  const reusing = defineTableau({ order: 1, a, b: [1 / 2, 1 / 2, 0], c: [0, 1 / 2, 1] });
  assert.equal(reusing.firstSameAsLast, true);
  assert.equal(evaluationsOf({ solver: reusing, steps: 4 }), 9);
  const perStep = { euler: 1, midpoint: 2, heun: 2, bosh3: 3, rk4: 4, dopri5: 6, sde: 1 } as const;
  for (const solver of Object.keys(perStep) as (keyof typeof perStep)[]) {
    const first = solver === "bosh3" || solver === "dopri5" ? 1 : 0;
    assert.equal(evaluationsOf({ solver, steps: 5 }), first + 5 * perStep[solver], solver);
    assert.equal(evaluationsOf({ solver, times: [0, 0.5, 1] }), first + 2 * perStep[solver], solver);
  }
  assert.equal(evaluationsOf({}), 40);
  assert.equal(evaluationsOf({ rtol: 1e-3 }), undefined);
  assert.deepEqual(Object.keys(adaptiveSolvers).toSorted(), ["bosh3", "dopri5"]);
});

/** Solves from t = 0 to 1. */
function solve(name: SolverName, field: VelocityField, x0: Tensor, steps: number): Tensor {
  let x = x0;
  for (let i = 0; i < steps; i++) {
    const t = tensor(new Float32Array(x0.shape[0]).fill(i / steps));
    x = solverStep(solvers[name], field, x, t, 1 / steps).x;
  }
  return x;
}

/** dx/dt = 2 (t - x), so x(t) = (x(0) + 1/2) exp(-2 t) + t - 1/2. */
const linear: VelocityField = { velocity: (x, t) => multiply(subtract(reshape(t, [t.size, 1]), x), 2) };
const start = [1, -2, 0.5];
const end = start.map((x) => (x + 0.5) * Math.exp(-2) + 0.5);
const column = (values: readonly number[]) => tensor(values, [values.length, 1]);

for (const name of Object.keys(solvers) as SolverName[]) {
  const { order } = solvers[name];
  testOnCpu(`solverStep() of ${name} converges with order ${order}`, async () => {
    const counts = order > 4 ? [4, 8] : [4, 8, 16]; // with more steps, f32 rounding hides the error
    const errors = await Promise.all(counts.map(async (steps) => {
      const solution = await solve(name, linear, column(start), steps).read();
      return Math.hypot(...solution.map((x, i) => x - end[i]));
    }));
    // Slope of log error over log dt.
    const fitted = Math.log(errors[0] / errors.at(-1)!) / Math.log(counts.at(-1)! / counts[0]);
    assert.ok(Math.abs(fitted - order) < 0.35, `order ${fitted} from errors ${errors}`);
  });
}

testOnDevices("solverStep() estimates its error if the solver has error weights", async () => {
  const [x, t] = [column([1, -2]), tensor([0.2, 0.2])];
  const errors = [];
  for (const dt of [0.1, 0.05]) {
    const { error } = solverStep(bosh3, linear, x, t, tensor([dt, dt]));
    errors.push(Math.abs((await error!.read())[0]));
  }
  // The estimate is of order 2, so a step's error falls as dt^3.
  assert.ok(Math.abs(Math.log2(errors[0] / errors[1]) - 3) < 0.35, `${errors}`);
  assert.equal(solverStep(solvers.heun, linear, x, t, 0.1).error, undefined);
});

testOnDevices("solverStep() accepts a tensor with one step length per sample", async () => {
  const [t, dt] = [[0.2, 0.5], [0.1, -0.3]];
  const both = await solverStep(solvers.rk4, linear, column([1, -2]), tensor(t), tensor(dt)).x.read();
  for (const [n, x] of [1, -2].entries()) {
    const alone = solverStep(solvers.rk4, linear, column([x]), tensor([t[n]]), dt[n]);
    assertClose(await alone.x.read(), [both[n]], 1e-6);
  }
});
