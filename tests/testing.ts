import assert from "node:assert/strict";
import { type Device, DeviceError, init, withDevice } from "../kernels/mod.ts";
import { CpuDevice } from "../kernels/devices/cpu/cpu_device.ts";
import { WebGpuDevice } from "../kernels/devices/webgpu/webgpu_device.ts";

/** A device to test on, or the reason why there is none; on the processor of one thread, for files are tested at the same time. */
async function open(kind: "cpu" | "webgpu"): Promise<Device | string> {
  try {
    return await init({ device: kind, threads: 1 });
  } catch (error) {
    if (error instanceof DeviceError) return error.message;
    throw error;
  }
}

/** The devices of this machine, or why there is none. */
export const devices = new Map<"cpu" | "webgpu", Device | string>([
  ["cpu", await open("cpu")],
  ["webgpu", await open("webgpu")],
]);

/** The kernels that the adapter would not get: those for GPUs if it is software, else those for software adapters. */
const webgpu = devices.get("webgpu")!;
const otherKernels = typeof webgpu === "string"
  ? webgpu
  : await WebGpuDevice.open({ software: !webgpu.tuning.software });

/** The CPU kernels of engines that cannot fuse multiply and add. */
const plainCpu = await CpuDevice.open({ fused: false, threads: 1 });

/** Defines a test as `testOnDevices` does, which runs on the kernels for other adapters and engines than those at hand, too. */
export function testOnAllKernels(name: string, test: (device: Device) => void | Promise<void>): void {
  testOn("cpu", devices.get("cpu")!, name, test);
  testOnShaders(name, test);
}

/** Defines a test that runs on two devices: the processor, and the WebGPU one with the kernels for GPUs. */
export function testOnGpuKernels(name: string, test: (device: Device) => void | Promise<void>): void {
  testOn("cpu", devices.get("cpu")!, name, test);
  const isSoftware = typeof webgpu !== "string" && webgpu.tuning.software;
  testOn("webgpu, kernels for GPUs", isSoftware ? otherKernels : webgpu, name, test);
}

/** Defines a test of the CPU device, with multiply and add fused and without. */
export function testOnCpus(name: string, test: (device: Device) => void | Promise<void>): void {
  testOn("cpu", devices.get("cpu")!, name, test);
  testOn("cpu, without fused multiply-add", plainCpu, name, test);
}

/** Defines a test of WGSL, on the kernels for the adapter and on those for other ones. */
export function testOnShaders(name: string, test: (device: Device) => void | Promise<void>): void {
  testOn("webgpu", webgpu, name, test);
  testOn("webgpu, kernels for other adapters", otherKernels, name, test);
  testOn("cpu, without fused multiply-add", plainCpu, name, test);
}

/** Defines a test that runs on every device; without an adapter, the WebGPU one is reported as ignored with the reason. */
export function testOnDevices(name: string, test: (device: Device) => void | Promise<void>): void {
  for (const [kind, device] of devices) testOn(kind, device, name, test);
}

/** Defines a test of what no device changes, such as checks of arguments: on the CPU device alone. */
export function testOnCpu(name: string, test: (device: Device) => void | Promise<void>): void {
  testOn("cpu", devices.get("cpu")!, name, test);
}

/** Defines a test on one device, or reports it as ignored with the reason why there is none. */
export function testOn(
  kind: string,
  device: Device | string,
  name: string,
  test: (device: Device) => void | Promise<void>,
): void {
  if (typeof device === "string") {
    Deno.test({ name: `${name} [${kind}: ignored: ${device}]`, ignore: true, fn() {} });
  } else {
    Deno.test({ name: `${name} [${kind}]`, fn: () => withDevice(device, () => test(device)) });
  }
}

/** Largest absolute difference of two arrays. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length, "arrays of different lengths");
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference; // a NaN stays
  }
  return largest;
}

/** Asserts that two arrays are equal to `tolerance`, relative to the largest expected value if that is above 1. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = "values",
): void {
  let size = 1;
  for (let i = 0; i < expected.length; i++) size = Math.max(size, Math.abs(expected[i]));
  const difference = largestDifference(actual, expected);
  assert.ok(difference <= tolerance * size, `${what} differ by ${difference} (allowed: ${tolerance * size})`);
}
