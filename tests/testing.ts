import assert from "node:assert/strict";
import { type Device, DeviceError, init, withDevice } from "../kernels/mod.ts";
import { CpuDevice } from "../kernels/devices/cpu/cpu_device.ts";
import { WebGpuDevice } from "../kernels/devices/webgpu/webgpu_device.ts";

/** A device to test on, or why there is none. The CPU has one thread, since files are tested in parallel. */
async function open(kind: "cpu" | "webgpu"): Promise<Device | string> {
  try {
    return await init({ device: kind, threads: 1 });
  } catch (error) {
    if (error instanceof DeviceError) return error.message;
    throw error;
  }
}

/** The devices of this machine, or the reason why there is none. */
export const devices = new Map<"cpu" | "webgpu", Device | string>([
  ["cpu", await open("cpu")],
  ["webgpu", await open("webgpu")],
]);

/** A device with the other set of kernels: for GPUs if the adapter is software, else for software adapters. */
const webgpu = devices.get("webgpu")!;
const otherKernels = typeof webgpu === "string"
  ? webgpu
  : once(() => WebGpuDevice.open({ software: !webgpu.tuning.software }));

/** The CPU device with the kernels for engines without fused multiply-add, and with wide blocks. */
const plainCpu = once(() => CpuDevice.open({ fused: false, wide: true, threads: 1 }));

/** Opens a device when the first test needs it. */
function once(open: () => Promise<Device>): () => Promise<Device> {
  let device: Promise<Device> | undefined;
  return () => device ??= open();
}

/** Defines a test like `testOnDevices` that also runs with the kernels for other adapters and engines. */
export function testOnAllKernels(name: string, test: (device: Device) => void | Promise<void>): void {
  testOn("cpu", devices.get("cpu")!, name, test);
  testOnShaders(name, test);
}

/** Defines a test on two devices: the CPU, and WebGPU with the kernels for GPUs. */
export function testOnGpuKernels(name: string, test: (device: Device) => void | Promise<void>): void {
  testOn("cpu", devices.get("cpu")!, name, test);
  const isSoftware = typeof webgpu !== "string" && webgpu.tuning.software;
  testOn("webgpu, kernels for GPUs", isSoftware ? otherKernels : webgpu, name, test);
}

/** Defines a test of the CPU device, with and without fused multiply-add. */
export function testOnCpus(name: string, test: (device: Device) => void | Promise<void>): void {
  testOn("cpu", devices.get("cpu")!, name, test);
  testOn("cpu, without fused multiply-add", plainCpu, name, test);
}

/** Defines a test of WGSL, with the kernels for this adapter and with those for others. */
export function testOnShaders(name: string, test: (device: Device) => void | Promise<void>): void {
  testOn("webgpu", webgpu, name, test);
  testOn("webgpu, kernels for other adapters", otherKernels, name, test);
  testOn("cpu, without fused multiply-add", plainCpu, name, test);
}

/** Defines a test that runs on every device; without an adapter, the WebGPU test is ignored with the reason. */
export function testOnDevices(name: string, test: (device: Device) => void | Promise<void>): void {
  for (const [kind, device] of devices) testOn(kind, device, name, test);
}

/** Defines a test only on the CPU device, for behaviour that is the same on all devices, such as argument checks. */
export function testOnCpu(name: string, test: (device: Device) => void | Promise<void>): void {
  testOn("cpu", devices.get("cpu")!, name, test);
}

/** Defines a test on one device, ignored with the reason if there is none. */
export function testOn(
  kind: string,
  device: Device | string | (() => Promise<Device>),
  name: string,
  test: (device: Device) => void | Promise<void>,
): void {
  if (typeof device === "string") {
    Deno.test({ name: `${name} [${kind}: ignored: ${device}]`, ignore: true, fn() {} });
  } else {
    const fn = async () => {
      const opened = typeof device === "function" ? await device() : device;
      await withDevice(opened, () => test(opened));
    };
    Deno.test({ name: `${name} [${kind}]`, fn });
  }
}

/** Largest absolute difference of two arrays. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length, "arrays of different lengths");
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference; // keeps a NaN
  }
  return largest;
}

/** Asserts that two arrays are equal up to `tolerance`, relative to the largest expected value if that is above 1. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = "values",
): void {
  let size = 1;
  for (let i = 0; i < expected.length; i++) size = Math.max(size, Math.abs(expected[i]));
  const difference = largestDifference(actual, expected), allowed = tolerance * size;
  if (difference <= allowed) return;
  const differ = Array.from(expected, (_, i) => i).filter((i) =>
    !(Math.abs(actual[i] - expected[i]) <= allowed)
  );
  const [first] = differ, count = `${differ.length} of ${expected.length}`;
  assert.fail(
    `${what} differ by ${difference} (allowed: ${allowed}): number ${first} is ${actual[first]}, ` +
      `not ${expected[first]}; ${count} differ`,
  );
}
