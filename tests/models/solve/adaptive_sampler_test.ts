import assert from "node:assert/strict";
import { add, multiply, reshape, subtract, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  AdaptiveSampler,
  type AdaptiveSolverName,
  adaptiveSolvers,
  createModel,
  heun,
  noise,
  sample,
} from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

const each = (t: Tensor) => reshape(t, [t.size, 1]);

/** Fields with known solutions x(t) of x(0). */
const problems: Record<
  string,
  { field: (x: Tensor, t: Tensor) => Tensor; at: (x0: number, t: number) => number }
> = {
  constant: { field: (x) => add(multiply(x, 0), 3), at: (x0, t) => x0 + 3 * t },
  linear: { field: (x, t) => add(multiply(x, 0), multiply(each(t), 2)), at: (x0, t) => x0 + t * t },
  exponential: { field: (x) => multiply(x, -3), at: (x0, t) => x0 * Math.exp(-3 * t) },
  driven: {
    field: (x, t) => multiply(subtract(each(t), x), 2),
    at: (x0, t) => (x0 + 0.5) * Math.exp(-2 * t) + t - 0.5,
  },
};
const starts = [1, -2, 0.25];

for (const solver of Object.keys(adaptiveSolvers) as AdaptiveSolverName[]) {
  for (const [name, { field, at }] of Object.entries(problems)) {
    testOnDevices(`AdaptiveSampler by ${solver} solves the ${name} field, there and back`, async () => {
      let asked = 0;
      const counting = {
        velocity(x: Tensor, t: Tensor) {
          asked++;
          return field(x, t);
        },
      };
      const tolerance = { solver, rtol: 1e-4, atol: 1e-4 };
      const { b, firstSameAsLast } = adaptiveSolvers[solver];
      const perTry = firstSameAsLast ? b.length - 1 : b.length;
      const there = new AdaptiveSampler(counting, [3, 1], tolerance);
      assert.equal(asked, 2 + perTry); // as often as they are recorded
      const solution = await there.run(tensor(starts, [3, 1]));
      const x1 = await solution.x.read();
      assertClose(x1, starts.map((x0) => at(x0, 1)), 1e-3);
      const tries = Math.max(...solution.steps.map((steps) => steps.length));
      assert.equal(solution.evaluations, 2 + perTry * tries);
      for (const steps of solution.steps) {
        const end = steps.filter(({ accepted }) => accepted).reduce((t, { dt }) => t + dt, 0);
        assert.ok(Math.abs(end - 1) < 1e-12, `${end}`);
      }
      const back = new AdaptiveSampler({ velocity: field }, [3, 1], { ...tolerance, from: 1, to: 0 });
      assertClose(await (await back.run(tensor(x1, [3, 1]))).x.read(), starts, 0.02); // errors grow on the way back, up to e^3 times
    });
  }

  testOnDevices(`the error of AdaptiveSampler by ${solver} follows its tolerance`, async () => {
    const { field, at } = problems.driven;
    const errors: number[] = [];
    const evaluations: number[] = [];
    for (const tolerance of [1e-2, 1e-3, 1e-4]) {
      const sampler = new AdaptiveSampler({ velocity: field }, [1, 1], {
        solver,
        rtol: tolerance,
        atol: tolerance,
      });
      const solution = await sampler.run(tensor([1], [1, 1]));
      errors.push(Math.abs((await solution.x.read())[0] - at(1, 1)));
      evaluations.push(solution.evaluations);
      assert.ok(errors.at(-1)! < 5 * tolerance, `${errors}`);
    }
    assert.ok(evaluations[0] < evaluations[2], `${evaluations}`);
  });
}

