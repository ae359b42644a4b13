import assert from "node:assert/strict";
import {
  add,
  concat,
  convTranspose2d,
  exp,
  full,
  gradients,
  groupNorm,
  matmul,
  multiply,
  reshape,
  scope,
  ShapeError,
  slice,
  softmax,
  subtract,
  sum,
  tensor,
  transpose,
} from "../../../kernels/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

testOnDevices("gradients() adds up over all ways to a tensor", async () => {
  const x = tensor([1, -2, 3]);
  const y = add(multiply(x, x), multiply(x, 5)); // d/dx = 2x + 5
  const [dx] = gradients(sum(y), [x]);
  assertClose(await dx.read(), [7, 1, 11], 1e-6);
});

testOnDevices("gradients() follows broadcasting, slices and joins back", async () => {
  const a = tensor([1, 2, 3], [3, 1]);
  const b = tensor([10, 20], [2]);
  const y = concat([multiply(a, b), subtract(a, b)], 0); // [6, 2]
  const [da, db] = gradients(sum(slice(y, 0, 1, 4)), [a, b]);
  assert.deepEqual(da.shape, [3, 1]);
  assert.deepEqual(db.shape, [2]);
  assertClose(await da.read(), [2, 32, 30], 1e-6);
  assertClose(await db.read(), [5 - 2, 5 - 2], 1e-6);
});

testOnDevices(
  "gradients() gives one result a parameter, in order, for intermediate tensors too",
  async () => {
    const x = tensor([0.5]);
    const y = exp(x);
    const z = multiply(y, y);
    const [dz, dy, dx] = gradients(sum(z), [z, y, x]);
    assertClose(await dz.read(), [1], 1e-6);
    assertClose(await dy.read(), [2 * Math.exp(0.5)], 1e-5);
    assertClose(await dx.read(), [2 * Math.exp(1)], 1e-5);
  },
);

testOnDevices("gradients() through a chain of 5,000 ops needs no deep stack", async () => {
  const x = tensor([1]);
  let y = x;
  for (let i = 0; i < 5000; i++) y = add(y, 1);
  assertClose(await gradients(reshape(y, []), [x])[0].read(), [1], 0);
});

testOnDevices(
  "gradients() refuses a loss that is not one number, and a parameter it does not depend on",
  () => {
    const x = tensor([1, 2]);
    assert.throws(() => gradients(multiply(x, x), [x]), ShapeError);
    assert.throws(() => gradients(sum(x), [tensor([3, 4])]), /does not depend on parameter 0, f32\[2\]/);
    const cut = scope(() => multiply(x, 2));
    assert.throws(() => gradients(sum(cut), [x]), /does not depend/);
  },
);

testOnDevices("ops name themselves, the lengths and the rule when shapes do not fit", () => {
  const a = full([2, 3], 1), b = full([4, 2], 1);
  assert.throws(() => matmul(a, b), {
    name: "ShapeError",
    message:
      "Cannot run matmul: K is 3 in a but 4 in b: a f32[1, 2, 3], b f32[1, 4, 2] (expected a[A, M, K], b[B, K, N] -> y[Y, M, N])",
  });
  assert.throws(() => add(a, b), /Cannot broadcast f32\[2, 3\] with f32\[4, 2\]: lengths 2 and 4 meet/);
  assert.throws(() => reshape(a, [5]), /Cannot reshape f32\[2, 3\] to f32\[5\]: 6 elements/);
  assert.throws(() => sum(a, [2]), /axis 2 is outside a tensor of rank 2/);
  assert.throws(
    () => convTranspose2d(full([1, 2, 4, 4], 1), full([2, 3, 3, 2], 1), full([3], 1)),
    /Cannot run convTranspose2d: axis 2 of w is 3, not 2: x f32/,
  );
  assert.throws(() => transpose(full([3], 1)), /Cannot transpose f32\[3\] \(expected at least two axes\)/);
  assert.throws(() => softmax(full([], 1)), /Cannot run softmax: x f32\[\] has no axis/);
  const options = { groups: 1, activation: "relu" as "gelu" };
  assert.throws(
    () => groupNorm(full([1, 1, 2, 2], 1), full([1], 1), full([1], 1), options),
    /Cannot run groupNorm: unknown activation relu \(known: none, gelu\)/,
  );
});
