import { UserError } from "../core/user_error.ts";
import type { Port } from "../core/signature.ts";
import type { WasmCall } from "./cpu/wasm_call.ts";

/** Arrays that an op's reference reads and writes: f32 on the CPU device, f64 in tests, u32 for bytes and indices. */
export type NumberArray = Float32Array | Float64Array | Uint32Array;

/** Properties of the adapter that kernels may depend on. */
export interface Tuning {
  /** Invocations in a workgroup of a kernel that does not choose its own. */
  readonly workgroupSize: number;
  /** Whether shaders run on a CPU: kernels then use large register tiles and no workgroup memory. */
  readonly software: boolean;
  /**
   * Pieces into which an op should split its work if it can, such as the runs of images of a weight gradient: enough to
   * keep the device busy, or 1 if the device itself splits work.
   */
  readonly pieces: number;
  /** The candidate that runs a call, where one was chosen for it; else the kernel's table decides. */
  readonly candidate?: string;
}

/** How many groups of invocations that share workgroup memory, and how many lanes in each. */
export interface Workgroups {
  /** Number of workgroups. */
  readonly count: number;
  /** Invocations in each. */
  readonly lanes: number;
}

/** What a device needs to run an op; made by `defineOp`. */
export interface Kernel {
  /** Name of the op. */
  readonly name: string;
  /**
   * Buffers in binding order: the inputs, then the outputs that are not updated inputs; whether the kernel writes to
   * each, and whether what it computes depends on what was there.
   */
  readonly ports: readonly (Port & { readonly writable: boolean; readonly reads: boolean })[];
  /** Which of the dims are f32 in the kernel's uniform; all others are u32. */
  readonly floats: ReadonlySet<string>;
  /** Names of the ways to run a call, first the default; absent if there is only one. See `inWays`. */
  readonly candidates?: (dims: Dims, tuning: Tuning) => readonly string[];
  /** Dims that are compiled into the shader of a call: each set of values is a pipeline. */
  readonly specialise: (dims: Dims, tuning: Tuning) => Dims;
  /** WGSL that defines `fn kernel(i: u32)`, or `fn kernel(group: u32, lane: u32)` for a kernel with `workgroups`. */
  readonly wgsl: (tuning: Tuning, specialised: Dims) => string;
  /** Buffers that the WGSL takes as `array<vec4f>`, where their numbers of elements are multiples of four. */
  readonly vectors?: (specialised: Dims) => readonly string[];
  /** How often a kernel without `workgroups` runs. */
  readonly invocations: (dims: Dims, tuning: Tuning) => number;
  /** Workgroups, if the kernel uses them with this tuning. */
  readonly workgroups: (dims: Dims, tuning: Tuning) => Workgroups | undefined;
  /** Calls of other ops that do the work on WebGPU, undefined where the WGSL does it. See `Passes` and `inWays`. */
  readonly passes?: (dims: Dims, tuning: Tuning) => readonly Pass[] | undefined;
  /** The WebAssembly kernels that the CPU device calls, from the addresses of the buffers; undefined if none fits. */
  readonly wasm?: (
    addresses: Readonly<Record<string, number>>,
    dims: Dims,
  ) => readonly WasmCall[] | undefined;
  /** Multiply-adds of a call, of forward ops that are made of products. */
  readonly multiplyAdds?: (dims: Dims) => number;
  /** The op in plain loops: the CPU device where it has no WebAssembly kernel, and the oracle of the tests. */
  readonly reference: (arrays: Record<string, NumberArray>, dims: Dims) => void;
}

/** One of the calls that together do the work of an op. */
export interface Pass {
  /** What runs. */
  readonly kernel: Kernel;
  /** Lengths and attributes of the call. */
  readonly dims: Dims;
  /** Memory of each port, in binding order. */
  readonly buffers: readonly PassBuffer[];
}

/**
 * A buffer of the op, by name, or scratch memory that its passes share, by number, with a size in elements of 4 bytes.
 */
export type PassBuffer = string | { readonly scratch: number; readonly elements: number };

/** Lengths and attributes of one call by name. */
export type Dims = Readonly<Record<string, number>>;

/** Memory of a device. Only the device that made it knows what it is. */
export interface DeviceBuffer {
  /** Its size. */
  readonly bytes: number;
}

/** A range of a buffer, in elements of 4 bytes. */
export interface BufferRange {
  /** Where the range lies. */
  readonly buffer: DeviceBuffer;
  /** Its first element. */
  readonly offset: number;
  /** Number of elements. */
  readonly length: number;
}

/** One op on given memory: the only thing that a device runs. */
export interface KernelCall {
  /** What runs. */
  readonly kernel: Kernel;
  /** Memory of each port, in binding order. */
  readonly ranges: readonly BufferRange[];
  /** Lengths and attributes of this call. */
  readonly dims: Dims;
  /** Ports whose ranges hold f16, two per element, on a device with `halfStorage`. */
  readonly half?: readonly string[];
  /** The candidate to run; by default the one that the device has chosen, else that of the table. */
  readonly candidate?: string;
}

