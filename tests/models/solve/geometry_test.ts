import assert from "node:assert/strict";
import { add, concat, multiply, reshape, slice, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  createModel,
  flowGeometry,
  noise,
  roundTrip,
  Sampler,
  type SolverName,
  solvers,
} from "../../../models/mod.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { GaussianFlow } from "./gaussian_flow.ts";

/** Moves every point by (3, 4). */
const straight = { velocity: (x: Tensor) => add(multiply(x, 0), tensor([3, 4], [1, 2])) };

/** Turns points around the origin by `omega` radians: v = omega (-y, x). */
const rotating = (omega: number) => ({
  velocity: (x: Tensor) => multiply(concat([multiply(slice(x, 1, 1, 1), -1), slice(x, 1, 0, 1)], 1), omega),
});

testOnCpu("a flow that is straight or at rest has length = distance and no curvature", async () => {
  const geometry = await flowGeometry(straight, noise(1, [3, 2]), {
    solver: "heun",
    times: [0, 0.1, 0.6, 1],
  });
  assertClose(geometry.distance, [5, 5, 5], 1e-6);
  assertClose(geometry.length, [5, 5, 5], 1e-6);
  assertClose(geometry.straightness, [0, 0, 0], 1e-6);
  assertClose(geometry.turning, [0, 0, 0], 1e-6);
  for (const column of geometry.curvature) assertClose(column, [0, 0, 0], 1e-6);
  assert.equal(geometry.curvature.length, 3);
  assert.deepEqual(geometry.speed.map((column) => column.length), [3, 3, 3, 3]);
  assert.deepEqual(geometry.times, [0, 0.1, 0.6, 1]);
  const still = await flowGeometry({ velocity: (x) => multiply(x, 0) }, noise(1, [2, 2]), { steps: 2 });
  for (const column of [still.turning, still.length, still.straightness, ...still.curvature]) {
    assert.deepEqual(column, new Float64Array(2));
  }
  const back = await flowGeometry(straight, noise(1, [3, 2]), { times: [0.75, 0.5, 0.25] });
  assertClose(back.distance, [2.5, 2.5, 2.5], 1e-6);
  assertClose(back.straightness, [0, 0, 0], 1e-6);
});

testOnCpu("a straight line at changing speed has a straightness above 0", async () => {
  // x(t) = x(0) + t^2: the velocity 2 t differs from 1 by 2 t - 1, with mean square 1/3.
  const field = {
    velocity: (x: Tensor, t: Tensor) => add(multiply(x, 0), multiply(reshape(t, [t.size, 1]), 2)),
  };
  const geometry = await flowGeometry(field, tensor([1], [1, 1]), { solver: "heun", steps: 100 });
  assertClose(geometry.length, geometry.distance, 1e-6);
  assertClose(geometry.distance, [1], 1e-6);
  assertClose(geometry.straightness, [1 / 3], 1e-3);
  assertClose(geometry.turning, [0], 1e-6);
  assertClose(geometry.deviation[25], [0.25], 1e-5);
});

testOnCpu("a rotation has the curvature and turning angle of its circles", async () => {
  const [omega, steps] = [2, 100];
  const radii = [1, 4];
  const geometry = await flowGeometry(rotating(omega), tensor([1, 0, 0, 4], [2, 2]), {
    solver: "rk4",
    steps,
  });
  const chord = 2 * Math.sin(omega / 2);
  assertClose(geometry.turning, [omega, omega], 1e-4);
  assertClose(geometry.length, radii.map((r) => r * omega), 1e-3);
  assertClose(geometry.distance, radii.map((r) => r * chord), 1e-4);
  for (const column of geometry.curvature) assertClose(column, radii.map((r) => 1 / r), 1e-3);
  for (const column of geometry.speed) assertClose(column, radii.map((r) => r * omega), 1e-4);
  // The integral of |v|^2 minus |distance|^2, because the integral of v is x(1) - x(0).
  assertClose(geometry.straightness, radii.map((r) => r * r * (omega ** 2 - chord ** 2)), 1e-3);
});

