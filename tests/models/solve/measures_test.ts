/** Geometry and likelihood of flows, also against PyTorch; see tests/vectors/README.md. */

import assert from "node:assert/strict";
import {
  add,
  concat,
  mean,
  multiply,
  reshape,
  slice,
  sum,
  type Tensor,
  tensor,
} from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, largestDifference, testOnCpu } from "../../testing.ts";
import { testWithVectors } from "../vectors.ts";
import { each, GaussianFlow, names, pushed, rotating, tiny } from "./fields.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import {
  bitsOf,
  dequantized,
  estimatedDivergence,
  exactDivergence,
  rademacher,
} from "../../../models/solve/likelihood.ts";

const { bitsPerDimension, flowGeometry, logLikelihood, noise } = models;
const points = (n: number) => multiply(noise(5, [n, 4]), 1.5);
/** Moves every point by (3, 4). */
const straight = { velocity: (x: Tensor) => add(multiply(x, 0), tensor([3, 4], [1, 2])) };

testOnCpu("flowGeometry() of straight lines, of changing speed, and of circles", async () => {
  const times = [0, 0.1, 0.6, 1];
  const line = await flowGeometry(straight, noise(1, [3, 2]), { solver: "heun", times });
  assertClose([...line.distance, ...line.length], Array(6).fill(5), 1e-6);
  assertClose([...line.straightness, ...line.turning, ...line.curvature[2]], Array(9).fill(0), 1e-6);
  assert.deepEqual([line.curvature.length, line.speed.length, line.times], [3, 4, times]);
  const back = await flowGeometry(straight, noise(1, [3, 2]), { times: [0.75, 0.5, 0.25] });
  assertClose([...back.distance, ...back.straightness], [2.5, 2.5, 2.5, 0, 0, 0], 1e-6);
  const still = await flowGeometry({ velocity: (x) => multiply(x, 0) }, noise(1, [2, 2]), { steps: 2 });
  for (const column of [still.turning, still.length, still.straightness, ...still.curvature]) {
    assert.deepEqual(column, new Float64Array(2));
  }
  // x(t) = x(0) + t^2: the velocity 2 t differs from 1 by 2 t - 1, with mean square 1/3.
  const faster = { velocity: (x: Tensor, t: Tensor) => add(multiply(x, 0), multiply(each(t), 2)) };
  const ray = await flowGeometry(faster, tensor([1], [1, 1]), { solver: "heun", steps: 100 });
  assertClose([...ray.length, ...ray.distance, ...ray.turning], [1, 1, 0], 1e-6);
  assertClose([...ray.straightness, ...ray.deviation[25]], [1 / 3, 0.25], 1e-3);
  const few = await flowGeometry(faster, tensor([1], [1, 1]), { solver: "heun", times: [0, 0.25, 1] });
  assertClose(few.straightness, [(0.25 * 1.25 + 0.75 * 1.25) / 2], 1e-5); // by the trapezoidal rule

  const omega = 2, radii = [1, 4], chord = 2 * Math.sin(omega / 2);
  const how = { solver: "rk4", steps: 100 } as const;
  const circle = await flowGeometry(rotating(omega), tensor([1, 0, 0, 4], [2, 2]), how);
  assertClose(circle.turning, [omega, omega], 1e-4);
  assertClose(circle.length, radii.map((r) => r * omega), 1e-3);
  assertClose(circle.distance, radii.map((r) => r * chord), 1e-4);
  for (const column of circle.curvature) assertClose(column, radii.map((r) => 1 / r), 1e-3);
  for (const column of circle.speed) assertClose(column, radii.map((r) => r * omega), 1e-4);
  // The integral of |v|^2 minus |distance|^2, because the integral of v is x(1) - x(0).
  assertClose(circle.straightness, radii.map((r) => r * r * (omega ** 2 - chord ** 2)), 1e-3);
});

