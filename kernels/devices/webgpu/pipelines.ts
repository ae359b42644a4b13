import { isCount, maxU32, refuse } from "../../core/checks.ts";
import { DeviceError, type Kernel, type KernelCall, type Tuning } from "../device.ts";
import type { Choices } from "./choices.ts";
import { shaderOf } from "./shader.ts";
import type { Health } from "./health.ts";

/** Bytes per buffer of uniforms. */
const bufferBytes = 1 << 15;

/**
 * Memory for the uniforms of calls. Many share a buffer, because thousands of buffers are slow to create and slower to
 * free.
 */
class UniformMemory {
  #buffer: GPUBuffer | undefined;
  #end = 0;

  constructor(readonly device: GPUDevice) {}

  /** Places bytes in separate memory, which lives as long as its buffer is referenced. */
  place(bytes: ArrayBuffer): Required<GPUBufferBinding> {
    const { queue, limits: { minUniformBufferOffsetAlignment: alignment } } = this.device;
    const size = bytes.byteLength;
    if (!this.#buffer || this.#end + size > bufferBytes) {
      const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
      this.#buffer = this.device.createBuffer({ label: "uniforms", size: bufferBytes, usage });
      this.#end = 0;
    }
    const offset = this.#end;
    this.#end = Math.ceil((offset + size) / alignment) * alignment;
    queue.writeBuffer(this.#buffer, offset, bytes);
    return { buffer: this.#buffer, offset, size };
  }
}

/** A compiled kernel. */
export interface Pipeline {
  readonly id: number;
  readonly kernel: Kernel;
  readonly handle: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Names of the dims, in the order of the shader's struct. */
  readonly fields: readonly string[];
  readonly uniforms: Map<string, Uniforms>;
}

/** The uniforms of one set of dims. There are few, because shapes repeat. */
export interface Uniforms {
  readonly id: number;
  readonly binding: GPUBufferBinding;
  /** Workgroups to dispatch. */
  readonly groups: number;
}

/** Compiles each kernel once, and keeps its pipeline and uniforms. */
export class PipelineCache {
  #pipelines = new Map<string, Pipeline>();
  #failures = new Map<string, DeviceError>();
  #kernels = new WeakMap<Kernel, number>();
  #kernelCount = 0;
  #uniformCount = 0;
  #memory: UniformMemory;

  /** Compiles the candidates chosen by `choices`; an invalid pipeline that may have been used is a failure of the device. */
  constructor(readonly device: GPUDevice, readonly choices: Choices, readonly health: Pick<Health, "fail">) {
    this.#memory = new UniformMemory(device);
  }

  /** The pipeline of a call; it may turn out invalid later. */
  of(call: KernelCall): Pipeline {
    const key = this.#keyOf(call);
    const cached = this.#pipelines.get(key);
    if (cached) return cached;
    const failure = this.#failures.get(key);
    if (failure) throw new DeviceError(failure.message, { cause: failure });
    const { made: pipeline, error } = this.#scoped(() => {
      const { descriptor, layout } = this.#describe(call);
      return this.#keep(call, layout, this.device.createComputePipeline(descriptor));
    });
    error.then((error) => error && this.health.fail(refusal(call, error).message));
    return pipeline;
  }

