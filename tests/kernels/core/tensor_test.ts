import assert from "node:assert/strict";
import { inspect } from "node:util";
import { add, init, record, Tensor, tensor, withDevice, zeros } from "../../../kernels/mod.ts";
import { tensorDisplay } from "../../../kernels/core/tensor.ts";
import { testOnDevices } from "../../testing.ts";

testOnDevices("console.log() prints a tensor's type, shape and device", ({ kind }) => {
  const x = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  assert.equal(inspect(x), `f32[2, 3] on ${kind}`);
  assert.equal(Deno.inspect({ key: tensor(Uint32Array.of(1)) }), `{ key: u32[1] on ${kind} }`);
});

const shown = async (value: Tensor) => await value[tensorDisplay]();

testOnDevices("a notebook shows a tensor's type, shape, device and values", async ({ kind }) => {
  const bundle = await shown(tensor([1, -0.123456, 2e9, 0, 4, 5], [2, 3]));
  assert.equal(
    bundle["text/plain"],
    `f32[2, 3] on ${kind}\n         1    -0.1235 2000000000\n         0          4          5`,
  );
  assert.equal(
    bundle["text/html"],
    `<table><caption>f32[2, 3] on ${kind}</caption><tr><td>1</td><td>-0.1235</td><td>2000000000</td></tr>` +
      "<tr><td>0</td><td>4</td><td>5</td></tr></table>",
  );
  for (
    const [value, text] of [
      [tensor(Uint32Array.of(4294967295)), `u32[1] on ${kind}\n4294967295`],
      [tensor([7], []), `f32[] on ${kind}\n7`],
      [zeros([0, 3]), `f32[0, 3] on ${kind}`],
      [new Tensor(tensor([1, 2, 3]).storage, [2], "f32", 1), `f32[2] on ${kind}\n2 3`],
    ] as const
  ) assert.equal((await shown(value))["text/plain"], text);
});

testOnDevices("a notebook reads only the corner of a large tensor's first matrix", async (device) => {
  const large = tensor(Float32Array.from({ length: 2 * 9 * 20 }, (_, i) => i), [2, 9, 20]);
  const read = device.read;
  let elements = 0;
  device.read = (range) => {
    elements += range.length;
    return read.call(device, range);
  };
  let lines: string[];
  try {
    lines = (await shown(large))["text/plain"].split("\n");
  } finally {
    device.read = read;
  }
  assert.equal(elements, 6 * 8);
  assert.equal(lines[0], `f32[2, 9, 20] on ${device.kind}, showing [0, :, :]`);
  assert.deepEqual(lines[2].trim().split(/ +/), ["20", "21", "22", "23", "24", "25", "26", "27", "…"]);
  assert.equal(lines.length, 1 + 6 + 1);
});

testOnDevices("a device refuses all work after close(), in one line", async ({ kind }) => {
  const own = await init({ device: kind, threads: 1 });
  await withDevice(own, async () => {
    const x = tensor([1, 2]);
    const step = record(() => add(x, 1));
    own.close();
    const refusal = {
      name: "DeviceError",
      message: `Cannot use a ${
        kind === "cpu" ? "CPU" : "WebGPU"
      } device after close(); init() opens a new one`,
    };
    for (
      const work of [
        () => x.write(Float32Array.of(3, 4)),
        () => tensor([1]),
        () => zeros([2]),
        () => add(x, 1),
        () => record(() => add(x, 1)),
        () => step.run(),
      ]
    ) assert.throws(work, refusal, `${work}`);
    for (const read of [() => x.read(), () => x.readWords()]) await assert.rejects(read, refusal);
  });
});
