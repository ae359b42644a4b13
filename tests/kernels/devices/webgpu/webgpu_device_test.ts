import assert from "node:assert/strict";
import {
  add,
  assign,
  emaUpdate,
  full,
  type Kernel,
  type KernelCall,
  multiply,
  record,
  sgdUpdate,
  slice,
  sum,
  Tensor,
  tensor,
} from "../../../../kernels/mod.ts";
import { assertClose, testOnCpu, testOnDevices, testOnWebGpu } from "../../../testing.ts";
import {
  BufferPool,
  CommandQueue,
  type Dispatch,
  Dispatches,
} from "../../../../kernels/devices/webgpu/commands.ts";
import { PassWorkspace } from "../../../../kernels/devices/webgpu/workspace.ts";
import { Choices, PipelineCache } from "../../../../kernels/devices/webgpu/pipelines.ts";
import { yieldToEvents } from "../../../../kernels/devices/device.ts";
import { readBack } from "../../../../kernels/devices/webgpu/health.ts";
import { affine } from "../../../../kernels/ops/elementwise/shared.ts";
import { replacing } from "../../../replacing.ts";
import { onNewDevice, testOnNewDevice, withoutMemory } from "./new_device.ts";
import { WebGpuDevice } from "../../../../kernels/devices/webgpu/webgpu_device.ts";
import { withGpu } from "./checked.ts";

testOnNewDevice("RecordedStep.compile() reports each new kernel once, and changes no values", async () => {
  const y = full([70], 1);
  const step = record(() => assign(y, add(multiply(y, 3), multiply(y, y))));
  const heard: string[] = [];
  await step.compile((done, all) => heard.push(`${done}/${all}`));
  assert.deepEqual(heard, ["1/3", "2/3", "3/3"]); // add() writes directly to y
  await step.compile(() => assert.fail("compiled twice"));
  assertClose(await y.read(), new Float32Array(70).fill(1), 0);
  step.run();
  assertClose(await y.read(), new Float32Array(70).fill(4), 0);
});

testOnNewDevice("an op refuses and names a value larger than a binding", async (device) => {
  const elements = Math.floor(device.maxRangeBytes / 4) + 64;
  if (elements * 4 > 2 ** 30) return; // too slow on adapters that can bind more
  assert.throws(() => full([elements], 1), {
    name: "ShapeError",
    message: /Cannot run fill: y f32\[\d+\] is too large/,
  });
  await Promise.resolve();
});

testOnDevices("Tensor.write() between ops and before each of many runs takes effect in order", async () => {
  const n = 1024, large = 5000, runs = 1000; // more bytes than fit the staging buffer, and single writes larger than it
  const x = tensor(new Float32Array(n));
  const many = tensor(new Float32Array(large));
  const y = full([n], 0);
  const step = record(() => assign(y, add(add(multiply(y, 0.5), x), slice(many, 0, 0, n))));
  await step.compile(); // so that runs share submits
  let expected = 0;
  for (let run = 1; run <= runs; run++) {
    x.write(new Float32Array(n).fill(run % 7));
    if (run % 100 === 0) many.write(new Float32Array(large).fill(run / 100));
    step.run();
    expected = 0.5 * expected + run % 7 + Math.floor(run / 100);
  }
  assertClose(await y.read(), new Float32Array(n).fill(expected), 1e-6);
  const before = add(x, 1);
  x.write(new Float32Array(n).fill(10));
  assertClose(await before.read(), new Float32Array(n).fill(runs % 7 + 1), 0);
  assertClose(await add(x, 1).read(), new Float32Array(n).fill(11), 0);
});

