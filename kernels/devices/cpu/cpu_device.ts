import {
  type BufferRange,
  type Device,
  type DeviceBuffer,
  DeviceError,
  type KernelCall,
  type NumberArray,
} from "../device.ts";
import { whyAlone } from "./alone.ts";
import { hasRelaxedSimd, loadKernels } from "./kernels.ts";
import { Layout } from "./assembly/layout.ts";
import { lowerings, type WasmCall } from "./lowering.ts";
import { SharedMemory } from "./memory.ts";
import { Team } from "./team.ts";

class CpuBuffer implements DeviceBuffer {
  constructor(readonly address: number, readonly bytes: number) {}
}

/** Elements that calls touch from which on other threads are woken for them: some ten microseconds of work. */
const heavyElements = 1 << 16;
/** Calls that fit the memory for ops that are not recorded. */
const maxEagerCalls = 8;
/** Threads beyond that only wait for each other. */
const maxThreads = 64;

/** What a prepared step is made of: calls in memory that the kernels walk alone, and references between them. */
type Segment =
  | { readonly program: number; readonly calls: number; readonly heavy: boolean }
  | { readonly reference: KernelCall };

/**
 * Runs ops on the processor: WebAssembly kernels with SIMD on all cores, and an op's plain reference where there is no
 * kernel. Results do not depend on the number of threads.
 */
