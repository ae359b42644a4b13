import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { CpuDevice } from "../../../../kernels/devices/cpu/cpu_device.ts";
import type { Dims, Kernel } from "../../../../kernels/devices/device.ts";
import { Layout } from "../../../../kernels/devices/cpu/memory_layout.ts";
import { fusesMultiplyAdd, loadKernels, ThreadTeam } from "../../../../kernels/devices/cpu/thread_team.ts";
import { blockScratch } from "../../../../kernels/devices/cpu/product_blocks.ts";
import { SharedMemory } from "../../../../kernels/devices/cpu/shared_memory.ts";
import { trace } from "../../../../kernels/record/record.ts";
import { conv2d, full, record, scope, withDevice } from "../../../../kernels/mod.ts";
import { createModel, type ModelOptions, optimizerKinds } from "../../../../models/mod.ts";
import { builtWith } from "../../../../tools/bundle.ts";
import { withFolder } from "../../../folder.ts";
import { granted, testNeeding, testUnless } from "../../../permissions.ts";
import { testOnCpu } from "../../../testing.ts";
import { hiddenOp } from "../../oracle.ts";
import { trainingStep } from "./training_step.ts";

const networks: readonly ModelOptions[] = [
  { type: "UNet_FM", filters: [8, 16], tEmb: 8 },
  { type: "UNet_FM_Residuals", filters: [8, 16], tEmb: 8 },
  { type: "UNet_FM", filters: [8, 16, 24], tEmb: 8, attn: true, channels: 3 },
  { type: "UNet_FM_Residuals", filters: [8, 16, 24], tEmb: 8, attn: true, channels: 3 },
];

for (const options of networks) {
  const { type, attn = false, channels = 1 } = options;
  const what = `${type}${attn ? " with attention, 15x13 pixels" : ""}`;
  testOnCpu(`CpuDevice has a kernel for every op of a training step, with each optimizer: ${what}`, () => {
    const shape = attn ? [2, channels, 15, 13] : [2, channels, 12, 12];
    for (const name of optimizerKinds) {
      const { recording } = trace(trainingStep(createModel(options, 1), shape, name).work);
      const missing = recording.calls.filter(({ kernel, dims }) => !hasKernel(kernel, dims));
      assert.deepEqual([...new Set(missing.map(({ kernel }) => kernel.name))], []);
      assert.ok(recording.calls.length > 60);
    }
  });
}

function hasKernel({ ports, wasm }: Kernel, dims: Dims): boolean {
  return wasm?.(Object.fromEntries(ports.map(({ name }) => [name, 0])), dims) !== undefined;
}

testOnCpu("CpuDevice says once that an op runs on its reference, by name", async () => {
  const cube = hiddenOp({
    name: "cubeWithoutKernel",
    signature: "x[S...] -> y[S...]",
    wgsl: "fn kernel(i: u32) { y[i] = x[i] * x[i] * x[i]; }",
    reference({ x, y }) {
      for (let i = 0; i < y.length; i++) y[i] = x[i] ** 3;
    },
    samples: [],
  });
  const warnings: unknown[] = [], { warn } = console;
  console.warn = (line) => warnings.push(line);
  try {
    const step = record(() => cube(cube(full([3], 2))));
    step.run();
    assert.deepEqual([...await step.result.read(), ...await cube(full([1], 3)).read()], [512, 512, 512, 27]);
  } finally {
    console.warn = warn;
  }
  assert.equal(warnings.length, 1);
  assert.match(
    `${warnings[0]}`,
    /^Op cubeWithoutKernel has no kernel for the CPU device: its reference runs instead/,
  );
});

testOnCpu("CpuDevice does not grow in memory over many steps, recorded or not", async (device) => {
  const x = full([2, 8, 9, 9], 1), w = full([8, 8, 3, 3], 0.1), bias = full([8], 0);
  const step = record(() => conv2d(x, w, bias, { padding: 1 }));
  const round = () =>
    scope(() => {
      conv2d(conv2d(x, w, bias, { padding: 1 }), w, bias, { padding: 1 });
      step.run();
    });
  round();
  const held = device.allocatedBytes;
  for (let i = 0; i < 300; i++) round();
  assert.equal(device.allocatedBytes, held);
  await step.result.read();
});

Deno.test("CpuDevice says how to free memory when it is used up", async () => {
  const device = await CpuDevice.open({ threads: 1 });
  const held = device.allocatedBytes;
  assert.throws(() => device.allocate(2 ** 33), {
    name: "DeviceError",
    message:
      "Cannot allocate 8192 MiB: the CPU device holds 1 MiB already (expected at most 4 GiB in total); use a " +
      "smaller batch or network, or free the values of a loop with scope()",
  });
  assert.equal(device.allocatedBytes, held);
  device.release(device.allocate(2 ** 20));
  device.close();
});

