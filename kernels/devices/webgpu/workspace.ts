import type { BufferRange, DeviceBuffer, KernelCall, Pass } from "../device.ts";
import type { BufferPool, GpuBuffer } from "./commands.ts";
import type { Choices } from "./pipelines.ts";

/** What is known of a call before it has memory. */
type PlannedCall = Pick<KernelCall, "kernel" | "dims">;

/**
 * Scratch memory for the passes of ops. All calls share it, because they run one after another. Each number has its own
 * buffer, since WebGPU does not let a kernel read one part of a buffer and write another.
 */
export class PassWorkspace {
  readonly #buffers: GpuBuffer[] = [];
  /** Bytes of each buffer that the calls seen so far need at most. */
  readonly #needed: number[] = [];
  #replaced = 0;
  /** Whether the user has been told that scratch memory is too large. */
  #told = false;

  constructor(readonly pool: BufferPool, readonly choices: Choices, readonly maxRangeBytes: number) {}

  /** Changes with every choice and every buffer that grows: calls expanded before are then outdated. */
  get version(): string {
    return `${this.choices.version},${this.#replaced}`;
  }

  /** Replaces calls by their passes. Calls whose scratch memory is too large to bind stay as they are. */
  expand(calls: readonly KernelCall[]): readonly KernelCall[] {
    const all = calls.map((call) => ({ call, passes: this.#passesOf(call) }));
    grow(this.#needed, all.flatMap(({ passes = [] }) => passes));
    this.#reserve();
    return all.flatMap(({ call, passes }) =>
      passes ? passes.map((pass) => this.#callOf(pass, call)) : [call]
    );
  }

  /** Bytes of each buffer that calls need. */
  sizesOf(calls: readonly PlannedCall[]): readonly number[] {
    const sizes: number[] = [];
    grow(sizes, calls.flatMap((call) => this.#passesOf(call) ?? []));
    return sizes;
  }

  /** Bytes of all of them. */
  bytesOf(calls: readonly PlannedCall[]): number {
    return this.sizesOf(calls).reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Makes the next calls reserve as much as these will need, so that no buffer has to grow. */
  expect(calls: readonly PlannedCall[]): void {
    grow(this.#needed, calls.flatMap((call) => this.#passesOf(call) ?? []));
  }

  #passesOf(call: PlannedCall): readonly Pass[] | undefined {
    const passes = call.kernel.passes?.(call.dims, this.choices.of(call));
    const largest = Math.max(
      ...passes?.flatMap(({ buffers }) =>
        buffers.map((buffer) => typeof buffer === "string" ? 0 : buffer.elements)
      ) ?? [],
    );
    if (largest * 4 <= this.maxRangeBytes) return passes;
    if (!this.#told) {
      console.warn(
        `The scratch memory of ${call.kernel.name} is larger than the ${this.maxRangeBytes} bytes that a kernel can bind ` +
          "on this device: a slower kernel runs; a smaller batch avoids it",
      );
    }
    this.#told = true;
    return undefined;
  }

  #reserve(): void {
    this.#needed.forEach((bytes, scratch) => {
      const buffer = this.#buffers[scratch];
      if (buffer && buffer.bytes >= bytes) return;
      if (buffer) {
        this.pool.destroy(buffer);
        this.#replaced++;
      }
      this.#buffers[scratch] = this.pool.take(bytes);
    });
  }

  #callOf(pass: Pass, call: KernelCall): KernelCall {
    return callOfPass(pass, call, (scratch) => this.#buffers[scratch]);
  }
}

/** Raises the size of each scratch buffer to what passes need. */
function grow(sizes: number[], passes: readonly Pass[]): void {
  for (const buffer of passes.flatMap(({ buffers }) => buffers)) {
    if (typeof buffer === "string") continue;
    for (let at = sizes.length; at <= buffer.scratch; at++) sizes.push(0);
    sizes[buffer.scratch] = Math.max(sizes[buffer.scratch], buffer.elements * 4, 4);
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
