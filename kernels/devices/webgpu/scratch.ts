import type { KernelCall } from "../device.ts";
import { GpuBuffer } from "./buffer_pool.ts";

/**
 * A call on memory of its own, a buffer of zeros for each port, so that running it changes no value.
 *
 * @param others sizes in bytes of other buffers that must fit beside them
 * @returns undefined if there is not enough memory
 */
export async function onScratch(
  device: GPUDevice,
  call: KernelCall,
  others: readonly number[],
): Promise<{ call: KernelCall; free: () => void } | undefined> {
  const make = (size: number) =>
    new GpuBuffer(device.createBuffer({ size, usage: GPUBufferUsage.STORAGE }), size);
  device.pushErrorScope("out-of-memory");
  const ranges = call.ranges.map(({ length }) => ({
    buffer: make(Math.max(4 * length, 4)),
    offset: 0,
    length,
  }));
  const beside = others.map(make);
  for (const { handle } of beside) handle.destroy();
  const free = () => ranges.forEach(({ buffer }) => buffer.handle.destroy());
  if (await device.popErrorScope()) return void free();
  return { call: { ...call, ranges }, free };
}