testOnNewDevice("RecordedStep.run() shares a submit with other runs of the same task", async (device) => {
  const x = tensor([0]), y = full([1], 0), { submit } = GPUQueue.prototype;
  const step = record(() => assign(y, add(y, x)));
  await step.compile(); // kernels not yet known to be valid are submitted on their own
  await device.finished();
  let submits = 0;
  {
    using _ = replacing([GPUQueue.prototype, {
      submit(this: GPUQueue, given: GPUCommandBuffer[]) {
        submits++;
        return submit.call(this, given);
      },
    }]);
    for (let run = 1; run <= 5; run++) {
      x.write(Float32Array.of(run));
      step.run();
    }
    assert.equal(submits, 0);
    await Promise.resolve();
    assert.equal(submits, 1);
  }
  assertClose(await y.read(), [15], 0);
});

testOnCpu("a kernel that reads what it overwrites is refused", async () => {
  const flat = tensor(new Float32Array(128).fill(2)), settings = tensor([0.5, 0, 0, 0, 0, 1, 0, 0]);
  const [a, b] = [0, 64].map((offset) => new Tensor(flat.storage, [2], "f32", offset));
  const refused = /^Error: Cannot run assign: y, which it overwrites, and x share memory/;
  for (const x of [a, b]) {
    assert.throws(() => assign(a, x), refused);
    assert.throws(() => record(() => assign(a, x)), refused);
  }
  const update = (m: Tensor) => sgdUpdate(a, m, tensor([1, 1]), tensor([1]), settings);
  assert.throws(() => emaUpdate(a, a, tensor([0.5])), /Cannot run emaUpdate: .* share memory/);
  assert.throws(() => update(a), /overwrites, and m share memory/);
  update(b); // writes to two parts of one memory, which is allowed
  assertClose(await a.read(), [1.5, 1.5], 0);
  assertClose(await b.read(), [1, 1], 0);
});

testOnNewDevice("a misaligned view is refused by name, and the device keeps working", async () => {
  const flat = tensor(Float32Array.from({ length: 128 }, (_, i) => i));
  const view = new Tensor(flat.storage, [2], "f32", 65);
  const refused = {
    name: "Error",
    message:
      "Cannot run add: b f32[2] starts at element 65 of its memory (expected a multiple of 64 on webgpu; " +
      "slice() copies a part of a tensor)",
  };
  const x = tensor([1, 1]);
  assert.throws(() => add(x, view), refused);
  assert.throws(() => record(() => add(x, view)), refused);
  assert.throws(() => assign(view, x), /Cannot run assign: y f32\[2\] starts at element 65/);
  assertClose(await view.read(), [65, 66], 0);
  view.write(Float32Array.of(7, 8));
  assertClose(await add(slice(flat, 0, 65, 2), x).read(), [8, 9], 0);
});

testOnWebGpu("Dispatches.of() limits the uniforms it keeps", async () => {
  const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
  const choices = new Choices({ workgroupSize: 64, software: true, pieces: 1 });
  const pipelines = new PipelineCache(device, choices, { fail: assert.fail });
  const pool = new BufferPool(device, { fail: assert.fail }, () => {});
  const dispatches = new Dispatches(device, pipelines, 8);
  const [x, y] = [pool.take(4), pool.take(4)];
  const ranges = [x, y].map((buffer) => ({ buffer, offset: 0, length: 1 }));
  const call = (shift: number): KernelCall => ({
    kernel: affine.kernel,
    ranges,
    dims: { S: 1, scale: 1, shift },
  });
  const { uniforms } = pipelines.of(call(0));
  const first = dispatches.of(call(7));
  assert.equal(dispatches.of(call(7)), first);
  for (let shift = 0; shift < 100; shift++) {
    const made = dispatches.of(call(shift));
    assert.equal(dispatches.of(call(shift)), made, "the next call on the same memory");
    assert.ok(uniforms.size <= 8, `${uniforms.size} uniforms`);
  }
  const queue = new CommandQueue(device);
  queue.write(x.handle, 0, Float32Array.of(35));
  queue.dispatch(first); // a recorded step holds its dispatches like this
  const bytes = await readBack(device, 4, (to) => {
    queue.copy(y.handle, 0, to, 0, 4);
    queue.submit();
  });
  assert.deepEqual(new Float32Array(bytes), Float32Array.of(42));
  device.destroy();
});