testOnDevices("a sample of AdaptiveSampler does not depend on the others", async () => {
  // Fast where x is large: the samples need steps of very different length.
  const field = { velocity: (x: Tensor) => multiply(multiply(x, x), -1) };
  const x0 = [0.1, 40, 3];
  const together = await new AdaptiveSampler(field, [3, 1]).run(tensor(x0, [3, 1]));
  const values = await together.x.read();
  assertClose(values, x0.map((x) => x / (1 + x)), 1e-4);
  assert.ok(together.steps[1].length > 2 * together.steps[0].length);
  for (const [i, x] of x0.entries()) {
    const alone = await new AdaptiveSampler(field, [1, 1]).run(tensor([x], [1, 1]));
    assertClose(await alone.x.read(), [values[i]], 1e-6);
    assert.equal(alone.steps[0].length, together.steps[i].length);
  }
});

testOnDevices(
  "AdaptiveSampler draws what many small steps draw, and rejects steps where it must",
  async () => {
    const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
    const shape = [2, 1, 5, 4];
    const { x } = await new AdaptiveSampler(model, shape).run(noise(3, shape));
    const fine = sample(model, { x0: noise(3, shape), steps: 200, solver: "rk4" });
    assertClose(await x.read(), await fine.read(), 1e-3);
    const sudden = {
      velocity: (x: Tensor, t: Tensor) =>
        add(multiply(x, 0), each(multiply(add(multiply(t, 0), 1), multiply(t, t)))),
    };
    const { steps } = await new AdaptiveSampler(sudden, [1, 1]).run(tensor([0], [1, 1]));
    assert.ok(steps[0].every(({ ratio, accepted }) => accepted === ratio <= 1));
  },
);

testOnDevices("AdaptiveSampler says where it cannot go on", async () => {
  const stiff = { velocity: (x: Tensor) => multiply(x, -1e4) };
  await assert.rejects(
    new AdaptiveSampler(stiff, [1, 1], { maxEvaluations: 100 }).run(tensor([1], [1, 1])),
    /^SolverError: Cannot solve in 100 evaluations: the slowest sample is at t = 0\.\d{4}; use a larger tolerance/,
  );
  const none = { velocity: (x: Tensor) => multiply(x, NaN) };
  await assert.rejects(
    new AdaptiveSampler(none, [1, 1]).run(tensor([1], [1, 1])),
    /^SolverError: Cannot solve sample 0 beyond t = 0\.0000: its steps get too short/,
  );
});

testOnDevices("AdaptiveSampler refuses what makes no sense", () => {
  const field = { velocity: problems.constant.field };
  const refuse = (options: ConstructorParameters<typeof AdaptiveSampler>[2], message: RegExp) =>
    assert.throws(() => new AdaptiveSampler(field, [1, 1], options), message);
  refuse({ rtol: 0 }, /RangeError: Cannot solve: rtol is 0 \(expected a number above 0, at most 1\)/);
  refuse({ atol: 2 }, /atol is 2/);
  refuse({ from: -1 }, /from is -1 \(expected a time in \[0, 1\]\)/);
  refuse({ to: 0 }, /to is 0 \(expected another time than `from`\)/);
  refuse({ maxEvaluations: 1.5 }, /maxEvaluations is 1.5 \(expected a positive integer\)/);
  refuse(
    { solver: "dopri" as AdaptiveSolverName },
    /Unknown adaptive solver "dopri": did you mean "dopri5"\?/,
  );
  refuse({ solver: heun }, /TypeError: Cannot adapt the steps of a solver without an error estimate/);
});

testOnDevices("AdaptiveSampler takes a last step of any length", async () => {
  const sampler = new AdaptiveSampler({ velocity: (x: Tensor) => multiply(x, -3) }, [1, 1]);
  for (const [from, to] of [[0.5, 0.5 + 5e-8], [0.5, 0.5 - 5e-8], [0.5, 0.5 + 1e-12]]) {
    const { x, steps } = await sampler.run(tensor([2], [1, 1]), { from, to });
    assert.equal(steps[0].at(-1)!.dt, to - from);
    assertClose(await x.read(), [2], 1e-6);
  }
});
