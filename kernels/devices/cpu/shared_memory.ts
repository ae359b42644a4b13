import { DeviceError } from "../device.ts";
import { Layout } from "./memory_layout.ts";

const pageBytes = 65536;
const alignment = 64;
/** Kernels load whole vectors, up to a few bytes beyond an array, so the end of the memory stays free. */
const slackBytes = 256;
/** Growth in bytes after which finalizers should run. */
const growthBytes = 1 << 26;

/** Memory shared by the kernels and all their threads, with its allocator. */
export class SharedMemory {
  /** Limit of the memory's size. */
  static readonly maxBytes: number = 2 ** 32;
  readonly memory: WebAssembly.Memory;
  /** Free parts sorted by address; neighbours are merged. */
  readonly #free: { address: number; bytes: number }[] = [];
  #top: number;
  #held = 0;
  #heldBefore = 0;
  #f32: Float32Array;
  #u32: Uint32Array;

  /** @param reserved bytes at the start that are never allocated */
  constructor(reserved: number) {
    this.memory = new WebAssembly.Memory({
      initial: Math.ceil((reserved + slackBytes) / pageBytes),
      maximum: SharedMemory.maxBytes / pageBytes,
      shared: true,
    });
    this.#top = Math.ceil(reserved / alignment) * alignment;
    this.#f32 = new Float32Array(this.memory.buffer);
    this.#u32 = new Uint32Array(this.memory.buffer);
  }

  /** Allocated bytes. */
  get held(): number {
    return this.#held;
  }

  /** All memory as numbers; valid until the next `allocate`. */
  get f32(): Float32Array {
    return this.#f32;
  }

  get u32(): Uint32Array {
    return this.#u32;
  }

  /**
   * Allocates memory with arbitrary content: the smallest free part that is large enough, else new memory.
   *
   * @throws {DeviceError} if the memory cannot grow that far
   */
  allocate(bytes: number): number {
    const size = Math.ceil(bytes / alignment) * alignment;
    let best = -1;
    this.#free.forEach((part, i) => {
      if (part.bytes >= size && (best < 0 || part.bytes < this.#free[best].bytes)) best = i;
    });
    this.#held += size;
    if (best >= 0) {
      const part = this.#free[best];
      const { address } = part;
      if (part.bytes === size) this.#free.splice(best, 1);
      else {
        part.address += size;
        part.bytes -= size;
      }
      return address;
    }
    const address = this.#top;
    this.#reach(address + size);
    this.#top += size;
    return address;
  }

  /** Frees memory, and merges it with free neighbours. */
  release(address: number, bytes: number): void {
    const size = Math.ceil(bytes / alignment) * alignment;
    this.#held -= size;
    let at = this.#free.findIndex((part) => part.address > address);
    if (at < 0) at = this.#free.length;
    this.#free.splice(at, 0, { address, bytes: size });
    const joins = (i: number) =>
      i >= 0 && i + 1 < this.#free.length &&
      this.#free[i].address + this.#free[i].bytes === this.#free[i + 1].address;
    for (const i of [at, at - 1]) {
      if (joins(i)) this.#free[i].bytes += this.#free.splice(i + 1, 1)[0].bytes;
    }
  }

  /** Whether allocation has grown by `growthBytes` since the last call that returned true or saw less. */
  hasGrown(): boolean {
    const grown = this.#held - this.#heldBefore > growthBytes;
    if (grown || this.#held < this.#heldBefore) this.#heldBefore = this.#held;
    return grown;
  }

  #reach(end: number): void {
    const missing = Math.ceil((end + slackBytes - this.memory.buffer.byteLength) / pageBytes);
    if (missing <= 0) return;
    try {
      this.memory.grow(missing);
    } catch (cause) {
      this.#held -= end - this.#top;
      const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
      throw new DeviceError(
        `Cannot allocate ${mebibytes(end - this.#top)}: the CPU device holds ${
          mebibytes(this.#held)
        } already ` +
          "(expected at most 4 GiB in total); use a smaller batch or network, or free the values of a loop with scope()",
        { cause },
      );
    }
    this.#f32 = new Float32Array(this.memory.buffer);
    this.#u32 = new Uint32Array(this.memory.buffer);
  }
}

/** Scratch memory shared by all kernels; kernels read its address at every call. */
export class CpuWorkspace {
  #address = 0;
  #bytes = 0;

  constructor(readonly memory: SharedMemory) {}

  /** Grows it to `needed` bytes. @throws {DeviceError} if there is no memory left; its size is then unchanged */
  reserve(needed: number): void {
    const bytes = this.#bytes;
    if (needed <= bytes) return;
    if (bytes > 0) this.memory.release(this.#address, bytes); // the larger one may reuse its place
    try {
      this.#take(needed);
    } catch (error) {
      if (bytes > 0) this.#take(bytes);
      throw error;
    } finally {
      this.memory.u32[Layout.workspace / 4] = this.#address;
      this.memory.u32[Layout.workspaceBytes / 4] = this.#bytes;
    }
  }

  #take(bytes: number): void {
    this.#address = this.memory.allocate(bytes);
    this.#bytes = bytes;
  }
}