testOnCpu("flowGeometry() follows the trajectories of Sampler, in batches and with a condition", async () => {
  const model = tiny(), x0 = noise(2, [5, 1, 4, 4]);
  for (const solver of names) {
    let calls = 0;
    const field = { velocity: (x: Tensor, t: Tensor) => (calls++, model.velocity(x, t)) };
    const { evaluations } = await flowGeometry(field, x0, { solver, steps: 1 });
    assert.equal(evaluations, calls, solver); // the only step is traced once
  }
  const options = { solver: "heun", steps: 4 } as const;
  const whole = await flowGeometry(model, x0, options), start = await x0.read();
  const x1 = await new models.Sampler(model, x0.shape, { ...options, last: "heun" }).run(x0).read();
  const moved = (n: number) => x1.subarray(16 * n, 16 * n + 16).map((x, i) => x - start[16 * n + i]);
  assertClose(whole.distance, upTo(5).map((n) => Math.hypot(...moved(n))), 1e-5);
  for (const batch of [1, 2]) {
    const parts = await flowGeometry(model, x0, { ...options, batch });
    for (const what of ["distance", "length", "straightness", "turning"] as const) {
      assertClose(parts[what], whole[what], 1e-4, what);
    }
  }
  const given = { condition: tensor([1, 2, 3]), batch: 2, steps: 2 };
  assertClose((await flowGeometry(pushed, noise(1, [3, 1]), given)).distance, [1, 2, 3], 1e-6);
  assertClose((await models.roundTrip(pushed, noise(1, [3, 1]), given)).error, [0, 0, 0], 1e-6);
});

testOnCpu("the error of roundTrip() falls at least by the order of its solver", async () => {
  const x1 = points(3);
  const perStep = {
    euler: (n: number) => n,
    midpoint: (n: number) => 2 * n,
    bosh3: (n: number) => 3 * n + 1,
  };
  for (const solver of ["euler", "midpoint", "bosh3"] as const) {
    const errors: number[] = [];
    for (const steps of [12, 24]) {
      const how = { solver, steps, batch: 2 };
      const { error, evaluations } = await models.roundTrip(new GaussianFlow(), x1, how);
      errors.push(Math.hypot(...error));
      assert.equal(evaluations, 2 * perStep[solver](steps));
    }
    const order = Math.log2(errors[0] / errors[1]);
    assert.ok(order > models.solvers[solver].order - 0.4, `${solver}: ${errors}`);
  }
});

testOnCpu("logLikelihood() of a Gaussian flow is exact up to solver error, by any solver", async () => {
  const flow = new GaussianFlow(), x1 = points(5), expected = flow.logp(await x1.read());
  const take = async (how: models.LikelihoodOptions) => {
    const { logp, ...cost } = await logLikelihood(flow, x1, { exact: true, ...how });
    const values = await logp.read();
    return { ...cost, values, error: largestDifference(values, expected) };
  };
  const fixed = await take({ solver: "rk4", steps: 40 });
  assert.ok(fixed.error < 1e-4, `${fixed.error}`);
  assert.deepEqual([fixed.perProbe.shape, fixed.evaluations, fixed.products], [[5, 1], 160, 640]);
  const estimate = await logLikelihood(flow, x1, { solver: "dopri5", steps: 5, probes: 3 });
  assert.deepEqual([estimate.evaluations, estimate.products], [31, 93]);
  const calls: number[] = [];
  for (const rtol of [1e-2, 1e-3, 1e-4]) {
    const { error, values, evaluations, products } = await take({ rtol });
    assert.ok(error < 30 * rtol, `${error}`);
    assert.equal(products, 4 * evaluations);
    const parts = await take({ rtol, batch: 2 });
    assertClose(parts.values, values, 1e-5);
    assert.ok(parts.evaluations <= evaluations);
    calls.push(evaluations);
  }
  assert.ok(calls[0] <= calls[1] && calls[1] < calls[2], `${calls}`);
  assert.equal((await take({})).evaluations, calls[1], "rtol 1e-3 by default");
  for (const [solver, evaluations] of [["heun", 40], ["euler", 20]] as const) {
    const open = await take({ solver });
    assert.equal(open.evaluations, evaluations);
    assertSameNumbers(open.values, (await take({ solver, steps: 20 })).values);
  }
  const bosh3 = await take({ solver: "bosh3" });
  assert.equal(bosh3.evaluations, (await take({ solver: "bosh3", rtol: 1e-3 })).evaluations);
});

