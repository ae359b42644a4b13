import assert from "node:assert/strict";
import {
  abs,
  cos,
  divide,
  gradients,
  greater,
  less,
  log,
  maximum,
  minimum,
  multiply,
  sin,
  square,
  sum,
  tensor,
  where,
} from "../../../kernels/mod.ts";
import { assertClose, testOnAllKernels, testOnCpus, testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

// WGSL does not define quotients by numbers beyond 2^126.
testOnCpus("divide() by a number with an inverse outside f32 still divides", async () => {
  const x = tensor([3e38, 1, -2, 0]);
  assertClose(await divide(x, 3e38).read(), [1, 0, 0, 0], 1e-37);
  assert.deepEqual([...await divide(x, 0).read()], [Infinity, Infinity, -Infinity, NaN]);
  assert.deepEqual([...await divide(x, Infinity).read()].map(Math.abs), [0, 0, 0, 0]);
  assertClose(await divide(tensor([1e-39, 0]), 1e-39).read(), [1, 0], 1e-6);
  const y = divide(x, -3e38);
  const [dx] = gradients(sum(multiply(y, tensor([3e38, 0, 0, 0]))), [x]);
  assertClose(await dx.read(), [-1, 0, 0, 0], 0);
});

testOnAllKernels(
  "sin(), cos() and their slopes are within 1e-6 up to 10,000, and bounded beyond",
  async () => {
    const values = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) * 5 + Math.sin(i));
    const [x, far] = [tensor(values), tensor([1e5, -1e7, 4e9, -3e20, 3.4e38, 1e-40, 0])];
    for (
      const [f, value, slope] of [[sin, Math.sin, Math.cos], [
        cos,
        Math.cos,
        (x: number) => -Math.sin(x),
      ]] as const
    ) {
      assertClose(await f(x).read(), Float64Array.from(values, value), 1e-6);
      assertClose(await gradients(sum(f(x)), [x])[0].read(), Float64Array.from(values, slope), 1e-6);
      assert.ok((await f(far).read()).every((y) => Math.abs(y) <= 1.0000001));
      assert.deepEqual([...await f(tensor([NaN, Infinity, -Infinity])).read()], [NaN, NaN, NaN]);
    }
    assertClose((await sin(far).read()).slice(0, 1), [Math.sin(1e5)], 1e-2);
  },
);

testOnCpus("sin() and cos() of any number are exact on the CPU device", async () => {
  const x = Float32Array.from({ length: 1000 }, (_, i) => (-1) ** i * Math.exp(10 + i * 0.0787));
  assertClose(await sin(tensor(x)).read(), Float64Array.from(x, Math.sin), 1e-7);
  assertClose(await cos(tensor(x)).read(), Float64Array.from(x, Math.cos), 1e-7);
});

const values = [1, NaN, 2, -Infinity, 3, NaN, 0.5];
const operands = [NaN, 1, 2, Infinity, -4, NaN, 0.25];

testOnAllKernels("maximum() and minimum() keep NaN, and split the gradient at a tie", async () => {
  const [a, b] = [tensor(values), tensor(operands)];
  assert.deepEqual([...await maximum(a, b).read()], [NaN, NaN, 2, Infinity, 3, NaN, 0.5]);
  assert.deepEqual([...await minimum(a, b).read()], [NaN, NaN, 2, -Infinity, -4, NaN, 0.25]);
  const column = tensor([NaN, 1], [2, 1]); // broadcasting uses another CPU kernel
  assert.deepEqual([...await maximum(column, tensor([0, NaN])).read()], [NaN, NaN, 1, NaN]);
  assert.deepEqual([...await minimum(tensor([NaN, -1, 5]), 0).read()], [NaN, -1, 0]);
  const dy = tensor([1, 2, 4, 8, 16, 32, 64]);
  const slopes = { larger: [1, 2, 2, 0, 16, 32, 64], smaller: [1, 2, 2, 8, 0, 32, 0] }; // to both at NaN
  for (const [f, ofA, ofB] of [[maximum, "larger", "smaller"], [minimum, "smaller", "larger"]] as const) {
    const [da, db] = gradients(sum(multiply(f(a, b), dy)), [a, b]);
    assertClose(await da.read(), slopes[ofA], 0);
    assertClose(await db.read(), slopes[ofB], 0);
  }
});

