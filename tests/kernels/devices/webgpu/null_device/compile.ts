/**
 * Compiles the kernels of a training step of every network on the available adapter: each under an entry point of its
 * own, `k<N>_<label>`, by which compilers report. Then one that must spill, `c<N>_spilling`. Nothing runs whose values
 * matter: `deno run -A tests/kernels/devices/webgpu/null_device/compile.ts [all]`; `all` adds f16 and, as `c<N>`, all
 * candidates.
 */

import { candidatesOf } from "../../../../../experiments/doctor/self_test.ts";
import { ImageSource } from "../../../../../experiments/data/image_source.ts";
import { trainingConfig } from "../../../../../experiments/settings/training_config.ts";
import { makeNetwork } from "../../../../../experiments/training/network.ts";
import { withDevice } from "../../../../../kernels/mod.ts";
import { registry } from "../../../../../kernels/op.ts";
import { WebGpuDevice } from "../../../../../kernels/devices/webgpu/webgpu_device.ts";

const { createShaderModule, createComputePipeline, createComputePipelineAsync } = GPUDevice.prototype;
const entries = new WeakMap<GPUShaderModule, string>();
let count = 0, initial = "k";

GPUDevice.prototype.createShaderModule = function (descriptor) {
  const entry = `${initial}${count++}_${descriptor.label}`;
  const code = descriptor.code.replace("fn main(", `fn ${entry}(`);
  const module = createShaderModule.call(this, { ...descriptor, code });
  entries.set(module, entry);
  return module;
};
const renamed = (descriptor: GPUComputePipelineDescriptor): GPUComputePipelineDescriptor => {
  const { module } = descriptor.compute;
  return { ...descriptor, compute: { module, entryPoint: entries.get(module) ?? "main" } };
};
GPUDevice.prototype.createComputePipeline = function (descriptor) {
  return createComputePipeline.call(this, renamed(descriptor));
};
GPUDevice.prototype.createComputePipelineAsync = function (descriptor) {
  return createComputePipelineAsync.call(this, renamed(descriptor));
};

/** A kernel with more values at once than registers. */
const spilling = `@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
${Array.from({ length: 80 }, (_, i) => `  let v${i} = y[id.x * 80u + ${i}u];`).join("\n")}
  workgroupBarrier();
${Array.from({ length: 80 }, (_, i) => `  y[id.x * 80u + ${79 - i}u] = v${i} * v${(i * 7) % 80};`).join("\n")}
}`;

type Sizes = readonly [filters: readonly number[], batchSize: number];
const small: Sizes = [[16, 32, 64], 64];

/** Takes a step of both networks in these sizes. */
async function step(device: WebGpuDevice, sizes: readonly Sizes[], precision: "f32" | "f16" = "f32") {
  await withDevice(device, async () => {
    for (const model of ["residual", "base"] as const) {
      for (const [filters, N] of sizes) {
        const config = trainingConfig({ model, filters: [...filters], batchSize: N, precision });
        const pixels = new Uint8Array(N * 784);
        const source = new ImageSource(pixels, { channels: 1, height: 28, width: 28 }, {
          scale: 2,
          shift: -1,
        });
        const { trainer } = makeNetwork(config, source);
        trainer.queueStep(Uint32Array.from({ length: N }, (_, i) => i), 1e-4);
        await device.finished();
      }
    }
  });
}

const device = await WebGpuDevice.open({ software: false });
await step(device, [[[64, 128, 256], 256], small]);
if (Deno.args.includes("all")) {
  await step(device, [small], "f16");
  const names = new Set([...registry.values()].flatMap((op) => [...candidatesOf(op, device)]));
  initial = "c";
  for (const candidate of names) await step(await WebGpuDevice.open({ software: false, candidate }), [small]);
}
initial = "c";
const gpu = await (await navigator.gpu.requestAdapter())!.requestDevice();
const module = gpu.createShaderModule({ label: "spilling", code: spilling });
gpu.createComputePipeline({ layout: "auto", compute: { module } });
console.log(device.description);
Deno.exit(0); // nothing was computed, so nothing is worth waiting for
