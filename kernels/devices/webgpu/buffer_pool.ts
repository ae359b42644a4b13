import type { DeviceBuffer } from "../device.ts";

let nextId = 0;

/** A GPU buffer of the pool, with an id for cache keys. */
export class GpuBuffer implements DeviceBuffer {
  readonly id = nextId++;
  constructor(readonly handle: GPUBuffer, readonly bytes: number) {}
}

/** Rounds a size up to one of eight steps per octave, so that similar sizes share buffers. */
function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** (Math.ceil(Math.log2(bytes)) - 4);
  return Math.ceil(bytes / Math.max(step, 256)) * Math.max(step, 256);
}

/** Storage buffers that are reused. */
export class BufferPool {
  #free = new Map<number, GpuBuffer[]>();
  #bytes = 0;

  constructor(readonly device: GPUDevice) {}

  /** Bytes of all buffers ever made: they live as long as the device. */
  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): GpuBuffer {
    const size = Math.min(sizeClass(bytes), Math.max(this.device.limits.maxBufferSize & ~3, bytes));
    const buffer = this.#free.get(size)?.pop();
    if (buffer) return buffer;
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    this.#bytes += size;
    return new GpuBuffer(this.device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST }), size);
  }

  give(buffer: GpuBuffer): void {
    const free = this.#free.get(buffer.bytes);
    if (free) free.push(buffer);
    else this.#free.set(buffer.bytes, [buffer]);
  }
}
