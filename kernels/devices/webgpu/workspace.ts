import type { BufferRange, DeviceBuffer, KernelCall, Pass } from "../device.ts";
import type { Choices } from "./choices.ts";

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

/** A pool of reusable storage buffers. */
export class BufferPool {
  #free = new Map<number, GpuBuffer[]>();
  #bytes = 0;

  constructor(readonly device: GPUDevice) {}

  /** Bytes of all buffers ever created; they live as long as the device. */
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

/**
 * Scratch memory for the passes of ops. All calls share it, because they run one after another. Each number has its own
 * buffer, since WebGPU does not let a kernel read one part of a buffer and write another.
 */
export class PassWorkspace {
  readonly #buffers: GpuBuffer[] = [];
  #replaced = 0;

  constructor(readonly pool: BufferPool, readonly choices: Choices, readonly maxRangeBytes: number) {}

  /** Changes with every choice and every buffer that grows: calls expanded before are then outdated. */
  get version(): string {
    return `${this.choices.version},${this.#replaced}`;
  }

  /** Replaces calls by their passes. Calls whose scratch memory is too large to bind stay as they are. */
  expand(calls: readonly KernelCall[]): readonly KernelCall[] {
    const all = calls.map((call) => ({ call, passes: this.#passesOf(call) }));
    for (const { passes = [] } of all) this.#reserve(passes);
    return all.flatMap(({ call, passes }) =>
      passes ? passes.map((pass) => this.#callOf(pass, call)) : [call]
    );
  }

  #passesOf(call: KernelCall): readonly Pass[] | undefined {
    const passes = call.kernel.passes?.(call.dims, this.choices.of(call));
    const fits = passes?.every(({ buffers }) =>
      buffers.every((buffer) => typeof buffer === "string" || buffer.elements * 4 <= this.maxRangeBytes)
    );
    return fits ? passes : undefined;
  }

  #reserve(passes: readonly Pass[]): void {
    for (const buffer of passes.flatMap(({ buffers }) => buffers)) {
      if (typeof buffer === "string") continue;
      const { scratch, elements } = buffer;
      const known = this.#buffers[scratch];
      if (known && known.bytes >= elements * 4) continue;
      if (known) {
        this.pool.give(known);
        this.#replaced++;
      }
      this.#buffers[scratch] = this.pool.take(Math.max(elements * 4, 4));
    }
  }

  #callOf(pass: Pass, call: KernelCall): KernelCall {
    return callOfPass(pass, call, (scratch) => this.#buffers[scratch]);
  }
}

/** A pass of an op as a call. @param scratch returns the scratch memory of a number */
export function callOfPass(
  { kernel, dims, buffers }: Pass,
  call: KernelCall,
  scratch: (at: number) => DeviceBuffer,
): KernelCall {
  const portOf = (name: string) => call.kernel.ports.findIndex((port) => port.name === name);
  const ranges = buffers.map((buffer): BufferRange =>
    typeof buffer === "string"
      ? call.ranges[portOf(buffer)]
      : { buffer: scratch(buffer.scratch), offset: 0, length: buffer.elements }
  );
  const half = kernel.ports.flatMap(({ name }, i) => {
    const buffer = buffers[i];
    return typeof buffer === "string" && call.half?.includes(buffer) ? [name] : [];
  });
  return { kernel, dims, ranges, half };
}
