import { DeviceError, type Dims, type Kernel, type KernelCall, type Tuning } from "../device.ts";
import { halfWgsl } from "./half_wgsl.ts";

/** A compiled kernel. */
export interface Pipeline {
  readonly id: number;
  readonly kernel: Kernel;
  readonly handle: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Names of the dims in the order of the shader's struct, in which every call writes them. */
  readonly fields: readonly string[];
  readonly uniforms: Map<string, Uniforms>;
}

/** The uniform buffer for one set of dims. Shapes repeat, so there are few. */
export interface Uniforms {
  readonly id: number;
  readonly buffer: GPUBuffer;
  /** Workgroups to dispatch. */
  readonly groups: number;
}

/** Compiles each kernel once, and keeps its pipeline and uniform buffers. */
export class PipelineCache {
  #pipelines = new Map<string, Pipeline>();
  #checks: Promise<void>[] = [];
  #uniformCount = 0;

  constructor(
    readonly device: GPUDevice,
    readonly tuning: Tuning,
    readonly onError: (error: DeviceError) => void,
  ) {}

  of(call: KernelCall): Pipeline {
    const known = this.#pipelines.get(this.#keyOf(call));
    if (known) return known;
    return this.#checked(call, () => {
      const { descriptor, layout } = this.#describe(call);
      return this.#keep(call, layout, this.device.createComputePipeline(descriptor));
    });
  }

  /** Calls whose kernels are not compiled yet, one per pipeline. */
  missing(calls: readonly KernelCall[]): KernelCall[] {
    const first = new Map(calls.toReversed().map((call) => [this.#keyOf(call), call]));
    return [...first].filter(([key]) => !this.#pipelines.has(key)).map(([, call]) => call).toReversed();
  }

  /** Compiles a kernel, concurrently with other work if the platform can. */
  async compile(call: KernelCall): Promise<void> {
    const { layout, made } = this.#checked(call, () => {
      const { descriptor, layout } = this.#describe(call);
      return { layout, made: this.device.createComputePipelineAsync(descriptor) };
    });
    try {
      this.#keep(call, layout, await made);
    } catch (error) {
      await this.settled(); // the error of the shader is more specific
      this.#refuse(call, error as GPUPipelineError);
    }
  }

  uniforms(pipeline: Pipeline, { kernel, dims }: KernelCall): Uniforms {
    const { fields } = pipeline;
    const missing = fields.find((name) => dims[name] === undefined);
    if (missing !== undefined || Object.keys(dims).length !== fields.length) {
      throw new DeviceError(
        `Cannot run ${kernel.name}: its dims are ${
          Object.keys(dims).join(", ")
        } (expected those it was compiled ` +
          `with: ${fields.join(", ")})`,
      );
    }
    const key = fields.map((name) => dims[name]).join();
    let uniforms = pipeline.uniforms.get(key);
    if (!uniforms) pipeline.uniforms.set(key, uniforms = this.#makeUniforms(kernel, dims, fields));
    return uniforms;
  }

  /** Waits until all kernels compiled so far have been validated. */
  async settled(): Promise<void> {
    await Promise.all(this.#checks.splice(0));
  }

  #makeUniforms(kernel: Kernel, dims: Dims, fields: readonly string[]): Uniforms {
    const workgroups = kernel.workgroups(dims, this.tuning);
    const runs = workgroups?.count ?? kernel.invocations(dims, this.tuning);
    const groups = workgroups?.count ?? Math.ceil(runs / this.tuning.workgroupSize);
    const bytes = new ArrayBuffer(Math.ceil((fields.length + 1) / 4) * 16);
    const view = new DataView(bytes);
    fields.forEach((name, i) => {
      if (kernel.floats.has(name)) view.setFloat32(i * 4, dims[name], true);
      else view.setUint32(i * 4, dims[name], true);
    });
    view.setUint32(fields.length * 4, runs, true);
    const buffer = this.device.createBuffer({
      size: bytes.byteLength,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    this.device.queue.writeBuffer(buffer, 0, bytes);
    return { id: this.#uniformCount++, buffer, groups };
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
        module: this.device.createShaderModule({ label, code: shaderOf(call, this.tuning) }),
        entryPoint: "main",
      },
    };
    return { descriptor, layout };
  }

  /** Runs the creation of a pipeline; validation errors in it are reported with the name of the op. */
  #checked<T>(call: KernelCall, make: () => T): T {
    this.device.pushErrorScope("validation");
    const made = make();
    const check = this.device.popErrorScope();
    this.#checks.push(check.then((error) => error ? this.#refuse(call, error) : undefined));
    return made;
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

  #keyOf({ kernel, dims, half = [] }: KernelCall): string {
    return [kernel.name, ...half, ...Object.entries(kernel.specialise(dims, this.tuning)).flat()].join();
  }

  #refuse({ kernel: { name } }: KernelCall, { message }: { message: string }): void {
    this.onError(new DeviceError(`Cannot compile the kernel of ${name}: ${message.trim()}`));
  }
}

/** The complete shader of a kernel: dims and buffers by name, the op's `fn kernel`, and the entry point. */
export function shaderOf({ kernel, dims, half = [] }: KernelCall, tuning: Tuning): string {
  const fields = Object.keys(dims).map((name) => `  ${name}: ${kernel.floats.has(name) ? "f32" : "u32"},`);
  const buffers = kernel.ports.map(({ name, type, writable, axes }, i) =>
    `@group(0) @binding(${i + 1}) var<storage, ${writable ? "read_write" : "read"}> ${name}: array<${
      half.includes(name) ? "f16" : type
    }>;` +
    ` // [${axes.join(", ")}]`
  );
  return `${half.length > 0 ? "enable f16;\n" : ""}struct Dims {
${fields.join("\n")}
  runs: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
${buffers.join("\n")}

${halfWgsl(kernel.wgsl(tuning, kernel.specialise(dims, tuning)), half)}
${entry(kernel.workgroups(dims, tuning)?.lanes, tuning)}`;
}

/** The entry point: of a kernel of workgroups with so many lanes, or of one of single invocations. */
function entry(lanes: number | undefined, { workgroupSize }: Tuning): string {
  if (lanes !== undefined) {
    return `
@compute @workgroup_size(${lanes})
fn main(
  @builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let group = id.x + id.y * groups.x;
  if (group < dims.runs) { kernel(group, lane); }
}
`;
  }
  return `
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${workgroupSize}u;
  if (i < dims.runs) { kernel(i); }
}
`;
}
