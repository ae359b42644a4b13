import assert from "node:assert/strict";
import { concat, mean, multiply, reshape, slice, sum, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  bitsOf,
  bitsPerDimension,
  createModel,
  DensityField,
  dequantized,
  type LikelihoodOptions,
  logLikelihood,
  noise,
  type Normalization,
  rademacher,
  toPixels,
} from "../../../models/mod.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, largestDifference, testOnCpu, testOnDevices } from "../../testing.ts";
import { GaussianFlow, logpOf } from "./gaussian_flow.ts";

const points = (n: number) => multiply(noise(5, [n, 4]), 1.5);
const tiny = () => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);

testOnCpu("logLikelihood() of a Gaussian flow is exact up to solver error", async () => {
  const flow = new GaussianFlow();
  const x1 = points(9);
  const expected = logpOf(flow, await x1.read());
  const likelihood = await logLikelihood(flow, x1, { solver: "rk4", steps: 40, exact: true });
  assertClose(await likelihood.logp.read(), expected, 1e-4);
  assert.deepEqual(likelihood.perProbe.shape, [9, 1]);
  assert.deepEqual([likelihood.evaluations, likelihood.products], [160, 640]);
  const estimate = await logLikelihood(flow, x1, { solver: "dopri5", steps: 5, probes: 3 });
  assert.deepEqual([estimate.evaluations, estimate.products], [31, 93]);
});

testOnCpu("logLikelihood() reports progress, and can be stopped", async () => {
  const progress: number[] = [];
  const options = { rtol: 1e-2, seed: 1, batch: 2 };
  const onProgress = (done: number) => void progress.push(done);
  await logLikelihood(new GaussianFlow(), points(3), { ...options, onProgress });
  assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
  for (const from of [0, 2]) {
    assert.ok(progress.some((done) => done > from && done < from + 1), `${progress}`);
  }
  assert.deepEqual([progress.includes(2), progress.at(-1)], [true, 3]);
  const stopped = { ...options, onProgress: () => Promise.reject(new Error("enough")) };
  await assert.rejects(logLikelihood(new GaussianFlow(), points(3), stopped), /^Error: enough$/);
});

testOnDevices("the likelihood of a sample does not depend on the rest of the batch", async () => {
  const model = tiny();
  const x1 = noise(8, [5, 1, 4, 4]);
  const options = { solver: "heun", steps: 3, seed: 7, probes: 2 } as const;
  const whole = await logLikelihood(model, x1, options);
  const perProbe = await whole.perProbe.read();
  assert.deepEqual(whole.z.shape, x1.shape);
  for (const batch of [1, 2, 4]) {
    const done: number[] = [];
    const onProgress = (samples: number) => void done.push(samples);
    const parts = await logLikelihood(model, x1, { ...options, batch, onProgress });
    assert.deepEqual([done.length, done.at(-1)], [3 * Math.ceil(5 / batch), 5], "after each of three steps");
    assertClose(await parts.perProbe.read(), perProbe, 1e-5);
    assertClose(await parts.z.read(), await whole.z.read(), 1e-5);
  }
  const few = await logLikelihood(model, slice(x1, 0, 0, 2), options);
  assertClose(await few.perProbe.read(), perProbe.slice(0, 4), 1e-5);
});

testOnCpu("logLikelihood() passes the condition to the field, row by row", async () => {
  // v = c x: log p = log N(x e^-c) - c
  const field = {
    velocity: (x: Tensor, _: Tensor, c?: Tensor) => multiply(x, reshape(c!, [x.shape[0], 1])),
  };
  const c = [0.5, -1, 0.25, 2, 0];
  const { logp } = await logLikelihood(field, tensor([1, 1, 1, 1, 1], [5, 1]), {
    condition: tensor(c),
    solver: "rk4",
    steps: 20,
    batch: 2,
    exact: true,
  });
  const expected = c.map((c) => -(Math.exp(-2 * c)) / 2 - Math.log(2 * Math.PI) / 2 - c);
  assertClose(await logp.read(), expected, 1e-5);
});

