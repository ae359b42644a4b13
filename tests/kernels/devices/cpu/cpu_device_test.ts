import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { CpuDevice } from "../../../../kernels/devices/cpu/cpu_device.ts";
import { Layout } from "../../../../kernels/devices/cpu/memory_layout.ts";
import { fusesMultiplyAdd, loadKernels, ThreadTeam } from "../../../../kernels/devices/cpu/thread_team.ts";
import { blockScratch } from "../../../../kernels/devices/cpu/product_blocks.ts";
import { kernelSignatures } from "../../../../kernels/devices/cpu/kernel_signatures.ts";
import { SharedMemory } from "../../../../kernels/devices/cpu/shared_memory.ts";
import { conv2d, full, record, scope, withDevice } from "../../../../kernels/mod.ts";
import { builtWith } from "../../../../tools/bundle.ts";
import { withFolder } from "../../../folder.ts";
import { granted, testNeeding, testUnless } from "../../../permissions.ts";
import { testOnCpu } from "../../../testing.ts";
import { hiddenOp } from "../../oracle.ts";
import { type WasmCall, writeCall } from "../../../../kernels/devices/cpu/wasm_call.ts";
import { registry } from "../../../../kernels/op.ts";
import { plainGeometry } from "../../../../kernels/ops/conv2d/geometry.ts";
import "../../../../kernels/mod.ts";

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

