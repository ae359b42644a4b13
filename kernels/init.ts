import { context } from "./core/context.ts";
import { checkThreads, CpuDevice } from "./devices/cpu/cpu_device.ts";
import { type Device, DeviceError } from "./devices/device.ts";
import { WebGpuDevice } from "./devices/webgpu/webgpu_device.ts";

/**
 * Which device to use: `auto` takes WebGPU where there is a GPU, else the CPU; `webgpu` takes a software adapter too.
 */
export type DeviceChoice = "auto" | "webgpu" | "cpu";

/**
 * Opens a device and makes it the one in use. Importing this library touches none.
 *
 * @param device which one, by default `auto`: WebGPU where there is a GPU, else the CPU
 * @param threads of the CPU device, at most 64; by default 0, one per core. In a browser it has one, except in workers
 * of pages that are cross-origin isolated
 * @returns the device; `close()` frees it before the program ends
 * @throws {DeviceError} if the requested device is not available, with `auto` if none is, or `threads` is out of range
 * @throws {TypeError} if there is no such choice
 *
 * ```ts
 * import { init } from "./mod.ts";
 *
 * const device = await init({ device: "cpu" });
 * console.log(device.kind);
 * ```
 */
export async function init(
  { device = "auto", threads = 0 }: { device?: DeviceChoice; threads?: number } = {},
): Promise<Device> {
  checkThreads(threads);
  context.device = await open(device, threads);
  return context.device;
}

async function open(choice: DeviceChoice, threads: number): Promise<Device> {
  if (choice === "cpu") return CpuDevice.open({ threads });
  if (choice === "webgpu") return WebGpuDevice.open();
  if (choice !== "auto") throw new TypeError(`Unknown device "${choice}" (expected auto, webgpu or cpu)`);
  let none = "the WebGPU adapter is software";
  try {
    const webgpu = await WebGpuDevice.open();
    if (!webgpu.tuning.software) return webgpu;
    webgpu.close(); // it runs on the same cores, five times slower
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    none = error.message;
  }
  try {
    return await CpuDevice.open({ threads });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    throw new DeviceError(`${error.message}; nor is there a GPU: ${none}`, { cause: error.cause });
  }
}
