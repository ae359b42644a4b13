import assert from "node:assert/strict";
import { add, multiply, reshape, type Tensor, tensor } from "../../../kernels/mod.ts";
import { SampleBatches } from "../../../models/mod.ts";
import { upTo } from "../../counting.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

const field = {
  velocity: (x: Tensor, _: Tensor, condition: Tensor) =>
    add(multiply(x, 0), reshape(condition, [x.shape[0], 1])),
};

testOnDevices("SampleBatches covers every sample with batches of one size within the limit", async () => {
  for (const [count, batch] of [[1, 1], [3, 2], [10, 3], [16, 256], [257, 256], [200, 32], [7, 7]]) {
    const x0 = tensor(upTo(count), [count, 1]);
    const condition = tensor(upTo(count).map((n) => 10 * n));
    const batches = new SampleBatches(field, x0, { steps: 1, batch, condition });
    const { length, sampler } = batches;
    assert.ok(length <= batch);
    const fresh: number[] = [];
    for (const { from, fresh: first, x0 } of batches) {
      assert.ok(from >= 0 && from + length <= count && from <= first);
      fresh.push(...upTo(from + length).slice(first));
      assertClose(await sampler.run(x0).read(), upTo(length).map((i) => 11 * (from + i)), 1e-6);
    }
    assert.deepEqual(fresh, upTo(count), `${count} by ${batch}`);
  }
});
