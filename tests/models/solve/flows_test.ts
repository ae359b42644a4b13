/** Flows of batches in given steps: Sampler, sample(), trajectory() and solveFlow(), with and without noise. */

import assert from "node:assert/strict";
import {
  add,
  divide,
  less,
  maximum,
  multiply,
  reshape,
  scope,
  square,
  subtract,
  type Tensor,
  tensor,
  where,
  zeros,
} from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, largestDifference, testOnCpu, testOnDevices } from "../../testing.ts";
import { column, each, linear, names, pushed, slowing, tiny } from "./fields.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { solverStep } from "../../../models/solve/tableau.ts";

const { bosh3, evaluationsOf, noise, NotFiniteError, sample, Sampler, solveFlow, timeGrids, trajectory } =
  models;
const shape = [5, 1, 5, 4];

testOnCpu("every solver replays one step, with the results and evaluations of calling each", async () => {
  for (const solver of names) {
    const [model, x0, how] = [tiny(), noise(3, shape), { solver, steps: 4, last: solver }];
    let x = x0;
    for (let i = 0; i < 4; i++) {
      x = solverStep(
        models.solvers[solver],
        model,
        x,
        tensor(Array(5).fill(i / 4)),
        tensor(Array(5).fill(1 / 4)),
      ).x;
    }
    const expected = await x.read();
    assertSameNumbers(await sample(model, { count: 5, shape: [1, 5, 4], seed: 3, ...how }).read(), expected);
    const whole = await solveFlow(model, x0, how), parts = await solveFlow(model, x0, { ...how, batch: 2 });
    assert.deepEqual([whole.samples, whole.steps], [expected, undefined]);
    assertClose(parts.samples, expected, 1e-6);
    assert.deepEqual([parts.batches, parts.evaluations], [
      Array(3).fill(whole.batches[0]),
      whole.evaluations,
    ]);
    const sampler = new Sampler(linear, [2, 1], { solver, steps: 5 });
    sampler.run(zeros([2, 1]));
    assert.equal(sampler.evaluations, evaluationsOf({ solver, steps: 5 }));
    await Array.fromAsync(sampler.trajectory(zeros([2, 1]), { first: 2 }));
    const both = evaluationsOf({ solver, steps: 5 })! + evaluationsOf({ solver, steps: 3 })!;
    assert.equal(sampler.evaluations, both, solver);
    const follow = (velocity: (x: Tensor) => Tensor) =>
      Array.fromAsync(new Sampler({ velocity }, [2, 1], { steps: 2, solver }).trajectory(column([1, 2])));
    const copied = await follow((x) => multiply(x, 1));
    assert.deepEqual(await follow((x) => x), copied, "a field may return its own x");
    assert.deepEqual(copied[0].velocity, Float32Array.of(1, 2), solver);
  }
});

testOnDevices("Sampler solves at any times with one record, both ways, and within a span", async () => {
  const times = [0, 0.02, 0.1, 0.4, 0.41, 1];
  const at = (t: number) => [linear.at(t, 1), linear.at(t, -2)];
  for (const solver of ["rk4", bosh3] as const) {
    let traced = 0;
    const velocity = (x: Tensor, t: Tensor) => (traced++, linear.velocity(x, t));
    const sampler = new Sampler({ velocity }, [2, 1], { times, solver });
    assert.equal(traced, 4, "bosh3: a record of the first velocity, and one of the other three");
    const snapshots = await Array.fromAsync(sampler.trajectory(column([1, -2])));
    assert.deepEqual(snapshots.map(({ t }) => t), times);
    for (const { t, image, velocity } of snapshots) {
      assertClose(image, at(t), 0.05);
      if (t < 1) assertClose(velocity!, image.map((x) => 2 * (t - x)), 1e-5);
    }
    assert.equal(snapshots[5].velocity, undefined);
    const x1 = tensor(snapshots[5].image, [2, 1]);
    const reversed = new Sampler(linear, [2, 1], { times: times.toReversed(), solver }).run(x1);
    assertClose(await reversed.read(), [1, -2], 0.3);
    assertSameNumbers(await sampler.run(x1, { from: 1, to: 0 }).read(), await reversed.read());
    for (const [from, to] of [[0.25, 0.75], [0.75, 0.25]]) {
      assertClose(await sampler.run(column(at(from)), { from, to }).read(), at(to), 0.02);
    }
  }
});