  /** Calls whose kernels are not compiled yet, one per pipeline. */
  missing(calls: readonly KernelCall[]): KernelCall[] {
    const missing = new Map<string, KernelCall>();
    for (const call of calls) {
      const key = this.#keyOf(call);
      if (!this.#pipelines.has(key) && !missing.has(key)) missing.set(key, call);
    }
    return [...missing.values()];
  }

  /** Compiles a kernel, concurrently if the platform can; returns the error if it does not compile. */
  async compile(call: KernelCall): Promise<DeviceError | undefined> {
    const { made: { layout, made }, error } = this.#scoped(() => {
      const { descriptor, layout } = this.#describe(call);
      return { layout, made: this.device.createComputePipelineAsync(descriptor) };
    });
    try {
      this.#keep(call, layout, await made);
    } catch (cause) {
      const failure = refusal(call, await error ?? cause as GPUPipelineError); // the shader's own error says more
      this.#failures.set(this.#keyOf(call), failure);
      return failure;
    }
  }

  uniforms(pipeline: Pipeline, call: KernelCall): Uniforms {
    const key = pipeline.fields.map((name) => call.dims[name]).join();
    let uniforms = pipeline.uniforms.get(key);
    if (!uniforms) pipeline.uniforms.set(key, uniforms = this.#makeUniforms(call, pipeline.fields));
    return uniforms;
  }

  /** Drops all uniforms. Those in use live as long as their bind groups. */
  forgetUniforms(): void {
    for (const { uniforms } of this.#pipelines.values()) uniforms.clear();
  }

  #makeUniforms(call: KernelCall, fields: readonly string[]): Uniforms {
    const { kernel, dims } = call;
    const tuning = this.choices.of(call);
    checkVectors(call, tuning);
    const workgroups = kernel.workgroups(dims, tuning);
    const runs = workgroups?.count ?? kernel.invocations(dims, tuning);
    const groups = workgroups?.count ?? Math.ceil(runs / tuning.workgroupSize);
    const bytes = new ArrayBuffer(Math.ceil((fields.length + 1) / 4) * 16);
    const view = new DataView(bytes);
    fields.forEach((name, i) => {
      if (kernel.floats.has(name)) view.setFloat32(i * 4, dims[name], true);
      else if (isCount(dims[name], 0, maxU32)) view.setUint32(i * 4, dims[name], true);
      else {
        refuse(DeviceError, `run ${kernel.name}: ${name} is ${dims[name]}`, `at most ${maxU32}`);
      }
    });
    view.setUint32(fields.length * 4, runs, true);
    return { id: this.#uniformCount++, binding: this.#memory.place(bytes), groups };
  }

  #describe(call: KernelCall) {
    const { kernel } = call;
    const label = kernel.name;
    const layout = this.device.createBindGroupLayout({
      label,
      entries: [
        { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: "uniform" } },
        ...kernel.ports.map(({ writable }, i): GPUBindGroupLayoutEntry => ({
          binding: i + 1,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: writable ? "storage" : "read-only-storage" },
        })),
      ],
    });
    const descriptor = {
      label,
      layout: this.device.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
      compute: {
        module: this.device.createShaderModule({ label, code: shaderOf(call, this.choices.of(call)) }),
        entryPoint: "main",
      },
    };
    return { descriptor, layout };
  }

  /** Creates a pipeline and returns its validation error, if any. */
  #scoped<T>(make: () => T): { made: T; error: Promise<GPUError | null> } {
    this.device.pushErrorScope("validation");
    const made = make();
    return { made, error: this.device.popErrorScope().catch(() => null) }; // rejected if the device is lost
  }

  #keep(call: KernelCall, layout: GPUBindGroupLayout, handle: GPUComputePipeline): Pipeline {
    const pipeline = {
      id: this.#pipelines.size,
      kernel: call.kernel,
      handle,
      layout,
      fields: Object.keys(call.dims),
      uniforms: new Map(),
    };
    this.#pipelines.set(this.#keyOf(call), pipeline);
    return pipeline;
  }

  /** Key of the kernel object, not of its name, because an op may be replaced by another of the same name. */
  #keyOf(call: KernelCall): string {
    const { kernel, dims, half = [] } = call;
    let id = this.#kernels.get(kernel);
    if (id === undefined) this.#kernels.set(kernel, id = this.#kernelCount++);
    return [id, ...half, ...Object.entries(kernel.specialise(dims, this.choices.of(call))).flat()].join();
  }
}

function refusal({ kernel: { name } }: KernelCall, { message }: { readonly message: string }): DeviceError {
  return new DeviceError(`Cannot compile the kernel of ${name}: ${message.trim()}`);
}

function checkVectors({ kernel, dims, ranges, half }: KernelCall, tuning: Tuning): void {
  const vectors = kernel.vectors?.(kernel.specialise(dims, tuning)) ?? [];
  kernel.ports.forEach(({ name }, i) => {
    const elements = ranges[i].length * (half?.includes(name) ? 2 : 1);
    if (!vectors.includes(name) || elements % 4 === 0) return;
    refuse(DeviceError, `run ${kernel.name} by vectors: ${name} has ${elements} elements`, "a multiple of 4");
  });
}
