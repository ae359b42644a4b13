import { type Device, DeviceError } from "../kernels/mod.ts";
import { WebGpuDevice } from "../kernels/devices/webgpu/webgpu_device.ts";
import { testOn } from "./testing.ts";

/** A device that runs every possible convolution by Winograd's transforms, whether it is faster or not. */
async function open(software: boolean): Promise<Device | string> {
  try {
    return await WebGpuDevice.open({ software, candidate: "winograd" });
  } catch (error) {
    if (error instanceof DeviceError) return error.message;
    throw error;
  }
}

const devices = { software: await open(true), "GPUs": await open(false) };

/** Defines a test of convolutions by Winograd's transforms, with kernels for GPUs and for software adapters. */
export function testByTransforms(name: string, test: (device: Device) => void | Promise<void>): void {
  for (const [family, device] of Object.entries(devices)) {
    testOn(`webgpu, winograd, kernels for ${family}`, device, name, test);
  }
}