testOnDevices("runs and trajectories of one sampler do not disturb each other", async () => {
  const shape = [2, 1, 5, 4];
  for (const how of [{ solver: bosh3 }, { solver: "sde" }] as const) {
    const sampler = new Sampler(tiny(), shape, { steps: 4, ...how });
    const starts = [1, 2, 3].map((seed) => noise(seed, shape));
    const alone: models.Snapshot[][] = [];
    for (const x0 of starts) alone.push(await Array.fromAsync(sampler.trajectory(x0)));
    const [a, b] = starts.map((x0) => sampler.trajectory(x0, { ahead: 1 }));
    const mixed: [unknown[], unknown[]] = [[], []];
    const both = Promise.all(starts.slice(0, 2).map((x0) => sampler.solve(x0)));
    for (let i = 0; i < 5; i++) {
      mixed[0].push((await a.next()).value);
      const x1 = scope(() => sampler.run(starts[2]));
      mixed[1].push((await b.next()).value);
      assertSameNumbers(await x1.read(), alone[2][4].image);
    }
    assert.deepEqual(mixed, [alone[0], alone[1]]);
    for (const [n, { x, evaluations }] of (await both).entries()) {
      assertSameNumbers(await x.read(), alone[n][4].image);
      assert.equal(evaluations, evaluationsOf({ steps: 4, ...how }, tiny()));
    }
  }
});

testOnCpu("Sampler.trajectory() copies its start, begins at any step, and may stop early", async () => {
  const sampler = new Sampler(tiny(), shape, { steps: 5 }), x0 = noise(1, shape);
  const expected = sampler.run(x0);
  for await (const { t } of sampler.trajectory(x0, { ahead: 1 })) if (t > 0.3) break;
  const later = sampler.trajectory(x0);
  x0.write(new Float32Array(x0.size));
  const whole = await Array.fromAsync(later);
  assertSameNumbers(await expected.read(), whole[5].image, "which later runs do not overwrite");
  const x = tensor(whole[3].image, shape);
  for (const ahead of [1, 64]) {
    assert.deepEqual(await Array.fromAsync(sampler.trajectory(x, { first: 3, ahead })), whole.slice(3));
  }
  const [moved] = await Array.fromAsync(sampler.trajectory(add(x, 1), { first: 3 }));
  assertSameNumbers(moved.image, whole[3].image.map((value) => Math.fround(value + 1)));
});

testOnCpu("progress is reported and awaited, and stops a solver if it throws", async () => {
  const sampler = new Sampler(linear, [1, 1], { steps: 4 }), shares: number[] = [];
  const { x } = await sampler.solve(column([1]), {
    async onProgress(share) {
      await Promise.resolve();
      shares.push(share);
    },
  });
  assert.deepEqual([shares, await x.read()], [[0.25, 0.5, 0.75, 1], await sampler.run(column([1])).read()]);
  const stop = sampler.solve(column([1]), { onProgress: () => Promise.reject(new Error("enough")) });
  await assert.rejects(stop, /^Error: enough$/);

  const starts = [0.1, 40, 3, 0.2, 5], done: number[] = [];
  const options = { rtol: 1e-4, batch: 2, onProgress: (samples: number) => void done.push(samples) };
  const solved = await solveFlow(slowing, column(starts), options);
  assertClose(solved.samples, starts.map((x) => slowing.at(1, x)), 1e-3);
  const tries = solved.steps!.map((own) => own.length);
  const [a, b, c] = [[0, 1], [2, 3], [3, 4]].map((rows) => 2 + 6 * Math.max(...rows.map((n) => tries[n])));
  assert.deepEqual(solved.batches, [a, b, c]);
  assertClose([solved.evaluations], [(2 * a + 2 * b + c) / 5], 1e-9, "the last batch has one new sample");
  assert.deepEqual([done.toSorted((a, b) => a - b), done.at(-1)], [done, 5]);
});

testOnCpu("solve() hands an error of the device to its caller, and to nobody else", async (device) => {
  const sampler = new Sampler(linear, [1, 1], { steps: 4 }), { read } = device;
  device.read = () => Promise.reject(new Error("no power"));
  try {
    await assert.rejects(sampler.solve(column([1])), /^Error: no power$/);
    await new Promise((done) => setTimeout(done)); // any other rejection fails this file
  } finally {
    device.read = read;
  }
});

