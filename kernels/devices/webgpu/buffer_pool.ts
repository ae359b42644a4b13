import { type DeviceBuffer, DeviceError, type KernelCall } from "../device.ts";

let nextId = 0;

/** A GPU buffer of the pool, with an id for cache keys. */
export class GpuBuffer implements DeviceBuffer {
  readonly id = nextId++;
  /** Why there is no memory behind it; see `BufferPool.open`. */
  failure: DeviceError | undefined;

  constructor(readonly handle: GPUBuffer, readonly bytes: number) {}
}

/** Rounds a size up to one of eight steps per octave, so that similar sizes share buffers; a large one to 32 steps. */
function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** (Math.ceil(Math.log2(bytes)) - (bytes < largeBytes ? 4 : 6));
  return Math.ceil(bytes / Math.max(step, 256)) * Math.max(step, 256);
}

/** Failing to create a buffer of at least this size leaves the device usable. */
const largeBytes = 1 << 24;

/** A pool of reusable storage buffers. */
export class BufferPool {
  #free = new Map<number, GpuBuffer[]>();
  #bytes = 0;
  #open: Promise<void> | undefined;
  #hasFailed = false;

  constructor(readonly device: GPUDevice) {}

  /** Bytes of all buffers, including returned ones that wait for the next use. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Settles when the device has reported on all new large buffers; undefined if it has. Work may use them before. */
  get open(): Promise<void> | undefined {
    return this.#open;
  }

  /** Whether any buffer has a `failure`. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  take(bytes: number): GpuBuffer {
    const { maxBufferSize } = this.device.limits; // may exceed 32 bits
    const size = Math.min(sizeClass(bytes), Math.max(maxBufferSize - maxBufferSize % 4, bytes));
    const free = this.#free.get(size) ?? [];
    for (let buffer = free.pop(); buffer; buffer = free.pop()) if (!buffer.failure) return buffer;
    this.#bytes += size;
    if (size < largeBytes) return this.#create(size);
    this.device.pushErrorScope("out-of-memory");
    const buffer = this.#create(size);
    const report = this.device.popErrorScope().catch(() => null); // rejected if the device is lost
    const open = Promise.all([report, this.#open]).then(([error]) => {
      if (this.#open === open) this.#open = undefined;
      if (!error) return;
      this.#hasFailed = true;
      this.#bytes -= size;
      buffer.failure = new DeviceError(
        `Cannot allocate ${bytes} bytes: the device is out of memory; use a smaller batch or network`,
      );
    });
    this.#open = open;
    return buffer;
  }

  #create(size: number): GpuBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    return new GpuBuffer(this.device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST }), size);
  }

  /** Frees a buffer that no work refers to any more, except submitted work. */
  destroy(buffer: GpuBuffer): void {
    buffer.handle.destroy();
    this.#bytes -= buffer.failure ? 0 : buffer.bytes;
  }

  give(buffer: GpuBuffer): void {
    const free = this.#free.get(buffer.bytes);
    if (free) free.push(buffer);
    else this.#free.set(buffer.bytes, [buffer]);
  }
}

/** Why a buffer of the calls has no memory, if one has none. */
export function memoryFailure(calls: readonly KernelCall[]): DeviceError | undefined {
  for (const { ranges } of calls) {
    for (const { buffer } of ranges) {
      const { failure } = buffer as GpuBuffer;
      if (failure) return failure;
    }
  }
}
