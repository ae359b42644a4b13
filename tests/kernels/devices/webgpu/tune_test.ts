import assert from "node:assert/strict";
import {
  type ChoiceKey,
  type ChoiceStore,
  conv2d,
  gradients,
  type KernelChoice,
  matmul,
  record,
  type Shape,
  sum,
  tensor,
} from "../../../../kernels/mod.ts";
import { uniforms } from "../../../../kernels/ops/random.ts";
import { type KernelVariant, withVariants } from "../../../../kernels/op_definition.ts";
import { sizeOf } from "../../../../kernels/core/shape.ts";
import { assertClose, testOnWebGpu } from "../../../testing.ts";
import { replacing } from "../../../replacing.ts";
import { hiddenOp } from "../../oracle.ts";
import { always, onNewDevice, withoutMemory } from "./new_device.ts";
import { assertSameNumbers } from "../../../same_numbers.ts";
import type { Dispatch } from "../../../../kernels/devices/webgpu/commands.ts";
import { fastest, first, kernelTimer } from "../../../../kernels/devices/webgpu/tune.ts";
import type { Pipeline } from "../../../../kernels/devices/webgpu/pipelines.ts";

/** Keeps choices in memory. */
class MemoryStore implements ChoiceStore {
  readonly kept = new Map<string, string>();
  get = (key: ChoiceKey) => this.kept.get(JSON.stringify(key));
  set = (key: ChoiceKey, candidate: string) => void this.kept.set(JSON.stringify(key), candidate);
}

const random = (stream: number, shape: Shape) =>
  tensor(Float32Array.from(uniforms(5, stream, 1, sizeOf(shape)), (u) => 2 * u - 1), shape);

function convolutionStep() {
  const [x, w, bias] = [random(1, [2, 8, 14, 14]), random(2, [8, 8, 3, 3]), random(3, [1, 8])];
  return record(() => {
    const y = conv2d(x, w, bias, { padding: 1 });
    const [dx, dw] = gradients(sum(y), [x, w]);
    return { y, dx, dw };
  });
}

/** Products of matrices of several sizes, each with a choice. */
function productsStep(sizes: readonly [M: number, K: number, N: number][]) {
  const pairs = sizes.map(([M, K, N]) => [random(1, [M, K]), random(2, [K, N])]);
  return record(() => pairs.map(([a, b]) => matmul(a, b)));
}

function productStep() {
  const [a, b] = [random(1, [33, 20]), random(2, [20, 70])];
  return record(() => matmul(a, b));
}

const threeProducts = () => productsStep([[4, 4, 8], [4, 4, 4], [8, 4, 4]]);

const ofConvolutions = (choices: readonly KernelChoice[]) =>
  choices.filter(({ key }) => key.call.startsWith("conv2d"));

testOnWebGpu("tune() finds the software kernels on a software adapter", async ({ tuning: { software } }) => {
  if (!software) return;
  await onNewDevice(async () => {
    const choices = ofConvolutions(await convolutionStep().tune({ seconds: 3600 }));
    assert.deepEqual(choices.map(({ key }) => key.call.split(" ")[0]), [
      "conv2d",
      "conv2dInputGradient",
      "conv2dWeightGradient",
    ]);
    for (const { key, candidates, chosen, by, milliseconds } of choices) {
      assert.match(candidates[0], /^workgroups/, key.call);
      assert.equal(by, "measurement");
      assert.doesNotMatch(chosen, /^workgroups/, key.call);
      assert.deepEqual(Object.keys(milliseconds).sort(), [...candidates].sort());
    }
  }, { software: false });
});

testOnWebGpu("tune() leaves out candidates that memory is too short for", async () => {
  await onNewDevice(async () => {
    const step = convolutionStep();
    using _ = withoutMemory(20_000); // for scratch memory
    const choices = ofConvolutions(await step.tune({ seconds: 3600 }));
    assert.ok(choices.every(({ candidates }) => candidates.includes("winograd")));
    assert.deepEqual(choices.filter(({ milliseconds }) => "winograd" in milliseconds), []);
    step.run();
    await step.result.y.read();
  });
});