testOnCpu("sample() needs only a count: seed 0, 20 steps of heun, the model's shape", async () => {
  const field = { velocity: (x: Tensor) => multiply(x, -1), shape: [2] };
  const expected = await sample(field, { count: 3, shape: [2], seed: 0, steps: 20, solver: "heun" }).read();
  assertSameNumbers(await sample(field, { count: 3 }).read(), expected);
  const snapshots = await Array.fromAsync(trajectory(field, { count: 3 }));
  assert.deepEqual([snapshots.length, snapshots[20].image], [21, expected]);
  assertClose(await sample(field, { count: 1 }).read(), expected.slice(0, 2), 1e-6, "sample 0 in any batch");
  const long = await Array.fromAsync(trajectory(field, { count: 2, steps: 70, solver: "euler" })); // in two parts
  assert.deepEqual(long.map(({ t }) => t), upTo(71).map((i) => i / 70));
  for (const [i, { image, velocity }] of long.slice(0, 70).entries()) {
    assertClose(long[i + 1].image, image.map((x, j) => x + velocity![j] / 70), 1e-6);
  }
});

testOnCpu("sample() takes all options of solveFlow(), and returns the same samples", async () => {
  const x0 = noise(3, shape);
  const cases: models.SolverOptions[] = [
    ...[{ solver: "dopri5", rtol: 1e-3 }, { atol: 1e-2 }, { solver: "bosh3", rtol: 0.1, atol: 1e-3 }],
    ...[{ solver: "sde", steps: 5, seed: 4 }, { solver: "sde", steps: 5, seed: 5 }],
    { solver: "sde", steps: 5, seed: 4, grid: timeGrids.logarithmic.make({ ratio: 5 }) },
  ] as models.SolverOptions[];
  const all = [];
  for (const how of cases) {
    const { samples } = await solveFlow(tiny(), x0, { ...how, batch: 2 });
    const drawn = sample(tiny(), { x0, ...how, batch: 2 } as Parameters<typeof sample>[1]);
    assertSameNumbers(await (await drawn).read(), samples);
    assertClose((await solveFlow(tiny(), x0, how)).samples, samples, 1e-5, "in any batch");
    all.push(samples);
  }
  for (const other of all.slice(4)) assert.ok(largestDifference(other, all[3]) > 0.01);
});

testOnCpu("every sample gets its condition, and x0 is kept", async () => {
  const x0 = zeros([5, 1]), condition = tensor([3, 1, 4, 1, 5]);
  for (const how of [{ steps: 3 }, { rtol: 1e-3 }, { solver: "sde", noise: 0, steps: 3 }] as const) {
    const { samples } = await solveFlow(pushed, x0, { ...how, condition, batch: 2 });
    assertClose(samples, [3, 1, 4, 1, 5], 1e-5);
  }
  for (const batch of [5, 2, 1]) {
    assertClose(await sample(pushed, { x0, steps: 3, condition, batch }).read(), [3, 1, 4, 1, 5], 1e-6);
  }
  assert.deepEqual(await x0.read(), new Float32Array(5));
});

testOnCpu("solveFlow() goes from data to noise and back, between any two times", async () => {
  const field = { velocity: (x: Tensor, t: Tensor) => multiply(x, each(t)) }; // x0 exp(t^2 / 2)
  const cases: [models.SolverOptions, tolerance: number][] = [
    [{ solver: "rk4", steps: 20 }, 1e-4],
    [{ solver: "heun", steps: 60, grid: "quadratic" }, 2e-3],
    [{ solver: "dopri5", rtol: 1e-5 }, 1e-3],
  ];
  const data = await noise(5, shape).read();
  for (const [how, tolerance] of cases) {
    const back = await solveFlow(tiny(), tensor(data, shape), { ...how, from: 1, to: 0 });
    assert.ok(largestDifference(back.samples, data) > 0.05, "noise is elsewhere");
    const there = await solveFlow(tiny(), tensor(back.samples, shape), how);
    assertClose(there.samples, data, tolerance);
    for (const [from, to] of [[0.6, 0], [0.2, 0.8]]) {
      const { samples } = await solveFlow(field, column([1, -2, 3]), { ...how, from, to });
      assertClose(samples, [1, -2, 3].map((x) => x * Math.exp((to ** 2 - from ** 2) / 2)), tolerance);
    }
  }
});

/** Mean and deviation of normal data, whose marginals at t are normal, too. */
const [mean, deviation] = [2, 0.5];
const varianceAt = (t: number) => (1 - t) ** 2 + (t * deviation) ** 2;
/** The velocity of the linear path to these data, E[x1 - x0 | x]. */
const gaussian = {
  velocity(x: Tensor, time: Tensor): Tensor {
    const t = each(time), rest = subtract(1, t);
    const variance = add(square(rest), multiply(square(t), deviation ** 2));
    const covariance = subtract(multiply(t, deviation ** 2), rest);
    return add(multiply(divide(covariance, variance), subtract(x, multiply(t, mean))), mean);
  },
};
const noisy = (shape: readonly number[], options: models.SamplerOptions) =>
  new Sampler(gaussian, shape, { solver: "sde", ...options });

