/** All kernels for GPUs on an emulated device with WebGPU's default limits, and faults that the device must notice. */

import assert from "node:assert/strict";
import { execute, type RegisteredOp, registry } from "../../../../kernels/op.ts";
import type { Kernel } from "../../../../kernels/devices/device.ts";
import { WebGpuDevice } from "../../../../kernels/devices/webgpu/webgpu_device.ts";
import { type Tensor, withDevice, zeros } from "../../../../kernels/mod.ts";
import type { Sample } from "../../../../kernels/op_definition.ts";
import { hiddenOp, inputsOf, oracle, outputsOf, shadersOf, tensorsOf } from "../../oracle.ts";
import { assertClose } from "../../../testing.ts";
import { emulatedGpu, withGpu } from "./emulator/emulator.ts";

/** Opens a device on the emulator. A fault makes its later reads fail. */
const open = (software: boolean, candidate?: string): Promise<WebGpuDevice> =>
  withGpu(emulatedGpu(), () => WebGpuDevice.open({ software, ...candidate !== undefined && { candidate } }));

const devices = new Map<string, Promise<WebGpuDevice>>();

/** The device of a set of kernels, the same for all ops. */
function deviceOf(software: boolean, candidate?: string): Promise<WebGpuDevice> {
  const key = `${software} ${candidate}`;
  return devices.get(key) ?? devices.set(key, open(software, candidate)).get(key)!;
}

/** A candidate, with the kernels for software adapters or for GPUs. */
interface Choice {
  readonly software: boolean;
  readonly candidate?: string;
}

/** The different choices that run a sample by name, those of a family together, such as tiles of several sizes. */
async function choicesOf(op: RegisteredOp, sample: Sample) {
  const { dims } = op.plan(op.inputs.map(({ name }) => sample.shapes[name]), sample.attributes ?? {});
  const seen = new Set<string>();
  const families = new Map<string, Map<string, Choice>>();
  for (const software of [true, false]) {
    const { tuning } = await deviceOf(software);
    for (const candidate of op.kernel.candidates?.(dims, tuning) ?? [undefined]) {
      const choice = { software, ...candidate !== undefined && { candidate } };
      const shaders = shadersOf({ kernel: op.kernel, dims }, { ...tuning, ...choice });
      if (seen.has(shaders)) continue;
      seen.add(shaders);
      const name = `${software ? "software" : "GPUs"} ${candidate}`;
      const family = candidate?.replaceAll(/\d+/g, "") ?? name;
      families.set(family, (families.get(family) ?? new Map()).set(name, choice));
    }
  }
  return families.values();
}

for (const op of registry.values()) {
  Deno.test(`${op.name}() equals its reference in every order of invocations`, async () => {
    const runs = new Map<string, number>();
    const runsOf = (name: string) => runs.get(name) ?? 0;
    for (const [k, sample] of op.samples.entries()) {
      const inputs = inputsOf(op, sample), expected = oracle(op, sample, inputs);
      for (const family of await choicesOf(op, sample)) {
        const least = [...family].sort(([a], [b]) => runsOf(a) - runsOf(b));
        // The one that has run least, and all until they have run twice.
        for (
          const [by, { software, candidate }] of least.filter(([name], i) => i === 0 || runsOf(name) < 2)
        ) {
          runs.set(by, runsOf(by) + 1);
          await withDevice(await deviceOf(software, candidate), async () => {
            for (const [name, y] of outputsOf(op, tensorsOf(op, sample, inputs), sample.attributes)) {
              assertClose(await y.read(), expected[name], 2e-5, `${name} of sample ${k} by ${by}`);
            }
          });
        }
      }
    }
  });
}