Deno.test("PassWorkspace leaves calls whose scratch memory is too large as they are, and says so once", () => {
  const passes: Kernel["passes"] = ({ elements }) => [
    { kernel: {} as Kernel, dims: {}, buffers: [{ scratch: 0, elements }] },
  ];
  const call = (elements: number) =>
    ({ kernel: { name: "outer", ports: [], passes }, dims: { elements } }) as unknown as KernelCall;
  const choices = new Choices({ workgroupSize: 64, software: true, pieces: 1 });
  const workspace = new PassWorkspace({} as BufferPool, choices, 1000), warned: string[] = [];
  using _ = replacing([console, { warn: (line: string) => void warned.push(line) }]);
  for (const _ of "ab") assert.deepEqual(workspace.expand([call(251)]), [call(251)]);
  assert.deepEqual([3, 9, 251].map((elements) => workspace.bytesOf([call(7), call(elements)])), [28, 36, 28]);
  assert.equal(warned.length, 1);
  assert.match(warned[0], /^The scratch memory of outer is larger than the 1000 bytes[^\n]*$/);
});

/** A pool on a device without memory of its own: its events, and what happens at the next large buffer. */
function poolOf(maxBufferSize: number) {
  const events: string[] = [], next = { error: null as unknown };
  const device = {
    limits: { maxBufferSize },
    createBuffer: ({ size }: GPUBufferDescriptor) => ({
      size,
      destroy: () => events.push(`destroy ${size}`),
    }),
    pushErrorScope() {},
    popErrorScope: () => Promise.resolve(next.error),
  };
  const health = { fail: (message: string) => events.push(message) };
  const submit = () => events.push("submit");
  return { pool: new BufferPool(device as unknown as GPUDevice, health, submit), events, next };
}

Deno.test("BufferPool.take() rounds sizes the same with a limit beyond 32 bits, and never above the limit", () => {
  const sizes = (maxBufferSize: number, given: readonly number[]) => {
    const { pool } = poolOf(maxBufferSize);
    return given.map((bytes) => pool.take(bytes).bytes);
  };
  assert.deepEqual(sizes(2 ** 40, [4, 1001, 1024, 2 ** 20 + 4]), [256, 1024, 1024, 2 ** 20 + 2 ** 17]);
  assert.deepEqual(sizes(2 ** 32, [1001, 2 ** 33 - 4]), [1024, 2 ** 33 - 4]);
  assert.deepEqual(sizes(1201, [1200, 1100]), [1200, 1200]);
});

Deno.test("BufferPool keeps what a loop uses, and gives back what has waited longest", () => {
  const { pool, events } = poolOf(2 ** 40), MiB = 2 ** 20;
  const use = (...sizes: number[]) => sizes.map((size) => pool.take(size * MiB)).forEach((x) => pool.give(x));
  for (let step = 0; step < 100; step++) use(40, 30, 20, 10, 10);
  assert.deepEqual([pool.bytes, events], [110 * MiB, []]);
  use(1, 2, 64); // then at most 165 MiB are kept
  assert.deepEqual([pool.bytes, events], [177 * MiB, []]);
  use(8);
  assert.deepEqual([pool.bytes, events], [145 * MiB, ["submit", `destroy ${40 * MiB}`]]);
  for (let size = 16; size < 48; size += 2) use(size, size); // 1 GiB, at most 92 MiB of it at a time
  assert.ok(pool.bytes <= 300 * MiB, `${pool.bytes / MiB} MiB`);
  for (let step = 0; step < 200_000; step++) use(1);
  assert.ok(pool.bytes <= 65 * MiB, `${pool.bytes / MiB} MiB long after`);
});

Deno.test("BufferPool gives everything unused back before it reports that memory is out", async () => {
  const { pool, events, next } = poolOf(2 ** 40);
  pool.take(2 ** 10);
  pool.give(pool.take(2 ** 12));
  next.error = new Error("out of memory");
  pool.take(2 ** 25);
  await yieldToEvents("task");
  assert.deepEqual(events, [
    "submit",
    "destroy 4096",
    "Cannot allocate 33554432 bytes: the device is out of memory; use a smaller batch or network",
  ]);
});

