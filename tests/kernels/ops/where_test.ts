import assert from "node:assert/strict";
import { gradients, greater, less, log, multiply, square, sum, tensor, where } from "../../../kernels/mod.ts";
import { assertClose, testOnAllKernels, testOnDevices } from "../../testing.ts";

testOnAllKernels("greater() and less() are u32, broadcast, and are false for NaN and ties", async () => {
  const a = tensor([1, 2, NaN], [3, 1]), b = tensor([1, NaN, -3, 2]);
  const found = greater(a, b);
  assert.deepEqual([found.type, found.shape], ["u32", [3, 4]]);
  assert.deepEqual([...await found.readWords()], [0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
  assert.deepEqual([...await less(a, b).readWords()], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...await less(b, 1.5).readWords()], [1, 0, 1, 0]);
});

testOnAllKernels("where() takes what is chosen, and what is not has gradient 0, even NaN", async () => {
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

testOnAllKernels("gradients() pass a condition that was computed from the parameter", async () => {
  const x = tensor([-2, 3]);
  const leaky = where(greater(x, 0), x, multiply(x, 0.1));
  const [dx] = gradients(sum(square(leaky)), [x]);
  assertClose(await dx.read(), [-0.04, 6], 1e-6);
  const [second] = gradients(sum(dx), [x]);
  assertClose(await second.read(), [0.02, 2], 1e-6);
  assert.throws(() => gradients(sum(where(greater(x, 0), 1, 0)), [x]), /does not depend on parameter 0/);
});

testOnDevices("where() refuses a condition of numbers, and shapes that do not broadcast", () => {
  const x = tensor([1, 2]);
  assert.throws(() => where(x, x, 0), {
    name: "TypeError",
    message:
      "Cannot run where: condition is f32[2] (expected u32 in condition:u32[C...], a[A...], b[B...] -> y[Y...])",
  });
  assert.throws(() => where(greater(x, 0), x, tensor([1, 2, 3])), {
    name: "ShapeError",
    message: "Cannot broadcast f32[2] with f32[3]: lengths 2 and 3 meet (expected equal lengths or 1)",
  });
});

testOnDevices("where() takes whole numbers beside words, and refuses others, which it rounded", async () => {
  const [condition, words] = [tensor(Uint32Array.of(1, 0)), tensor(Uint32Array.of(7, 8))];
  assert.deepEqual([...await where(condition, words, 2 ** 32 - 1).readWords()], [7, 2 ** 32 - 1]);
  assert.deepEqual([...await where(condition, 0, words).readWords()], [0, 8]);
  for (const value of [0.5, -1, NaN, 2 ** 32]) {
    assert.throws(() => where(condition, words, value), {
      name: "TypeError",
      message:
        `Cannot run where: b is ${value} beside a u32 tensor (expected a whole number from 0 to 4294967295)`,
    });
  }
});
