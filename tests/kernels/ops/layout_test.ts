import assert from "node:assert/strict";
import {
  add,
  concat,
  conv2d,
  crossEntropy,
  full,
  gatherImages,
  gatherRows,
  gradients,
  matmul,
  mean,
  meanSquaredError,
  multiply,
  packBytes,
  softmax,
  square,
  sum,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import { assertClose, testOnAllKernels } from "../../testing.ts";

testOnAllKernels("gatherRows() sums gradients of repeated rows; invalid ones are NaN", async () => {
  const table = tensor([1, 2, 3, 4, 5, 6], [3, 2]);
  const weights = tensor([1, 10, 2, 20, 3, 30, 4, 40, 5, 50], [5, 2]);
  const rows = gatherRows(table, tensor(Uint32Array.of(2, 0, 2, 3, 0xffffffff)));
  assert.deepEqual([...await rows.read()], [5, 6, 1, 2, 5, 6, NaN, NaN, NaN, NaN]);
  const [gradient] = gradients(sum(multiply(rows, weights)), [table]);
  assert.deepEqual([...await gradient.read()], [2, 20, 0, 0, 4, 40]);
});

testOnAllKernels("gatherRows() accepts u32 labels, in one column or several", async () => {
  const labels = gatherRows(tensor(Uint32Array.of(7, 8)), tensor(Uint32Array.of(1, 0, 2, 0x80000000)));
  assert.deepEqual([labels.type, labels.shape], ["u32", [4]]);
  assert.deepEqual(await labels.readWords(), Uint32Array.of(8, 7, 0xffffffff, 0xffffffff));
  const pairs = gatherRows(tensor(Uint32Array.of(1, 2, 3, 4), [2, 2]), tensor(Uint32Array.of(1, 0, 1)));
  assert.deepEqual([pairs.type, pairs.shape], ["u32", [3, 2]]);
  assert.deepEqual(await pairs.readWords(), Uint32Array.of(3, 4, 1, 2, 3, 4));
});

testOnAllKernels("gatherImages() gives NaN for an image out of range", async () => {
  const bytes = packBytes(Uint8Array.of(1, 2, 3, 4, 5, 6));
  const beyond = tensor(Uint32Array.of(1, 2, 0x40000000, 0));
  const images = gatherImages(bytes, beyond, { pixels: 3, scale: 1, shift: 0 });
  assert.deepEqual([...await images.read()], [4, 5, 6, NaN, NaN, NaN, NaN, NaN, NaN, 1, 2, 3]);
});

testOnAllKernels("concat() joins empty tensors and gives them empty gradients", async () => {
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

testOnAllKernels("sum() of no elements is 0, mean() and losses of none are NaN", async () => {
  assertClose(await sum(zeros([0, 3]), [0]).read(), [0, 0, 0], 0);
  assertClose(await sum(zeros([2, 0, 3]), [-1, 1]).read(), [0, 0], 0);
  assertClose(await sum(zeros([0])).read(), [0], 0);
  assert.deepEqual(sum(zeros([0, 3]), [1]).shape, [0]);
  assert.ok(Number.isNaN((await mean(zeros([0])).read())[0]));
  assertClose(await mean(tensor([1, 2, 3, 5], [2, 2]), [0]).read(), [2, 3.5], 0);
  for (
    const loss of [
      meanSquaredError(zeros([0]), zeros([0])),
      crossEntropy(zeros([0, 2]), tensor(new Uint32Array(0))),
    ]
  ) {
    assert.deepEqual([...await loss.read()], [NaN]);
  }
});

testOnAllKernels("matmul() over a depth of 0 is 0, and a batch of 0 is empty", async () => {
  assertClose(await matmul(zeros([2, 0]), zeros([0, 3])).read(), new Float32Array(6), 0);
  assert.deepEqual(matmul(zeros([0, 2, 3]), zeros([3, 4])).shape, [0, 2, 4]);
  assert.deepEqual(softmax(zeros([2, 0])).shape, [2, 0]);
});

testOnAllKernels("conv2d() of an empty batch is empty and has gradients of 0", async () => {
  const w = full([2, 1, 3, 3], 1), bias = full([2], 1);
  const y = conv2d(zeros([0, 1, 4, 4]), w, bias, { padding: 1 });
  assert.deepEqual(y.shape, [0, 2, 4, 4]);
  const [dw, dbias] = gradients(sum(square(y)), [w, bias]);
  assertClose(await dw.read(), new Float32Array(18), 0);
  assertClose(await dbias.read(), [0, 0], 0);
});
