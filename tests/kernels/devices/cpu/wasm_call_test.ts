import assert from "node:assert/strict";
import { CpuDevice } from "../../../../kernels/devices/cpu/cpu_device.ts";
import { kernelSignatures } from "../../../../kernels/devices/cpu/kernel_signatures.ts";
import { Layout } from "../../../../kernels/devices/cpu/memory_layout.ts";
import { SharedMemory } from "../../../../kernels/devices/cpu/shared_memory.ts";
import { type WasmCall, writeCall } from "../../../../kernels/devices/cpu/wasm_call.ts";
import { registry } from "../../../../kernels/op.ts";
import "../../../../kernels/mod.ts";

/** A call as its author may get it wrong. */
const call = (kernel: string, args: Record<string, number>) => ({ kernel, args }) as unknown as WasmCall;

Deno.test("writeCall() writes the opcode, no task, who runs it, and arguments in the kernel's order and types", () => {
  const memory = new SharedMemory(Layout.reserved);
  const at = memory.allocate(Layout.callBytes);
  memory.u32.fill(99, at / 4, (at + Layout.callBytes) / 4);
  const fill = { kernel: "fill", args: { value: 0.5, n: -1, y: 4096 } } as const;
  const opcode = Object.keys(kernelSignatures).indexOf("fill");
  for (const alone of [false, true]) {
    writeCall(memory, at, fill, alone);
    const words = [...memory.u32.subarray(at / 4, at / 4 + 7)];
    assert.deepEqual(words, [opcode, 0, Number(alone), 4096, 2 ** 32 - 1, 0x3f000000, 99]);
  }
  writeCall(memory, at, fill);
  assert.equal(memory.u32[(at + Layout.alone) / 4], 0);
});

Deno.test("writeCall() refuses an unknown kernel and arguments that are missing or no whole numbers", () => {
  const memory = new SharedMemory(Layout.reserved);
  const at = memory.allocate(Layout.callBytes);
  const write = (kernel: string, args: Record<string, number>) => () =>
    writeCall(memory, at, call(kernel, args));
  assert.throws(write("softplus", {}), {
    name: "TypeError",
    message: /^Cannot call WebAssembly kernel softplus: there is none of that name \(expected .*matmul/,
  });
  assert.throws(write("fill", { y: 0, value: 1 }), {
    name: "TypeError",
    message: "Cannot call WebAssembly kernel fill: n is undefined (expected y: usize, n: i32, value: f32)",
  });
  assert.throws(write("fill", { y: 0, n: 1.5, value: 1 }), { message: /n is 1.5/ });
});

Deno.test("CpuDevice.run() refuses more kernel calls than it has room for; a recorded step takes them", async () => {
  const device = await CpuDevice.open({ threads: 1 });
  const buffer = device.allocate(64);
  const { kernel } = registry.get("fill")!;
  const wasm = ({ y }: Readonly<Record<string, number>>) =>
    Array.from({ length: 9 }, (_, i) => call("fill", { y: y + 4 * i, n: 1, value: i }));
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
