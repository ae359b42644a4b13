import assert from "node:assert/strict";
import { CpuDevice } from "../../../../kernels/devices/cpu/cpu_device.ts";
import { fusesMultiplyAdd, loadKernels, ThreadTeam } from "../../../../kernels/devices/cpu/thread_team.ts";
import { Layout } from "../../../../kernels/devices/cpu/memory_layout.ts";
import { blockScratch } from "../../../../kernels/devices/cpu/product_blocks.ts";
import { SharedMemory } from "../../../../kernels/devices/cpu/shared_memory.ts";
import { type WasmCall, writeCall } from "../../../../kernels/devices/cpu/wasm_call.ts";
import { registry } from "../../../../kernels/op.ts";
import { plainGeometry } from "../../../../kernels/ops/conv2d/geometry.ts";
import { kernelSignatures } from "../../../../kernels/devices/cpu/kernel_signatures.ts";

import "../../../../kernels/mod.ts";

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

Deno.test("copyRows of empty rows does nothing", async () => {
  const { memory, team, lay } = await openTeam(1);
  const [from, to] = [1, 2].map(() => memory.allocate(64));
  const { program } = lay(
    [{ kernel: "copyRows", args: { from, to, rows: 3, bytes: 0, fromStep: 0, toStep: 8 } }],
    () => 0,
  );
  team.run(program, 1, false);
});

Deno.test("writeCall() writes opcode, next task 0, the single-thread flag, and arguments in the kernel's order and types", () => {
  const memory = new SharedMemory(Layout.blocks);
  const at = memory.allocate(Layout.callBytes);
  memory.u32.fill(99, at / 4, (at + Layout.callBytes) / 4);
  const fill = { kernel: "fill", args: { value: 0.5, n: -1, y: 4096 } } as const;
  const opcode = Object.keys(kernelSignatures).indexOf("fill");
  for (const alone of [false, true]) {
    writeCall(memory, at, fill, alone);
    const words = [...memory.u32.subarray(at / 4, at / 4 + 7)];
    assert.deepEqual(words, [opcode, 0, Number(alone), 4096, 2 ** 32 - 1, 0x3f000000, 99]);
  }
});

Deno.test("writeCall() refuses an unknown kernel, and missing or fractional arguments", () => {
  const memory = new SharedMemory(Layout.blocks);
  const at = memory.allocate(Layout.callBytes);
  const write = (kernel: string, args: Record<string, number>) => () =>
    writeCall(memory, at, { kernel, args } as unknown as WasmCall);
  assert.throws(write("softplus", {}), {
    name: "TypeError",
    message: /^Cannot call WebAssembly kernel softplus: there is no such kernel \(expected .*matmul/,
  });
  assert.throws(write("fill", { y: 0, value: 1 }), {
    name: "TypeError",
    message: "Cannot call WebAssembly kernel fill: n is undefined (expected y: usize, n: i32, value: f32)",
  });
  assert.throws(write("fill", { y: 0, n: 1.5, value: 1 }), { message: /n is 1.5/ });
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
