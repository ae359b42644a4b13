/**
 * WebGPU in JavaScript, with the default limits of the specification: runs our compute shaders one invocation after
 * another, in random order, and throws `EmulatorError` for what real GPUs may do in different ways. It says nothing about
 * speed, and has only what `WebGpuDevice` uses.
 */

import { permutation, streams } from "../../../../../models/random.ts";
import { EmulatorError, Memory, running } from "./memory.ts";
import { type Module, translate } from "./translate.ts";

/** Default limits, https://www.w3.org/TR/webgpu/#limits. */
const limits = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupStorageSize: 2 ** 14,
  maxComputeWorkgroupsPerDimension: 65_535,
  minStorageBufferOffsetAlignment: 256,
  minUniformBufferOffsetAlignment: 256,
} as const;

type Main = (...builtins: unknown[]) => Generator<number, void> | undefined;

class Buffer {
  readonly bytes: ArrayBuffer;
  constructor({ size }: GPUBufferDescriptor, readonly device: EmulatedDevice) {
    this.bytes = new ArrayBuffer(size);
  }
  mapAsync(): Promise<void> {
    return this.device.failure ? Promise.reject(this.device.failure) : Promise.resolve();
  }
  getMappedRange(): ArrayBuffer {
    if (this.device.failure) throw this.device.failure;
    return this.bytes;
  }
  unmap(): void {}
  destroy(): void {}
}

interface Bound {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly size: number;
}

interface Pipeline {
  readonly label: string;
  readonly module: Module;
  readonly make: (memory: Record<string, unknown>) => Main;
}

let shuffles = 0;

/** The numbers below `count` in a random order, the same in each run of the tests. */
const shuffled = (count: number) => permutation(46020, streams.order, shuffles++, count);

const pipelines = new Map<string, Pipeline>();

/** Compiles a shader, and checks it against the limits. */
function pipelineOf(label: string, code: string): Pipeline {
  const cached = pipelines.get(code);
  if (cached) return cached;
  const module = translate(code);
  const storage = [...module.bindings.values()].filter(({ isUniform }) => !isUniform).length;
  const bytes = [...module.workgroup.values()].reduce((sum, words) => sum + 4 * words, 0);
  const checks = [
    [storage, limits.maxStorageBuffersPerShaderStage, "storage buffers"],
    [module.size, limits.maxComputeInvocationsPerWorkgroup, "invocations in a workgroup"],
    [bytes, limits.maxComputeWorkgroupStorageSize, "bytes of workgroup memory"],
  ] as const;
  const bad = checks.find(([value, most]) => value > most);
  if (bad) throw new EmulatorError(`${label} has ${bad[0]} ${bad[2]} (expected at most ${bad[1]})`);
  const made: Pipeline = { label, module, make: new Function("memory", module.js) as Pipeline["make"] };
  pipelines.set(code, made);
  return made;
}

/** Memories of the bindings by name, and the values of the uniform. */
function memoriesOf({ label, module }: Pipeline, bound: ReadonlyMap<number, Bound>): Record<string, unknown> {
  const memory: Record<string, unknown> = {};
  for (const [binding, { name, type, isUniform, isWritable }] of module.bindings) {
    const { buffer, offset, size } = bound.get(binding)!;
    if (isUniform && type.kind === "struct") {
      const view = new DataView(buffer.bytes, offset, size);
      const value = (kind: string, i: number) =>
        kind === "f32" ? view.getFloat32(4 * i, true) : view.getUint32(4 * i, true);
      memory[name] = Object.fromEntries(
        [...type.fields].map(([field, { kind }], i) => [field, value(kind, i)]),
      );
      continue;
    }
    if (offset % limits.minStorageBufferOffsetAlignment > 0 || size > limits.maxStorageBufferBindingSize) {
      throw new EmulatorError(`${label}: ${name} is bound at byte ${offset} with ${size} bytes`);
    }
    const sharesWritten = [...module.bindings].some(([other, port]) =>
      other !== binding && bound.get(other)!.buffer === buffer && (isWritable || port.isWritable)
    );
    if (sharesWritten) throw new EmulatorError(`${label}: ${name} shares a buffer with one that is written`);
    const of = type.kind === "array" && type.of.kind === "vec"
      ? type.of.of
      : type.kind === "array"
      ? type.of
      : type;
    const View = of.kind === "u32" ? Uint32Array : Float32Array;
    memory[name] = new Memory(name, new View(buffer.bytes, offset, size / 4), isWritable);
  }
  for (const [name, words] of module.workgroup) {
    memory[name] = new Memory(name, new Float32Array(words), true, true);
  }
  return memory;
}

/** Runs all workgroups of a dispatch. */
function dispatch(pipeline: Pipeline, bound: ReadonlyMap<number, Bound>, x: number, y: number): void {
  const { label, module } = pipeline;
  if (Math.max(x, y) > limits.maxComputeWorkgroupsPerDimension) {
    throw new EmulatorError(`${label} has ${x} x ${y} workgroups`);
  }
  running.dispatch = label;
  const memory = memoriesOf(pipeline, bound);
  const main = pipeline.make(memory);
  const all = Object.values(memory).filter((part) => part instanceof Memory);
  const local = all.filter(({ isLocal }) => isLocal);
  for (const part of all) part.begin(x * y * module.size);
  for (const group of shuffled(x * y)) {
    for (const part of local) part.clear();
    const id = [group % x, Math.floor(group / x), 0];
    runGroup(module.size, group, local, label, (lane) =>
      main(...module.builtins.map((name) => {
        if (name === "workgroup_id") return id;
        if (name === "num_workgroups") return [x, y, 1];
        return name === "global_invocation_id" ? [id[0] * module.size + lane, id[1], 0] : lane;
      })));
  }
}