/** Covariance of two lists. */
function covariance(a: Float32Array, b: Float32Array): number {
  const [ma, mb] = [a, b].map((values) => values.reduce((sum, x) => sum + x, 0) / values.length);
  return a.reduce((sum, x, i) => sum + (x - ma) * (b[i] - mb), 0) / a.length;
}

for (const strength of [0.5, 4]) {
  testOnCpu(`Sampler with noise ${strength} has the marginals of the flow`, async () => {
    const [many, count, steps] = [[250, 16], 250 * 16, 100];
    const x0 = noise(1, many), sampler = noisy(many, { steps, noise: strength });
    const start = await x0.read(), x1 = await sampler.run(x0).read();
    for (const [t, x] of [[1, x1], [0.5, await sampler.run(x0, { to: 0.5 }).read()]] as const) {
      // Four standard errors, plus the error of the steps.
      const expected = varianceAt(t), measured = covariance(x, x);
      const average = x.reduce((sum, value) => sum + value, 0) / count;
      assert.ok(Math.abs(average - t * mean) < 4 * Math.sqrt(expected / count) + 1 / steps, `${average}`);
      const allowed = 4 * expected * Math.sqrt(2 / count) + 1 / steps;
      assert.ok(Math.abs(measured - expected) < allowed, `variance ${measured} at ${t}`);
    }
    // The flow only shifts and scales. Noise reduces the correlation with the start by a factor of exp(-strength / 2 *
    // integral of (1 - t) / variance).
    const integral = upTo(steps).map((i) => (i + 0.5) / steps)
      .reduce((sum, t) => sum + (1 - t) / varianceAt(t) / steps, 0);
    const correlation = covariance(start, x1) / Math.sqrt(covariance(start, start) * covariance(x1, x1));
    const expected = Math.exp(-strength / 2 * integral);
    assert.ok(
      Math.abs(correlation - expected) < 4 / Math.sqrt(count) + 0.02,
      `${correlation}, not ${expected}`,
    );
  });
}

testOnCpu("noise depends on seed, row and step, not on the batch; the last step adds none", async () => {
  const x0 = noise(1, [3, 4]);
  const without = noisy([3, 4], { steps: 7, noise: 0 }).run(x0);
  assertClose(await without.read(), await sample(gaussian, { x0, steps: 7, solver: "euler" }).read(), 1e-5);
  // One step from t = 0 gives x + v = 3 for any noise.
  const to3 = { velocity: (x: Tensor) => subtract(3, x) };
  const one = new Sampler(to3, [2, 2], { solver: "sde", steps: 1, noise: 2 }).run(noise(0, [2, 2]));
  assertClose(await one.read(), [3, 3, 3, 3], 1e-6);
  const values = await noise(1, [5, 4]).read();
  const by = (rows: readonly number[], row: number, seed = 0) => {
    const start = rows.flatMap((row) => [...values.subarray(4 * row, 4 * row + 4)]);
    const shape = [rows.length, 4];
    return noisy(shape, { steps: 9, seed }).run(tensor(start, shape), { row }).read();
  };
  const all = await by([0, 1, 2, 3, 4], 0);
  assertClose([...await by([3, 4], 3), ...await by([0], 0)], [...all.slice(12), ...all.slice(0, 4)], 1e-6);
  for (const other of [by([0], 1), by([0], 0, 1)]) assert.notDeepEqual(await other, all.slice(0, 4));
  // Two steps of pure noise differ: x moves by the sum of two draws, whose difference is no multiple.
  const still = { velocity: (x: Tensor) => multiply(x, 0) };
  const path = await Array.fromAsync(
    new Sampler(still, [1, 64], { solver: "sde", steps: 3 }).trajectory(zeros([1, 64])),
  );
  const moves = [1, 2].map((i) => path[i].image.map((x, j) => x - path[i - 1].image[j]));
  const likeness = covariance(moves[0], moves[1]) /
    Math.sqrt(covariance(moves[0], moves[0]) * covariance(moves[1], moves[1]));
  assert.ok(Math.abs(likeness) < 0.6, `steps draw ${likeness} the same noise`);
});

/** A network of images of one value, 0.5: it sees no noise at t = 1. */
const plain: models.VelocityField = {
  learned: true,
  velocity(x, t) {
    const left = reshape(maximum(subtract(1, t), 1e-3), [x.shape[0], 1]);
    const seen = reshape(less(t, 0.999), [x.shape[0], 1]);
    return where(seen, divide(subtract(0.5, x), left), 0);
  },
};

