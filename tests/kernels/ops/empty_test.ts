import assert from "node:assert/strict";
import {
  add,
  concat,
  conv2d,
  full,
  gradients,
  matmul,
  mean,
  meanSquaredError,
  softmax,
  square,
  sum,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import { assertClose, testOnAllKernels } from "../../testing.ts";

testOnAllKernels("concat() joins empty tensors, which have empty gradients", async () => {
  const x = tensor([1, 2], [1, 2]), none = zeros([0, 2]);
  for (const parts of [[none, x], [x, none], [none, x, none]]) {
    const y = concat(parts, 0);
    assert.deepEqual(y.shape, [1, 2]);
    assertClose(await y.read(), [1, 2], 0);
    const [dx, dnone] = gradients(sum(square(y)), [x, none]);
    assertClose(await dx.read(), [2, 4], 0);
    assert.deepEqual(dnone.shape, [0, 2]);
  }
  assert.deepEqual(concat([none, none], 0).shape, [0, 2]);
  assert.deepEqual(concat([none, zeros([0, 3])], 1).shape, [0, 5]);
  assertClose(await add(full([1], 1), 1).read(), [2], 0);
});

testOnAllKernels("sum() of nothing is 0, mean() of nothing is NaN", async () => {
  assertClose(await sum(zeros([0, 3]), [0]).read(), [0, 0, 0], 0);
  assertClose(await sum(zeros([2, 0, 3]), [-1, 1]).read(), [0, 0], 0);
  assertClose(await sum(zeros([0])).read(), [0], 0);
  assert.deepEqual(sum(zeros([0, 3]), [1]).shape, [0]);
  assert.ok(Number.isNaN((await mean(zeros([0])).read())[0]));
  assert.ok(Number.isNaN((await meanSquaredError(zeros([0]), zeros([0])).read())[0]));
});

testOnAllKernels("matmul() over a depth of 0 is 0, and a batch of 0 is empty", async () => {
  assertClose(await matmul(zeros([2, 0]), zeros([0, 3])).read(), new Float32Array(6), 0);
  assert.deepEqual(matmul(zeros([0, 2, 3]), zeros([3, 4])).shape, [0, 2, 4]);
  assert.deepEqual(softmax(zeros([2, 0])).shape, [2, 0]);
});

testOnAllKernels("conv2d() of a batch of no images is empty and has gradients of 0", async () => {
  const w = full([2, 1, 3, 3], 1), bias = full([2], 1);
  const y = conv2d(zeros([0, 1, 4, 4]), w, bias, { padding: 1 });
  assert.deepEqual(y.shape, [0, 2, 4, 4]);
  const [dw, dbias] = gradients(sum(square(y)), [w, bias]);
  assertClose(await dw.read(), new Float32Array(18), 0);
  assertClose(await dbias.read(), [0, 0], 0);
  assert.throws(() => conv2d(zeros([1, 0, 4, 4]), zeros([2, 0, 3, 3]), bias, { padding: 1 }), {
    name: "ShapeError",
    message: "Cannot run conv2d: x f32[1, 0, 4, 4] is empty (expected at least one element)",
  });
});