/** Runs the invocations of a workgroup from barrier to barrier. All must reach the same one. */
function runGroup(
  size: number,
  group: number,
  local: readonly Memory[],
  label: string,
  start: (lane: number) => Generator<number, void> | undefined,
): void {
  const enter = (lane: number) => {
    running.index = group * size + lane;
    running.lane = lane;
  };
  const generators = new Map(Array.from(shuffled(size), (lane) => {
    enter(lane);
    return [lane, start(lane)];
  }));
  if (!generators.get(0)) return; // ran to the end, without barriers
  for (;;) {
    for (const part of local) part.begin(size);
    const sites = new Set<number | undefined>();
    for (const lane of shuffled(size)) {
      enter(lane);
      const { value, done } = generators.get(lane)!.next();
      sites.add(done ? undefined : value as number);
    }
    if (sites.size > 1) throw new EmulatorError(`${label}: some invocations of a workgroup skip a barrier`);
    if (sites.has(undefined)) return;
  }
}

class Pass {
  #pipeline: Pipeline | undefined;
  #bound: ReadonlyMap<number, Bound> | undefined;
  constructor(readonly commands: (() => void)[]) {}
  setPipeline(pipeline: Pipeline): void {
    this.#pipeline = pipeline;
  }
  setBindGroup(_: number, bound: ReadonlyMap<number, Bound>): void {
    this.#bound = bound;
  }
  dispatchWorkgroups(x: number, y = 1): void {
    const [pipeline, bound] = [this.#pipeline!, this.#bound!];
    this.commands.push(() => dispatch(pipeline, bound, x, y));
  }
  end(): void {}
}

class Encoder {
  readonly commands: (() => void)[] = [];
  beginComputePass(): Pass {
    return new Pass(this.commands);
  }
  copyBufferToBuffer(from: Buffer, fromOffset: number, to: Buffer, toOffset: number, size: number): void {
    this.commands.push(() =>
      new Uint8Array(to.bytes).set(new Uint8Array(from.bytes, fromOffset, size), toOffset)
    );
  }
  finish(): (() => void)[] {
    return this.commands;
  }
}

class EmulatedDevice extends EventTarget {
  readonly limits = limits;
  readonly features = new Set<string>();
  readonly lost = new Promise<never>(() => {});
  failure: unknown;
  readonly queue = {
    writeBuffer(
      to: Buffer,
      offset: number,
      data: ArrayBuffer | ArrayBufferView,
      from = 0,
      size?: number,
    ): void {
      const bytes = ArrayBuffer.isView(data)
        ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        : new Uint8Array(data);
      new Uint8Array(to.bytes).set(
        bytes.subarray(from, size === undefined ? undefined : from + size),
        offset,
      );
    },
    submit: (lists: (() => void)[][]): void => {
      try {
        if (!this.failure) lists.flat().forEach((command) => command());
      } catch (error) {
        this.failure = error; // whoever waits for results gets it
      }
    },
  };
  createBuffer(descriptor: GPUBufferDescriptor): Buffer {
    if (descriptor.size > limits.maxBufferSize) {
      throw new EmulatorError(`a buffer of ${descriptor.size} bytes`);
    }
    return new Buffer(descriptor, this);
  }
  createBindGroupLayout = (layout: unknown): unknown => layout;
  createPipelineLayout = (layout: unknown): unknown => layout;
  createShaderModule = ({ code }: GPUShaderModuleDescriptor): string => code;
  createComputePipeline({ label, compute }: { label: string; compute: { module: string } }): Pipeline {
    return pipelineOf(label, compute.module);
  }
  createComputePipelineAsync(descriptor: { label: string; compute: { module: string } }): Promise<Pipeline> {
    return Promise.resolve(this.createComputePipeline(descriptor));
  }
  createBindGroup({ entries }: { entries: readonly { binding: number; resource: Bound }[] }) {
    return new Map(entries.map(({ binding, resource }) => [binding, resource]));
  }
  createCommandEncoder = (): Encoder => new Encoder();
  pushErrorScope(): void {}
  popErrorScope(): Promise<null> {
    return Promise.resolve(null);
  }
  destroy(): void {}
}

/** An emulated `navigator.gpu`. */
export function emulatedGpu(): GPU {
  const adapter = {
    ...{ limits, features: new Set<string>() },
    info: {
      vendor: "tests",
      architecture: "",
      device: "",
      description: "emulator",
      isFallbackAdapter: false,
    },
    requestDevice: () => Promise.resolve(new EmulatedDevice()),
  };
  return { requestAdapter: () => Promise.resolve(adapter) } as unknown as GPU;
}

/** Runs a function while `navigator.gpu` is replaced. */
export async function withGpu<T>(gpu: GPU, run: () => Promise<T>): Promise<T> {
  const real = Object.getOwnPropertyDescriptor(navigator, "gpu");
  Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
  try {
    return await run();
  } finally {
    if (real) Object.defineProperty(navigator, "gpu", real);
    else delete (navigator as { gpu?: GPU }).gpu;
  }
}
