import assert from "node:assert/strict";
import { abs, gradients, maximum, minimum, multiply, sum, tensor } from "../../../kernels/mod.ts";
import { assertClose, testOnAllKernels, testOnDevices } from "../../testing.ts";

const values = [1, NaN, 2, -Infinity, 3, NaN, 0.5];
const others = [NaN, 1, 2, Infinity, -4, NaN, 0.25];

testOnAllKernels("maximum() and minimum() are NaN where either is", async () => {
  const [a, b] = [tensor(values), tensor(others)];
  assert.deepEqual([...await maximum(a, b).read()], [NaN, NaN, 2, Infinity, 3, NaN, 0.5]);
  assert.deepEqual([...await minimum(a, b).read()], [NaN, NaN, 2, -Infinity, -4, NaN, 0.25]);
  const column = tensor([NaN, 1], [2, 1]); // broadcast, another kernel of the CPU device
  assert.deepEqual([...await maximum(column, tensor([0, NaN])).read()], [NaN, NaN, 1, NaN]);
  assert.deepEqual([...await minimum(tensor([NaN, -1, 5]), 0).read()], [NaN, -1, 0]);
});

testOnAllKernels(
  "maximum() and minimum() split the gradient at a tie, and give it to both at NaN",
  async () => {
    const [a, b] = [tensor(values), tensor(others)];
    const dy = tensor([1, 2, 4, 8, 16, 32, 64]);
    const ofMaximum = gradients(sum(multiply(maximum(a, b), dy)), [a, b]);
    assertClose(await ofMaximum[0].read(), [1, 2, 2, 0, 16, 32, 64], 0);
    assertClose(await ofMaximum[1].read(), [1, 2, 2, 8, 0, 32, 0], 0);
    const ofMinimum = gradients(sum(multiply(minimum(a, b), dy)), [a, b]);
    assertClose(await ofMinimum[0].read(), [1, 2, 2, 8, 0, 32, 0], 0);
    assertClose(await ofMinimum[1].read(), [1, 2, 2, 0, 16, 32, 64], 0);
  },
);

testOnAllKernels("maximum() with a number has a gradient for the tensor", async () => {
  const x = tensor([-1, 0, 2]);
  const [dx] = gradients(sum(multiply(maximum(x, 0), tensor([3, 4, 5]))), [x]);
  assertClose(await dx.read(), [0, 2, 5], 0);
});

testOnDevices("maximum() of rows longer than a task of threads is that of each element", async () => {
  const x = Float32Array.from({ length: 3 * 20001 }, (_, i) => (i * 7919) % 1000 - 500);
  const row = Float32Array.from({ length: 20001 }, (_, i) => (i * 104729) % 1000 - 500);
  const a = tensor(x, [3, 20001]), b = tensor(row);
  assert.deepEqual(await maximum(a, b).read(), x.map((value, i) => Math.max(value, row[i % 20001])));
  const [da] = gradients(sum(maximum(a, b)), [a]);
  const share = (a: number, b: number) => a > b ? 1 : a === b ? 0.5 : 0;
  assert.deepEqual(await da.read(), x.map((value, i) => share(value, row[i % 20001])));
});

testOnAllKernels("abs() of NaN is NaN, with slope NaN, and its slope at 0 is 0", async () => {
  const x = tensor([NaN, 0, -Infinity, -1e-30, 2]);
  assert.deepEqual([...await abs(x).read()], [NaN, 0, Infinity, Math.fround(1e-30), 2]);
  const [dx] = gradients(sum(abs(x)), [x]);
  assert.deepEqual([...await dx.read()], [NaN, 0, -1, -1, 1]);
});