testNeeding(
  { run: true },
  "CpuDevice measures the width of vectors in a program of small ops, too",
  async () => {
    const module = (path: string) => JSON.stringify(import.meta.resolve(`../../../../${path}`));
    const program = `
    import { full, init, matmul, record } from ${module("mod.ts")};
    import { vectorWidth } from ${module("kernels/devices/cpu/product_blocks.ts")};
    await init({ device: "cpu" });
    const step = record(() => matmul(full([8, 8], 1), full([8, 8], 1)));
    for (const start = performance.now(); performance.now() - start < 60_000 && !vectorWidth().isSettled;) step.run();
    console.log(vectorWidth().isSettled);
  `;
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", program] }).output();
    assert.equal(new TextDecoder().decode(stdout), "true\n");
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

/** Written after a workspace, to detect writes beyond it. */
const canary = 0x5ca1ab1e;
const canaryWords = 1024;

/** Memory, threads and calls, as the CPU device sets them up. */
async function openTeam(threads: number) {
  const memory = new SharedMemory(blockScratch(threads));
  const team = new ThreadTeam(await loadKernels(fusesMultiplyAdd()), memory, threads);
  return {
    memory,
    team,
    /** Writes calls to new memory, with a workspace of the given size before the canary. */
    lay(calls: readonly WasmCall[], bytesOf: (needed: number) => number) {
      const program = memory.allocate(calls.length * Layout.callBytes);
      calls.forEach((call, i) => writeCall(memory, program + i * Layout.callBytes, call));
      const needed = team.workspaceBytes(program, calls.length), bytes = bytesOf(needed);
      const workspace = memory.allocate(needed + 4 * canaryWords);
      memory.u32[Layout.workspace / 4] = workspace;
      memory.u32[Layout.workspaceBytes / 4] = bytes;
      const guarded = () =>
        memory.u32.subarray((workspace + bytes) / 4, (workspace + bytes) / 4 + canaryWords);
      guarded().fill(canary);
      return { program, needed, isIntact: () => guarded().every((word) => word === canary) };
    },
  };
}

for (const { name, kernel, inputs, plan, samples } of registry.values()) {
  if (!kernel.wasm) continue;
  Deno.test(`${name}() does not write past its buffers, or the workspace that its kernels request`, async () => {
    const { memory, team, lay } = await openTeam(1);
    for (const { shapes, attributes = {} } of samples) {
      const { dims, outputs } = plan(inputs.map((input) => shapes[input.name]), attributes);
      const all = [...inputs.map((input) => shapes[input.name]), ...outputs];
      const sizes = all.map((shape) => shape.reduce((size, length) => size * length, 4));
      const addresses = Object.fromEntries(
        kernel.ports.map((port, i) => {
          const address = memory.allocate(sizes[i] + 64);
          memory.u32.fill(0, address / 4, (address + sizes[i]) / 4);
          memory.u32.fill(canary, (address + sizes[i]) / 4, (address + sizes[i]) / 4 + 16);
          return [port.name, address];
        }),
      );
      const calls = kernel.wasm?.(addresses, dims);
      if (!calls) continue;
      const { program, isIntact } = lay(calls, (needed) => needed);
      team.run(program, calls.length, false);
      assert.ok(isIntact(), JSON.stringify(shapes));
      Object.values(addresses).forEach((address, i) => {
        const after = memory.u32.subarray((address + sizes[i]) / 4, (address + sizes[i]) / 4 + 16);
        assert.ok(after.every((word) => word === canary), `${JSON.stringify(shapes)}, buffer ${i}`);
      });
    }
  });
}

Deno.test("ThreadTeam.run() names the kernel and sizes if the workspace is too small, and writes nothing", async () => {
  const { memory, team, lay } = await openTeam(1);
  const call: WasmCall = { kernel: "sumParts", args: { y: memory.allocate(64), groups: 1, parts: 4, n: 16 } };
  const { program, needed, isIntact } = lay([call], (needed) => needed - 4);
  assert.throws(() => team.run(program, 1, false), {
    name: "DeviceError",
    message:
      `A kernel of the CPU device failed: sumParts needs ${needed} bytes of workspace, but has ${
        needed - 4
      }; ` +
      "restart, or open a new device with init()",
  });
  assert.ok(isIntact());
});

Deno.test("CpuDevice.run() names an op whose workspace exceeds the memory, and keeps working", async () => {
  const device = await CpuDevice.open({ threads: 1 });
  const { kernel } = registry.get("conv2d")!;
  const buffer = device.allocate(4096);
  const ranges = kernel.ports.map(() => ({ buffer, offset: 0, length: 1 }));
  const dims = {
    N: 1,
    C: 1,
    H: 1,
    W: 1,
    K: 1,
    P: 1,
    Q: 1,
    B: 1,
    D: 1,
    R: 3,
    S: 3,
    ...plainGeometry(1),
    transposed: 0,
  };
  const call = { kernel, ranges, dims };
  const step = device.prepare([call]);
  assert.throws(() => device.run({ ...call, dims: { ...dims, C: 2 ** 14, K: 2 ** 14 } }), {
    name: "DeviceError",
    message:
      /^Cannot run conv2d: it needs \d{11} bytes of workspace; Cannot allocate \d+ MiB: the CPU device holds/,
  });
  step(); // its workspace still exists
  device.close();
});

Deno.test("writeCall() writes opcode, the single-thread flag, and arguments in the kernel's order and types", () => {
  const memory = new SharedMemory(Layout.blocks);
  const at = memory.allocate(Layout.callBytes);
  memory.u32.fill(99, at / 4, (at + Layout.callBytes) / 4);
  const fill = { kernel: "fill", args: { value: 0.5, n: -1, y: 4096 } } as const;
  const opcode = Object.keys(kernelSignatures).indexOf("fill");
  for (const alone of [false, true]) {
    writeCall(memory, at, fill, alone);
    const words = [...memory.u32.subarray(at / 4, at / 4 + 6)];
    assert.deepEqual(words, [opcode, Number(alone), 4096, 2 ** 32 - 1, 0x3f000000, 99]);
  }
});

Deno.test("CpuDevice.run() refuses more kernel calls than fit; a recorded step accepts them", async () => {
  const device = await CpuDevice.open({ threads: 1 });
  const buffer = device.allocate(64);
  const { kernel } = registry.get("fill")!;
  const wasm = ({ y }: Readonly<Record<string, number>>) =>
    Array.from(
      { length: 9 },
      (_, i): WasmCall => ({ kernel: "fill", args: { y: y + 4 * i, n: 1, value: i } }),
    );
  const op = { kernel: { ...kernel, wasm }, ranges: [{ buffer, offset: 0, length: 9 }], dims: {} };
  assert.throws(() => device.run(op), {
    name: "DeviceError",
    message: "Cannot run fill: it is 9 kernel calls (expected at most 8, or a recorded step)",
  });
  device.prepare([op])();
  const values = new Float32Array(await device.read({ buffer, offset: 0, length: 9 }));
  assert.deepEqual([...values], [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  device.close();
});