const throughExpOrLog = [
  ...["exp", "expGradient", "log", "sigmoid", "sigmoidGradient", "softmax", "logSoftmaxGradient"],
];
for (const op of throughExpOrLog.map((name) => registry.get(name)!)) {
  Deno.test(`${op.name}() keeps NaN where the GPU's exp and log drop it`, async () => {
    const [sample] = op.samples;
    const [x, ...rest] = inputsOf(op, sample);
    const inputs = [x.with(0, NaN), ...rest];
    const expected = oracle(op, sample, inputs);
    for (const software of [true, false]) {
      await withDevice(await deviceOf(software), async () => {
        const [[name, y]] = outputsOf(op, tensorsOf(op, sample, inputs), sample.attributes);
        assert.deepEqual(Array.from(await y.read(), Number.isNaN), Array.from(expected[name], Number.isNaN));
      });
    }
  });
}

/** An op that copies x by the given WGSL, one invocation per value or in workgroups of 64. */
const copying = (wgsl: string, inWorkgroups = false) =>
  hiddenOp({
    name: "copyForTest",
    signature: "x[n] -> y[n]",
    wgsl,
    ...inWorkgroups && { workgroups: ({ n }: { readonly n?: number }) => ({ count: n! / 64, lanes: 64 }) },
    reference: ({ x, y }) => y.set(x),
    samples: [],
  });
const run = (op: (x: Tensor) => Tensor) => () => op(zeros([128]));

/** A product of matrices whose kernel lacks its second barrier. */
function productWithoutBarrier(): Tensor {
  const { kernel, plan } = registry.get("matmul")!;
  const barrier = "workgroupBarrier();";
  const faulty: Kernel = {
    ...kernel,
    wgsl(tuning, dims) {
      const parts = kernel.wgsl(tuning, dims).split(barrier);
      assert.equal(parts.length, 3, "two barriers");
      return `${parts[0]}${barrier}${parts[1]}${parts[2]}`;
    },
  };
  const inputs = [zeros([1, 64, 64]), zeros([1, 64, 64])];
  const { dims, outputs: [shape] } = plan(inputs.map(({ shape }) => shape), {});
  const y = zeros(shape);
  execute(faulty, [...inputs, y], dims, y.device);
  return y;
}

const nine = hiddenOp({
  name: "nineForTest",
  signature: "a[n], b[n], c[n], d[n], e[n], f[n], g[n], h[n] -> y[n]",
  wgsl: "fn kernel(i: u32) { y[i] = a[i] + b[i] + c[i] + d[i] + e[i] + f[i] + g[i] + h[i]; }",
  reference: () => {},
  samples: [],
});

const faults: Readonly<Record<string, readonly [run: () => Tensor, says: RegExp]>> = {
  "writes past the end": [run(copying("fn kernel(i: u32) { y[i + 1u] = x[i]; }")), /writes word 128 of y/],
  "invocations that write one word": [
    run(copying("fn kernel(i: u32) { y[i / 2u] = x[i]; }")),
    /writes what another/,
  ],
  "a barrier that some lanes skip": [
    run(copying(
      `fn kernel(group: u32, lane: u32) {
  if (lane < 32u) { workgroupBarrier(); }
  y[group * 64u + lane] = x[lane];
}`,
      true,
    )),
    /skip a barrier/,
  ],
  "workgroup memory read without a barrier": [
    run(copying(
      `var<workgroup> all: array<f32, 64>;
fn kernel(group: u32, lane: u32) {
  all[lane] = x[group * 64u + lane];
  if (group > 9u) { workgroupBarrier(); }
  y[group * 64u + lane] = all[63u - lane];
}`,
      true,
    )),
    /all, without a barrier/,
  ],
  "17 KiB of workgroup memory": [
    run(copying(
      `var<workgroup> all: array<f32, 4352>;
fn kernel(group: u32, lane: u32) { all[lane] = x[lane]; y[group * 64u + lane] = all[lane]; }`,
      true,
    )),
    /17408 bytes/,
  ],
  "a product without its second barrier": [productWithoutBarrier, /of slice\w+, without a barrier/],
  "nine storage buffers": [
    () => {
      const x = zeros([4]);
      return nine(x, x, x, x, x, x, x, x);
    },
    /9 storage buffers/,
  ],
};

for (const [fault, [make, says]] of Object.entries(faults)) {
  Deno.test(`the emulator notices ${fault}`, async () => {
    const device = await open(false);
    await assert.rejects(withDevice(device, async () => await make().read()), says);
  });
}
