import assert from "node:assert/strict";
import {
  add,
  assign,
  defineOp,
  init,
  multiply,
  record,
  type Tensor,
  tensor,
  withDevice,
} from "../../../../kernels/mod.ts";
import { context } from "../../../../kernels/core/context.ts";
import { Health } from "../../../../kernels/devices/webgpu/health.ts";
import { registry } from "../../../../kernels/op.ts";
import { assertClose, testOnDevices } from "../../../testing.ts";
import { replacing } from "../../../replacing.ts";
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

const failure = {
  name: "DeviceError",
  message:
    /brokenForTest: (its reference failed: no such kernel|.*\+;.*); the device has failed: open another with init\(\)$/s,
};

/** Defines a test on new devices, which it breaks. */
function testOnBoth(name: string, test: () => Promise<void>): void {
  testOnDevices(name, async ({ kind }) => {
    const { device: before } = context;
    const device = await init({ device: kind, threads: 1 });
    try {
      await withDevice(device, test);
    } finally {
      device.close();
      context.device = before;
    }
  });
}

/** Asserts that everything on the device in use fails, and that a new one works. */
async function assertFailed(x: Tensor): Promise<void> {
  await assert.rejects(x.read(), failure);
  assert.throws(() => add(x, 1), failure);
  assert.throws(() => x.write(Float32Array.of(3, 4)), failure);
  const device = await init({ device: x.device.kind, threads: 1 });
  await withDevice(device, async () => assertClose(await declare(true)(tensor([1, 2])).read(), [2, 4], 0));
  device.close();
}

testOnBoth("a kernel that fails is named by all that follows, until another device is opened", async () => {
  const x = tensor([1, 2]);
  assertClose(await add(x, 1).read(), [2, 3], 0);
  await assert.rejects(async () => await add(declare(false)(x), 1).read(), failure);
  await assertFailed(x);
});

testOnBoth("a kernel that fails in a recorded step is named, too", async () => {
  const x = tensor([1, 2]), log = tensor([0, 0]), broken = declare(false);
  const step = record(() => assign(log, broken(multiply(x, 2))));
  await assert.rejects(async () => {
    step.run();
    await log.read();
  }, failure);
  assert.throws(() => step.run(), failure);
  await assertFailed(log);
});

Deno.test("Health says the cause of a failure, whatever the device reports before it, and a loss above all", async () => {
  const lost = Promise.withResolvers<{ reason: string; message: string }>(), device = new EventTarget();
  const health = new Health(Object.assign(device, { lost: lost.promise }) as unknown as GPUDevice);
  using _ = replacing([globalThis, { GPUOutOfMemoryError: class {} }]);
  device.dispatchEvent(Object.assign(new Event("uncapturederror"), { error: { message: "an effect" } }));
  assert.throws(() => health.check(), /^DeviceError: WebGPU reports: an effect; the device has failed/);
  for (const message of ["the cause", "another effect"]) health.fail(message);
  assert.throws(
    () => health.check(),
    /^DeviceError: the cause; the device has failed: open another with init\(\)$/,
  );
  lost.resolve({ reason: "unknown", message: "unplugged" });
  await lost.promise;
  await assert.rejects(health.checkLate(), /was lost \(unknown\): unplugged; restart/);
});

testOnNewDevice("RecordedStep.compile() names an op whose kernel does not compile", async () => {
  const x = tensor([1]);
  const [first, second] = [declare(false), declare(false)];
  const step = record(() => add(second(first(x)), 1));
  for (let i = 0; i < 2; i++) await assert.rejects(step.compile(), /brokenForTest: .*\+;/s);
  assert.throws(() => step.run(), /brokenForTest: .*\+;/s);
  assertClose(await add(x, 1).read(), [2], 0); // nothing was run
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
