/** What solvers refuse, and how their messages begin. */

import assert from "node:assert/strict";
import {
  multiply,
  randomNormal,
  scope,
  square,
  sum,
  type Tensor,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { timesOf } from "../../../models/solve/time_grids.ts";
import { testOnCpu } from "../../testing.ts";
import { column, GaussianFlow, linear, pushed, tiny } from "./fields.ts";
import { estimatedDivergence, exactDivergence, rademacher } from "../../../models/solve/likelihood.ts";

const { AdaptiveSampler, defineTableau, logLikelihood, noise, sample, Sampler, solveFlow } = models;
const x = () => column([1, -2]), five = () => zeros([5, 1]), points = () => noise(5, [2, 4]);
const any = (value: object) => value as never;
const fixed = (how: object) => new Sampler(linear, [2, 1], how);
const adaptive = (how: object) => new AdaptiveSampler(linear, [2, 1], how);
const span = (how: object) => new AdaptiveSampler(linear, [2, 1]).solve(x(), how);
const tableau = (change: object) =>
  defineTableau({ order: 2, a: [[], [1]], b: [1 / 2, 1 / 2], c: [0, 1], ...change });
const likelihood = (how: object, field: models.VelocityField = new GaussianFlow(), x1 = points()) =>
  logLikelihood(field, x1, how);
const random = (x: Tensor) => randomNormal(tensor(Uint32Array.of(1, 2, 3)), x.shape);
const narrow = (x: Tensor) => sum(square(x), [1], true);
const [exact, epsilon] = [{ exact: true, steps: 2 }, () => rademacher(1, 1, [2, 4])];
const times = "increasing or decreasing times in [0, 1])", noisy = { solver: "sde", steps: 4 };

/** Calls by the start of their error; "..." stands for anything. */
const refused: readonly (readonly [message: string, call: () => unknown])[] = [
  ["RangeError: Cannot make a solver: its order is 0 (expected a positive", () => tableau({ order: 0 })],
  ["RangeError: ...b sums to 0.8...(expected 1)", () => tableau({ b: [1 / 2, 1 / 3] })],
  ["RangeError: ...row 1 of a sums to 1 (expected 0.5)", () => tableau({ c: [0, 1 / 2] })],
  ["RangeError: ...a has 2 rows and c 1 values (expected 2,", () => tableau({ c: [0] })],
  ["RangeError: ...row 0 of a has 1 values (expected at most 0", () => tableau({ a: [[0], [1]] })],
  ["RangeError: ...error sums to 1 (expected 0)", () => tableau({ error: [1 / 2, 1 / 2] })],
  ["RangeError: Cannot sample at the times 0 (expected two or more", () => timesOf({ times: [0] })],
  [`RangeError: ...t = 0.5, time 2 of 3 (expected ${times}`, () => timesOf({ times: [0, 0.5, 0.5] })],
  [`RangeError: ...t = 0.7, time 2 of 3 (expected ${times}`, () => timesOf({ times: [1, 0.5, 0.7] })],
  [`RangeError: ...t = NaN, time 0 of 2 (expected ${times}`, () => timesOf({ times: [NaN, 1] })],
  ["RangeError: ...t = 0.5, time 2 of 4", () => timesOf({ steps: 3, grid: { at: () => 0.5 } })],
  ["TypeError: ...both times and steps were given", () => timesOf({ times: [0, 1], steps: 1 })],
  ["TypeError: ...both times and grid were given", () => timesOf({ times: [0, 1], grid: "quadratic" })],
  ['TypeError: Unknown grid of times "quad": did', () => timesOf(any({ grid: "quad" }))],
  ["ShapeError: Cannot sample: x is f32[1, 1] (expected f32[2, 1])", () => fixed({}).run(column([1]))],
  ["RangeError: Cannot solve: from is 1.5", () => fixed({}).run(x(), { from: 1.5 })],
  ["RangeError: ...first is 5 (expected", () => fixed({ steps: 5 }).trajectory(x(), { first: 5 })],
  ["TypeError: Cannot use a tolerance with given steps", () => fixed({ rtol: 1e-3 })],
  ...[-1, 0.6, NaN].map((noise) =>
    [`RangeError: ...${noise * 16} in 4 steps`, () => fixed({ ...noisy, noise: noise * 16 })] as const
  ),
  ["TypeError: Cannot go from t = 1 to 0 with noise", () => fixed({ solver: "sde", times: [1, 0] })],
  ["TypeError: Cannot go from t = 1", () => solveFlow(linear, x(), any({ ...noisy, from: 1, to: 0 }))],
  ['TypeError: Unknown solver "dopri": did you mean "dopri5"', () => adaptive({ solver: "dopri" })],
  ["TypeError: Cannot choose the steps of the solver heun: it has no", () => adaptive({ solver: "heun" })],
  ["RangeError: ...snapshot 1 is at t = 1.5 (expected...0 to 1)", () => span({ snapshots: [0, 1.5] })],
  ["RangeError: ...snapshot 1 is at t = 0.5", () => span({ snapshots: [0.5, 0.5] })],
  ["RangeError: ...snapshot 0 is at t = NaN", () => span({ snapshots: [NaN] })],
  ["RangeError: ...snapshot 1 ... 0.4...1 to 0)", () => span({ from: 1, to: 0, snapshots: [0.3, 0.4] })],
  ...[[{ from: 1 }, "to is 1"], [{ to: 1.1 }, "to is 1.1"], [{ from: NaN }, "from is NaN"]].flatMap((
    [of, why],
  ) =>
    [{ steps: 2 }, { rtol: 1e-3 }].map((how) =>
      [`RangeError: Cannot solve: ${why}`, () => solveFlow(linear, x(), { ...how, ...of as object })] as const
    )
  ),
  ["ShapeError: ...(expected 5 rows)", () => sample(pushed, any({ x0: five(), condition: tensor([1]) }))],
  ...(["count", "shape", "seed"] as const).map((name) =>
    [`TypeError: ...both x0 and ${name} `, () => sample(linear, any({ x0: x(), [name]: 1 }))] as const
  ),
  ['TypeError: Unknown solver "toString"', () => sample(linear, any({ x0: x(), solver: "toString" }))],
  ["TypeError: Cannot use a tolerance", () => models.trajectory(linear, any({ x0: x(), rtol: 1e-3 }))],
  ...(["sde", "map"] as const).map((solver) =>
    ["TypeError: Cannot follow the flow with ", () => models.flowGeometry(linear, x(), { solver })] as const
  ),
  ['TypeError: Unknown setting "rtol"', () => models.flowGeometry(linear, x(), any({ rtol: 1e-3 }))],
  ["ShapeError: ...(expected 2 rows)", () => models.roundTrip(linear, x(), { condition: tensor([1]) })],
  ["ShapeError: Cannot sample a batch of shape", () => models.flowGeometry(linear, noise(1, [0, 2]))],
  ['TypeError: ...is "x" (expected a tensor)', () => models.roundTrip(linear, "x" as never)],
  ...[["exact", { probes: 2 }], ["exact", { seed: 1 }]].map(([of, other]) =>
    [
      `TypeError: ...both ${of} and ${Object.keys(other)[0]} were`,
      () => likelihood({ ...exact, ...other as object }),
    ] as const
  ),
  ["TypeError: ...both exact and epsilon were given", () => likelihood({ ...exact, epsilon: epsilon() })],
  ["TypeError: ...both epsilon and seed were given", () => likelihood({ epsilon: epsilon(), seed: 1 })],
  [
    "ShapeError: ...epsilon is f32[2, 3, 4] (expected f32[2, 2, 4])",
    () => likelihood({ epsilon: rademacher(1, 2, [3, 4]) }),
  ],
  ["TypeError: Cannot choose the steps of the solver heun", () => likelihood({ solver: "heun", rtol: 1e-3 })],
  ["TypeError: Cannot go from t = 1 to 0 with noise", () => likelihood({ solver: "sde" })],
  ["RangeError: ...times from 0.1 to 1 (expected from 0 to 1", () => likelihood({ times: [0.1, 1] })],
  ["RangeError: ...times from 1 to 0", () => likelihood({ times: [1, 0] })],
  ["RangeError: ...exact divergence of 65", () => likelihood(exact, undefined, noise(1, [2, 65]))],
  ["TypeError: Cannot take the likelihood of a guided", () => likelihood({}, { ...linear, guided: true })],
  ["ShapeError: Cannot sample a batch", () => new models.DensityField(linear, [0, 4])],
  ...[() => points(), random, (x: Tensor) => scope(() => multiply(x, 2))].flatMap((velocity) =>
    [exact, { seed: 1, steps: 2 }].map((how) =>
      ["Error: ...the velocity does not depend on x", () => likelihood(how, { velocity })] as const
    )
  ),
  ["ShapeError: ...velocity is f32[2, 1] (expected", () => exactDivergence(narrow(points()), points())],
  ["ShapeError: ...epsilon is f32[1, 4] (", () => estimatedDivergence(points(), points(), zeros([1, 4]))],
];

testOnCpu("solvers refuse what they cannot use, and say what they expect", async () => {
  for (const [message, call] of refused) {
    const pattern = message.split("...").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(
      ".*",
    );
    await assert.rejects(async () => await call(), new RegExp(`^${pattern}`), message);
  }
  const start = { x0: undefined as never, count: 1, shape: [1, 5, 4], seed: 0, steps: 1 };
  assert.deepEqual(sample(tiny(), start).shape, [1, 1, 5, 4]);
});