export class CpuDevice implements Device {
  readonly kind = "cpu";
  readonly description: string;
  readonly tuning = { workgroupSize: 1, software: true, pieces: 1 };
  readonly maxRangeBytes = 2 ** 31;
  readonly maxBytes = SharedMemory.maxBytes;
  readonly offsetAlignment = 1;
  readonly #memory: SharedMemory;
  readonly #team: Team;
  readonly #eager: number;
  #workspace = { address: 0, bytes: 0 };
  #closed = false;
  /** Programs whose steps are gone give their memory back. */
  readonly #programs = new FinalizationRegistry<{ address: number; bytes: number }>(({ address, bytes }) =>
    this.#memory.release(address, bytes)
  );

  private constructor(module: WebAssembly.Module, threads: number, fused: boolean) {
    this.#memory = new SharedMemory(Layout.reserved);
    this.#team = new Team(module, this.#memory, threads);
    this.#eager = this.#memory.allocate(maxEagerCalls * Layout.callBytes);
    this.description = `${threads} thread${threads > 1 ? "s" : ""}, WebAssembly SIMD${
      fused ? " with fused multiply-add" : ""
    }`;
  }

  /**
   * The device of this machine's processor.
   *
   * @param threads how many to use, 0 for one a core, or for 1 where a browser allows no more
   * @param fused whether multiply and add are fused; by default where the engine can
   * @throws {DeviceError} if the number of threads makes no sense or is not allowed here, or the engine has no shared memory
   */
  static async open(
    { threads = 0, fused = hasRelaxedSimd() }: { threads?: number; fused?: boolean } = {},
  ): Promise<CpuDevice> {
    if (!(Number.isInteger(threads) && threads >= 0 && threads <= maxThreads)) {
      throw new DeviceError(
        `Cannot open the CPU device with ${threads} threads (expected 1 to ${maxThreads}, or 0 for one a core)`,
      );
    }
    const alone = threads === 1 ? undefined : whyAlone();
    if (threads > 1 && alone !== undefined) {
      throw new DeviceError(
        `Cannot open the CPU device with ${threads} threads: ${alone} (expected 1, or 0)`,
      );
    }
    const cores = Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, maxThreads);
    try {
      return new CpuDevice(await loadKernels(fused), threads || (alone === undefined ? cores : 1), fused);
    } catch (cause) {
      if (cause instanceof DeviceError) throw cause;
      throw new DeviceError(`Cannot open the CPU device: ${cause}`, { cause });
    }
  }

  get threads(): number {
    return this.#team.threads;
  }

  get allocatedBytes(): number {
    return this.#memory.held;
  }

  allocate(bytes: number): DeviceBuffer {
    this.#check();
    return new CpuBuffer(this.#memory.allocate(bytes), bytes);
  }

  release(buffer: DeviceBuffer): void {
    this.#memory.release((buffer as CpuBuffer).address, buffer.bytes);
  }

  write(range: BufferRange, data: Float32Array | Uint32Array): void {
    this.#view(range, data instanceof Uint32Array ? "u32" : "f32").set(data);
  }

  read(range: BufferRange): Promise<ArrayBuffer> {
    return Promise.resolve(this.#view(range, "u32").slice().buffer as ArrayBuffer);
  }

  run(call: KernelCall): void {
    this.#check();
    const calls = this.#lower(call);
    if (!calls) return this.#refer(call);
    this.#reserve(calls);
    this.#lay(calls, this.#eager);
    this.#team.run(this.#eager, calls.length, isHeavy([call]));
  }

  prepare(calls: readonly KernelCall[]): () => void {
    this.#check();
    const segments: Segment[] = [];
    const own: { address: number; bytes: number }[] = [];
    let open: { calls: KernelCall[]; lowered: WasmCall[] } = { calls: [], lowered: [] };
    const close = () => {
      if (open.lowered.length === 0) return;
      this.#reserve(open.lowered);
      const bytes = open.lowered.length * Layout.callBytes;
      const program = this.#memory.allocate(bytes);
      own.push({ address: program, bytes });
      this.#lay(open.lowered, program);
      segments.push({ program, calls: open.lowered.length, heavy: isHeavy(open.calls) });
      open = { calls: [], lowered: [] };
    };
    for (const call of calls) {
      const lowered = this.#lower(call);
      if (lowered) {
        open.calls.push(call);
        open.lowered.push(...lowered);
      } else {
        close();
        segments.push({ reference: call });
      }
    }
    close();
    const replay = () => {
      this.#check();
      for (const segment of segments) {
        if ("reference" in segment) this.#refer(segment.reference);
        else this.#team.run(segment.program, segment.calls, segment.heavy);
      }
    };
    for (const part of own) this.#programs.register(replay, part);
    return replay;
  }

  finished(): Promise<void> {
    return Promise.resolve();
  }

  /** Ends the helper threads; the next large op starts them again. Idle ones end by themselves. */
  rest(): void {
    this.#team.rest();
  }

  close(): void {
    this.#closed = true;
    this.#team.rest();
  }

  #view({ buffer, offset, length }: BufferRange, type: "f32"): Float32Array;
  #view({ buffer, offset, length }: BufferRange, type: "f32" | "u32"): Float32Array | Uint32Array;
  #view({ buffer, offset, length }: BufferRange, type: "f32" | "u32"): Float32Array | Uint32Array {
    const start = (buffer as CpuBuffer).address / 4 + offset;
    return this.#memory[type].subarray(start, start + length);
  }

  #refer({ kernel, ranges, dims }: KernelCall): void {
    const arrays: Record<string, NumberArray> = {};
    kernel.ports.forEach((port, i) => arrays[port.name] = this.#view(ranges[i], port.type) as NumberArray);
    kernel.reference(arrays, dims);
  }

  #lower({ kernel, ranges, dims }: KernelCall): readonly WasmCall[] | undefined {
    const addresses = ranges.map(({ buffer, offset }) => (buffer as CpuBuffer).address + 4 * offset);
    return lowerings[kernel.name]?.(addresses, dims, this.#team.threads);
  }

  /** Makes the workspace large enough for calls; kernels read its address anew at every call. */
  #reserve(calls: readonly WasmCall[]): void {
    const needed = calls.reduce((most, { workspace = 0 }) => Math.max(most, workspace), 0);
    const { address, bytes } = this.#workspace;
    if (needed <= bytes) return;
    if (bytes > 0) this.#memory.release(address, bytes);
    this.#workspace = { address: 0, bytes: 0 };
    this.#workspace = { address: this.#memory.allocate(needed), bytes: needed };
    this.#memory.u32[Layout.workspace / 4] = this.#workspace.address;
  }

  /** Writes calls to memory as the kernels read them. */
  #lay(calls: readonly WasmCall[], at: number): void {
    const words = new Int32Array(this.#memory.memory.buffer);
    calls.forEach(({ opcode, words: values }, i) => {
      const start = (at + i * Layout.callBytes) / 4;
      words[start] = opcode;
      words[start + 1] = 0;
      words.set(values, start + Layout.words / 4);
    });
  }

  #check(): void {
    if (this.#closed) throw new DeviceError("Cannot use a CPU device after close(): init() gives a new one");
  }
}

function isHeavy(calls: readonly KernelCall[]): boolean {
  let elements = 0;
  for (const { ranges } of calls) for (const { length } of ranges) elements += length;
  return elements >= heavyElements;
}
