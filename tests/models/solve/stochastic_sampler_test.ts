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
} from "../../../kernels/mod.ts";
import { noise, sample, StochasticSampler } from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

/** Data are normal with this mean and deviation, so that the marginals at t are, too. */
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
const shape = [250, 16];
const count = 250 * 16;

function moments(values: Float32Array): { mean: number; variance: number } {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return { mean, variance: values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length };
}

/** Four standard errors of moments of normal samples, and the error of steps of Euler and Maruyama. */
function assertMarginal(values: Float32Array, t: number, steps: number): void {
  const [found, expected] = [moments(values), marginal(t)];
  const ofMean = 4 * Math.sqrt(expected.variance / count) + 1 / steps;
  const ofVariance = 4 * expected.variance * Math.sqrt(2 / count) + 1 / steps;
  assert.ok(Math.abs(found.mean - expected.mean) < ofMean, `mean ${found.mean} at ${t}`);
  assert.ok(Math.abs(found.variance - expected.variance) < ofVariance, `variance ${found.variance} at ${t}`);
}

function correlation(a: Float32Array, b: Float32Array): number {
  const [ma, mb] = [moments(a), moments(b)];
  const covariance = a.reduce((sum, x, i) => sum + (x - ma.mean) * (b[i] - mb.mean), 0) / a.length;
  return covariance / Math.sqrt(ma.variance * mb.variance);
}

for (const strength of [0.5, 1, 4]) {
  testOnDevices(`StochasticSampler with noise ${strength} has the marginals of the flow`, async () => {
    const steps = 200;
    const x0 = noise(1, shape);
    const whole = new StochasticSampler(gaussian, shape, { steps, noise: strength });
    const x1 = await (await whole.run(x0)).read();
    assertMarginal(x1, 1, steps);
    const half = Array.from({ length: steps / 2 + 1 }, (_, i) => i / steps);
    const part = new StochasticSampler(gaussian, shape, { times: half, noise: strength });
    assertMarginal(await (await part.run(x0)).read(), 0.5, steps);
    // The flow itself only shifts and scales here. Noise makes a sample forget where it came from: by
    // exp(-strength / 2 * integral of (1 - t) / variance) on the way, in theory.
    const integral = Array.from({ length: steps }, (_, i) => (i + 0.5) / steps)
      .reduce((sum, t) => sum + (1 - t) / marginal(t).variance / steps, 0);
    const expected = Math.exp(-strength / 2 * integral);
    const found = correlation(await x0.read(), x1);
    assert.ok(Math.abs(found - expected) < 4 / Math.sqrt(count) + 0.02, `${found}, expected ${expected}`);
  });
}

testOnDevices("StochasticSampler without noise is Euler's solver", async () => {
  const x0 = noise(1, [3, 4]);
  const without = await new StochasticSampler(gaussian, [3, 4], { steps: 7, noise: 0 }).run(x0);
  assertClose(await without.read(), await sample(gaussian, { x0, steps: 7 }).read(), 1e-5);
});

testOnDevices("the noise of StochasticSampler depends on seed and sample, not on the batch", async () => {
  const x0 = noise(1, [5, 4]);
  const by = async (rows: readonly number[], from: number, seed = 0) => {
    const values = await x0.read();
    const start = tensor(rows.flatMap((row) => [...values.subarray(4 * row, 4 * row + 4)]), [rows.length, 4]);
    const sampler = new StochasticSampler(gaussian, start.shape, { steps: 9, seed });
    return await (await sampler.run(start, { from })).read();
  };
  const all = await by([0, 1, 2, 3, 4], 0);
  assertClose(await by([3, 4], 3), all.slice(12), 1e-6);
  assertClose(await by([0], 0), all.slice(0, 4), 1e-6);
  assert.notDeepEqual(await by([0], 1), all.slice(0, 4));
  assert.notDeepEqual(await by([0], 0, 1), all.slice(0, 4));
});

testOnDevices(
  "StochasticSampler takes its last step without noise, to what it expects of the data",
  async () => {
    const asked: number[] = [];
    const halfway = {
      velocity(x: Tensor, t: Tensor) {
        asked.push(t.size);
        return subtract(3, x);
      },
    };
    // From t = 0 in one step: x + v = 3, whatever the noise.
    const one = await new StochasticSampler(halfway, [2, 2], { steps: 1, noise: 2 }).run(noise(0, [2, 2]));
    assertClose(await one.read(), [3, 3, 3, 3], 1e-6);
    assert.equal(asked.length, 2, "a step and the last one are recorded");
  },
);

testOnDevices("StochasticSampler refuses what it does not hold for", () => {
  const make = (options: ConstructorParameters<typeof StochasticSampler>[2]) => () =>
    new StochasticSampler(gaussian, [2, 2], options);
  assert.throws(make({ steps: 4, noise: -1 }), {
    name: "RangeError",
    message: "Cannot sample with noise -1 in 4 steps (expected 0 to 8, 2 by the longest step, or more steps)",
  });
  assert.throws(make({ steps: 4, noise: 9 }), /noise 9 in 4 steps/);
  assert.throws(make({ steps: 4, noise: NaN }), /noise NaN in 4 steps/);
  assert.throws(make({ times: [1, 0] }), {
    name: "RangeError",
    message: "Cannot sample by a stochastic solver from t = 1 to 0 (expected increasing times)",
  });
  assert.throws(make({ steps: 4, seed: -1 }), /Cannot draw from the seed -1/);
  const path = { at: () => ({ xt: tensor([0]), u: tensor([0]) }) };
  assert.throws(make({ steps: 4, path }), {
    name: "TypeError",
    message: /^Cannot sample by a stochastic solver on this path: .* \(expected the linear path\)$/,
  });
});
