/**
 * Compiles shaders on the available adapter, and runs none:
 * `deno run -A tests/kernels/devices/webgpu/null_device/compile.ts SHADERS.json`.
 */

import type { Shader } from "./training_kernels.ts";

const adapter = await navigator.gpu.requestAdapter();
const { limits, features, info } = adapter!;
const device = await adapter!.requestDevice({
  requiredFeatures: features.has("shader-f16") ? ["shader-f16"] : [],
  requiredLimits: {
    maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
    maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
  },
});
const shaders: readonly Shader[] = JSON.parse(await Deno.readTextFile(Deno.args[0]));
for (const { entry, code } of shaders) {
  const module = device.createShaderModule({ label: entry, code });
  device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: entry } });
}
console.log(info.description);
Deno.exit(0); // the device has nothing to release
