import assert from "node:assert/strict";
import { multiply, type Tensor, tensor } from "../../../kernels/mod.ts";
import { AdaptiveSampler, Likelihood, rademacher, StochasticSampler } from "../../../models/mod.ts";
import { testOnDevices } from "../../testing.ts";

const shape = [2, 1];
const field = { velocity: (x: Tensor) => multiply(x, 2) };
type OnProgress = () => void | Promise<void>;

/** What runs on its own state, and waits on the way. */
const runs = {
  AdaptiveSampler() {
    const sampler = new AdaptiveSampler(field, shape);
    return async (x: Tensor, onProgress: OnProgress) => (await sampler.run(x, { onProgress })).x;
  },
  StochasticSampler() {
    const sampler = new StochasticSampler(field, shape, { steps: 4 });
    return (x: Tensor, onProgress: OnProgress) => sampler.run(x, { onProgress });
  },
  Likelihood() {
    const [likelihood, signs] = [new Likelihood(field, shape), rademacher(1, 1, shape)];
    return async (x: Tensor, onProgress: OnProgress) => (await likelihood.run(x, signs, onProgress)).logp;
  },
};

for (const [name, make] of Object.entries(runs)) {
  testOnDevices(`${name}.run() refuses to start while a run is in progress`, async () => {
    const [run, x, other] = [make(), tensor([1, 2], shape), tensor([-3, 5], shape)];
    const alone = await (await run(x, () => {})).read();
    const open = run(x, () => Promise.resolve());
    await assert.rejects(() => run(other, () => {}), {
      name: "Error",
      message: "Cannot run: a run of this sampler or likelihood is in progress (expected one at a time); " +
        "await it first, or make another one",
    });
    assert.deepEqual(await (await open).read(), alone);
    await assert.rejects(
      run(other, () => {
        throw new Error("stopped");
      }),
      /stopped/,
    );
    assert.deepEqual(await (await run(x, () => {})).read(), alone);
  });
}
