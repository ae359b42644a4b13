import assert from "node:assert/strict";
import { add, concat, multiply, reshape, slice, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  AdaptiveSampler,
  type AdaptiveSolverName,
  adaptiveSolvers,
  bosh3,
  dopri5,
  evaluationsPerStep,
} from "../../../models/mod.ts";
import { largestDifference, testOnDevices } from "../../testing.ts";

type Point = readonly [number, number];

/** Fields in the plane with known solutions. */
interface Problem {
  readonly field: (x: Tensor, t: Tensor) => Tensor;
  readonly at: (t: number) => Point;
  /** Whether every step is exact, whatever the tolerance. */
  readonly exact?: boolean;
}

const each = (t: Tensor) => reshape(t, [t.size, 1]);
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
Deno.test("a try of bosh3 takes 3 evaluations, one of dopri5 6", () => {
  assert.deepEqual([bosh3, dopri5].map(evaluationsPerStep), [3, 6]);
});

const tolerances = [1e-2, 1e-3, 1e-4];

for (const solver of Object.keys(adaptiveSolvers) as AdaptiveSolverName[]) {
  for (const [name, { field, at, exact = false }] of Object.entries(problems)) {
    for (const [from, to] of [[0, 1], [1, 0]]) {
      const way = `${name} field from ${from} to ${to}`;
      testOnDevices(`the error of AdaptiveSampler by ${solver} follows its tolerance: ${way}`, async () => {
        const errors: number[] = [];
        for (const tolerance of tolerances) {
          const options = { solver, rtol: tolerance, atol: tolerance, from, to, maxEvaluations: 10_000 };
          const sampler = new AdaptiveSampler({ velocity: field }, [1, 2], options);
          const { x, evaluations, steps: [steps] } = await sampler.run(tensor([...at(from)], [1, 2]));
          errors.push(largestDifference(await x.read(), at(to)));
          const accepted = steps.filter(({ accepted }) => accepted).length;
          const rejected = steps.filter(({ ratio }) => !(ratio <= 1)).length;
          assert.equal(accepted + rejected, steps.length);
          assert.equal(evaluations, 2 + evaluationsPerStep(adaptiveSolvers[solver]) * (accepted + rejected));
        }
        if (exact) return assert.ok(errors.every((error) => error < 1e-5), `${errors}`);
        errors.forEach((error, i) => assert.ok(error < 20 * tolerances[i], `${errors}`));
        const order = Math.log10(errors[0] / errors[2]) / 2;
        assert.ok(order > 0.6 && order < 1.4, `the error is O(tolerance^${order}): ${errors}`);
      });
    }
  }
}