testOnCpu("logLikelihood() reports progress, can be stopped, and passes the condition", async () => {
  const progress: number[] = [], options = { rtol: 1e-2, seed: 1, batch: 2 };
  const onProgress = (done: number) => void progress.push(done);
  await logLikelihood(new GaussianFlow(), points(3), { ...options, onProgress });
  assert.deepEqual([progress.toSorted((a, b) => a - b), progress.at(-1)], [progress, 3]);
  for (const from of [0, 2]) {
    assert.ok(progress.some((done) => done > from && done < from + 1), `${progress}`);
  }
  const stopped = { ...options, onProgress: () => Promise.reject(new Error("enough")) };
  await assert.rejects(logLikelihood(new GaussianFlow(), points(3), stopped), /^Error: enough$/);
  // v = c x: log p = log N(x e^-c) - c
  const field = { velocity: (x: Tensor, _: Tensor, c?: Tensor) => multiply(x, reshape(c!, [x.shape[0], 1])) };
  const c = [0.5, -1, 0.25, 2, 0], how = { solver: "rk4", steps: 20, batch: 2, exact: true } as const;
  const { logp } = await logLikelihood(field, tensor(Array(5).fill(1), [5, 1]), {
    ...how,
    condition: tensor(c),
  });
  const expected = c.map((c) => -(Math.exp(-2 * c)) / 2 - Math.log(2 * Math.PI) / 2 - c);
  assertClose(await logp.read(), expected, 1e-5);
});

testOnCpu("the likelihood of a sample does not depend on the rest of the batch", async () => {
  const model = tiny(), x1 = noise(8, [5, 1, 4, 4]);
  const options = { solver: "heun", steps: 3, seed: 7, probes: 2 } as const;
  const whole = await logLikelihood(model, x1, options), perProbe = await whole.perProbe.read();
  assert.deepEqual(whole.z.shape, x1.shape);
  for (const batch of [1, 2]) {
    const parts = await logLikelihood(model, x1, { ...options, batch });
    assertClose(await parts.perProbe.read(), perProbe, 1e-5);
    assertClose(await parts.z.read(), await whole.z.read(), 1e-5);
  }
  const few = await logLikelihood(model, slice(x1, 0, 0, 2), options);
  assertClose(await few.perProbe.read(), perProbe.slice(0, 4), 1e-5);
});

testOnCpu("logLikelihood() of v = A x uses the trace of A, or fixed random signs", async () => {
  const A = [[0.3, 2, -1], [-0.5, 0.1, 0.7], [1.5, 0, -0.8]];
  const field = { // row by row, because matmul expects A transposed
    velocity: (x: Tensor) => concat(A.map((row) => sum(multiply(x, tensor(row, [1, 3])), [1], true)), 1),
  };
  const [N, P, x1] = [5, 2, noise(1, [5, 3])];
  const signs = await rademacher(3, P, [N, 3]).read();
  const estimates = upTo(N * P).map((i) => {
    const epsilon = signs.subarray(3 * ((i % P) * N + Math.floor(i / P))).subarray(0, 3);
    return A.flatMap((row, i) => row.map((a, j) => a * epsilon[i] * epsilon[j])).reduce((a, b) => a + b);
  });
  const assertLogp = async (how: models.LikelihoodOptions, divergences: readonly number[]) => {
    const { logp, z, perProbe } = await logLikelihood(field, x1, { ...how, batch: 2 });
    assertClose(await logp.read(), await mean(perProbe, [1]).read(), 1e-6);
    const noises = await z.read();
    const expected = divergences.map((divergence, i) => {
      const n = Math.floor(i * N / divergences.length);
      const squares = noises.subarray(3 * n, 3 * n + 3).reduce((sum, z) => sum + z * z, 0);
      return -squares / 2 - 1.5 * Math.log(2 * Math.PI) - divergence;
    });
    assertClose(await perProbe.read(), expected, 1e-4);
  };
  for (const how of [{ solver: "rk4", steps: 10 }, { rtol: 1e-4 }] as const) {
    await assertLogp({ ...how, exact: true }, Array(N).fill(0.3 + 0.1 - 0.8));
    await assertLogp({ ...how, seed: 3, probes: P }, estimates);
  }
});

