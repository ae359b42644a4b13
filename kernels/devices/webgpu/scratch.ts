import type { KernelCall } from "../device.ts";
import { GpuBuffer } from "./buffer_pool.ts";

/**
 * A call on memory of its own, a buffer of zeros for each port, so that running it changes no value.
 *
 * @returns undefined if there is not enough memory
 */
export async function onScratch(
  device: GPUDevice,
  call: KernelCall,
): Promise<{ call: KernelCall; free: () => void } | undefined> {
  device.pushErrorScope("out-of-memory");
  const ranges = call.ranges.map(({ length }) => {
    const size = Math.max(4 * length, 4);
    const handle = device.createBuffer({ size, usage: GPUBufferUsage.STORAGE });
    return { buffer: new GpuBuffer(handle, size), offset: 0, length };
  });
  const free = () => ranges.forEach(({ buffer }) => buffer.handle.destroy());
  if (await device.popErrorScope()) return void free();
  return { call: { ...call, ranges }, free };
}
