import type { BufferRange, Device, DeviceBuffer, KernelCall, NumberArray } from "./device.ts";

class CpuBuffer implements DeviceBuffer {
  readonly data: ArrayBuffer;
  constructor(readonly bytes: number) {
    this.data = new ArrayBuffer(bytes);
  }
}

function view({ buffer, offset, length }: BufferRange, type: "f32" | "u32"): NumberArray {
  const { data } = buffer as CpuBuffer;
  return type === "u32"
    ? new Uint32Array(data, offset * 4, length)
    : new Float32Array(data, offset * 4, length);
}

/** Runs every op's plain reference: needs no driver, correct everywhere, slow. */
export class CpuDevice implements Device {
  readonly kind = "cpu";
  readonly description = "plain references in JavaScript";
  readonly tuning = { workgroupSize: 1, software: true };
  readonly maxRangeBytes = 2 ** 32;
  readonly offsetAlignment = 1;
  #allocated = 0;

  get allocatedBytes(): number {
    return this.#allocated;
  }

  allocate(bytes: number): DeviceBuffer {
    this.#allocated += bytes;
    return new CpuBuffer(bytes);
  }

  release(buffer: DeviceBuffer): void {
    this.#allocated -= buffer.bytes;
  }

  write(range: BufferRange, data: Float32Array | Uint32Array): void {
    view(range, data instanceof Uint32Array ? "u32" : "f32").set(data);
  }

  read({ buffer, offset, length }: BufferRange): Promise<ArrayBuffer> {
    return Promise.resolve((buffer as CpuBuffer).data.slice(offset * 4, (offset + length) * 4));
  }

  run({ kernel, ranges, dims }: KernelCall): void {
    const arrays: Record<string, NumberArray> = {};
    kernel.ports.forEach((port, i) => arrays[port.name] = view(ranges[i], port.type));
    kernel.reference(arrays, dims);
  }

  prepare(calls: readonly KernelCall[]): () => void {
    return () => calls.forEach((call) => this.run(call));
  }

  finished(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}
}
