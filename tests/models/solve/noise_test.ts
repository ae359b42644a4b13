/** Steps with noise. */

import assert from "node:assert/strict";
import {
  add,
  divide,
  multiply,
  reshape,
  square,
  subtract,
  type Tensor,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import { noise, sample, Sampler, type SamplerOptions } from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";

/** Mean and deviation of normally distributed data, whose marginals at t are normal, too. */
const [mean, deviation] = [2, 0.5];
const marginal = (t: number) => ({ mean: t * mean, variance: (1 - t) ** 2 + (t * deviation) ** 2 });

/** The velocity of the linear path to these data, E[x1 - x0 | x]. */
const gaussian = {
  velocity(x: Tensor, time: Tensor): Tensor {
    const t = reshape(time, [time.size, 1]);
    const variance = add(square(subtract(1, t)), multiply(square(t), deviation ** 2));
    const covariance = subtract(multiply(t, deviation ** 2), subtract(1, t));
    return add(multiply(divide(covariance, variance), subtract(x, multiply(t, mean))), mean);
  },
};
const many = [250, 16];
const count = 250 * 16;
const noisy = (shape: readonly number[], options: SamplerOptions) =>
  new Sampler(gaussian, shape, { solver: "sde", ...options });

function moments(values: Float32Array): { mean: number; variance: number } {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return { mean, variance: values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length };
}

/** Tolerance of the moments: four standard errors plus the error of Euler-Maruyama steps. */
function assertMarginal(values: Float32Array, t: number, steps: number): void {
  const [measured, expected] = [moments(values), marginal(t)];
  const ofMean = 4 * Math.sqrt(expected.variance / count) + 1 / steps;
  const ofVariance = 4 * expected.variance * Math.sqrt(2 / count) + 1 / steps;
  assert.ok(Math.abs(measured.mean - expected.mean) < ofMean, `mean ${measured.mean} at ${t}`);
  assert.ok(
    Math.abs(measured.variance - expected.variance) < ofVariance,
    `variance ${measured.variance} at ${t}`,
  );
}

function correlation(a: Float32Array, b: Float32Array): number {
  const [ma, mb] = [moments(a), moments(b)];
  const covariance = a.reduce((sum, x, i) => sum + (x - ma.mean) * (b[i] - mb.mean), 0) / a.length;
  return covariance / Math.sqrt(ma.variance * mb.variance);
}

for (const [strength, test] of [[0.5, testOnCpu], [1, testOnDevices], [4, testOnCpu]] as const) {
  test(`Sampler with noise ${strength} has the marginals of the flow`, async () => {
    const steps = 100;
    const x0 = noise(1, many);
    const sampler = noisy(many, { steps, noise: strength });
    const x1 = await sampler.run(x0).read();
    assertMarginal(x1, 1, steps);
    assertMarginal(await sampler.run(x0, { to: 0.5 }).read(), 0.5, steps);
    // The flow itself only shifts and scales. Noise reduces the correlation with the start by a factor of
    // exp(-strength / 2 * integral of (1 - t) / variance).
    const integral = Array.from({ length: steps }, (_, i) => (i + 0.5) / steps)
      .reduce((sum, t) => sum + (1 - t) / marginal(t).variance / steps, 0);
    const expected = Math.exp(-strength / 2 * integral);
    const measured = correlation(await x0.read(), x1);
    assert.ok(
      Math.abs(measured - expected) < 4 / Math.sqrt(count) + 0.02,
      `${measured}, expected ${expected}`,
    );
  });
}

testOnDevices("Sampler with noise 0 takes Euler steps, and its last step never adds noise", async () => {
  const x0 = noise(1, [3, 4]);
  const without = noisy([3, 4], { steps: 7, noise: 0 }).run(x0);
  assertClose(await without.read(), await sample(gaussian, { x0, steps: 7, solver: "euler" }).read(), 1e-5);
  // One step from t = 0 gives x + v = 3 for any noise.
  const field = { velocity: (x: Tensor) => subtract(3, x) };
  const one = new Sampler(field, [2, 2], { solver: "sde", steps: 1, noise: 2 }).run(noise(0, [2, 2]));
  assertClose(await one.read(), [3, 3, 3, 3], 1e-6);
  const two = [0, 1].map((seed) => noisy([3, 4], { steps: 2, seed }).run(x0));
  assert.notDeepEqual(await two[0].read(), await two[1].read(), "the step before the last adds noise");
});

testOnDevices("Sampler's noise depends on seed and row, not on the batch", async () => {
  const values = await noise(1, [5, 4]).read();
  const by = (rows: readonly number[], row: number, seed = 0) => {
    const start = rows.flatMap((row) => [...values.subarray(4 * row, 4 * row + 4)]);
    const shape = [rows.length, 4];
    return noisy(shape, { steps: 9, seed }).run(tensor(start, shape), { row }).read();
  };
  const all = await by([0, 1, 2, 3, 4], 0);
  assertClose(await by([3, 4], 3), all.slice(12), 1e-6);
  assertClose(await by([0], 0), all.slice(0, 4), 1e-6);
  assert.notDeepEqual(await by([0], 1), all.slice(0, 4));
  assert.notDeepEqual(await by([0], 0, 1), all.slice(0, 4));
});

testOnCpu("Sampler with noise refuses too much noise, and times that go back", () => {
  for (const noise of [-1, 8.1, NaN]) {
    assert.throws(() => noisy([2, 2], { steps: 4, noise }), {
      name: "RangeError",
      message:
        `Cannot sample with noise ${noise} in 4 steps (expected 0 to 8, which is 2 / the longest step, or more steps)`,
    });
  }
  const backwards =
    /^TypeError: Cannot go from t = 1 to 0 with noise \(expected increasing times, or another/;
  assert.throws(() => noisy([2, 2], { times: [1, 0] }), backwards);
  assert.throws(() => noisy([2, 2], {}).run(zeros([2, 2]), { from: 1, to: 0 }), backwards);
});
