import assert from "node:assert/strict";
import {
  add,
  checkGradients,
  defineOp,
  GradientError,
  matmul,
  multiply,
  softmax,
  sum,
  type Tensor,
  tensor,
} from "../../../kernels/mod.ts";
import { testOnAllKernels, testOnCpu } from "../../testing.ts";
import { randomTensor } from "../oracle.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

/** x^3, whose gradient is `slope` x^2. */
function cubeWith(name: string, slope: number) {
  const gradient = defineOp({
    name: `${name}Gradient`,
    signature: "x[S...], dy[S...] -> dx[S...]",
    wgsl: `fn kernel(i: u32) { dx[i] = ${slope.toFixed(1)} * x[i] * x[i] * dy[i]; }`,
    reference: ({ x, dy, dx }) => {
      for (let i = 0; i < dx.length; i++) dx[i] = slope * x[i] ** 2 * dy[i];
    },
    samples: [],
  });
  return defineOp({
    name,
    signature: "x[S...] -> y[S...]",
    wgsl: "fn kernel(i: u32) { y[i] = x[i] * x[i] * x[i]; }",
    backward: ({ x, dy }) => ({ x: () => gradient(x, dy) }),
    reference: ({ x, y }) => {
      for (let i = 0; i < y.length; i++) y[i] = x[i] ** 3;
    },
    samples: [],
  });
}
const right = cubeWith("testCube", 3);
const wrong = cubeWith("testWrongCube", 3.1);

testOnAllKernels("checkGradients() accepts a correct gradient, names a wrong one", async () => {
  const x = randomTensor(1, [2, 3]);
  await checkGradients(right, [x]);
  const before = await x.read();
  const last = before.reduce((best, value, i) => Math.abs(value) > Math.abs(before[best]) ? i : best, 0);
  await assert.rejects(() => checkGradients(wrong, [x]), (error: Error) => {
    assert.ok(error instanceof GradientError);
    const words =
      /^Cannot confirm the gradient of testWrongCube: at element (\d) of x f32\[2, 3\] it is (\S+), but central differences give (\S+) \(expected within (\S+)\)$/;
    const [, element, found, expected, allowed] = (words.exec(error.message) ?? assert.fail(error.message))
      .map(Number);
    assert.ok(element <= last);
    assert.ok(Math.abs(found / expected - 3.1 / 3) < 1e-3, `${found} / ${expected}`);
    assert.ok(Math.abs(found - expected) > allowed);
    return true;
  });
  assertSameNumbers(await x.read(), before, "the caller's tensor is unchanged");
});

testOnCpu("checkGradients() accepts any function of tensors, and respects the tolerance", async () => {
  await checkGradients(matmul, [randomTensor(2, [3, 2]), randomTensor(3, [2, 4])]);
  // The sum of a softmax is constant: its gradient is zero up to rounding.
  await checkGradients((x) => sum(softmax(x)), [randomTensor(6, [2, 3])]);
  await checkGradients(wrong, [tensor([1, 2])], { tolerance: 0.05 });
  await assert.rejects(() => checkGradients(wrong, [tensor([1, 2])], { tolerance: 0.02 }), GradientError);
  await assert.rejects(() => checkGradients(right, [tensor([NaN])]), /it is NaN, but .* give NaN/);
});

testOnCpu("checkGradients() finds an input without a gradient at any position", async () => {
  const detached = (a: Tensor, b: Tensor) => {
    const half = multiply(b, b);
    half.detach();
    return add(multiply(a, a), add(half, b));
  };
  await assert.rejects(
    () => checkGradients(detached, [randomTensor(7, [2]), randomTensor(8, [2])]),
    /^GradientError: Cannot confirm the gradient of detached: at element 0 of input 1 f32\[2\]/,
  );
  await assert.rejects(
    () => checkGradients((a) => multiply(a, a), [tensor([1]), tensor([1])]),
    /the loss does not depend on parameter 1/,
  );
});
