import assert from "node:assert/strict";
import { type Device, withDevice } from "../kernels/mod.ts";
import { CpuDevice } from "../kernels/devices/cpu/cpu_device.ts";
import { WebGpuDevice } from "../kernels/devices/webgpu/webgpu_device.ts";
import { assertNoFaults, openChecked } from "./kernels/devices/webgpu/checked.ts";
import { testUnless } from "./permissions.ts";

/** Why there is no WebGPU here, if so. */
export const noAdapter = await navigator.gpu?.requestAdapter() ? undefined : "no WebGPU adapter";

/** Opens a device when a test first needs it. */
function once<D extends Device>(open: () => Promise<D>): () => Promise<D> {
  let device: Promise<D> | undefined;
  return () => device ??= open();
}

const cpu = once(() => CpuDevice.open({ threads: 1 })); // since files are tested in parallel
const webgpu = once(() => WebGpuDevice.open());
const isSoftware = async () => (await webgpu()).tuning.software;
const otherKernels = once(async () => openChecked(!await isSoftware()));

/** Devices by the names that tests have in brackets. */
export const devices = {
  cpu,
  /** With the kernels for engines without it, and with wide blocks. */
  "cpu, without fused multiply-add": once(() => CpuDevice.open({ fused: false, wide: true, threads: 1 })),
  webgpu,
  "webgpu, checked": once(async () => openChecked(await isSoftware())),
  /** With the kernels for GPUs if the adapter is software, else with those for software adapters, checked. */
  "webgpu, kernels for other adapters": otherKernels,
  "webgpu, kernels for GPUs": async () => await isSoftware() ? await otherKernels() : await webgpu(),
  /** With every possible convolution by Winograd's transforms, whether it is faster or not. */
  "webgpu, winograd, kernels for software": once(() => byTransforms(true)),
  "webgpu, winograd, kernels for GPUs": once(() => byTransforms(false)),
};

const byTransforms = (software: boolean) => WebGpuDevice.open({ software, candidate: "winograd" });

/** A function that defines a test on each of some devices; those of WebGPU are ignored if there is no adapter. */
function testOn(...kinds: (keyof typeof devices)[]) {
  return (name: string, test: (device: Device) => void | Promise<void>): void => {
    for (const kind of kinds) {
      testUnless(kind.startsWith("webgpu") ? noAdapter : undefined, `${name} [${kind}]`, async () => {
        const device: Device = await devices[kind]();
        await withDevice(device, () => test(device));
        await assertNoFaults(device);
      });
    }
  };
}

/** Defines a test only on the CPU device, for behaviour that is the same on all devices, such as argument checks. */
export const testOnCpu = testOn("cpu");
export const testOnWebGpu = testOn("webgpu");
export const testOnDevices = testOn("cpu", "webgpu");
export const testOnCpus = testOn("cpu", "cpu, without fused multiply-add");
export const testOnGpuKernels = testOn("cpu", "webgpu, kernels for GPUs");
/** Defines a test of convolutions by Winograd's transforms. */
export const testByTransforms = testOn(
  "webgpu, winograd, kernels for software",
  "webgpu, winograd, kernels for GPUs",
);
/** Defines a test of kernels, with those for this adapter, for others and for engines without multiply-add. */
export const testOnShaders = testOn(
  "webgpu",
  "webgpu, kernels for other adapters",
  "cpu, without fused multiply-add",
);

/** Defines a test like `testOnShaders` that also runs on the usual CPU device. */
export function testOnAllKernels(name: string, test: (device: Device) => void | Promise<void>): void {
  testOnCpu(name, test);
  testOnShaders(name, test);
}

/** Defines a test of each op's kernels, checked for accesses outside of buffers and in another order of invocations. */
export const testOnCheckedKernels = testOn(
  ...[
    "cpu",
    "cpu, without fused multiply-add",
    "webgpu, checked",
    "webgpu, kernels for other adapters",
  ] as const,
);

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
