import { checkThreads, CpuDevice } from "../devices/cpu/cpu_device.ts";
import { type Device, DeviceError } from "../devices/device.ts";
import { WebGpuDevice } from "../devices/webgpu/webgpu_device.ts";

/** State that ops depend on: the device in use. */
export const context: { device: Device | undefined } = { device: undefined };

/** Device to use: `auto` means WebGPU if there is a GPU, else the CPU; `webgpu` also accepts a software adapter. */
export type DeviceChoice = "auto" | "webgpu" | "cpu";

/**
 * Opens a device and makes it the one in use. Importing this library opens none.
 *
 * @param device by default `auto`: WebGPU if there is a GPU, else the CPU
 * @param threads number of threads of the CPU device, at most 64; by default 0, one per core. Browsers allow only one,
 * except in workers of cross-origin isolated pages
 * @param fused whether the CPU device fuses multiply and add; by default if the engine can. Fused results differ in the
 * last bits; without fusing, all engines give the same results
 * @returns the device; `close()` frees it before the program ends
 *
 * ```ts
 * import { init } from "../mod.ts";
 *
 * const device = await init({ device: "cpu" });
 * console.log(device.kind);
 * ```
 */
export async function init(
  { device = "auto", ...options }: { device?: DeviceChoice; threads?: number; fused?: boolean } = {},
): Promise<Device> {
  checkThreads(options.threads ?? 0);
  context.device = await open(device, options);
  return context.device;
}

async function open(
  choice: DeviceChoice,
  options: { readonly threads?: number; readonly fused?: boolean },
): Promise<Device> {
  if (choice === "cpu") return CpuDevice.open(options);
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
    return await CpuDevice.open(options);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    throw new DeviceError(`${error.message}; WebGPU is not available either: ${none}`, {
      cause: error.cause,
    });
  }
}

/**
 * The device in use.
 *
 * @throws {DeviceError} before `init()`
 */
export function currentDevice(): Device {
  if (!context.device) {
    throw new DeviceError("There is no device yet: await init() before making the first tensor");
  }
  return context.device;
}

/**
 * Runs a function with another device in use. For an async function it stays in use until the promise settles; run
 * nothing else meanwhile.
 *
 * @returns what the function returns
 * @throws what the function throws, with the previous device in use again
 */
export function withDevice<T>(device: Device, run: () => T): T {
  const before = context.device;
  const restore = () => void (context.device = before);
  context.device = device;
  let result: T;
  try {
    result = run();
  } catch (error) {
    restore();
    throw error;
  }
  if (result instanceof Promise) return result.finally(restore) as T;
  restore();
  return result;
}