testOnWebGpu("tune() measures once: later starts and later steps use the store", async () => {
  const store = new MemoryStore();
  const first = await onNewDevice(async () => {
    const measured = await productStep().tune({ store, seconds: 3600 });
    assert.deepEqual(measured.map(({ by }) => by), ["measurement"]);
    const again = await productStep().tune({ progress: () => assert.fail("measured again") });
    assert.deepEqual(again.map(({ by, chosen }) => [by, chosen]), [["memory", measured[0].chosen]]);
    return measured[0];
  });
  assert.equal(store.kept.size, 1);
  await onNewDevice(async () => {
    const [second] = await productStep().tune({ store, progress: () => assert.fail("measured again") });
    assert.deepEqual([second.by, second.chosen, second.key], ["store", first.chosen, first.key]);
  });
});

testOnWebGpu("tune() continues at each start, even if timing every call once exceeds the limit", async () => {
  const store = new MemoryStore(), { submit } = GPUQueue.prototype, kept: number[] = [];
  let passedMs = 0;
  using _ = replacing([performance, { now: () => passedMs }], [GPUQueue.prototype, {
    submit(this: GPUQueue, commands: GPUCommandBuffer[]) {
      passedMs += 1000;
      submit.call(this, commands);
    },
  }]);
  for (let left = 1; left > 0; kept.push(store.kept.size)) {
    assert.ok(kept.length < 30, `${left} are left after 30 starts: ${kept}`);
    const choices = await onNewDevice(() => threeProducts().tune({ store, seconds: 4 }));
    left = choices.filter(({ by }) => by === "table").length;
    assert.equal(store.kept.size, choices.length - left);
  }
  assert.ok(kept.length > 2, `${kept}`);
});

testOnWebGpu("tune() keeps its measurements when stopped, and changes no other choices", async () => {
  const [store, stop] = [new MemoryStore(), new AbortController()];
  const choices = await onNewDevice(() =>
    threeProducts().tune({ store, seconds: 3600, progress: () => stop.abort(), signal: stop.signal })
  );
  const measured = choices.filter(({ by }) => by === "measurement");
  assert.ok(measured.length > 0 && measured.length < choices.length, `${measured.length}`);
  assert.equal(store.kept.size, measured.length);
  assert.ok(choices.every(({ by }) => by === "measurement" || by === "table"));
});

testOnWebGpu("tune() tunes the parts of a candidate first, and finds all choices again", async () => {
  const store = new MemoryStore();
  const step = () => {
    const [x, w, bias] = [random(1, [2, 16, 8, 8]), random(2, [16, 16, 3, 3]), random(3, [1, 16])];
    return record(() => conv2d(x, w, bias, { padding: 1 }));
  };
  const first = await onNewDevice(() => step().tune({ store, seconds: 3600 }));
  const names = first.map(({ key }) => key.call.split(" ")[0]);
  assert.equal(names.at(-1), "conv2d");
  assert.ok(names.includes("matmul"), names.join());
  assert.deepEqual(first.map(({ by }) => by), first.map(() => "measurement"));
  const again = { store, progress: () => assert.fail("measured again") };
  const second = await onNewDevice(() => step().tune(again));
  const chosen = (choices: readonly KernelChoice[]) => choices.map(({ key, chosen }) => [key, chosen]);
  assert.deepEqual(chosen(second), chosen(first));
});

testOnWebGpu("tune() ignores unknown stored names, measures nothing in 0 seconds", async () => {
  await onNewDevice(async () => {
    for (const name of ["", "__proto__", "registers 9x9", "registers\n"]) {
      const options = { store: always(name), seconds: 0, progress: () => assert.fail("measured") };
      const [{ chosen, candidates, by }] = await productStep().tune(options);
      assert.deepEqual([chosen, by], [candidates[0], "table"], JSON.stringify(name));
    }
  });
});

testOnWebGpu("all choices agree up to rounding, and the same choice gives the same bits", async () => {
  const run = (candidate: string) =>
    onNewDevice(async () => {
      const step = productStep();
      step.run();
      const before = await step.result.read();
      const [choice] = await step.tune({ store: always(candidate), seconds: 0 });
      assertSameNumbers(await step.result.read(), before, "tune() changed a value");
      step.run(); // a step that ran before uses the new kernel, too
      const [kept] = await step.tune({ seconds: 0 });
      if (choice.by === "store") assert.deepEqual([kept.by, kept.chosen], ["memory", candidate]);
      return { choice, before, after: await step.result.read() };
    });
  const { choice: { candidates }, before } = await run("none");
  assert.ok(candidates.length > 2);
  for (const candidate of candidates.slice(1)) {
    const [one, other] = [await run(candidate), await run(candidate)];
    assert.equal(one.choice.chosen, candidate);
    assertClose(one.after, before, 1e-5, candidate);
    assertSameNumbers(other.after, one.after);
  }
});