/** Receives the progress of compilation. */
export type CompileProgress = (done: number, all: number) => void;

/** Where tensors live and ops run. Calls take effect in order. */
export interface Device {
  /** Which implementation it is. */
  readonly kind: "webgpu" | "cpu";
  /** Name of the adapter or processor, to show to people. */
  readonly description: string;
  /** Properties that kernels may depend on. */
  readonly tuning: Tuning;
  /** Largest range that a kernel can bind, in bytes. */
  readonly maxRangeBytes: number;
  /** All memory that the device can allocate, in bytes; infinite if it does not know. */
  readonly maxBytes: number;
  /** Ranges that start inside a buffer must start at a multiple of this many elements. */
  readonly offsetAlignment: number;
  /** Whether kernels can keep numbers in f16; no if absent. */
  readonly halfStorage?: boolean;
  /** Memory that buffers now take, including pooled ones, in bytes. */
  readonly allocatedBytes: number;
  /** Allocates memory with arbitrary content. */
  allocate(bytes: number): DeviceBuffer;
  /** Returns memory to the device's pool; work that is already queued still sees it. */
  release(buffer: DeviceBuffer): void;
  /** Overwrites a range with values, one per element. */
  write(range: BufferRange, data: Float32Array | Uint32Array): void;
  /** Copies a range to the host, as it is after all earlier calls. */
  read(range: BufferRange): Promise<ArrayBuffer>;
  /** Queues one op. */
  run(call: KernelCall): void;
  /** Prepares a fixed list of calls; the result runs them all each time it is called. */
  prepare(calls: readonly KernelCall[]): () => void;
  /**
   * Compiles the kernels of prepared calls ahead of their first run, on devices where that takes time.
   *
   * @param progress receives how many of the kernels that were not compiled before are done
   */
  compile?(calls: readonly KernelCall[], progress: CompileProgress): Promise<void>;
  /** Memory that calls share besides their values while they run, in bytes; none if absent. */
  workspaceBytes?(calls: readonly Pick<KernelCall, "kernel" | "dims">[]): number;
  /**
   * Chooses, on devices that can run a call in several ways, the fastest by measuring: for these calls and all later
   * ones of the same sizes. It runs on memory of its own, so no value changes.
   *
   * @returns how each call runs that has a choice
   */
  tune?(calls: readonly KernelCall[], options: TuneOptions): Promise<KernelChoice[]>;
  /** Waits until all queued work is done. */
  finished(): Promise<void>;
  /** Releases everything; the device cannot be used afterwards. */
  close(): void;
}

/** A device could not be opened, or failed: validation error, lost device, too little memory. */
export class DeviceError extends UserError {
  /** Distinguishes it from other errors. */
  override name = "DeviceError";
}

/** Choices between the ways in which a device can run a call. */

/** What a choice is about: equal on every start with the same device, sizes and candidates. */
export interface ChoiceKey {
  /** The device: vendor, architecture, device and description of its adapter. */
  readonly adapter: string;
  /** Kernel and sizes, such as `matmul A=1 M=64 K=32 B=1 N=10 Y=1`. */
  readonly call: string;
  /** Digest of the candidates' shaders. */
  readonly candidates: string;
}

/** Where choices are kept between starts. What it gives is checked: it is used only where it names a candidate. */
export interface ChoiceStore {
  /** The name of the candidate chosen earlier, if any. */
  get(key: ChoiceKey): string | undefined;
  /** Keeps a choice that was measured. */
  set(key: ChoiceKey, candidate: string): void;
}

/** How a step's calls are tuned. */
export interface TuneOptions {
  /** Choices of earlier starts, and a place for new ones. */
  readonly store?: ChoiceStore;
  /** About how long to measure, 5 by default; 0 measures nothing. What takes longest in the step is measured first. */
  readonly seconds?: number;
  /** Hears of how many of the calls to be measured are done. */
  readonly progress?: (done: number, all: number) => void;
  /** Ends the measuring early; what it has found counts. */
  readonly signal?: AbortSignal | undefined;
}

/** Why a call runs as it does: by the device's table, by a choice of the store or made before, or by a measurement. */
export type ChosenBy = "table" | "store" | "memory" | "measurement";

/** How calls of a step run that can run in several ways. */
export interface KernelChoice {
  /** What was chosen for. */
  readonly key: ChoiceKey;
  /** How often the step makes the call. */
  readonly calls: number;
  /** What it can run; first what the table takes. */
  readonly candidates: readonly string[];
  /** What it runs. */
  readonly chosen: string;
  /** Why. */
  readonly by: ChosenBy;
  /** Milliseconds of a run by candidate, of those that were measured. */
  readonly milliseconds: Readonly<Record<string, number>>;
}
