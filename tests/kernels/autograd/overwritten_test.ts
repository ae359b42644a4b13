import assert from "node:assert/strict";
import {
  add,
  assign,
  divide,
  emaUpdate,
  gradients,
  multiply,
  putAt,
  record,
  reshape,
  square,
  sum,
  Tensor,
  tensor,
} from "../../../kernels/mod.ts";
import { assertClose, testOnCpu } from "../../testing.ts";

const overwritten = (op: string, by: string, what: string) => ({
  name: "Error",
  message: `Cannot take gradients through ${op}: ${by} has overwritten ${what}, which its gradient needs; ` +
    "take gradients before, or overwrite a copy",
});

testOnCpu("gradients() refuses an overwritten value and names what wrote it", () => {
  const index = tensor(Uint32Array.of(1));
  const ways: [string, (x: Tensor) => void][] = [
    ["assign", (x) => assign(x, tensor([7, 8]))],
    ["putAt", (x) => putAt(x, tensor([7]), index)],
    ["emaUpdate", (x) => emaUpdate(x, tensor([7, 8]), tensor([0.5]))],
    ["write()", (x) => x.write(Float32Array.of(7, 8))],
    ["assign", (x) => assign(reshape(x, [1, 2]), tensor([7, 8], [1, 2]))],
    ["a recorded step", (x) => record(() => assign(x, add(x, 1))).run()],
  ];
  for (const [by, overwrite] of ways) {
    const x = tensor([1, 2]);
    const y = sum(square(x));
    overwrite(x);
    assert.throws(() => gradients(y, [x]), overwritten("square", by, "x f32[2]"), by);
  }
});

testOnCpu("gradients() refuses an overwritten output that a rule needs", () => {
  const [a, b] = [tensor([1, 2]), tensor([3, 4])];
  const y = divide(a, b);
  const loss = sum(y);
  y.write(Float32Array.of(0, 0));
  assert.throws(() => gradients(loss, [b]), overwritten("divide", "write()", "y f32[2]"));
  assert.doesNotThrow(() => gradients(loss, [a]), "its rule does not need the value");
});

testOnCpu("gradients() refuses a history with values overwritten before their use", () => {
  const x = tensor([1, 2]);
  const y = square(x);
  assign(y, tensor([5, 5]));
  assert.throws(
    () => gradients(sum(y), [x]),
    /through square: assign has overwritten its output y f32\[2\] before it was used/,
  );
});

testOnCpu("gradients() accepts overwritten values that no rule needs", async () => {
  const x = tensor([1, 2]), w = tensor([3, 4]);
  x.write(Float32Array.of(5, 6));
  const loss = sum(multiply(x, w));
  const [dw] = gradients(loss, [w]);
  assign(w, add(w, dw)); // an update, after the gradients were taken
  assertClose(await dw.read(), [5, 6], 0);
  const total = sum(add(x, w));
  x.write(Float32Array.of(0, 0)); // the gradient of a sum needs only the shape
  assertClose(await gradients(total, [x])[0].read(), [1, 1], 0);
  assertClose(await gradients(sum(multiply(x, w)), [w])[0].read(), [0, 0], 0);
});

testOnCpu("gradients() distinguishes views of the same memory", async () => {
  const flat = tensor(new Float32Array(128).fill(2));
  const [a, b] = [0, 64].map((offset) => new Tensor(flat.storage, [64], "f32", offset));
  for (const [used, other] of [[a, b], [b, a]]) {
    const loss = sum(multiply(used, used));
    other.write(new Float32Array(64).fill(9));
    assertClose((await gradients(loss, [used])[0].read()).slice(0, 2), used === a ? [4, 4] : [18, 18], 0);
    flat.write(new Float32Array(128).fill(9));
    assert.throws(() => gradients(loss, [used]), overwritten("multiply", "write()", "a f32[64]"));
  }
});

/** Runs a function while x points to the memory of another tensor, as `withParameters()` does. */
function inPlaceOf<T>(other: Tensor, x: Tensor, run: () => T): T {
  const own = new Tensor(x.storage, x.shape, x.type, x.offset);
  x.pointTo(other);
  try {
    return run();
  } finally {
    x.pointTo(own);
  }
}

testOnCpu("gradients() refuses an input that has moved to other memory since the op ran", async () => {
  const x = tensor([3, 4]), w = tensor([1, 2]), other = tensor([10, 20]);
  const [loss, [dx]] = inPlaceOf(other, w, () => {
    const loss = sum(multiply(x, w));
    return [loss, gradients(loss, [x])];
  });
  assertClose(await dx.read(), [10, 20], 0);
  const message =
    "Cannot take gradients through multiply: b f32[2] has moved to other memory since the op ran, " +
    "and its gradient needs the old values; take gradients before a parameter moves, for example inside " +
    "withParameters()";
  assert.throws(() => gradients(loss, [x]), { name: "Error", message });
  assert.throws(() => record(() => gradients(loss, [x])), { message });
  assertClose(await gradients(loss, [w])[0].read(), [3, 4], 0); // needs only x
  const total = inPlaceOf(other, w, () => sum(add(x, w))); // its gradient needs only the shape
  assertClose(await gradients(total, [w])[0].read(), [1, 1], 0);
  const kept = sum(multiply(x, w));
  inPlaceOf(other, w, () => sum(multiply(x, w)));
  assertClose(await gradients(kept, [x])[0].read(), [1, 2], 0);
});

testOnCpu("record() refuses values that its trace overwrites", async () => {
  const x = tensor([1, 2]);
  const before = sum(square(x));
  assert.throws(
    () =>
      record(() => {
        const loss = sum(square(x));
        assign(x, add(x, 1));
        return gradients(loss, [x]);
      }),
    overwritten("square", "assign", "x f32[2]"),
  );
  assertClose(await gradients(before, [x])[0].read(), [2, 4], 0);
  const step = record(() => {
    const [dx] = gradients(sum(square(x)), [x]);
    assign(x, add(x, dx));
  });
  assertClose(await gradients(before, [x])[0].read(), [2, 4], 0);
  step.run();
  assertClose(await x.read(), [3, 6], 0);
  assert.throws(() => gradients(before, [x]), overwritten("square", "a recorded step", "x f32[2]"));
  const later = sum(square(x));
  record(() => {
    x.write(Float32Array.of(7, 8)); // not part of the step
    return add(x, 1);
  });
  assert.throws(() => gradients(later, [x]), overwritten("square", "write()", "x f32[2]"));
});
