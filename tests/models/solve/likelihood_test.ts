import assert from "node:assert/strict";
import { concat, mean, multiply, reshape, slice, sum, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  createModel,
  DensityField,
  type LikelihoodOptions,
  logLikelihood,
  noise,
  rademacher,
  type SolverName,
  solvers,
} from "../../../models/mod.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { GaussianFlow, logpOf } from "./gaussian_flow.ts";

const points = (n: number) => multiply(noise(5, [n, 4]), 1.5);
const tiny = () => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);

testOnDevices("logLikelihood() of a Gaussian flow is exact up to solver error", async () => {
  const flow = new GaussianFlow();
  const x1 = points(9);
  const expected = logpOf(flow, await x1.read());
  const found = await logLikelihood(flow, x1, { solver: "rk4", steps: 40, exact: true });
  assertClose(await found.logp.read(), expected, 1e-4);
  assert.deepEqual(found.perProbe.shape, [9, 1]);
  assert.equal(found.evaluations, 160);
  assert.equal(found.products, 640);
});

testOnCpu("logLikelihood() counts the evaluations of the field", async () => {
  for (const solver of Object.keys(solvers) as SolverName[]) {
    const flow = new GaussianFlow();
    const { evaluations, products } = await logLikelihood(flow, points(2), {
      solver,
      steps: 1,
      seed: 1,
      probes: 3,
    });
    assert.equal(evaluations, flow.calls); // the only step is traced once, so calls are evaluations
    assert.equal(products, 3 * evaluations);
  }
});

testOnDevices("logLikelihood() reports progress, and can be stopped", async () => {
  const progress: number[] = [];
  const options = { rtol: 1e-2, seed: 1, batch: 2 };
  await logLikelihood(new GaussianFlow(), points(3), {
    ...options,
    onProgress: (done) => void progress.push(done),
  });
  assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
  assert.ok(
    progress.some((done) => done > 0 && done < 2) && progress.some((done) => done > 2 && done < 3),
    `${progress}`,
  );
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

testOnDevices("logLikelihood() passes the condition to the field, row by row", async () => {
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
  const bosh3 = await logLikelihood(new GaussianFlow(), x1, {
    rtol: 1e-4,
    exact: true,
    solver: "bosh3",
  });
  assertClose(await bosh3.logp.read(), expected, 1e-3);
});

testOnDevices(
  "logLikelihood() of v = A x uses the trace of A, or fixed random signs",
  async () => {
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
  },
);

testOnCpu("logLikelihood() refuses invalid options", async () => {
  const flow = new GaussianFlow();
  const x1 = points(2);
  const exact = { exact: true, steps: 2 };
  const epsilon = rademacher(1, 1, [2, 4]);
  const cases: [options: object, message: RegExp][] = [
    [{ ...exact, probes: 2 }, /^TypeError: .*: both exact and probes given/],
    [{ ...exact, seed: 1 }, /^TypeError: .*: both exact and seed given/],
    [{ ...exact, epsilon }, /^TypeError: .*: both exact and epsilon given/],
    [{ epsilon, seed: 1 }, /^TypeError: .*: both epsilon and seed given/],
    [
      { epsilon: rademacher(1, 2, [3, 4]) },
      /^ShapeError: .*epsilon is f32\[2, 3, 4\] \(expected f32\[2, 2, 4\]\)/,
    ],
    [{ seed: -1 }, /^RangeError: Cannot draw from the seed -1/],
    [{ probes: 0 }, /^RangeError: Cannot draw random signs: count is 0/],
    [{ batch: 0 }, /^RangeError: Cannot .*batch is 0/],
    [{ steps: 0 }, /^RangeError: Cannot sample in 0 steps/],
    [{ steps: 2, rtol: 1e-3 }, /^TypeError: Unknown setting "steps" of a sampler with adaptive steps/],
    [{ rtol: 0 }, /^RangeError: Cannot solve: rtol is 0/],
    [{ solver: "heun" }, /^TypeError: Cannot choose the steps of the solver heun: it has no error estimate/],
    [{ solver: "sde", steps: 2 }, /^TypeError: Cannot go from t = 1 to 0 with noise/],
    [{ steps: 2, times: [0, 1] }, /^TypeError: .*both times and steps/],
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