testOnCpu("logLikelihood() takes adaptive steps per sample by default", async () => {
  const x1 = points(5);
  const expected = logpOf(new GaussianFlow(), await x1.read());
  const errors: number[] = [];
  const calls: number[] = [];
  for (const rtol of [1e-2, 1e-3, 1e-4]) {
    const { logp, evaluations, products } = await logLikelihood(new GaussianFlow(), x1, {
      rtol,
      exact: true,
    });
    const values = await logp.read();
    errors.push(Math.max(...expected.map((value, n) => Math.abs(values[n] - value))));
    assert.ok(errors.at(-1)! < 30 * rtol, `${errors}`);
    calls.push(evaluations);
    assert.equal(products, 4 * evaluations);
    const parts = await logLikelihood(new GaussianFlow(), x1, { rtol, exact: true, batch: 2 });
    assertClose(await parts.logp.read(), values, 1e-5);
    assert.ok(parts.evaluations <= evaluations);
  }
  assert.ok(calls[0] <= calls[1] && calls[1] < calls[2], `${calls}`);
  const { evaluations } = await logLikelihood(new GaussianFlow(), x1, { exact: true });
  assert.equal(evaluations, calls[1]);
  const bosh3 = await logLikelihood(new GaussianFlow(), x1, { rtol: 1e-4, exact: true, solver: "bosh3" });
  assertClose(await bosh3.logp.read(), expected, 1e-3);
});

