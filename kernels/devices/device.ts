import { UserError } from "../core/checks.ts";
import type { Port } from "../core/shape.ts";
import type { WasmCall } from "./cpu/wasm_call.ts";

/** Arrays that an op's reference reads and writes: f32 on the CPU device, f64 in tests, u32 for bytes and indices. */
export type NumberArray = Float32Array | Float64Array | Uint32Array;

/** Properties of the adapter that kernels may use. */
export interface Tuning {
  /** Invocations per workgroup of kernels that do not choose their own. */
  readonly workgroupSize: number;
  /** Whether shaders run on a CPU: kernels then use large register tiles and no workgroup memory. */
  readonly software: boolean;
  /**
   * Number of pieces to split an op into if possible, such as the runs of images of a weight gradient: enough to keep
   * the device busy, or 1 if the device splits work itself.
   */
  readonly pieces: number;
  /** The candidate chosen for a call, if any; else the kernel's table decides. */
  readonly candidate?: string;
}

/** Number and size of workgroups. */
export interface Workgroups {
  /** Number of workgroups. */
  readonly count: number;
  /** Invocations in each workgroup. */
  readonly lanes: number;
}

/** What a device needs to run an op. Made by `defineOp`. */
export interface Kernel {
  /** Name of the op. */
  readonly name: string;
  /**
   * Buffers in binding order: the inputs, then the outputs that are not updated inputs. `writable`: the kernel writes
   * to it; `reads`: results depend on its previous content.
   */
  readonly ports: readonly (Port & { readonly writable: boolean; readonly reads: boolean })[];
  /** Names of the dims that are f32 in the kernel's uniform; all others are u32. */
  readonly floats: ReadonlySet<string>;
  /** Names of the ways to run a call, the default first; absent if there is only one. See `withVariants`. */
  readonly candidates?: ((dims: Dims, tuning: Tuning) => readonly string[]) | undefined;
  /** Dims that are compiled into the shader of a call; each set of values costs a pipeline. */
  readonly specialise: (dims: Dims, tuning: Tuning) => Dims;
  /** WGSL that defines `fn kernel(i: u32)`, or `fn kernel(group: u32, lane: u32)` for a kernel with `workgroups`. */
  readonly wgsl: (tuning: Tuning, specialised: Dims) => string;
  /** Buffers that the WGSL declares as `array<vec4f>`; their lengths must be multiples of four. */
  readonly vectors?: ((specialised: Dims) => readonly string[]) | undefined;
  /** Number of invocations of a kernel without `workgroups`. */
  readonly invocations: (dims: Dims, tuning: Tuning) => number;
  /** Workgroups of a call, if the kernel uses them with this tuning. */
  readonly workgroups: (dims: Dims, tuning: Tuning) => Workgroups | undefined;
  /** Calls of other ops that do the work on WebGPU; undefined if the WGSL does it. See `Passes` and `withVariants`. */
  readonly passes?: ((dims: Dims, tuning: Tuning) => readonly Pass[] | undefined) | undefined;
  /** Makes the WebAssembly kernel calls of the CPU device from buffer addresses; undefined if no kernel fits. */
  readonly wasm?:
    | ((addresses: Readonly<Record<string, number>>, dims: Dims) => readonly WasmCall[] | undefined)
    | undefined;
  /** Number of multiply-adds of a call; only for ops made of products. */
  readonly multiplyAdds?: ((dims: Dims) => number) | undefined;
  /** The op in plain loops: runs on the CPU device without a WebAssembly kernel, and is the oracle of the tests. */
  readonly reference: (arrays: Record<string, NumberArray>, dims: Dims) => void;
}

/** One of the calls that together do the work of an op. */
export interface Pass {
  /** The kernel to run. */
  readonly kernel: Kernel;
  /** Lengths and attributes of the call. */
  readonly dims: Dims;
  /** Memory of each port, in binding order. */
  readonly buffers: readonly PassBuffer[];
}

/**
 * A buffer of the op, by name, or numbered scratch memory shared by its passes, with its size in elements of 4 bytes.
 */
export type PassBuffer = string | { readonly scratch: number; readonly elements: number };

/** Lengths and attributes of one call by name. */
export type Dims = Readonly<Record<string, number>>;

/** Memory of a device; opaque to others. */
export interface DeviceBuffer {
  /** Size in bytes. */
  readonly bytes: number;
}

/** A range of a buffer, in elements of 4 bytes. */
export interface BufferRange {
  /** The buffer that contains the range. */
  readonly buffer: DeviceBuffer;
  /** Its first element. */
  readonly offset: number;
  /** Number of elements. */
  readonly length: number;
}

/** One op on given memory, the unit of work of a device. */
export interface KernelCall {
  /** The kernel to run. */
  readonly kernel: Kernel;
  /** Memory of each port, in binding order. */
  readonly ranges: readonly BufferRange[];
  /** Lengths and attributes of this call. */
  readonly dims: Dims;
  /** Ports whose ranges hold f16, two per word, on a device with `halfStorage`. */
  readonly half?: readonly string[];
  /** The candidate to run; by default the device's choice, else the table's. */
  readonly candidate?: string;
}

/** Receives compilation progress: the number of kernels compiled so far, and the total. */
export type CompileProgress = (done: number, all: number) => void;