/** Runs a function while there is no memory for more than 16 MiB. */
function onFull<T>(run: () => T): T {
  using _ = withoutMemory(2 ** 24);
  return run();
}

testOnNewDevice(
  "a GPU out of memory is reported by all that follows, until another device is opened",
  async () => {
    const n = 2 ** 23, x = tensor([1, 2]);
    const failure = {
      name: "DeviceError",
      message:
        `Cannot allocate ${4 * n} bytes: the device is out of memory; use a smaller batch or network; ` +
        "the device has failed: open another with init()",
    };
    const large = onFull(() => full([n], 1));
    await assert.rejects(sum(large).read(), failure);
    await assert.rejects(x.read(), failure);
    assert.throws(() => add(x, 1), failure);
    assert.throws(() => x.write(Float32Array.of(3, 4)), failure);
    await onNewDevice(async () => assertClose(await sum(full([n], 1)).read(), [n], 0));
  },
);

testOnNewDevice("RecordedStep.compile() reports a GPU out of memory", async () => {
  const step = onFull(() => record(() => sum(multiply(full([2 ** 23], 1), 2))));
  await assert.rejects(step.compile(), { message: /^Cannot allocate .*: the device is out of memory/ });
  assert.throws(() => step.run(), /out of memory/);
});

testOnWebGpu("the first read reports a device that was lost in the middle of a step", async () => {
  for (const moment of ["before", "after"]) {
    await onNewDevice(async (_, own) => {
      const step = record(() => multiply(add(tensor([1, 2]), 1), 3));
      step.run();
      await step.result.read();
      if (moment === "before") own.destroy();
      step.run();
      await Promise.resolve(); // submits
      if (moment === "after") own.destroy();
      const lost = /^DeviceError: The WebGPU device was lost \(destroyed\): .*; restart/;
      for (let i = 0; i < 2; i++) await assert.rejects(step.result.read(), lost);
      assert.throws(() => step.run(), /was lost/);
    });
  }
});

Deno.test("CommandQueue.dispatch() submits as much as takes a quarter of a second", () => {
  let [now, submits] = [0, 0];
  const pass = { setPipeline() {}, setBindGroup() {}, dispatchWorkgroups() {}, end() {} };
  const encoder = { beginComputePass: () => pass, finish() {} };
  const device = {
    ...{ createBuffer: () => ({}), createCommandEncoder: () => encoder },
    queue: { submit: () => submits++ },
  };
  const queue = new CommandQueue(device as unknown as GPUDevice);
  using _ = replacing([performance, { now: () => now }]);
  /** Dispatches, the milliseconds that they take in total, and the expected number of submits. */
  const steps = [[1000, 1000, 8], [1000, 10, 4], [4096, 40_960, 4], [75, 7500, 3], [64, 1, 4]];
  const why = ["128 at first", "250 of 1 ms", "1024 of 10 microseconds", "25 of 10 ms", "at least 16"];
  for (const [k, [count, ms, expected]] of steps.entries()) {
    submits = 0;
    for (let i = 0; i < count; i++) queue.dispatch({ pipeline: {}, bindGroup: {}, x: 1, y: 1 } as Dispatch);
    queue.submit();
    now += ms;
    queue.waited();
    assert.equal(submits, expected, why[k]);
  }
  queue.close();
});

Deno.test("WebGpuDevice.open() says that other programs hold the memory of a card", async () => {
  const full = () => Promise.reject(new TypeError("Not enough memory left."));
  const adapter = { limits: {}, features: new Set(), info: { description: "A card" }, requestDevice: full };
  const gpu = { requestAdapter: () => Promise.resolve(adapter) } as unknown as GPU;
  await assert.rejects(withGpu(gpu, () => WebGpuDevice.open()), {
    name: "DeviceError",
    message: /^The WebGPU adapter A card offers no device: .*; other programs hold its memory/,
  });
});
