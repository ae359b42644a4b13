import assert from "node:assert/strict";
import {
  add,
  multiply,
  record,
  reshape,
  scope,
  subtract,
  type Tensor,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import {
  AdaptiveSampler,
  bosh3,
  CountedField,
  createModel,
  evaluationsOf,
  namedParameters,
  noise,
  sample,
  Sampler,
  type SolverName,
  solvers,
  withParameters,
} from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";

const tiny = { type: "UNet_FM", filters: [2, 4], tEmb: 4 } as const;
const model = () => createModel(tiny, 46020);
const shape = [2, 1, 5, 4];
const names = Object.keys(solvers) as SolverName[];

/** dx/dt = 2 (t - x), so x(t) = (x(0) + 1/2) exp(-2 t) + t - 1/2. */
const linear = {
  velocity: (x: Tensor, t: Tensor) => multiply(subtract(reshape(t, [t.size, 1]), x), 2),
};
const solution = (x0: number, t: number) => (x0 + 0.5) * Math.exp(-2 * t) + t - 0.5;

testOnDevices("Sampler solves at any times with one record, both ways, and within a span", async () => {
  const times = [0, 0.02, 0.1, 0.4, 0.41, 1];
  const sampler = new Sampler(linear, [2, 1], { times, solver: "rk4" });
  const at = (t: number) => [solution(1, t), solution(-2, t)];
  const snapshots = await Array.fromAsync(sampler.trajectory(tensor([1, -2], [2, 1])));
  assert.deepEqual(snapshots.map(({ t }) => t), times);
  snapshots.forEach(({ t, image }) => assertClose(image, at(t), 0.02));
  const x1 = tensor(snapshots[5].image, [2, 1]);
  const reversed = new Sampler(linear, [2, 1], { times: times.toReversed(), solver: "rk4" }).run(x1);
  assertClose(await reversed.read(), [1, -2], 0.05);
  assert.deepEqual(await sampler.run(x1, { from: 1, to: 0 }).read(), await reversed.read());
  for (const [from, to] of [[0.25, 0.75], [0.75, 0.25]]) {
    assertClose(await sampler.run(tensor(at(from), [2, 1]), { from, to }).read(), at(to), 5e-3);
  }
});

testOnDevices("runs and trajectories of one sampler do not disturb each other", async () => {
  for (const how of [{ solver: "heun" }, { solver: bosh3 }, { solver: "sde" }] as const) {
    const sampler = new Sampler(model(), shape, { steps: 4, ...how });
    const starts = [1, 2, 3].map((seed) => noise(seed, shape));
    const alone = [];
    for (const x0 of starts) alone.push(await Array.fromAsync(sampler.trajectory(x0)));
    const [a, b] = starts.map((x0) => sampler.trajectory(x0, { ahead: 1 }));
    const mixed: [unknown[], unknown[]] = [[], []];
    const both = Promise.all(starts.slice(0, 2).map((x0) => sampler.solve(x0)));
    for (let i = 0; i < 5; i++) {
      mixed[0].push((await a.next()).value);
      const x1 = scope(() => sampler.run(starts[2]));
      mixed[1].push((await b.next()).value);
      assert.deepEqual(await x1.read(), alone[2][4].image);
    }
    assert.deepEqual(mixed, [alone[0], alone[1]]);
    for (const [n, { x, evaluations }] of (await both).entries()) {
      assert.deepEqual(await x.read(), alone[n][4].image);
      assert.equal(evaluations, evaluationsOf({ steps: 4, ...how }));
    }
  }
});

testOnDevices("Sampler.trajectory() copies its start, begins at any step, and may stop early", async () => {
  const sampler = new Sampler(model(), shape, { steps: 5 });
  const x0 = noise(1, shape);
  const expected = sampler.run(x0);
  for await (const { t } of sampler.trajectory(x0, { ahead: 1 })) if (t > 0.3) break;
  const later = sampler.trajectory(x0);
  x0.write(new Float32Array(x0.size));
  const whole = await Array.fromAsync(later);
  assert.deepEqual(await expected.read(), whole[5].image, "which later runs do not overwrite");
  const x = tensor(whole[3].image, shape);
  for (const ahead of [1, 64]) {
    assert.deepEqual(await Array.fromAsync(sampler.trajectory(x, { first: 3, ahead })), whole.slice(3));
  }
  const other = await Array.fromAsync(sampler.trajectory(add(x, 1), { first: 3 }));
  assert.deepEqual(other[0].image, whole[3].image.map((value) => Math.fround(value + 1)));
  assert.throws(() => sampler.trajectory(x, { first: 5 }), {
    name: "RangeError",
    message: "Cannot follow a trajectory: first is 5 (expected a whole number from 0 to 4)",
  });
});

testOnDevices("Sampler.solve() reports progress, awaits onProgress, and stops if it throws", async () => {
  const sampler = new Sampler(linear, [1, 1], { steps: 4 });
  const shares: number[] = [];
  const listen = async (share: number) => {
    await Promise.resolve();
    shares.push(share);
  };
  const { x } = await sampler.solve(tensor([1], [1, 1]), { onProgress: listen });
  assert.deepEqual(shares, [0.25, 0.5, 0.75, 1]);
  assert.deepEqual(await x.read(), await sampler.run(tensor([1], [1, 1])).read());
  const stop = sampler.solve(tensor([1], [1, 1]), { onProgress: () => Promise.reject(new Error("enough")) });
  await assert.rejects(stop, /^Error: enough$/);
});

testOnDevices("a first-same-as-last solver reuses the velocity at the end of a step", async () => {
  let traced = 0;
  const velocity = (x: Tensor, t: Tensor) => (traced++, linear.velocity(x, t));
  const sampler = new Sampler({ velocity }, [2, 1], { steps: 6, solver: bosh3 });
  assert.equal(traced, 1 + 3, "a record of the first velocity, and one of the other three");
  const x0 = tensor([1, -2], [2, 1]);
  const snapshots = await Array.fromAsync(sampler.trajectory(x0));
  assertClose(snapshots[6].image, [solution(1, 1), solution(-2, 1)], 1e-3);
  const { firstSameAsLast: _, ...fresh } = bosh3;
  const computed = new Sampler(linear, [2, 1], { steps: 6, solver: { ...fresh, firstSameAsLast: false } });
  assertClose(snapshots[6].image, await computed.run(x0).read(), 1e-6);
  for (const { t, image, velocity } of snapshots.slice(0, 6)) {
    assertClose(velocity!, image.map((x) => 2 * (t - x)), 1e-5);
  }
});

testOnCpu("Sampler with each solver needs as many evaluations as evaluationsOf() returns", async () => {
  for (const solver of names) {
    const sampler = new Sampler(linear, [2, 1], { solver, steps: 5 });
    assert.equal(sampler.evaluations, 0);
    sampler.run(zeros([2, 1]));
    assert.equal(sampler.evaluations, evaluationsOf({ solver, steps: 5 }));
    await Array.fromAsync(sampler.trajectory(zeros([2, 1]), { first: 2 }));
    assert.equal(
      sampler.evaluations,
      evaluationsOf({ solver, steps: 5 })! + evaluationsOf({ solver, steps: 3 })!,
      solver,
    );
  }
});

testOnDevices(
  "Sampler with each solver returns the right velocity if a field returns its own x",
  async () => {
    for (const solver of names) {
      const follow = (velocity: (x: Tensor) => Tensor) =>
        Array.fromAsync(
          new Sampler({ velocity }, [2, 1], { steps: 2, solver }).trajectory(tensor([1, 2], [2, 1])),
        );
      const expected = await follow((x) => multiply(x, 1));
      assert.deepEqual(await follow((x) => x), expected);
      assert.deepEqual(await follow((x) => reshape(x, [2, 1])), expected);
      assert.deepEqual(expected[0].velocity, Float32Array.of(1, 2), solver);
    }
  },
);

testOnDevices("CountedField counts evaluations when they run, also in recorded steps", async () => {
  const counted = new CountedField({ velocity: (x: Tensor) => multiply(x, -1) });
  const [x, t] = [zeros([2, 3]), zeros([2])];
  const added = async (run: () => unknown) => {
    const before = counted.evaluations;
    await run();
    return counted.evaluations - before;
  };
  assert.equal(await added(() => counted.velocity(x, t)), 1);
  const step = record(() => counted.velocity(counted.velocity(x, t), t));
  assert.equal(counted.evaluations, 1, "tracing computes nothing");
  for (let i = 0; i < 3; i++) assert.equal(await added(() => step.run()), 2);
  assert.throws(() => record(() => counted.velocity({} as Tensor, t)));
  assert.equal(counted.evaluations, 7, "what was not recorded counts nothing");
  const sampler = new Sampler(new CountedField(counted), [2, 3], { solver: "rk4", steps: 3 });
  assert.equal(await added(() => sampler.run(x)), 12);
  const adaptive = new AdaptiveSampler(counted, [2, 3]);
  assert.equal(await added(() => adaptive.solve(x)), adaptive.evaluations);
  const plan = () => Sampler.plan(counted, [2, 3], { steps: 2 });
  assert.equal(await added(plan), 0, "planning computes nothing");
});

testOnDevices("Sampler keeps the weights of withParameters() that it was made with", async () => {
  const [model, other] = [1, 2].map((seed) => createModel(tiny, seed));
  const [own, theirs] = [model, other].map(namedParameters);
  const sampler = withParameters(own, theirs, () => new Sampler(model, shape, { steps: 2 }));
  const x0 = noise(3, shape);
  const [swapped, before, expected] = [sampler, model, other].map((by) =>
    by instanceof Sampler ? by.run(x0) : sample(by, { x0, steps: 2 })
  );
  assert.deepEqual(await swapped.read(), await expected.read());
  assert.notDeepEqual(await before.read(), await expected.read());
});

testOnCpu("Sampler refuses states of another shape, times outside [0, 1], and tolerances", () => {
  const sampler = new Sampler(linear, [2, 1], { steps: 1 });
  assert.throws(() => sampler.run(tensor([1], [1, 1])), {
    name: "ShapeError",
    message: "Cannot sample: x is f32[1, 1] (expected f32[2, 1])",
  });
  assert.throws(() => sampler.run(zeros([2, 1]), { from: 1.5 }), /^RangeError: Cannot solve: from is 1.5/);
  assert.throws(() => new Sampler(linear, [2, 1], { rtol: 1e-3 }), {
    name: "TypeError",
    message: /^Cannot use a tolerance with given steps \(expected no rtol and atol, or AdaptiveSampler, /,
  });
});
