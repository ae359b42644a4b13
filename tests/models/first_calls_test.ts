/** Calls with the fewest arguments, and noise to start from. */

import assert from "node:assert/strict";
import { attend, divide, greater, less, minimum, subtract, type Tensor, tensor } from "../../kernels/mod.ts";
import * as models from "../../models/mod.ts";
import { assertSameNumbers } from "../same_numbers.ts";
import { assertClose, testOnCpu, testOnDevices } from "../testing.ts";

const { createModel, fit, Linear, noise, sample, slerp } = models;
const tiny = () => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 });
const images = (count = 3) => noise(1, [count, 1, 4, 4]);

/** A user's first field: points and one layer. */
class Field extends models.Module {
  map = new Linear(2, 2);
  velocity = (x: Tensor) => this.map.forward(x);
}

testOnCpu("layers draw their own weights, attend() scales, and ops accept a number first", async () => {
  const [a, b] = await Promise.all([new Linear(2, 3), new Linear(2, 3)].map(({ weight }) => weight.read()));
  assert.ok(a.every((value) => value !== 0 && Math.abs(value) <= Math.SQRT1_2));
  assert.notDeepEqual(a, b);
  assert.deepEqual(new models.ConvTranspose2d(2, 3).weight.shape, [2, 3, 2, 2]);
  assert.deepEqual(new models.Attention(4, 2).q.weight.shape, [4, 4, 1, 1]);
  const [q, k, v] = [1, 2, 3].map((seed) => noise(seed, [2, 4, 5]));
  assertSameNumbers(await attend(q, k, v).read(), await attend(q, k, v, { scale: 0.5 }).read());
  const x = tensor([0.5, 2, 4]);
  assertClose(await subtract(1, x).read(), [0.5, -1, -3], 1e-6);
  assertClose(await divide(1, x).read(), [2, 0.5, 0.25], 1e-6);
  assertClose(await minimum(1, x).read(), [0.5, 1, 1], 1e-6);
  assert.deepEqual([...await greater(1, x).readWords(), ...await less(1, x).readWords()], [1, 0, 0, 0, 1, 1]);
});

testOnCpu("sample() takes the shape from the training data or the file, else 28 x 28", async () => {
  const model = tiny(), field = new Field();
  assert.deepEqual(sample(model, { count: 2, steps: 1 }).shape, [2, 1, 28, 28]);
  assert.deepEqual(createModel({ type: "UNet_FM", filters: [2], tEmb: 4, channels: 3 }).shape, [3, 28, 28]);
  await fit(model, images(), { steps: 1 });
  assert.deepEqual(model.shape, [1, 4, 4]);
  const { model: loaded } = models.loadCheckpoint(await models.saveCheckpoint(model), "a file");
  assert.deepEqual(models.autoguided(loaded, model, 2).shape, [1, 4, 4]);
  await fit(field, noise(1, [4, 2]), { steps: 1 });
  assert.deepEqual(sample(field, { count: 3 }).shape, [3, 2]);
});

testOnCpu("fit() takes pairs, and validation data as a tensor, as pairs or as an object", async () => {
  const [x0, x1] = [tensor([1, 2, -1, 0.5], [2, 2]), tensor([2, 4, -2, 1], [2, 2])], still = new Field();
  for (const parameter of [still.map.weight, still.map.bias]) {
    parameter.write(new Float32Array(parameter.size));
  }
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

testOnDevices("noise() is standard normal, and row n does not depend on N", async () => {
  const [many, few] = [400, 3].map((N) => noise(7, [N, 1, 5, 4])), values = await many.read();
  assertSameNumbers(await few.read(), values.slice(0, 60));
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
  assert.ok(Math.abs(mean) < 4 / Math.sqrt(8000), `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 4 * Math.sqrt(2 / 8000), `variance ${variance}`);
});

Deno.test("slerp() follows White's formula, and is linear between nearly parallel or zero vectors", () => {
  const shares = [0, 0.1, 0.25, 0.5, 0.9, 1], norm = (x: Float32Array) => Math.hypot(...x);
  const [x, y] = [Float32Array.of(1, -2, 0.5), Float32Array.of(0.3, 4, 2)];
  const angle = Math.acos(x.reduce((sum, value, i) => sum + value * y[i], 0) / norm(x) / norm(y));
  const arc = (angle: number) => Float32Array.of(2 * Math.cos(angle), 2 * Math.sin(angle));
  const longer = x.map((value) => 3 * value),
    beside = Float32Array.of(1, -2, 0.50000006),
    none = x.map(() => 0);
  for (const share of shares) {
    const [a, b] = [1 - share, share].map((part) => Math.sin(part * angle) / Math.sin(angle));
    assertClose(slerp(x, y, share), x.map((value, i) => a * value + b * y[i]), 1e-6);
    for (const angle of [0.01, 3]) assertClose(slerp(arc(0), arc(angle), share), arc(share * angle), 1e-6);
    for (const other of [x, longer, beside, none]) {
      assertClose(slerp(x, other, share), x.map((value, i) => (1 - share) * value + share * other[i]), 1e-6);
    }
  }
  const [start, end] = [Float32Array.of(0.1, -0, 3e-39), Float32Array.of(-7, 0.3, -0)];
  assert.deepEqual([slerp(start, end, 0), slerp(start, end, 1)], [start, end], "to the bit");
  const refused: [() => unknown, string][] = [
    [
      () => slerp(x, x.map((value) => -2 * value), 0.5),
      "between opposite noise vectors: no arc is the shortest (expected other noise)",
    ],
    [
      () => slerp(x, Float32Array.of(1), 0.5),
      "between noise vectors of 3 and 1 elements (expected the same number)",
    ],
    ...[-0.1, 1.1, NaN].map((share): [() => unknown, string] => [
      () => slerp(x, x, share),
      `noise at share ${share} (expected a number in [0, 1])`,
    ]),
  ];
  for (const [call, message] of refused) {
    assert.throws(call, { name: "RangeError", message: `Cannot interpolate ${message}` });
  }
});
