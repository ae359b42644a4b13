import assert from "node:assert/strict";
import {
  add,
  assign,
  DeviceError,
  emaUpdate,
  full,
  init,
  multiply,
  record,
  sgdUpdate,
  slice,
  sum,
  Tensor,
  tensor,
  withDevice,
} from "../../../kernels/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

/** Runs a test on its own WebGPU device, which it may break. */
function testOnWebGpu(name: string, test: (device: Awaited<ReturnType<typeof init>>) => Promise<void>): void {
  testOnDevices(name, async (device) => {
    if (device.kind !== "webgpu") return;
    const own = await init({ device: "webgpu" });
    await withDevice(own, () => test(own));
    own.close();
  });
}

testOnWebGpu("RecordedStep.compile() reports each new kernel once, and changes no value", async () => {
  const y = full([70], 1);
  const step = record(() => assign(y, add(multiply(y, 3), multiply(y, y))));
  const heard: string[] = [];
  await step.compile((done, all) => heard.push(`${done}/${all}`));
  assert.deepEqual(heard, ["1/3", "2/3", "3/3"]); // add() writes to y itself
  await step.compile(() => assert.fail("compiled twice"));
  assertClose(await y.read(), new Float32Array(70).fill(1), 0);
  step.run();
  assertClose(await y.read(), new Float32Array(70).fill(4), 0);
});

testOnWebGpu("WebGpuDevice refuses work after close()", async (device) => {
  const x = tensor([1]);
  device.close();
  await assert.rejects(x.read(), /after close\(\)/);
  assert.throws(() => add(x, 1), DeviceError);
});

testOnWebGpu("an op refuses a value that is larger than a binding, and names it", async (device) => {
  const elements = Math.floor(device.maxRangeBytes / 4) + 64;
  if (elements * 4 > 2 ** 30) return; // too slow on adapters that can bind more
  assert.throws(() => full([elements], 1), {
    name: "ShapeError",
    message: /Cannot run fill: y f32\[\d+\] is larger/,
  });
  await Promise.resolve();
});

testOnDevices("Tensor.write() between ops takes effect in order", async () => {
  const x = tensor([1, 1]);
  const first = add(x, 1);
  x.write(Float32Array.of(10, 10));
  const second = add(x, 1);
  assertClose(await first.read(), [2, 2], 0);
  assertClose(await second.read(), [11, 11], 0);
});

testOnDevices("Tensor.write() before each of many runs takes effect in that run", async () => {
  const n = 64, large = 5000, runs = 1000; // more bytes than are staged for a submit, and writes too large for staging
  const x = tensor(new Float32Array(n));
  const many = tensor(new Float32Array(large));
  const y = full([n], 0);
  const step = record(() => assign(y, add(add(multiply(y, 0.5), x), slice(many, 0, 0, n))));
  let expected = 0;
  for (let run = 1; run <= runs; run++) {
    x.write(new Float32Array(n).fill(run % 7));
    if (run % 100 === 0) many.write(new Float32Array(large).fill(run / 100));
    step.run();
    expected = 0.5 * expected + run % 7 + Math.floor(run / 100);
  }
  assertClose(await y.read(), new Float32Array(n).fill(expected), 1e-6);
});

testOnWebGpu("RecordedStep.run() shares a submit with other runs of the same task", async (device) => {
  const x = tensor([0]);
  const y = full([1], 0);
  const step = record(() => assign(y, add(y, x)));
  await step.compile(); // kernels that may not be valid are submitted by themselves
  await device.finished();
  let submits = 0;
  const { submit } = GPUQueue.prototype;
  GPUQueue.prototype.submit = function (...given) {
    submits++;
    return submit.apply(this, given);
  };
  try {
    for (let run = 1; run <= 20; run++) {
      x.write(Float32Array.of(run));
      step.run();
    }
    assert.equal(submits, 0);
    await Promise.resolve();
    assert.equal(submits, 1);
  } finally {
    GPUQueue.prototype.submit = submit;
  }
  assertClose(await y.read(), [210], 0);
});

testOnDevices("sum() of a million values is exact to 1e-6", async () => {
  const values = Float32Array.from({ length: 1 << 20 }, (_, i) => (i % 1000) / 1000);
  const exact = values.reduce((total, v) => total + v, 0);
  const [found] = await sum(tensor(values)).read();
  assert.ok(Math.abs(found - exact) < 1e-6 * exact, `${found} is not ${exact}`);
});

testOnDevices("a kernel that would read what it overwrites is refused, and the device goes on", async () => {
  const flat = tensor(new Float32Array(128).fill(2));
  const [a, b] = [0, 64].map((offset) => new Tensor(flat.storage, [2], "f32", offset));
  const refused = /^Error: Cannot run assign: y, which it overwrites, and x are parts of one memory/;
  for (const x of [a, b]) {
    assert.throws(() => assign(a, x), refused);
    assert.throws(() => record(() => assign(a, x)), refused);
  }
  assert.throws(() => emaUpdate(a, a, tensor([0.5])), /Cannot run emaUpdate: .* parts of one memory/);
  const [norm, settings] = [tensor([1]), tensor([0.5, 0, 0, 0, 0, 1, 0, 0])];
  assert.throws(() => sgdUpdate(a, a, tensor([1, 1]), norm, settings), /overwrites, and m are parts of one/);
  sgdUpdate(a, b, tensor([1, 1]), norm, settings); // writes to two parts of one memory, which is allowed
  assertClose(await a.read(), [1.5, 1.5], 0);
  assertClose(await b.read(), [1, 1], 0);
});

testOnWebGpu("a view that WebGPU cannot bind is refused by name, and the device goes on", async () => {
  const flat = tensor(Float32Array.from({ length: 128 }, (_, i) => i));
  const view = new Tensor(flat.storage, [2], "f32", 65);
  const refused = {
    name: "Error",
    message:
      "Cannot run add: b f32[2] starts at element 65 of its memory (expected a multiple of 64 on webgpu); " +
      "take a part of a tensor with slice(), which copies it",
  };
  const x = tensor([1, 1]);
  assert.throws(() => add(x, view), refused);
  assert.throws(() => record(() => add(x, view)), refused);
  assert.throws(() => assign(view, x), /Cannot run assign: y f32\[2\] starts at element 65/);
  assertClose(await view.read(), [65, 66], 0);
  view.write(Float32Array.of(7, 8));
  assertClose(await add(slice(flat, 0, 65, 2), x).read(), [8, 9], 0);
});
