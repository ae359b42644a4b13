import assert from "node:assert/strict";
import type { Dispatch } from "../../../../kernels/devices/webgpu/commands.ts";
import { fastest, first, kernelTimer } from "../../../../kernels/devices/webgpu/kernel_timer.ts";
import type { Pipeline } from "../../../../kernels/devices/webgpu/pipelines.ts";
import { testOnWebGpu } from "./tuning.ts";

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
  testOnWebGpu(
    `kernelTimer() distinguishes much work from little, ${clock ? "by timestamps" : "by the host"}`,
    async () => {
      const adapter = (await navigator.gpu.requestAdapter())!;
      if (clock && !adapter.features.has(clock)) return;
      const device = await adapter.requestDevice({ requiredFeatures: clock ? [clock] : [] });
      const dispatches = [work(device)];
      const timer = await kernelTimer(device);
      await timer.time([{ dispatches, repeats: 1 }]); // compiles
      const [little, much] = [{ dispatches, repeats: 1 }, { dispatches, repeats: 50 }];
      const times = await timer.time([little, much, little, much, little, much]);
      const least = [0, 1].map((i) => Math.min(times[i], times[i + 2], times[i + 4]));
      assert.ok(least[1] > 3 * least[0], `${times}`);
      assert.ok(least[1] < 60_000, "milliseconds");
      timer.close();
      device.destroy();
    },
  );
}

/** Runs the search with a fake clock. */
async function search(costs: Record<string, number>, noise: (at: number) => number = () => 0) {
  let at = 0;
  const runs: Record<string, number> = {};
  const result = await fastest(Object.keys(costs), (passes) => {
    for (const { candidate } of passes) runs[candidate] = (runs[candidate] ?? 0) + 1;
    return Promise.resolve(passes.map(({ candidate, repeats }) => costs[candidate] * repeats + noise(at++)));
  }, 2);
  return { ...result, runs };
}

Deno.test("fastest() keeps the first if no other is clearly faster, and returns milliseconds per run", async () => {
  const { chosen, milliseconds } = await search({ table: 0.5, other: 0.4, third: 0.45 });
  assert.equal(chosen, "other");
  assert.deepEqual(Object.keys(milliseconds), ["table", "other", "third"]);
  assert.ok(Math.abs(milliseconds.other - 0.4) < 1e-9);
  assert.equal((await search({ table: 0.4, other: 0.395 })).chosen, "table");
  assert.equal((await search({ table: 0.4, other: 0.38 })).chosen, "other");
  assert.equal((await search({ only: 3 })).chosen, "only");
});

Deno.test("fastest() drops candidates that are far slower, except the first", async () => {
  const { runs } = await search({ table: 5, slow: 9, fast: 1, near: 1.2 });
  assert.equal(runs.slow, runs.table - 7);
  assert.equal(runs.fast, runs.table);
  assert.equal(runs.near, runs.table);
});

Deno.test("fastest() gives a candidate with one slow run another chance if runs are long", async () => {
  const slowOnce = (at: number) => at === 4 ? 400 : 0; // the second run of `other`; the first is the warm-up
  const { chosen } = await search({ table: 250, other: 200, third: 240 }, slowOnce);
  assert.equal(chosen, "other");
  const hopeless = await search({ table: 250, slow: 900 });
  assert.deepEqual(hopeless.runs, { table: 2, slow: 2 });
});

Deno.test("fastest() is not misled by one slow moment", async () => {
  for (let moment = 2; moment < 22; moment++) {
    const { chosen } = await search({ table: 1, other: 0.8 }, (at) => at === moment ? 20 : 0);
    assert.equal(chosen, "other", `slow at ${moment}`);
  }
});

Deno.test("fastest() keeps the first if noise dominates", async () => {
  const busy = (at: number) => at % 5 === 0 ? 0 : 5 + at % 7; // most runs are disturbed
  assert.equal((await search({ table: 1, other: 0.8 }, busy)).chosen, "table");
  assert.equal((await search({ table: 40, other: 0.8 }, busy)).chosen, "other");
});

Deno.test("first() times the first candidate after a warm-up", async () => {
  const times = [30, 4];
  const result = await first(["a", "b"], (passes) => Promise.resolve(passes.map((_, i) => times[i])));
  assert.deepEqual(result, { chosen: "a", milliseconds: { a: 4 } });
});