testOnCpu("flowGeometry() follows the trajectories of Sampler, in batches", async () => {
  const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
  const x0 = noise(2, [5, 1, 4, 4]);
  for (const solver of Object.keys(solvers) as SolverName[]) {
    let calls = 0;
    const field = { velocity: (x: Tensor, t: Tensor) => (calls++, model.velocity(x, t)) };
    const whole = await flowGeometry(field, x0, { solver, steps: 1 });
    assert.equal(whole.evaluations, calls, solver); // the only step is traced once
  }
  const options = { solver: "heun", steps: 4 } as const;
  const whole = await flowGeometry(model, x0, options);
  const x1 = await new Sampler(model, x0.shape, options).run(x0).read();
  const start = await x0.read();
  const distances = Array.from(
    { length: 5 },
    (_, n) => Math.hypot(...x1.subarray(16 * n, 16 * n + 16).map((x, i) => x - start[16 * n + i])),
  );
  assertClose(whole.distance, distances, 1e-5);
  assert.ok(whole.length.every((length, n) => length >= whole.distance[n] * (1 - 1e-6)));
  for (const batch of [1, 2]) {
    const parts = await flowGeometry(model, x0, { ...options, batch });
    for (const what of ["distance", "length", "straightness", "turning"] as const) {
      assertClose(parts[what], whole[what], 1e-4, what);
    }
    parts.curvature.forEach((column, i) => assertClose(column, whole.curvature[i], 1e-4));
  }
});

testOnCpu("flowGeometry() refuses solvers that are not Runge-Kutta methods", async () => {
  for (const solver of ["sde", "map"] as const) {
    await assert.rejects(flowGeometry(straight, noise(1, [3, 2]), { solver }), {
      name: "TypeError",
      message: /^Cannot follow the flow with .* \(expected a Runge-Kutta method, such as heun\)$/,
    });
  }
});

testOnCpu("flowGeometry() and roundTrip() pass the condition to the field, row by row", async () => {
  const field = {
    velocity: (x: Tensor, _: Tensor, c?: Tensor) => add(multiply(x, 0), reshape(c!, [x.shape[0], 1])),
  };
  const options = { condition: tensor([1, 2, 3]), batch: 2, steps: 2 };
  const geometry = await flowGeometry(field, noise(1, [3, 1]), options);
  assertClose(geometry.distance, [1, 2, 3], 1e-6);
  const { error } = await roundTrip(field, noise(1, [3, 1]), options);
  assertClose(error, [0, 0, 0], 1e-6);
});

testOnCpu("the error of roundTrip() falls at least by the order of its solver", async () => {
  const x1 = multiply(noise(5, [3, 4]), 1.5);
  for (const solver of ["euler", "midpoint", "bosh3"] as const) {
    const errors: number[] = [];
    for (const steps of [12, 24]) {
      const { error, evaluations } = await roundTrip(new GaussianFlow(), x1, { solver, steps, batch: 2 });
      errors.push(Math.hypot(...error));
      const perStep = { euler: steps, midpoint: 2 * steps, bosh3: 3 * steps + 1 };
      assert.equal(evaluations, 2 * perStep[solver]);
    }
    const order = Math.log2(errors[0] / errors[1]);
    assert.ok(order > solvers[solver].order - 0.4, `${solver}: ${errors}`);
  }
  const fine = await roundTrip(new GaussianFlow(), x1, { solver: "rk4", steps: 60 });
  assertClose(fine.error, [0, 0, 0], 1e-4);
});

testOnCpu("flowGeometry() and roundTrip() refuse invalid options", async () => {
  const x = noise(1, [2, 2]);
  const cases: [options: object, message: RegExp, start?: unknown][] = [
    [{ steps: 0 }, /^RangeError: Cannot sample in 0 steps/],
    [{ rtol: 1e-3 }, /^TypeError: Unknown setting "rtol"/],
    [{ steps: 1, solver: "huen" }, /^TypeError: Unknown solver "huen": did you mean "heun"\?/],
    [{ steps: 1, batch: 0 }, /^RangeError: Cannot .*batch is 0/],
    [{ steps: 1, condition: tensor([1]) }, /^ShapeError: .*\(expected 2 rows\)/],
    [{ steps: 1 }, /^ShapeError: Cannot sample a batch of shape/, noise(1, [0, 2])],
    [{ steps: 1 }, /^TypeError: .* is "x" \(expected a tensor\)/, "x"],
  ];
  for (const measure of [flowGeometry, roundTrip]) {
    for (const [options, message, start = x] of cases) {
      await assert.rejects(measure(straight, start as Tensor, options), message);
    }
  }
});
