import assert from "node:assert/strict";
import {
  add,
  assign,
  defineOp,
  DeviceError,
  full,
  multiply,
  record,
  scope,
  type Tensor,
  tensor,
} from "../../../../kernels/mod.ts";
import { registry } from "../../../../kernels/op.ts";
import { assertClose, testOnDevices } from "../../../testing.ts";
import { hiddenOp } from "../../oracle.ts";
import { testOnNewDevice } from "./tuning.ts";

/** Declares an op that doubles its input, with working or broken kernels. */
function declare(works: boolean): (x: Tensor) => Tensor {
  return hiddenOp({
    name: "brokenForTest",
    signature: "x[n] -> y[n]",
    wgsl: `fn kernel(i: u32) { y[i] = x[i] ${works ? "* 2.0" : "+"}; }`,
    reference({ x, y }) {
      if (!works) throw new RangeError("no such kernel");
      x.forEach((value, i) => y[i] = 2 * value);
    },
    samples: [],
  }, { replace: true });
}

const named = (error: unknown): true => {
  assert.ok(error instanceof DeviceError, `${error}`);
  assert.match(error.message, /brokenForTest: (its reference failed: no such kernel|.*\+;)/s);
  return true;
};

testOnNewDevice("a kernel that does not compile fails its call and all that depends on it", async () => {
  const x = tensor([1, 2]);
  const before = add(x, 1);
  const y = declare(false)(x);
  const [after, dependent] = [multiply(x, 3), multiply(add(y, 1), x)];
  await assert.rejects(y.read(), named);
  await assert.rejects(dependent.read(), named);
  assertClose(await before.read(), [2, 3], 0);
  assertClose(await after.read(), [3, 6], 0);
  assert.throws(
    () => add(y, 1),
    (error: Error) => named(error) && /Cannot run affine: x has no values/.test(error.message),
  );
  assertClose(await multiply(before, after).read(), [6, 18], 0);
});

testOnDevices("defineOp() with replace replaces a broken op", async () => {
  const x = tensor([1, 2]);
  const broken = declare(false);
  for (let i = 0; i < 2; i++) {
    await assert.rejects(async () => await broken(x).read(), named);
    await full([1], 0).device.finished();
  }
  assertClose(await declare(true)(x).read(), [2, 4], 0);
  await assert.rejects(async () => await broken(x).read(), named);
});

testOnDevices("a recorded step with a failed op throws when results are used", async (device) => {
  const x = tensor([1, 2]), log = tensor([0, 0]);
  const broken = declare(false);
  const step = record(() => {
    const y = add(broken(multiply(x, 2)), 1);
    assign(log, y);
    return y;
  });
  await assert.rejects(async () => {
    step.run();
    await step.result.read();
  }, named);
  await device.finished();
  assert.throws(() => step.run(), named);
  for (const lost of [step.result, log]) {
    await assert.rejects(lost.read(), named);
    assert.throws(() => add(lost, 1), named);
  }
  assign(log, x); // restores its values
  assertClose(await add(log, 1).read(), [2, 3], 0);
  log.write(Float32Array.of(5, 6));
  assertClose(await log.read(), [5, 6], 0);
});

testOnDevices("memory of a failed value can be reused", async () => {
  const x = tensor([1, 2]);
  const broken = declare(false);
  for (let i = 0; i < 3; i++) {
    try {
      scope(() => void broken(x));
    } catch (error) {
      named(error);
    }
  }
  const many = Array.from({ length: 8 }, (_, i) => add(x, i));
  for (const [i, y] of many.entries()) assertClose(await y.read(), [1 + i, 2 + i], 0);
});

testOnNewDevice("RecordedStep.compile() names an op whose kernel does not compile", async () => {
  const x = tensor([1]);
  const [first, second] = [declare(false), declare(false)];
  const step = record(() => add(second(first(x)), 1));
  await assert.rejects(step.compile(), named);
  assert.throws(() => step.run(), named);
  assertClose(await add(x, 1).read(), [2], 0);
});

Deno.test("defineOp() refuses a taken name, unless replace is set", () => {
  const again = (options?: { replace: boolean }) =>
    defineOp({
      name: "takenForTest",
      signature: "x[n] -> y[n]",
      wgsl: "fn kernel(i: u32) { y[i] = x[i]; }",
      reference: ({ x, y }) => y.set(x),
      samples: [],
    }, options);
  again();
  assert.throws(() => again(), /exists; choose another name, or replace it with/);
  const replacing = again({ replace: true });
  assert.equal(registry.get("takenForTest")?.kernel, replacing.kernel);
  registry.delete("takenForTest");
});
