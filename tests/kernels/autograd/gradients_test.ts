import assert from "node:assert/strict";
import {
  add,
  concat,
  exp,
  gradients,
  groupNorm,
  linear,
  maxPool2d,
  multiply,
  reshape,
  slice,
  square,
  subtract,
  sum,
  type Tensor,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import { assertClose, testOnAllKernels, testOnCpu, testOnDevices } from "../../testing.ts";
import { hiddenOp } from "../oracle.ts";

testOnDevices("gradients() sums over paths, through broadcasting, slice() and concat()", async () => {
  const a = tensor([1, 2, 3], [3, 1]);
  const b = tensor([10, 20], [2]);
  const y = concat([multiply(a, b), subtract(a, b)], 0); // [6, 2]
  const [da, db] = gradients(sum(slice(y, 0, 1, 4)), [a, b]);
  assert.deepEqual([da.shape, db.shape], [[3, 1], [2]]);
  assertClose(await da.read(), [2, 32, 30], 1e-6);
  assertClose(await db.read(), [5 - 2, 5 - 2], 1e-6);
});

testOnCpu("gradients() returns one result per parameter, also for intermediate values", async () => {
  const x = tensor([0.5]);
  const y = exp(x);
  const z = multiply(y, y);
  const [dz, dy, dx] = gradients(sum(z), [z, y, x]);
  assertClose(await dz.read(), [1], 1e-6);
  assertClose(await dy.read(), [2 * Math.exp(0.5)], 1e-5);
  assertClose(await dx.read(), [2 * Math.exp(1)], 1e-5);
});

testOnCpu("gradients() does not overflow the stack on a chain of 5,000 ops", async () => {
  const x = tensor([1]);
  let y = x;
  for (let i = 0; i < 5000; i++) y = add(y, 1);
  assertClose(await gradients(reshape(y, []), [x])[0].read(), [1], 0);
});

testOnCpu("gradients() can be nested three times", async () => {
  const x = tensor([2]);
  let y = multiply(square(x), square(x)); // x^4
  for (let n = 0; n < 3; n++) [y] = gradients(sum(y), [x]);
  assertClose(await y.read(), [24 * 2], 1e-6);
});

/** The halves of an even number of values, with a rule for the input `x` only. */
const halves = hiddenOp({
  name: "halvesForTest",
  signature: "x[n], scale[1] -> first[h], second[h]",
  derive: ({ n }) => ({ h: n / 2 }),
  wgsl: "fn kernel(i: u32) { first[i] = scale[0] * x[i]; second[i] = x[i + dims.h]; }",
  backward: ({ x, scale, dfirst }) => ({
    x: () => multiply(add(multiply(x, 0), sum(multiply(dfirst, scale))), 0.5),
  }),
  reference({ x, scale, first, second }, { h }) {
    for (let i = 0; i < h; i++) first[i] = scale[0] * x[i], second[i] = x[i + h];
  },
  samples: [],
});

testOnCpu("gradients() through an input or output without a rule throws", async () => {
  const [x, scale] = [tensor([1, 2]), tensor([3])];
  const [first, second] = halves(x, scale);
  gradients(sum(first), [x]);
  assert.throws(() => gradients(sum(first), [scale]), {
    name: "Error",
    message:
      "Cannot take gradients through halvesForTest: no rule leads from its output first to its input scale f32[1]; " +
      "declare one in the op's backward, or detach() the input where gradients should end",
  });
  assert.throws(() => gradients(sum(add(first, second)), [x]), /output second to its input x f32\[2\]/);
  const w = tensor([2]);
  assertClose(await gradients(sum(multiply(w, second)), [w])[0].read(), [2], 0);
});

testOnCpu("gradients() refuses a rule's result that is not a tensor of the input's shape", () => {
  const x = tensor([1, 2]);
  for (
    const [dx, why] of [
      [zeros([1]), /^ShapeError: .* of its input x returned f32\[1\]/],
      [undefined, /^TypeError: .*undefined/],
    ] as const
  ) {
    const op = hiddenOp({
      name: "gradientForTest",
      signature: "x[n] -> y[n]",
      wgsl: "fn kernel(i: u32) { y[i] = x[i]; }",
      backward: () => ({ x: () => dx as Tensor }),
      reference: ({ x, y }) => y.set(x),
      samples: [],
    });
    assert.throws(() => gradients(sum(add(op(x), 1)), [x]), why);
  }
});

testOnCpu("gradients() of an op whose rules return the same tensor stay apart", async () => {
  const plus = hiddenOp({
    name: "sumForTest",
    signature: "a[n, m], b[n, m] -> y[n, m]",
    wgsl: "fn kernel(i: u32) { y[i] = a[i] + b[i]; }",
    backward: ({ dy }) => ({ a: () => dy, b: () => dy }),
    reference: ({ a, b, y }) => y.forEach((_, i) => y[i] = a[i] + b[i]),
    samples: [],
  });
  const [a, b] = [tensor([1, 2], [1, 2]), tensor([3, 4], [1, 2])], w = tensor([5, 6, 7, 8], [2, 2]);
  const [da, db] = gradients(add(sum(linear(a, w, zeros([2]))), sum(plus(a, b))), [a, b]); // linear() adds to da
  assert.deepEqual([[...await da.read()], [...await db.read()]], [[13, 15], [1, 1]]);
  const [twice] = gradients(sum(multiply(plus(a, a), b)), [a]);
  assert.deepEqual([...await twice.read()], [6, 8]);
});

/** Ops whose rules add to the gradient so far, which other ops made. */
const adding: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  "groupNorm()": (x) => groupNorm(x, tensor([1, 2, 3, 4]), tensor([0, 1, 0, 1]), { groups: 2 }),
  "maxPool2d()": maxPool2d,
  "maxPool2d() to no pixels": (x) => maxPool2d(slice(x, 2, 0, 1)),
  "linear()": (x) => linear(reshape(x, [8, 9]), tensor(wave(27), [3, 9]), zeros([3])),
  "linear() of a matrix": (x) => linear(x, tensor(wave(27), [3, 9]), zeros([3])),
};
const wave = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * i));

for (const [name, op] of Object.entries(adding)) {
  testOnAllKernels(`gradients() adds the gradient of ${name} to that of another path`, async () => {
    const x = tensor(wave(72), name.endsWith("matrix") ? [8, 9] : [2, 4, 3, 3]);
    const losses = [(y: Tensor) => sum(square(op(y))), (y: Tensor) => sum(exp(y))];
    const [one, other] = await Promise.all(losses.map((loss) => gradients(loss(x), [x])[0].read()));
    const [both] = gradients(add(losses[0](x), losses[1](x)), [x]);
    assertClose(await both.read(), one.map((value, i) => value + other[i]), 1e-6);
    const again = (dx: Tensor) => gradients(sum(square(dx)), [x])[0].read();
    const summed = add(...losses.map((loss) => gradients(loss(x), [x])[0]) as [Tensor, Tensor]);
    assertClose(await again(both), await again(summed), 1e-5, "second derivative");
  });
}
