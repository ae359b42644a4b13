import { type ChoiceKey, type ChoiceStore, withDevice } from "../../../../kernels/mod.ts";
import { WebGpuDevice } from "../../../../kernels/devices/webgpu/webgpu_device.ts";
import { testOnWebGpu } from "../../../testing.ts";

export { testOnWebGpu };

/** Keeps choices in memory and counts those stored. */
export class MemoryStore implements ChoiceStore {
  readonly kept = new Map<string, string>();
  readonly asked: ChoiceKey[] = [];

  get(key: ChoiceKey): string | undefined {
    this.asked.push(key);
    return this.kept.get(JSON.stringify(key));
  }

  set(key: ChoiceKey, candidate: string): void {
    this.kept.set(JSON.stringify(key), candidate);
  }
}

/** A store that returns one candidate for every call. */
export const always = (candidate: string): ChoiceStore => ({ get: () => candidate, set() {} });

/** Runs a function on a new WebGPU device, with the kernels for software adapters or for GPUs. */
export async function onNewDevice<T>(
  run: (device: WebGpuDevice) => Promise<T>,
  options: { software?: boolean } = {},
): Promise<T> {
  const device = await WebGpuDevice.open(options);
  try {
    return await withDevice(device, () => run(device));
  } finally {
    device.close();
  }
}

/** Defines a test on a new WebGPU device, which it may break. */
export function testOnNewDevice(name: string, test: (device: WebGpuDevice) => Promise<void>): void {
  testOnWebGpu(name, () => onNewDevice(test));
}
