import type { DeviceBuffer } from "../device.ts";
import type { Health } from "./health.ts";

let nextId = 0;

/** A GPU buffer of the pool, with an id for cache keys. */
export class GpuBuffer implements DeviceBuffer {
  readonly id = nextId++;

  constructor(readonly handle: GPUBuffer, readonly bytes: number) {}
}

/** Rounds a size up to one of eight steps per octave, so that similar sizes share buffers; a large one to 32 steps. */
function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** (Math.ceil(Math.log2(bytes)) - (bytes < largeBytes ? 4 : 6));
  return Math.ceil(bytes / Math.max(step, 256)) * Math.max(step, 256);
}

/** The device is asked whether it has the memory for a buffer of at least this size. */
const largeBytes = 1 << 24;

/** Unused bytes that are always kept, and the share of the bytes that were in use lately. */
const [keptBytes, keptShare] = [1 << 26, 1.5];
/** How fast bytes in use are forgotten, at every use of a buffer: by half after 45,000. */
const forgetting = 1 - 2 ** -16;

/** A pool of reusable storage buffers. It gives back those that have not been used for a while. */
export class BufferPool {
  /** Unused buffers by size, and all of them; those that have waited longest come first. */
  readonly #free = new Map<number, GpuBuffer[]>();
  readonly #unused = new Set<GpuBuffer>();
  #bytes = 0;
  #unusedBytes = 0;
  /** Most bytes in use lately. */
  #needed = 0;

  /** @param submit submits all commands, which may refer to a buffer that is destroyed next */
  constructor(
    readonly device: GPUDevice,
    readonly health: Pick<Health, "fail">,
    readonly submit: () => void,
  ) {}

  /** Bytes of all buffers, including returned ones that wait for the next use. */
  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): GpuBuffer {
    const { maxBufferSize } = this.device.limits; // may exceed 32 bits
    const size = Math.min(sizeClass(bytes), Math.max(maxBufferSize - maxBufferSize % 4, bytes));
    const buffer = this.#free.get(size)?.at(-1);
    if (buffer) this.#remove(buffer);
    else this.#bytes += size;
    this.#needed = Math.max(this.#needed * forgetting, this.#bytes - this.#unusedBytes);
    this.#giveBack(Math.max(keptBytes, keptShare * this.#needed));
    return buffer ?? (size < largeBytes ? this.#create(size) : this.#createLarge(size, bytes));
  }

  /** Creates a buffer; without memory for it, the device fails. */
  #createLarge(size: number, bytes: number): GpuBuffer {
    this.device.pushErrorScope("out-of-memory");
    const buffer = this.#create(size);
    this.device.popErrorScope().then((error) => {
      if (!error) return;
      this.#giveBack(0);
      this.health.fail(
        `Cannot allocate ${bytes} bytes: the device is out of memory; use a smaller batch or network`,
      );
    }, () => {}); // rejected if the device is lost
    return buffer;
  }

  #create(size: number): GpuBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    return new GpuBuffer(this.device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST }), size);
  }

  /** Destroys unused buffers until at most `most` bytes are left, first those that have waited longest. */
  #giveBack(most: number): void {
    for (const buffer of this.#unused) {
      if (this.#unusedBytes <= most) return;
      this.#remove(buffer);
      this.destroy(buffer);
    }
  }

  /** Takes a buffer from the unused ones. */
  #remove(buffer: GpuBuffer): void {
    const free = this.#free.get(buffer.bytes)!;
    free.splice(free.lastIndexOf(buffer), 1);
    this.#unused.delete(buffer);
    this.#unusedBytes -= buffer.bytes;
  }

  /** Frees a buffer that nothing will refer to any more. */
  destroy(buffer: GpuBuffer): void {
    this.submit();
    buffer.handle.destroy();
    this.#bytes -= buffer.bytes;
  }

  give(buffer: GpuBuffer): void {
    const free = this.#free.get(buffer.bytes);
    if (free) free.push(buffer);
    else this.#free.set(buffer.bytes, [buffer]);
    this.#unused.add(buffer);
    this.#unusedBytes += buffer.bytes;
  }
}
