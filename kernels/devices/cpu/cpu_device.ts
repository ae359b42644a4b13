import {
  type BufferRange,
  type Device,
  type DeviceBuffer,
  DeviceError,
  deviceFailure,
  type KernelCall,
  type NumberArray,
  yieldToEvents,
} from "../device.ts";
import { checkCount, isCount, refuse } from "../../core/checks.ts";
import { Layout } from "./memory_layout.ts";
import { blockScratch } from "./product_blocks.ts";
import {
  type CompiledKernels,
  coreCount,
  fusesMultiplyAdd,
  loadKernels,
  maxThreads,
  ThreadTeam,
  whySingleThreaded,
} from "./thread_team.ts";
import { CpuWorkspace, SharedMemory } from "./shared_memory.ts";
import { type WasmCall, writeCall } from "./wasm_call.ts";

class CpuBuffer implements DeviceBuffer {
  constructor(readonly address: number, readonly bytes: number) {}
}

/** Ops that touch fewer elements run on one thread, because sharing them would take longer. */
const sharedElements = 1 << 16;
/** Maximum number of kernel calls of an op that is not recorded. */
const maxEagerCalls = 8;

/** A call of a WebAssembly kernel, its op, and whether the op runs on one thread. */
interface LoweredCall {
  readonly op: string;
  readonly call: WasmCall;
  readonly singleThreaded: boolean;
}

/** A part of a prepared step: a list of kernel calls in memory, or an op run by its reference. */
type Segment =
  | { readonly program: number; readonly calls: number; readonly shared: boolean }
  | { readonly reference: KernelCall };