testOnWebGpu("tune() skips a candidate that does not compile, and the device keeps working", async () => {
  const good: KernelVariant = {
    name: "good",
    grid: ({ n }) => n,
    wgsl: () => "fn kernel(i: u32) { y[i] = 2.0 * x[i]; }",
  };
  const twice = hiddenOp({
    name: "twiceForTest",
    signature: "x[n] -> y[n]",
    ...withVariants(
      [good, { ...good, name: "bad", wgsl: () => "fn kernel(i: u32) { y[i] = wrong; }" }],
      () => 0,
    ),
    reference: ({ x, y }) => x.forEach((value, i) => y[i] = 2 * value),
    samples: [],
  });
  await onNewDevice(async () => {
    const x = tensor([1, 2]);
    const step = record(() => twice(x));
    const [{ chosen, milliseconds }] = await step.tune({ seconds: 3600 });
    assert.equal(chosen, "good");
    assert.deepEqual(Object.keys(milliseconds), ["good"]);
    step.run();
    assertClose(await step.result.read(), [2, 4], 0);
  });
});

testOnWebGpu("tune() measures for the full time, however long kernels take to compile", async () => {
  const { now } = performance, { createComputePipelineAsync } = GPUDevice.prototype;
  let compilingMs = 0;
  using _ = replacing([performance, { now: () => now.call(performance) + compilingMs }], [
    GPUDevice.prototype,
    {
      createComputePipelineAsync(this: GPUDevice, descriptor: GPUComputePipelineDescriptor) {
        compilingMs += 3_600_000; // ten of them are within the bound on compiling
        return createComputePipelineAsync.call(this, descriptor);
      },
    },
  ]);
  const [{ by, milliseconds }] = await onNewDevice(() => productStep().tune({ seconds: 3600 }));
  assert.equal(by, "measurement");
  assert.ok(compilingMs > 3_600_000 && Object.keys(milliseconds).length > 1);
});

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

Deno.test("fastest() chooses what is clearly faster, whatever disturbs single runs, and drops what is far slower", async () => {
  const slowOnce = (at: number) => at === 4 ? 400 : 0; // the second run of `other`; the first is the warm-up
  const busy = (at: number) => at % 5 === 0 ? 0 : 5 + at % 7; // most runs are disturbed
  const cases: [costs: Record<string, number>, chosen: string, noise?: (at: number) => number][] = [
    [{ table: 0.5, other: 0.4, third: 0.45 }, "other"],
    [{ table: 0.4, other: 0.395 }, "table"],
    [{ table: 0.4, other: 0.38 }, "other"],
    [{ only: 3 }, "only"],
    [{ table: 250, other: 200, third: 240 }, "other", slowOnce],
    [{ table: 1, other: 0.8 }, "table", busy],
    [{ table: 40, other: 0.8 }, "other", busy],
    ...Array.from({ length: 20 }, (_, i): (typeof cases)[number] => {
      return [{ table: 1, other: 0.8 }, "other", (at) => at === i + 2 ? 20 : 0];
    }),
  ];
  for (const [i, [costs, chosen, noise]] of cases.entries()) {
    assert.equal((await search(costs, noise)).chosen, chosen, `case ${i}`);
  }
  const { milliseconds } = await search(cases[0][0]);
  assertClose(Object.values(milliseconds), [0.5, 0.4, 0.45], 1e-9);
  const { runs } = await search({ table: 5, slow: 9, fast: 1, near: 1.2 });
  assert.deepEqual(runs, { table: runs.table, slow: runs.table - 7, fast: runs.table, near: runs.table });
  assert.deepEqual((await search({ table: 250, slow: 900 })).runs, { table: 2, slow: 2 });
});

Deno.test("first() times the first candidate after a warm-up", async () => {
  const times = [30, 4];
  const result = await first(["a", "b"], (passes) => Promise.resolve(passes.map((_, i) => times[i])));
  assert.deepEqual(result, { chosen: "a", milliseconds: { a: 4 } });
});
