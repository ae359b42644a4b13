import assert from "node:assert/strict";
import type { Dispatch } from "../../../../kernels/devices/webgpu/commands.ts";
import { kernelTimer } from "../../../../kernels/devices/webgpu/kernel_timer.ts";
import type { Pipeline } from "../../../../kernels/devices/webgpu/pipelines.ts";
import { testTuning } from "./tuning.ts";

/** A dispatch of a hundred multiply-adds in each of 64 x 64 invocations. */
function work(device: GPUDevice): Dispatch {
  const code = `@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  for (var i = 0u; i < 100u; i++) { y[id.x] = y[id.x] * 0.5 + 1.0; }
}`;
  const module = device.createShaderModule({ code });
  const handle = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
  const buffer = device.createBuffer({ size: 4 * 64 * 64, usage: GPUBufferUsage.STORAGE });
  const bindGroup = device.createBindGroup({
    layout: handle.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  const pipeline: Pick<Pipeline, "handle"> = { handle };
  return { pipeline: pipeline as Pipeline, bindGroup, x: 64, y: 1 };
}

for (const clock of ["timestamp-query", undefined] as const) {
  testTuning(
    `kernelTimer() tells much work from little, ${clock ? "by timestamps" : "by the host"}`,
    async () => {
      const adapter = (await navigator.gpu.requestAdapter())!;
      if (clock && !adapter.features.has(clock)) return;
      const device = await adapter.requestDevice({ requiredFeatures: clock ? [clock] : [] });
      const dispatches = [work(device)];
      using timer = await kernelTimer(device);
      await timer.time([{ dispatches, repeats: 1 }]); // compiles
      const [little, much] = [{ dispatches, repeats: 1 }, { dispatches, repeats: 200 }];
      const times = await timer.time([little, much, little, much, little, much]);
      const least = [0, 1].map((i) => Math.min(times[i], times[i + 2], times[i + 4]));
      assert.ok(least[1] > 3 * least[0], `${times}`);
      assert.ok(least[1] < 60_000, "milliseconds");
      device.destroy();
    },
  );
}