Deno.test("SharedMemory reuses whole and merged free parts", () => {
  const memory = new SharedMemory(Layout.blocks);
  const [a, b, c] = [100, 1000, 64].map((bytes) => memory.allocate(bytes));
  assert.deepEqual([a % 64, b - a, c - b], [0, 128, 1024]);
  memory.release(a, 100);
  memory.release(c, 64);
  assert.equal(memory.allocate(60), c, "the smallest part that is large enough");
  memory.release(b, 1000);
  assert.equal(memory.allocate(1152), a, "neighbours are merged");
  assert.equal(memory.held, 1152 + 64);
});

Deno.test({
  name: "ThreadTeam.run() reports a trap on any thread, and keeps failing",
  async fn() {
    const failure =
      /^A kernel of the CPU device failed: RuntimeError: unreachable.*; restart, or open a new device with init\(\)$/;
    const open = async () => {
      const memory = new SharedMemory(blockScratch(2));
      const team = new ThreadTeam(await loadKernels(fusesMultiplyAdd()), memory, 2);
      const program = memory.allocate(Layout.callBytes);
      const words = new Int32Array(memory.memory.buffer);
      words[program / 4] = 2 ** 20; // no such opcode
      return { team, program, words };
    };
    const starting = await open();
    for (const shared of [true, false]) {
      assert.throws(() => starting.team.run(starting.program, 1, shared), {
        name: "DeviceError",
        message: failure,
      });
    }
    starting.team.rest();

    // The same with all workers busy. It uses new memory, because a worker of the other team may still be starting.
    const { team, program, words } = await open();
    team.run(program, 0, true);
    while (Atomics.load(words, Layout.ready / 4) < 1) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.throws(() => team.run(program, 1, true), { name: "DeviceError", message: failure });
    team.rest();
    await new Promise((resolve) => setTimeout(resolve, 100));
  },
  sanitizeOps: false,
  sanitizeResources: false,
});

const exporting = `
  import { conv2d, full, init, record } from ${JSON.stringify(import.meta.resolve("../../../../mod.ts"))};
  const device = await init({ device: "cpu", threads: 2 });
  const x = full([16, 16, 28, 28], 1), w = full([16, 16, 3, 3], 0.1), bias = full([16], 0);
  const step = record(() => conv2d(x, w, bias, { padding: 1 }));
  for (let i = 0; i < 50; i++) step.run();
  const values = await step.result.read();
  console.log(values[29].toFixed(3), new Float32Array(new Int32Array(1).buffer)[0]);
`;

testNeeding(
  { run: true, write: true, read: true },
  "CpuDevice lets a program exit on its own, and needs no permissions",
  async () => {
    await withFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/main.ts`, exporting);
      const config = fileURLToPath(import.meta.resolve("../../../../deno.json"));
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-q", "--no-prompt", "--config", config, `${folder}/main.ts`],
        signal: AbortSignal.timeout(600_000),
      }).output();
      assert.deepEqual([success, new TextDecoder().decode(stderr)], [true, ""]);
      assert.equal(new TextDecoder().decode(stdout), "14.400 0\n");
    });
  },
);

testUnless(
  !granted("read") || !granted("env") ? "needs --allow-read --allow-env" : Deno.version.deno === builtWith // another version may deflate differently
    ? undefined
    : `built with Deno ${builtWith}, this is ${Deno.version.deno}`,
  "build_wasm.ts reproduces the committed kernels and signatures",
  async () => {
    const { builtModules } = await import("../../../../tools/build_wasm.ts");
    for (const [name, built] of Object.entries(await builtModules())) {
      const kept = await Deno.readTextFile(
        new URL(`../../../../kernels/devices/cpu/${name}`, import.meta.url),
      );
      assert.ok(built === kept, `${name} is not what assembly/ builds: run deno task build wasm`);
    }
  },
);

Deno.test("CpuDevice.read() lets finalizers run after large allocations, and otherwise does not wait", async () => {
  const device = await CpuDevice.open({ threads: 1 });
  await withDevice(device, async () => {
    const x = full([3], 1);
    const waits = async () => {
      let waits = true;
      const values = x.read().finally(() => waits = false);
      for (let i = 0; i < 100; i++) await undefined; // without a task in between
      const result = waits;
      assert.deepEqual(await values, Float32Array.of(1, 1, 1));
      return result;
    };
    assert.equal(await waits(), false);
    const step = record(() => scope(() => full([1 << 25], 1)));
    assert.equal(await waits(), true, "128 MiB more");
    for (let i = 0; i < 5; i++) {
      step.run();
      scope(() => void full([1 << 25], 1));
      assert.equal(await waits(), false, "freed or earlier memory does not count");
    }
  });
  device.close();
});

Deno.test("CpuDevice.workspaceBytes() is the scratch memory of a recorded step", async () => {
  const device = await CpuDevice.open({ threads: 1 });
  withDevice(device, () => {
    const x = full([4, 32, 28, 28], 1), w = full([32, 32, 3, 3], 1), bias = full([32], 0);
    const before = device.allocatedBytes;
    const { plan } = record(() => conv2d(x, w, bias, { padding: 1 }));
    const other = device.allocatedBytes - before - plan.bytes - plan.workspaceBytes;
    assert.ok(plan.workspaceBytes > 0);
    assert.ok(Math.abs(other) < 4096, `${other} bytes besides the list of calls, and rounding`);
  });
  device.close();
});
