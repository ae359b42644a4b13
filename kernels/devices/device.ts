import type { Port } from "../core/signature.ts";
import type { WasmCall } from "./cpu/wasm_call.ts";

/** Arrays that an op's reference reads and writes: f32 on the CPU device, f64 in tests, u32 for bytes and indices. */
export type NumberArray = Float32Array | Float64Array | Uint32Array;

/** What kernels may depend on: properties of the adapter, never of one machine. */
export interface Tuning {
  /** Invocations in a workgroup of a kernel without a shape of its own. */
  readonly workgroupSize: number;
  /** Whether shaders run on a CPU: large register tiles, no workgroup memory. */
  readonly software: boolean;
  /**
   * Pieces that an op should leave its work in where it may choose, such as the runs of images of a weight gradient: enough to
   * keep the device busy, or 1 if the device splits work by itself.
   */
  readonly pieces: number;
}

/** Invocations that share workgroup memory: how many groups, and lanes in each. */
export interface Workgroups {
  /** Number of workgroups. */
  readonly count: number;
  /** Invocations in each. */
  readonly lanes: number;
}

/** What a device needs to know to run one op; made by `defineOp`. */
export interface Kernel {
  /** Name of the op. */
  readonly name: string;
  /** Buffers in binding order: the inputs, then the outputs that are not updated inputs. */
  readonly ports: readonly (Port & { readonly writable: boolean })[];
  /** Which of the dims are f32 in the kernel's uniform; all others are u32. */
  readonly floats: ReadonlySet<string>;
  /** What is compiled into the shader of a call, by name: a pipeline for each of its values. */
  readonly specialise: (dims: Dims, tuning: Tuning) => Dims;
  /** WGSL that defines `fn kernel(i: u32)`, or `fn kernel(group: u32, lane: u32)` for a kernel with `workgroups`. */
  readonly wgsl: (tuning: Tuning, specialised: Dims) => string;
  /** How often a kernel without `workgroups` runs. */
  readonly invocations: (dims: Dims, tuning: Tuning) => number;
  /** Workgroups of a kernel that is written for them with this tuning. */
  readonly workgroups: (dims: Dims, tuning: Tuning) => Workgroups | undefined;
  /** The WebAssembly kernels that the CPU device calls, from the addresses of the buffers; undefined if none fits. */
  readonly wasm?: (
    addresses: Readonly<Record<string, number>>,
    dims: Dims,
  ) => readonly WasmCall[] | undefined;
  /** The op in plain loops: the CPU device where it has no WebAssembly kernel, and the oracle of the tests. */
  readonly reference: (arrays: Record<string, NumberArray>, dims: Dims) => void;
}

/** Lengths and attributes of one call by name. */
export type Dims = Readonly<Record<string, number>>;

/** Memory of a device. Opaque to all but the device that made it. */
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

/** One op on given memory: all that a device ever executes. */
export interface KernelCall {
  /** What runs. */
  readonly kernel: Kernel;
  /** Memory of each port, in binding order. */
  readonly ranges: readonly BufferRange[];
  /** Lengths and attributes of this call. */
  readonly dims: Dims;
  /** Ports whose ranges hold f16, two to an element, where the device has `halfStorage`. */
  readonly half?: readonly string[];
}

/** Hears how far compiling is. */
export type CompileProgress = (done: number, all: number) => void;

/** Where tensors live and ops run. Calls take effect in the order they are made. */
export interface Device {
  /** Which implementation it is. */
  readonly kind: "webgpu" | "cpu";
  /** Name of the adapter or processor, for people. */
  readonly description: string;
  /** What kernels may depend on. */
  readonly tuning: Tuning;
  /** Largest range a kernel can bind, in bytes. */
  readonly maxRangeBytes: number;
  /** All memory that the device can give out, in bytes, as far as it knows. */
  readonly maxBytes: number;
  /** Ranges that start inside a buffer must start at a multiple of this many elements. */
  readonly offsetAlignment: number;
  /** Whether kernels can keep numbers in f16; not so where it is not said. */
  readonly halfStorage?: boolean;
  /** Memory now held for buffers, pooled ones included, in bytes. */
  readonly allocatedBytes: number;
  /** Memory for a tensor: its content is whatever was there before. */
  allocate(bytes: number): DeviceBuffer;
  /** Gives memory back to the device's pool; work already queued on it still sees it. */
  release(buffer: DeviceBuffer): void;
  /** Overwrites a range with as many values. */
  write(range: BufferRange, data: Float32Array | Uint32Array): void;
  /** Copies a range to the host as it is after all earlier calls. */
  read(range: BufferRange): Promise<ArrayBuffer>;
  /** Queues one op. */
  run(call: KernelCall): void;
  /** Prepares a fixed list of calls; the result runs them all, as often as it is called. */
  prepare(calls: readonly KernelCall[]): () => void;
  /**
   * Compiles the kernels of prepared calls ahead of their first run, where that takes time.
   *
   * @param progress hears how many of the kernels that were not compiled before are done
   */
  compile?(calls: readonly KernelCall[], progress: CompileProgress): Promise<void>;
  /** Waits until all queued work is done. */
  finished(): Promise<void>;
  /** Gives everything back; the device is of no use afterwards. */
  close(): void;
}

/** A device could not be had, or failed at work: a validation error, lost device or too little memory. */
export class DeviceError extends Error {
  /** Told from other errors by this name. */
  override name = "DeviceError";
}