/**
 * Runs ops on the processor: as WebAssembly SIMD kernels on all cores, or by their plain reference if they have no
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
  readonly #team: ThreadTeam;
  readonly #eager: number;
  readonly #workspace: CpuWorkspace;
  #closed = false;
  #failure: DeviceError | undefined;
  /** Frees the programs of garbage-collected steps. */
  readonly #programs = new FinalizationRegistry<{ address: number; bytes: number }>(({ address, bytes }) =>
    this.#memory.release(address, bytes)
  );

  private constructor(kernels: CompiledKernels, threads: number, wide: boolean | undefined) {
    this.#memory = new SharedMemory(blockScratch(threads));
    this.#workspace = new CpuWorkspace(this.#memory);
    this.#team = new ThreadTeam(kernels, this.#memory, threads, wide);
    this.#eager = this.#memory.allocate(maxEagerCalls * Layout.callBytes);
    const arithmetic = kernels.fused ? "WebAssembly SIMD with fused multiply-add" : "WebAssembly SIMD";
    this.description = `${threads} thread${threads > 1 ? "s" : ""}, ${arithmetic}`;
  }

  /**
   * The device of this machine's processor.
   *
   * @param threads number of threads; 0 for one per core, or for one if the browser allows no more
   * @param fused whether to fuse multiply and add; by default if the engine can
   * @param wide whether products use blocks for engines that join two vectors into one; by default whichever is faster.
   * Results are the same
   * @throws {DeviceError} if the number of threads is invalid or not allowed here, or the engine has no shared memory
   */
  static async open(
    { threads = 0, fused = fusesMultiplyAdd(), wide }: { threads?: number; fused?: boolean; wide?: boolean } =
      {},
  ): Promise<CpuDevice> {
    checkThreads(threads);
    const reason = threads === 1 ? undefined : whySingleThreaded();
    if (threads > 1 && reason !== undefined) {
      refuse(DeviceError, `open the CPU device with ${threads} threads: ${reason}`, "1, or 0");
    }
    const cores = Math.min(coreCount(), maxThreads);
    try {
      return new CpuDevice(await loadKernels(fused), threads || (reason === undefined ? cores : 1), wide);
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
    checkCount("allocate memory", "the number of bytes", bytes);
    return new CpuBuffer(this.#memory.allocate(bytes), bytes);
  }

  release(buffer: DeviceBuffer): void {
    this.#memory.release((buffer as CpuBuffer).address, buffer.bytes);
  }

  write(range: BufferRange, data: Float32Array | Uint32Array): void {
    this.#check();
    this.#view(range, data instanceof Uint32Array ? "u32" : "f32").set(data);
  }

  async read(range: BufferRange): Promise<ArrayBuffer> {
    this.#check();
    const values = this.#view(range, "u32").slice().buffer as ArrayBuffer;
    // Finalizers run only between tasks: a loop that awaits nothing but reads would never free collected tensors.
    if (this.#memory.hasGrown()) await yieldToEvents("task");
    return values;
  }

  run(call: KernelCall): void {
    this.#check();
    const calls = this.#lower(call);
    if (!calls) return this.#runReference(call);
    if (calls.length > maxEagerCalls) {
      const what = `run ${call.kernel.name}: it is ${calls.length} kernel calls`;
      refuse(DeviceError, what, `at most ${maxEagerCalls}, or a recorded step`);
    }
    this.#write(calls, this.#eager);
    this.#team.run(this.#eager, calls.length, !isSmall(call));
  }

  prepare(calls: readonly KernelCall[]): () => void {
    this.#check();
    const segments: Segment[] = [];
    const programs: { address: number; bytes: number }[] = [];
    let open: LoweredCall[] = [];
    const close = () => {
      if (open.length === 0) return;
      const bytes = open.length * Layout.callBytes;
      const program = this.#memory.allocate(bytes);
      programs.push({ address: program, bytes });
      this.#write(open, program);
      segments.push({
        program,
        calls: open.length,
        shared: open.some(({ singleThreaded }) => !singleThreaded),
      });
      open = [];
    };
    try {
      for (const call of calls) {
        const lowered = this.#lower(call);
        if (lowered) open.push(...lowered);
        else {
          close();
          segments.push({ reference: call });
        }
      }
      close();
    } catch (error) {
      for (const { address, bytes } of programs) this.#memory.release(address, bytes);
      throw error;
    }
    const replay = () => {
      this.#check();
      for (const segment of segments) {
        if ("reference" in segment) this.#runReference(segment.reference);
        else this.#team.run(segment.program, segment.calls, segment.shared);
      }
    };
    for (const program of programs) this.#programs.register(replay, program);
    return replay;
  }

  workspaceBytes(calls: readonly Pick<KernelCall, "kernel" | "dims">[]): number {
    this.#check();
    let most = 0;
    for (const { kernel, dims } of calls) {
      // Calls and their workspace depend only on sizes, so any address will do, except 0, which means an absent
      // buffer.
      const somewhere = Object.fromEntries(kernel.ports.map(({ name }) => [name, Layout.blocks]));
      for (const call of kernel.wasm?.(somewhere, dims) ?? []) {
        writeCall(this.#memory, this.#eager, call);
        most = Math.max(most, this.#team.workspaceBytes(this.#eager, 1));
      }
    }
    return most;
  }

  finished(): Promise<void> {
    return Promise.resolve();
  }

  /** Whether products use vectors of eight numbers, once that is measured: it takes up to a second. */
  async hasWideVectors(): Promise<boolean> {
    for (; !this.#team.knowsWidth; this.#team.probe()) await new Promise((done) => setTimeout(done, 10));
    return this.#team.isWide;
  }

  /** Ends the worker threads; the next large op starts them again. Idle workers also end by themselves. */
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

  #runReference({ kernel, ranges, dims }: KernelCall): void {
    const arrays: Record<string, NumberArray> = {};
    kernel.ports.forEach((port, i) => arrays[port.name] = this.#view(ranges[i], port.type) as NumberArray);
    try {
      kernel.reference(arrays, dims);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw this.#failure = deviceFailure(
        new Error(`Cannot run ${kernel.name}: its reference failed: ${reason}`, { cause }),
      );
    }
  }

  /** The WebAssembly kernel calls of an op; undefined if it has no kernel. */
  #lower(call: KernelCall): readonly LoweredCall[] | undefined {
    const { kernel, ranges, dims } = call;
    const addresses: Record<string, number> = {};
    kernel.ports.forEach(({ name }, i) => {
      addresses[name] = (ranges[i].buffer as CpuBuffer).address + 4 * ranges[i].offset;
    });
    const singleThreaded = isSmall(call);
    const calls = kernel.wasm?.(addresses, dims);
    if (!calls) noteReference(kernel.name);
    return calls?.map((call) => ({ op: kernel.name, call, singleThreaded }));
  }

  /** Writes calls to memory in the kernels' format and reserves their workspace. */
  #write(calls: readonly LoweredCall[], program: number): void {
    const at = (i: number) => program + i * Layout.callBytes;
    calls.forEach(({ call, singleThreaded }, i) => writeCall(this.#memory, at(i), call, singleThreaded));
    const needed = this.#team.workspaceBytes(program, calls.length);
    try {
      this.#workspace.reserve(needed);
    } catch (cause) {
      const largest = calls.find((_, i) => this.#team.workspaceBytes(at(i), 1) === needed);
      throw new DeviceError(
        `Cannot run ${largest?.op}: it needs ${needed} bytes of workspace; ${(cause as Error).message}`,
        { cause },
      );
    }
  }

  #check(): void {
    if (this.#closed) refuse(DeviceError, "use a CPU device after close(); init() opens a new one");
    if (this.#failure) throw this.#failure;
  }
}

/** @throws {DeviceError} if the number of threads is not a whole number in range */
export function checkThreads(threads: number): void {
  if (isCount(threads, 0, maxThreads)) return;
  const expected = `1 to ${maxThreads}, or 0 for one per core`;
  refuse(DeviceError, `open the CPU device with ${threads} threads`, expected);
}

/** Names of ops that have run on their reference in this process. */
const noted = new Set<string>();

/** Warns on stderr, once for each op, that it runs on its reference. */
function noteReference(op: string): void {
  if (noted.has(op)) return;
  noted.add(op);
  console.warn(
    `Op ${op} has no kernel for the CPU device: its reference runs instead, many times slower ` +
      '(see "Your own ops" in docs/library.md)',
  );
}

function isSmall({ ranges }: KernelCall): boolean {
  return ranges.reduce((elements, { length }) => elements + length, 0) < sharedElements;
}
