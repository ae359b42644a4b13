import assert from "node:assert/strict";
import { multiply, record, type Tensor, tensor, zeros } from "../../../kernels/mod.ts";
import {
  AdaptiveSampler,
  CountedField,
  evaluations,
  type FlowSolverName,
  flowSolvers,
  sample,
  Sampler,
  type SolverName,
  solvers,
  StochasticSampler,
} from "../../../models/mod.ts";
import { testOnDevices } from "../../testing.ts";

const field = { velocity: (x: Tensor) => multiply(x, -1) };
const shape = [2, 3];

testOnDevices("CountedField counts evaluations, and those of recorded steps when they run", () => {
  const counted = new CountedField(field);
  const [x, t] = [zeros(shape), zeros([2])];
  counted.velocity(x, t);
  assert.equal(counted.evaluations, 1);
  const step = counted.record(() => counted.velocity(counted.velocity(x, t), t));
  assert.equal(counted.evaluations, 1, "tracing computes nothing");
  for (let i = 0; i < 3; i++) step.run();
  assert.equal(counted.evaluations, 1 + 3 * 2);
  assert.throws(() => counted.record(() => counted.velocity({} as Tensor, t)));
  assert.equal(counted.evaluations, 7, "what was not recorded counts nothing");
});

testOnDevices("CountedField counts in whatever records it, samplers and the user's own steps", async () => {
  const [counted, x] = [new CountedField(field), zeros(shape)];
  const added = async (run: () => unknown) => {
    const before = counted.evaluations;
    await run();
    return counted.evaluations - before;
  };
  assert.equal(await added(() => sample(counted, { x0: x, steps: 10 })), 10);
  const sampler = new Sampler(new CountedField(counted), shape, { solver: "rk4", steps: 3 });
  assert.equal(await added(() => sampler.run(x)), 12);
  assert.equal(sampler.evaluations, 12);
  const step = record(() => counted.velocity(x, zeros([2])));
  assert.equal(await added(() => step.run()), 1);
  const adaptive = new AdaptiveSampler(counted, shape);
  assert.equal(await added(() => adaptive.run(x)), adaptive.evaluations);
  assert.equal(await added(() => Sampler.plan(counted, shape, { steps: 2 })), 0, "planning computes nothing");
});

for (const solver of Object.keys(solvers) as SolverName[]) {
  testOnDevices(`Sampler by ${solver} counts as many evaluations as are foreseen`, async () => {
    const steps = 5;
    const sampler = new Sampler(field, shape, { solver, steps });
    assert.equal(sampler.evaluations, 0);
    sampler.run(zeros(shape));
    const expected = evaluations(solvers[solver], steps);
    assert.equal(sampler.evaluations, expected);
    await Array.fromAsync(sampler.trajectory(zeros(shape), { first: 2 }));
    assert.equal(sampler.evaluations, expected + evaluations(solvers[solver], steps - 2));
    const { evaluationsPerStep, evaluationsAtStart, adaptive } = flowSolvers[solver];
    assert.equal(expected, evaluationsAtStart + steps * evaluationsPerStep);
    assert.equal(adaptive, solvers[solver].error !== undefined);
  });
}

testOnDevices("AdaptiveSampler and StochasticSampler count, too", async () => {
  const adaptive = new AdaptiveSampler(field, shape, { solver: "bosh3" });
  const x = tensor([1, 2, 3, 4, 5, 6], shape);
  const [first, second] = [await adaptive.run(x), await adaptive.run(x)];
  assert.equal(first.evaluations, second.evaluations);
  assert.equal(adaptive.evaluations, 2 * first.evaluations);
  const stochastic = new StochasticSampler(field, shape, { steps: 7 });
  await stochastic.run(x);
  assert.equal(stochastic.evaluations, 7 * flowSolvers.sde.evaluationsPerStep);
});

Deno.test("flowSolvers names every solver, and the stochastic one", () => {
  const names: FlowSolverName[] = [...Object.keys(solvers) as SolverName[], "sde"];
  assert.deepEqual(Object.keys(flowSolvers), names);
  assert.deepEqual(names.filter((name) => flowSolvers[name].adaptive), ["bosh3", "dopri5"]);
  assert.deepEqual(names.filter((name) => flowSolvers[name].stochastic), ["sde"]);
});