const compared = "divergences and likelihood of a residual network agree with PyTorch";
testWithVectors(compared, "likelihood", async (vectors) => {
  const model = vectors.model(), [x, t, epsilon] = ["x", "t", "epsilon"].map(vectors.tensor);
  const v = model.velocity(x, t);
  assertClose(await exactDivergence(v, x).read(), vectors.values("divergence"), 1e-5);
  assertClose(await estimatedDivergence(v, x, epsilon).read(), vectors.values("estimate"), 1e-5);
  const options = { solver: "rk4", steps: Number(vectors.metadata.steps) } as const;
  const exact = await logLikelihood(model, x, { ...options, exact: true });
  assertClose(await exact.logp.read(), vectors.values("logp"), 1e-6);
  assertClose(await exact.z.read(), vectors.values("z"), 1e-5);
  const signs = reshape(epsilon, [1, ...x.shape]);
  const estimate = await logLikelihood(model, x, { ...options, epsilon: signs });
  assertClose(await estimate.logp.read(), vectors.values("logp_estimate"), 1e-6);
}, testOnCpu);

/** Six images of four bytes, seen through normalizations to [0, 1], to [-1, 1], and an unusual one. */
const bytes = Uint8Array.from({ length: 24 }, (_, i) => i === 0 ? 0 : i === 1 ? 255 : (i * 89) % 256);
const [means, deviations] = [[0.5, 0.4, 0.6, 0.3], [0.4, 0.15, 0.3, 0.5]];
const seen = [[1, 0], [2, -1], [-3, 0.5]].map(([scale, shift]) => ({
  normalization: { scale, shift },
  x1: () => tensor(Float32Array.from(bytes, (byte) => scale * byte / 255 + shift), [6, 4]),
  flow: new GaussianFlow(means.map((m) => scale * m + shift), deviations.map((s) => Math.abs(scale) * s)),
}));

testOnCpu("bitsPerDimension() of a known density is exact for every normalization", async () => {
  for (const { normalization, x1, flow } of seen) {
    const pixels = async (x: Tensor, seed: number) =>
      models.toPixels(await dequantized(x, normalization, seed).read(), normalization);
    const values = await pixels(x1(), 5), u = Array.from(values, (value, i) => 256 * value - bytes[i]);
    assert.ok(u.every((u) => u > -1e-4 && u < 1 + 1e-4) && Math.max(...u) - Math.min(...u) > 0.5, `${u}`);
    assertSameNumbers(await pixels(slice(x1(), 0, 0, 2), 5), values.slice(0, 8));
    assert.ok(largestDifference(await pixels(x1(), 6), values) > 1e-3);
    const options = { normalization, solver: "rk4", steps: 40, seed: 5, exact: true } as const;
    const bits = await bitsPerDimension(flow, x1(), options);
    // In units of levels, the density is divided by 256 per dimension.
    const logp = new GaussianFlow(means, deviations).logp(values);
    const expected = logp.map((logp) => 8 - logp / (4 * Math.LN2));
    assertClose(bits.bits, expected, 1e-4);
    assertClose([bits.mean], [expected.reduce((a, b) => a + b) / 6], 1e-3);
    assert.deepEqual([bits.evaluations, bits.products, bits.probeError], [160, 640, NaN]);
  }
  assert.deepEqual(seen.map(({ normalization }) => bitsOf(0, 4, normalization)), [8, 7, 8 - Math.log2(3)]);
  assert.equal(bitsOf(-4 * Math.LN2, 4, { scale: -0.5, shift: 1 }), 10);
});

testOnCpu("bitsPerDimension() has standard errors over images and over random signs", async () => {
  const { normalization, x1, flow } = seen[1];
  const how = { normalization, solver: "heun", steps: 10, seed: 5 } as const;
  const bits = await bitsPerDimension(flow, x1(), { ...how, probes: 4 });
  const errorOf = (values: readonly number[]) => {
    const mean = values.reduce((a, b) => a + b) / values.length;
    return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1) / values.length);
  };
  assert.deepEqual([bits.bits.length, bits.probes.length], [6, 4]);
  assertClose([bits.standardError, bits.probeError], [errorOf(bits.bits), errorOf(bits.probes)], 1e-12);
  assertClose([bits.mean], [bits.probes.reduce((a, b) => a + b) / 4], 1e-12);
  const exact = await bitsPerDimension(flow, x1(), { ...how, exact: true });
  assert.ok(bits.probeError > 1e-4 && Math.abs(bits.mean - exact.mean) < 5 * bits.probeError);
  const one = await bitsPerDimension(flow, slice(x1(), 0, 0, 1), { ...how, probes: 4 });
  assert.deepEqual([one.standardError, largestDifference(one.bits, bits.bits.slice(0, 1)) < 1e-4], [
    NaN,
    true,
  ]);
});