testOnCpu(
  "logLikelihood() takes a solver without an error estimate in 20 steps, as sample() does",
  async () => {
    const x1 = points(3);
    for (const [solver, evaluations] of [["heun", 40], ["euler", 20]] as const) {
      const fixed = await logLikelihood(new GaussianFlow(), x1, { solver, exact: true });
      assert.equal(fixed.evaluations, evaluations);
      const steps = await logLikelihood(new GaussianFlow(), x1, { solver, steps: 20, exact: true });
      assert.deepEqual(await fixed.logp.read(), await steps.logp.read());
    }
    const adaptive = { solver: "bosh3", exact: true } as const;
    const [fixed, same] = [await logLikelihood(new GaussianFlow(), x1, adaptive), {
      ...adaptive,
      rtol: 1e-3,
    }];
    assert.equal(fixed.evaluations, (await logLikelihood(new GaussianFlow(), x1, same)).evaluations);
  },
);

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
  const assertLogp = async (how: LikelihoodOptions, divergences: readonly number[]) => {
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

testOnCpu("logLikelihood() refuses invalid options", async () => {
  const flow = new GaussianFlow();
  const x1 = points(2);
  const exact = { exact: true, steps: 2 };
  const epsilon = rademacher(1, 1, [2, 4]);
  const cases: [options: object, message: RegExp][] = [
    [{ ...exact, probes: 2 }, /^TypeError: .*: both exact and probes were given/],
    [{ ...exact, seed: 1 }, /^TypeError: .*: both exact and seed were given/],
    [{ ...exact, epsilon }, /^TypeError: .*: both exact and epsilon were given/],
    [{ epsilon, seed: 1 }, /^TypeError: .*: both epsilon and seed were given/],
    [
      { epsilon: rademacher(1, 2, [3, 4]) },
      /^ShapeError: .*epsilon is f32\[2, 3, 4\] \(expected f32\[2, 2, 4\]\)/,
    ],
    [{ seed: -1 }, /^RangeError: Cannot draw from the seed -1/],
    [{ probes: 0 }, /^RangeError: Cannot draw random signs: count is 0/],
    [
      { solver: "heun", rtol: 1e-3 },
      /^TypeError: Cannot choose the steps of the solver heun: it has no error/,
    ],
    [{ solver: "sde", steps: 2 }, /^TypeError: Cannot go from t = 1 to 0 with noise/],
    [{ solver: "sde" }, /^TypeError: Cannot go from t = 1 to 0 with noise/],
    [
      { times: [0.1, 1] },
      /^RangeError: .* at times from 0\.1 to 1 \(expected from 0 to 1, as for sampling\)$/,
    ],
    [{ times: [1, 0] }, /^RangeError: .* at times from 1 to 0/],
    [{ condition: tensor([1]) }, /^ShapeError: .*f32\[1\] \(expected 2 rows\)/],
  ];
  for (const [options, message] of cases) await assert.rejects(logLikelihood(flow, x1, options), message);
  await assert.rejects(
    logLikelihood(flow, noise(1, [2, 65]), exact),
    /^RangeError: Cannot take the exact divergence of 65 elements \(expected at most 64; use probes\)$/,
  );
  for (const condition of [{}, { condition: tensor([1, 1]) }]) {
    await assert.rejects(
      logLikelihood({ velocity: (x: Tensor) => x, guided: true }, x1, condition),
      /^TypeError: Cannot take the likelihood of a guided field: .* \(expected no guidance\)$/,
    );
  }
  assert.throws(() => new DensityField(flow, [0, 4]), /^ShapeError: Cannot sample a batch/);
});

/** Normalizations to [0, 1], to [-1, 1], and an unusual one. */
const normalizations: readonly Normalization[] = [
  { scale: 1, shift: 0 },
  { scale: 2, shift: -1 },
  { scale: -3, shift: 0.5 },
];
/** Six images of four bytes. */
const bytes = Uint8Array.from({ length: 24 }, (_, i) => i === 0 ? 0 : i === 1 ? 255 : (i * 89) % 256);
const [means, deviations] = [[0.5, 0.4, 0.6, 0.3], [0.4, 0.15, 0.3, 0.5]];

/** Images in the network's units, and a flow whose pixels are distributed as N(mean, Q diag(deviation^2) Q^T). */
function seen({ scale, shift }: Normalization) {
  return {
    x1: tensor(Float32Array.from(bytes, (byte) => scale * byte / 255 + shift), [6, 4]),
    flow: new GaussianFlow(means.map((m) => scale * m + shift), deviations.map((s) => Math.abs(scale) * s)),
  };
}

testOnCpu("dequantized() spreads each level over its width", async () => {
  for (const normalization of normalizations) {
    const { x1 } = seen(normalization);
    const values = toPixels(await dequantized(x1, normalization, 5).read(), normalization);
    const u = [...values].map((value, i) => 256 * value - bytes[i]);
    assert.ok(u.every((u) => u > -1e-4 && u < 1 + 1e-4), `${u}`);
    assert.ok(Math.max(...u) - Math.min(...u) > 0.5, `${u}`);
    const first = toPixels(await dequantized(slice(x1, 0, 0, 2), normalization, 5).read(), normalization);
    assert.deepEqual(first, values.slice(0, 8));
    const other = toPixels(await dequantized(x1, normalization, 6).read(), normalization);
    assert.ok(largestDifference(other, values) > 1e-3);
  }
});

Deno.test("bitsOf() adds the bits of the scaling: 8 for pixels in [0, 1], 7 for [-1, 1]", () => {
  assert.equal(bitsOf(0, 4, normalizations[0]), 8);
  assert.equal(bitsOf(0, 4, normalizations[1]), 7);
  assert.equal(bitsOf(-4 * Math.LN2, 4, normalizations[1]), 8);
  assert.equal(bitsOf(0, 4, { scale: -0.5, shift: 1 }), 9);
});

testOnCpu("bitsPerDimension() of a known density is exact for every normalization", async () => {
  for (const normalization of normalizations) {
    const { x1, flow } = seen(normalization);
    const options = { normalization, solver: "rk4", steps: 40, seed: 5 } as const;
    const bits = await bitsPerDimension(flow, x1, { ...options, exact: true });
    const values = toPixels(await dequantized(x1, normalization, 5).read(), normalization);
    const ofPixels = new GaussianFlow(means, deviations);
    // In units of levels, the density is divided by 256 per dimension.
    const expected = logpOf(ofPixels, values).map((logp) => 8 - logp / (4 * Math.LN2));
    assertClose(bits.bits, expected, 1e-4);
    assert.deepEqual([bits.evaluations, bits.products], [160, 640]);
    assert.ok(Math.abs(bits.mean - expected.reduce((a, b) => a + b) / 6) < 1e-3);
    assert.ok(Number.isNaN(bits.probeError));
  }
});

testOnCpu("bitsPerDimension() has standard errors over images and over random signs", async () => {
  const { x1, flow } = seen(normalizations[1]);
  const how = { normalization: normalizations[1], solver: "heun", steps: 10, seed: 5 } as const;
  const bits = await bitsPerDimension(flow, x1, { ...how, probes: 4 });
  const errorOf = (values: readonly number[]) => {
    const mean = values.reduce((a, b) => a + b) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1);
    return Math.sqrt(variance / values.length);
  };
  assert.deepEqual([bits.bits.length, bits.probes.length], [6, 4]);
  assertClose([bits.standardError, bits.probeError], [errorOf(bits.bits), errorOf(bits.probes)], 1e-12);
  assertClose([bits.mean], [bits.probes.reduce((a, b) => a + b) / 4], 1e-12);
  assert.ok(bits.probeError > 1e-4 && bits.probeError < bits.standardError);
  const exact = await bitsPerDimension(flow, x1, { ...how, exact: true });
  assert.ok(Math.abs(bits.mean - exact.mean) < 5 * bits.probeError);
  const one = await bitsPerDimension(flow, slice(x1, 0, 0, 1), { ...how, probes: 4 });
  assert.ok(Number.isNaN(one.standardError));
  assertClose(one.bits, bits.bits.slice(0, 1), 1e-5);
});