testOnDevices("maximum() is correct for rows longer than a task", async () => {
  const x = Float32Array.from({ length: 3 * 20001 }, (_, i) => (i * 7919) % 1000 - 500);
  const row = Float32Array.from({ length: 20001 }, (_, i) => (i * 104729) % 1000 - 500);
  const a = tensor(x, [3, 20001]), b = tensor(row);
  assertSameNumbers(await maximum(a, b).read(), x.map((value, i) => Math.max(value, row[i % 20001])));
  const [da] = gradients(sum(maximum(a, b)), [a]);
  const share = (a: number, b: number) => a > b ? 1 : a === b ? 0.5 : 0;
  assertSameNumbers(await da.read(), x.map((value, i) => share(value, row[i % 20001])));
});

testOnAllKernels("abs() of NaN is NaN, with slope NaN, and its slope at 0 is 0", async () => {
  const x = tensor([NaN, 0, -Infinity, -1e-30, 2]);
  assert.deepEqual([...await abs(x).read()], [NaN, 0, Infinity, Math.fround(1e-30), 2]);
  const [dx] = gradients(sum(abs(x)), [x]);
  assert.deepEqual([...await dx.read()], [NaN, 0, -1, -1, 1]);
});

testOnAllKernels("greater() and less() return u32, broadcast, and are false for NaN and ties", async () => {
  const a = tensor([1, 2, NaN], [3, 1]), b = tensor([1, NaN, -3, 2]);
  const isGreater = greater(a, b);
  assert.deepEqual([isGreater.type, isGreater.shape], ["u32", [3, 4]]);
  assert.deepEqual([...await isGreater.readWords()], [0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
  assert.deepEqual([...await less(a, b).readWords()], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...await less(b, 1.5).readWords()], [1, 0, 1, 0]);
});

testOnAllKernels("where() gives the unselected value gradient 0, even if it is NaN", async () => {
  const x = tensor([-1, 0, 2]);
  const y = where(greater(x, 0), log(x), multiply(x, 10)); // log(-1) is NaN, log(0) infinite
  assertClose(await y.read(), [-10, 0, Math.log(2)], 1e-6);
  const [ofChosen] = gradients(sum(where(greater(x, 0), x, 5)), [x]);
  assertClose(await ofChosen.read(), [0, 0, 1], 0);

  const [a, b] = [tensor([NaN, 1]), tensor([2, NaN])];
  const chosen = where(tensor(Uint32Array.of(0, 0xffffffff)), a, b);
  assertClose(await chosen.read(), [2, 1], 0);
  const [da, db] = gradients(sum(square(chosen)), [a, b]);
  assertClose(await da.read(), [0, 2], 0);
  assertClose(await db.read(), [4, 0], 0);
});

testOnAllKernels("where() accepts u32 values, and gradients() ignore its condition", async () => {
  const x = tensor([-2, 3]);
  const leaky = where(greater(x, 0), x, multiply(x, 0.1));
  const [dx] = gradients(sum(square(leaky)), [x]);
  assertClose(await dx.read(), [-0.04, 6], 1e-6);
  const [second] = gradients(sum(dx), [x]);
  assertClose(await second.read(), [0.02, 2], 1e-6);
  assert.throws(() => gradients(sum(where(greater(x, 0), 1, 0)), [x]), /does not depend on parameter 0/);
  const words = tensor(Uint32Array.of(7, 8));
  assert.deepEqual([...await where(greater(x, 0), 2 ** 32 - 1, words).readWords()], [7, 2 ** 32 - 1]);
});