/** Where tensors live and ops run. Calls take effect in order. */
export interface Device {
  /** Which implementation this is. */
  readonly kind: "webgpu" | "cpu";
  /** Display name of the adapter or processor. */
  readonly description: string;
  /** Properties that kernels may use. */
  readonly tuning: Tuning;
  /** Largest range in bytes that a kernel can bind. */
  readonly maxRangeBytes: number;
  /** Limit of allocated memory, in bytes; infinite if unknown. */
  readonly maxBytes: number;
  /** Ranges that start inside a buffer must start at a multiple of this number of elements. */
  readonly offsetAlignment: number;
  /** Whether kernels can store numbers as f16; false if absent. */
  readonly halfStorage?: boolean;
  /** Bytes of memory in use by buffers, including pooled ones. */
  readonly allocatedBytes: number;
  /** Allocates memory with arbitrary content. */
  allocate(bytes: number): DeviceBuffer;
  /** Returns memory to the device's pool; work already queued may still use it. */
  release(buffer: DeviceBuffer): void;
  /** Overwrites a range with values, one per element. */
  write(range: BufferRange, data: Float32Array | Uint32Array): void;
  /** Copies a range to the host, after all earlier calls. */
  read(range: BufferRange): Promise<ArrayBuffer>;
  /** Queues one op. */
  run(call: KernelCall): void;
  /** Prepares a fixed list of calls; the returned function runs them all. */
  prepare(calls: readonly KernelCall[]): () => void;
  /**
   * Compiles the kernels of prepared calls ahead of their first run, on devices where that takes time.
   *
   * @param progress called with the number of kernels compiled so far, and the total to compile
   */
  compile?(calls: readonly KernelCall[], progress: CompileProgress): Promise<void>;
  /** Scratch memory of running calls, in bytes, shared by all of them; none if absent. */
  workspaceBytes?(calls: readonly Pick<KernelCall, "kernel" | "dims">[]): number;
  /**
   * Measures the ways to run each call and uses the fastest from then on, for all calls of the same sizes. Runs on
   * separate memory, so no value changes.
   *
   * @returns how each call with several ways runs
   */
  tune?(calls: readonly KernelCall[], options: TuneOptions): Promise<KernelChoice[]>;
  /** Waits until all queued work is done. */
  finished(): Promise<void>;
  /** Releases everything; the device cannot be used afterwards. */
  close(): void;
}

/** Thrown if a device cannot be opened, or fails: validation error, lost device, out of memory. */
export class DeviceError extends UserError {
  /** Class name, kept in minified code. */
  override name = "DeviceError";
  /** Whether the device is lost, as after a fault of its driver; a new device may work. */
  isLost = false;
}

/** What a device throws after its work has failed: values may be lost, so another has to be opened. */
export function deviceFailure(cause: unknown): DeviceError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const advice = message.includes("init()") ? "" : "; the device has failed: open another with init()";
  return new DeviceError(message + advice, { cause });
}

/** Types for choosing between the ways to run a call. */

/** What a choice applies to: equal on every start with the same device, sizes and candidates. */
export interface ChoiceKey {
  /** The device: vendor, architecture, device and description of the adapter. */
  readonly adapter: string;
  /** Kernel and sizes, such as `matmul A=1 M=64 K=32 B=1 N=10 Y=1`. */
  readonly call: string;
  /** Digest of the candidates' shaders. */
  readonly candidates: string;
}

/** Keeps choices between starts. Names that are not candidates are ignored. */
export interface ChoiceStore {
  /** Name of the candidate chosen earlier, if any. */
  get(key: ChoiceKey): string | undefined;
  /** Stores a measured choice. */
  set(key: ChoiceKey, candidate: string): void;
}

/** Options of tuning. */
export interface TuneOptions {
  /** Choices of earlier starts, and storage for new ones. */
  readonly store?: ChoiceStore;
  /**
   * Approximate time to measure, by default 5; 0 measures nothing. Compiling comes on top, up to ten times as long. The
   * calls that take longest are measured first.
   */
  readonly seconds?: number;
  /** Called with the number of calls measured so far, and the total to measure. */
  readonly progress?: (done: number, all: number) => void;
  /** Stops measuring early; results so far count. */
  readonly signal?: AbortSignal | undefined;
}

/** Origin of a choice: the device's table, the store, an earlier choice of this device, or a measurement. */
export type ChosenBy = "table" | "store" | "memory" | "measurement";

/** How a call with several ways runs. */
export interface KernelChoice {
  /** What the choice applies to. */
  readonly key: ChoiceKey;
  /** Number of such calls in the step. */
  readonly calls: number;
  /** Names of the ways to run it, the table's first. */
  readonly candidates: readonly string[];
  /** Name of the way that runs. */
  readonly chosen: string;
  /** Origin of the choice. */
  readonly by: ChosenBy;
  /** Milliseconds per run of each measured candidate. */
  readonly milliseconds: Readonly<Record<string, number>>;
}

/** Exists in Deno and Node, not in browsers. */
const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => unknown };

/**
 * Lets the event loop handle pending events while a device computes in this thread.
 *
 * @param until `task` handles messages and device errors, in about 20 microseconds; `timer` also handles signals,
 * timers and drawing, in a millisecond, because Deno rarely checks for signals while messages keep it busy
 */
export function yieldToEvents(until: "timer" | "task" = "timer"): Promise<void> {
  return new Promise((resolve) => {
    if (until === "timer") return setTimeout(resolve);
    // In Deno, messages arrive within the same task once a program imports an npm package or node:worker_threads.
    if (setImmediate) return setImmediate(resolve);
    const { port1, port2 } = new MessageChannel();
    port2.onmessage = () => {
      port1.close();
      port2.close();
      resolve();
    };
    port1.postMessage(undefined);
  });
}