testOnCpu("every solver of a network ends without noise, and with it by the textbook method", async () => {
  const x0 = column([3, -2]);
  for (const solver of names) {
    const sees1 = models.solvers[solver].c.includes(1);
    const how = { solver, steps: 4 } as const;
    const { samples, evaluations } = await solveFlow(plain, x0, how);
    assertClose(samples, [0.5, 0.5], 1e-5, solver);
    assert.equal(evaluations, evaluationsOf(how, plain), solver);
    const { firstSameAsLast } = models.solvers[solver] as models.ButcherTableau;
    const perStep = models.evaluationsPerStep(models.solvers[solver]);
    assert.equal(evaluations, sees1 ? 3 * perStep + 1 : 4 * perStep, `${solver}, ${firstSameAsLast}`);
    const snapshots = await Array.fromAsync(trajectory(plain, { x0, ...how }));
    assert.deepEqual(snapshots[4].image, samples);
    if (!["heun", "rk4", "dopri5"].includes(solver)) continue; // the others do not count what they see at t = 1
    const textbook = await solveFlow(plain, x0, { ...how, last: solver });
    assert.ok(Math.abs(textbook.samples[0] - 0.5) > 0.05, `${solver}: ${textbook.samples}`);
    assert.equal(textbook.evaluations, evaluationsOf(how));
  }
});

testOnCpu("adaptive steps of a network end before t = 1, and one of Euler's method follows", async () => {
  const x0 = column([3, -2]), snapshots = [0, 0.5, 0.95, 0.975, 1];
  for (const [last, noise] of [[undefined, 0], ["midpoint", 0], ["dopri5", 1e-2]] as const) {
    const sampler = new models.AdaptiveSampler(plain, [2, 1], { rtol: 1e-1, last });
    const solved = await sampler.solve(x0, { snapshots });
    const [end] = await solved.x.read();
    assert.ok(noise === 0 ? Math.abs(end - 0.5) < 1e-5 : Math.abs(end - 0.5) > 1e-5, `${last}: ${end}`);
    const isApart = last !== "dopri5"; // the last step of another method, at no evaluation of Euler's
    const tries = solved.steps.map((own) => own.length - (isApart ? 1 : 0));
    for (const own of solved.steps) {
      const taken = own.filter(({ accepted }) => accepted);
      assertClose([taken.reduce((sum, { dt }) => sum + dt, 0)], [1], 1e-12);
    }
    const extra = last === "midpoint" ? 1 : 0;
    assert.equal(solved.evaluations, 2 + 6 * Math.max(...tries) + extra);
    assertSameNumbers(solved.snapshots[4].image, await solved.x.read());
    if (noise > 0) continue;
    for (const { t, image, velocity } of solved.snapshots) {
      assertClose(image, [3 - 2.5 * t, 2.5 * t - 2], 1e-2);
      if (t < 1) assertClose(velocity, [-2.5, 2.5], 1e-1);
    }
  }
});

testOnCpu(
  "the end of a network's solver applies within a span, to guided fields, not to exact ones or back",
  async () => {
    const x = column([3, -2]);
    const how = { solver: "heun", steps: 2 } as const;
    const ends = async (field: models.VelocityField, options = {}) =>
      (await solveFlow(field, x, { ...how, ...options })).evaluations;
    assert.equal(await ends(plain), 3);
    assert.equal(await ends(plain, { from: 0.5 }), 3);
    assert.equal(await ends(plain, { to: 0.5 }), 4);
    assert.equal(await ends(plain, { from: 1, to: 0 }), 4);
    assert.equal(await ends({ ...plain, learned: false }), 4);
    assert.equal(await ends(linear), 4);
    assert.equal(await ends(models.autoguided(plain, plain, 2)), 3);
    assert.equal(evaluationsOf(how, tiny()), 3);
  },
);

testOnCpu("Sampler.solve() ends soon after the velocity is not finite", async () => {
  for (const value of [NaN, Infinity]) {
    const field = { velocity: (x: Tensor, t: Tensor) => divide(x, reshape(subtract(0.25, t), [t.size, 1])) };
    const diverging = value === Infinity ? field : { velocity: (x: Tensor) => multiply(x, NaN) };
    const sampler = new Sampler(diverging, [2, 1], { solver: "euler", steps: 40 });
    const error = await sampler.solve(tensor([1, 2], [2, 1])).then(() => undefined, (error) => error);
    assert.ok(error instanceof NotFiniteError, `${error}`);
    assert.match(
      error.message,
      /^Cannot solve: the velocity is (NaN|-?Infinity) at t = 0(\.25)? \(expected finite numbers; /,
    );
    assert.ok(sampler.evaluations <= 12, `${sampler.evaluations}`);
  }
});
