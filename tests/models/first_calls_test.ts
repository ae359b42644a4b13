/** Calls with the fewest arguments. */

import assert from "node:assert/strict";
import { attend, divide, greater, less, minimum, subtract, type Tensor, tensor } from "../../kernels/mod.ts";
import * as models from "../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../testing.ts";
import { assertSameNumbers } from "../same_numbers.ts";

const { createModel, fit, Linear, Module, sample } = models;

const tiny = () => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 });
const images = (count = 3) => models.noise(1, [count, 1, 4, 4]);

/** A user's first field: points and one layer. */
class Field extends Module {
  map = new Linear(2, 2);
  velocity = (x: Tensor) => this.map.forward(x);
}

testOnDevices(
  "layers draw their own weights, attend() scales, and ops accept a number as the first argument",
  async () => {
    const [a, b] = await Promise.all([new Linear(2, 3), new Linear(2, 3)].map(({ weight }) => weight.read()));
    assert.ok(a.every((value) => value !== 0 && Math.abs(value) <= Math.SQRT1_2));
    assert.notDeepEqual(a, b);
    assert.deepEqual(new models.ConvTranspose2d(2, 3).weight.shape, [2, 3, 2, 2]);
    assert.deepEqual(new models.Attention(4, 2).q.weight.shape, [4, 4, 1, 1]);
    const [q, k, v] = [1, 2, 3].map((seed) => models.noise(seed, [2, 4, 5]));
    assertSameNumbers(await attend(q, k, v).read(), await attend(q, k, v, { scale: 0.5 }).read());
    const x = tensor([0.5, 2, 4]);
    const cases: [Tensor, number[]][] = [
      [subtract(1, x), [0.5, -1, -3]],
      [divide(1, x), [2, 0.5, 0.25]],
      [minimum(1, x), [0.5, 1, 1]],
    ];
    for (const [y, expected] of cases) assertClose(await y.read(), expected, 1e-6);
    assert.deepEqual([...await greater(1, x).readWords()], [1, 0, 0]);
    assert.deepEqual([...await less(1, x).readWords()], [0, 1, 1]);
  },
);

testOnCpu("sample() takes the shape from the training data or the file, else 28 x 28", async () => {
  const model = tiny();
  assert.deepEqual(sample(model, { count: 2, steps: 1 }).shape, [2, 1, 28, 28]);
  assert.deepEqual(createModel({ type: "UNet_FM", filters: [2], tEmb: 4, channels: 3 }).shape, [3, 28, 28]);
  await fit(model, images(), { steps: 1 });
  assert.deepEqual(model.shape, [1, 4, 4]);
  const { model: loaded } = models.loadCheckpoint(await models.saveCheckpoint(model), "a file");
  assert.deepEqual(models.autoguided(loaded, model, 2).shape, [1, 4, 4]);
  const field = new Field();
  await fit(field, models.noise(1, [4, 2]), { steps: 1 });
  assert.deepEqual(sample(field, { count: 3 }).shape, [3, 2]);
});

testOnDevices("fit() takes pairs, and validation data as a tensor, as pairs or as an object", async () => {
  const [x0, x1] = [tensor([1, 2, -1, 0.5], [2, 2]), tensor([2, 4, -2, 1], [2, 2])];
  const still = new Field();
  still.map.weight.write(new Float32Array(4));
  still.map.bias.write(new Float32Array(2));
  const [loss] = await fit(still, { x0, x1 }, { steps: 1, batchSize: 2 });
  assertClose([loss], [(1 + 4 + 1 + 0.25) / 4], 1e-6);
  const losses: unknown[] = [];
  const onProgress = ({ validationLoss }: models.FitProgress) => void losses.push(validationLoss);
  for (const validation of [images(2), { x1: images(2) }, { x0: images(2), x1: images(2) }]) {
    await fit(tiny(), images(), { steps: 1, validation, onProgress });
  }
  assert.ok(losses.every(Number.isFinite));
  assert.equal(losses[0], losses[1]);
  assert.notEqual(losses[1], losses[2]);
});
