import assert from "node:assert/strict";
import { add, divide, gradients, multiply, sum, tensor, zeros } from "../../../kernels/mod.ts";
import { assertClose, testOnCpus, testOnDevices } from "../../testing.ts";

// WGSL leaves quotients by numbers beyond 2^126 open.
testOnCpus("divide() by a number whose inverse f32 does not hold divides", async () => {
  const x = tensor([3e38, 1, -2, 0]);
  assertClose(await divide(x, 3e38).read(), [1, 0, 0, 0], 1e-37);
  assert.deepEqual([...await divide(x, 0).read()], [Infinity, Infinity, -Infinity, NaN]);
  assert.deepEqual([...await divide(x, Infinity).read()].map(Math.abs), [0, 0, 0, 0]);
  assertClose(await divide(tensor([1e-39, 0]), 1e-39).read(), [1, 0], 1e-6);
  const y = divide(x, -3e38);
  const [dx] = gradients(sum(multiply(y, tensor([3e38, 0, 0, 0]))), [x]);
  assertClose(await dx.read(), [-1, 0, 0, 0], 0);
});

testOnDevices("add() refuses shapes that stretch in more than four groups of axes", async () => {
  assert.throws(() => add(zeros([2, 1, 2, 1, 2]), zeros([1, 2, 1, 2, 1])), {
    name: "ShapeError",
    message:
      "Cannot broadcast [2, 1, 2, 1, 2] with [1, 2, 1, 2, 1]: they stretch in 5 groups of axes (expected at " +
      "most 4, neighbours that stretch alike being one); permute axes so that such are neighbours",
  });
  const four = add(zeros([2, 2, 1, 2, 1]), zeros([1, 1, 2, 1, 2]));
  assertClose(await four.read(), new Float32Array(32), 0);
});
