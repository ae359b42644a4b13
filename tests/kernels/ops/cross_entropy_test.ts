import assert from "node:assert/strict";
import {
  crossEntropy,
  exp,
  gradients,
  logSoftmax,
  square,
  sum,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import { assertClose, testOnAllKernels, testOnDevices } from "../../testing.ts";

const wild = [1000, 0, -1000, 88, -200, 3];

testOnAllKernels("logSoftmax() is finite for logits whose softmax is 0 in f32", async () => {
  const x = tensor(wild, [2, 3]);
  assertClose(await logSoftmax(x).read(), [0, -1000, -2000, 0, -288, -85], 1e-6);
  assertClose(await sum(exp(logSoftmax(x)), [1]).read(), [1, 1], 1e-6);
  const [dx] = gradients(sum(logSoftmax(x)), [x]);
  assertClose(await dx.read(), [-2, 1, 1, -2, 1, 1], 1e-5);
});

testOnAllKernels("logSoftmax() masks by -infinity, and a row with NaN is NaN, no other", async () => {
  const x = tensor([-Infinity, 1, 1, 0, NaN, 0, 2, 2, 2, 2, 2, 2], [4, 3]);
  const third = -Math.log(3);
  const expected = [-Infinity, -Math.log(2), -Math.log(2), NaN, NaN, NaN, ...new Array(6).fill(third)];
  assert.deepEqual([...await logSoftmax(x).read()].map(rounded), expected.map(rounded));
});

const rounded = (x: number) => Number.isFinite(x) ? Math.round(x * 1e5) / 1e5 : x;

testOnAllKernels(
  "crossEntropy() of wild logits is finite, with gradient (softmax - one-hot) / N",
  async () => {
    const logits = tensor(wild, [2, 3]), labels = tensor(Uint32Array.of(2, 0));
    const loss = crossEntropy(logits, labels);
    assert.deepEqual(loss.shape, []);
    assertClose(await loss.read(), [1000], 1e-6);
    const [found] = gradients(loss, [logits]);
    assertClose(await found.read(), [0.5, 0, -0.5, 0, 0, 0], 1e-6);
  },
);

testOnAllKernels("crossEntropy() of even logits has second derivative diag(p) - p p^T", async () => {
  const logits = zeros([1, 2]);
  const [slope] = gradients(crossEntropy(logits, tensor(Uint32Array.of(1))), [logits]); // [1/2, -1/2]
  const [found] = gradients(sum(square(slope)), [logits]); // 2 H slope, H = [[1, -1], [-1, 1]] / 4
  assertClose(await found.read(), [0.5, -0.5], 1e-6);
});

testOnAllKernels(
  "crossEntropy() is NaN for a label that is no class, and so is the gradient of its row",
  async () => {
    const logits = zeros([3, 2]);
    for (const label of [2, 0xffffffff]) {
      const loss = crossEntropy(logits, tensor(Uint32Array.of(0, label, 1)));
      assert.deepEqual([...await loss.read()], [NaN]);
      const [found] = gradients(loss, [logits]);
      const slopes = [...await found.read()].map((value) => Math.round(value * 600) / 600);
      assert.deepEqual(slopes, [-1 / 6, 1 / 6, NaN, NaN, 1 / 6, -1 / 6]);
    }
  },
);

testOnAllKernels("crossEntropy() of NaN is NaN", async () => {
  const logits = tensor([0, NaN, 0, 0], [2, 2]);
  const loss = crossEntropy(logits, tensor(Uint32Array.of(0, 1)));
  assert.deepEqual([...await loss.read()], [NaN]);
  const [found] = gradients(loss, [logits]);
  const slopes = await found.read();
  assert.ok(Number.isNaN(slopes[0]) && Number.isNaN(slopes[1]));
  assertClose(slopes.slice(2), [0.25, -0.25], 1e-6);
});

testOnDevices("crossEntropy() refuses labels of another type or number, and no classes", async () => {
  const logits = zeros([3, 2]);
  assert.throws(() => crossEntropy(logits, zeros([3])), {
    name: "TypeError",
    message:
      "Cannot run crossEntropy: labels is f32[3] (expected u32 in logits[N, C], labels:u32[N] -> y[N])",
  });
  assert.throws(() => crossEntropy(logits, tensor(Uint32Array.of(0))), {
    name: "ShapeError",
    message:
      "Cannot run crossEntropy: N is 3 in logits but 1 in labels: logits f32[3, 2], labels u32[1] (expected logits[N, C], labels:u32[N] -> y[N])",
  });
  assert.throws(() => crossEntropy(zeros([1, 0]), tensor(Uint32Array.of(0))), /logits f32\[1, 0\] is empty/);
  const none = crossEntropy(zeros([0, 2]), tensor(new Uint32Array(0)));
  assert.deepEqual([...await none.read()], [NaN]);
});
