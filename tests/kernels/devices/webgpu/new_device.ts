/** Devices that a test may break. */

import { type ChoiceStore, withDevice } from "../../../../kernels/mod.ts";
import { WebGpuDevice } from "../../../../kernels/devices/webgpu/webgpu_device.ts";
import { replacing } from "../../../replacing.ts";
import { testOnWebGpu } from "../../../testing.ts";
import { assertNoFaults, openChecked } from "./checked.ts";

/** A store that returns one candidate for every call. */
export const always = (candidate: string): ChoiceStore => ({ get: () => candidate, set() {} });

/** Runs a function on a new WebGPU device, with the kernels for software adapters or for GPUs, which may be checked. */
export async function onNewDevice<T>(
  run: (device: WebGpuDevice, own: GPUDevice) => Promise<T>,
  options: { software?: boolean; checked?: boolean } = {},
): Promise<T> {
  const { requestDevice } = GPUAdapter.prototype;
  let own!: GPUDevice;
  const open = async () => {
    using _ = replacing([GPUAdapter.prototype, {
      requestDevice: async function (this: GPUAdapter, given?: GPUDeviceDescriptor) {
        return own = await requestDevice.call(this, given);
      },
    }]);
    return await (options.checked ? openChecked(options.software) : WebGpuDevice.open(options));
  };
  const device = await open();
  try {
    const result = await withDevice(device, () => run(device, own));
    await assertNoFaults(device);
    return result;
  } finally {
    device.close();
  }
}

/** Defines a test on a new WebGPU device. */
export function testOnNewDevice(
  name: string,
  test: (device: WebGpuDevice, own: GPUDevice) => Promise<void>,
): void {
  testOnWebGpu(name, () => onNewDevice(test));
}

/** Until disposal, every new storage buffer larger than `bytes` fails as on a GPU: invalid, as a scope reports. */
export function withoutMemory(bytes: number): Disposable {
  const { createBuffer, popErrorScope, pushErrorScope } = GPUDevice.prototype;
  let hasFailed = false;
  return replacing([GPUDevice.prototype, {
    createBuffer(this: GPUDevice, given: GPUBufferDescriptor) {
      if (!(given.usage & GPUBufferUsage.STORAGE) || given.size <= bytes) {
        return createBuffer.call(this, given);
      }
      hasFailed = true;
      pushErrorScope.call(this, "validation");
      const invalid = createBuffer.call(this, { ...given, size: this.limits.maxBufferSize + 5 });
      popErrorScope.call(this);
      return invalid;
    },
    async popErrorScope(this: GPUDevice) {
      const failure = hasFailed ? new GPUOutOfMemoryError("Not enough memory left") : null;
      hasFailed = false;
      return await popErrorScope.call(this) ?? failure;
    },
  }]);
}
