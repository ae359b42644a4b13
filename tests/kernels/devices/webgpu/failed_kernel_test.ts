import assert from "node:assert/strict";
import {
  add,
  assign,
  defineOp,
  multiply,
  record,
  type Tensor,
  tensor,
  withDevice,
} from "../../../../kernels/mod.ts";
import { CpuDevice } from "../../../../kernels/devices/cpu/cpu_device.ts";
import { WebGpuDevice } from "../../../../kernels/devices/webgpu/webgpu_device.ts";
import { Health, readBack } from "../../../../kernels/devices/webgpu/health.ts";
import { registry } from "../../../../kernels/op.ts";
import { assertClose, testOnDevices } from "../../../testing.ts";
import { replacing } from "../../../replacing.ts";
import { hiddenOp } from "../../oracle.ts";
import { testOnNewDevice } from "./new_device.ts";
import { yieldToEvents } from "../../../../kernels/devices/device.ts";

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

/** Ways to break a device: functions that fail, and those that fail afterwards. */
const ways: Readonly<Record<string, (x: Tensor) => readonly (() => unknown)[]>> = {
  "at once": (x) => [async () => await add(declare(false)(x), 1).read()],
  "in a recorded step": (x) => {
    const log = tensor([0, 0]), broken = declare(false);
    const step = record(() => assign(log, broken(multiply(x, 2))));
    const run = async () => {
      step.run();
      await log.read();
    };
    return [run, step.run, () => log.read()];
  },
};

for (const [how, breaks] of Object.entries(ways)) {
  testOnDevices(
    `a kernel that fails ${how} is named by all that follows, until another device is opened`,
    async ({ kind }) => {
      const open = () => kind === "cpu" ? CpuDevice.open({ threads: 1 }) : WebGpuDevice.open();
      const device = await open();
      await withDevice(device, async () => {
        const x = tensor([1, 2]);
        assertClose(await add(x, 1).read(), [2, 3], 0);
        const afterwards = [() => x.read(), () => add(x, 1), () => x.write(Float32Array.of(3, 4))];
        for (const work of [...breaks(x), ...afterwards]) {
          await assert.rejects(async () => await work(), failure);
        }
      });
      const other = await open();
      await withDevice(other, async () => assertClose(await declare(true)(tensor([1, 2])).read(), [2, 4], 0));
      for (const each of [device, other]) each.close();
    },
  );
}

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

const never = () => new Promise<never>(() => {});

/** A device with one buffer, which holds what is copied to it and is readable immediately or after `mapAsync`. */
function deviceOf(mapAsync: () => Promise<void>, readable: () => boolean) {
  const events: string[] = [];
  const bytes = new Uint8Array(8);
  const buffer = {
    mapAsync,
    getMappedRange() {
      if (!readable()) throw new DOMException("Not mapped", "OperationError");
      return bytes.buffer;
    },
    unmap: () => events.push("unmap"),
    destroy: () => events.push("destroy"),
  };
  const device = {
    createBuffer({ size, mappedAtCreation }: GPUBufferDescriptor) {
      events.push(`${size} bytes${mappedAtCreation ? ", mapped" : ""}`);
      return buffer;
    },
  };
  const read = (size = 8, nudges?: boolean) =>
    readBack(
      device as unknown as GPUDevice,
      size,
      () => {
        bytes[0] = 7;
        events.push("copy");
      },
      nudges,
    );
  return { device, read, events };
}

Deno.test("readBack() waits for the promise only if bytes are not available yet, and frees its buffer", async () => {
  const available = deviceOf(never, () => true);
  assert.deepEqual([...new Uint8Array(await available.read())], [7, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(available.events, ["8 bytes, mapped", "unmap", "copy", "destroy"]);

  let mapped = false;
  const map = () => new Promise<void>((resolve) => setTimeout(() => resolve(void (mapped = true)), 5));
  const late = deviceOf(map, () => mapped);
  assert.equal(new Uint8Array(await late.read())[0], 7);
  assert.equal(late.events.at(-1), "destroy");

  const large = deviceOf(() => Promise.resolve(), () => true); // without zeroing it first
  await large.read(1 << 23);
  assert.deepEqual(large.events, ["8388608 bytes", "copy", "destroy"]);

  const lost = deviceOf(() => Promise.reject(new Error("lost")), () => false);
  await assert.rejects(lost.read(), { message: "lost" });
  assert.equal(lost.events.at(-1), "destroy");
});

Deno.test("readBack() submits empty work until the promise settles, in Firefox alone", async () => {
  for (const nudges of [true, false]) {
    const mapped = Promise.withResolvers<void>();
    let submits = 0, isMapped = false;
    const { device, read } = deviceOf(() => mapped.promise, () => isMapped);
    Object.assign(device, {
      createCommandEncoder: () => ({ finish: () => "nothing" }),
      queue: {
        submit([work]: string[]) {
          assert.equal(work, "nothing");
          if (++submits === 3) mapped.resolve(void (isMapped = true));
        },
      },
    });
    const values = read(8, nudges);
    if (!nudges) setTimeout(() => mapped.resolve(void (isMapped = true)), 20);
    assert.equal(new Uint8Array(await values)[0], 7);
    assert.equal(submits, nudges ? 3 : 0);
  }
});

import "node:worker_threads"; // in Deno, this makes messages arrive within the task

Deno.test("yieldToEvents() ends the task", async () => {
  let ended = false;
  const next = yieldToEvents("task").then(() => ended = true);
  for (let i = 0; i < 1000; i++) await undefined;
  assert.equal(ended, false);
  await next;
});

testOnNewDevice("read() reports a device error instead of values", async (_, own) => {
  const y = add(tensor([1]), 1);
  assert.deepEqual(await y.read(), Float32Array.of(2));
  own.createBuffer({ size: 64, usage: 0xffffff }); // no such usage
  await assert.rejects(y.read(), /^DeviceError: WebGPU reports: Invalid usage/);
});
