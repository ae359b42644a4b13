import { isCount, maxU32 } from "../../core/count.ts";
import { DeviceError, type Kernel, type KernelCall, type Tuning } from "../device.ts";
import type { Choices } from "./choices.ts";
import { halfWgsl } from "./half_wgsl.ts";
import type { Outcomes } from "./outcomes.ts";
import { UniformMemory } from "./uniform_memory.ts";

/** A compiled kernel. */
export interface Pipeline {
  readonly id: number;
  readonly kernel: Kernel;
  readonly handle: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Names of the dims in the order of the shader's struct, in which every call writes them. */
  readonly fields: readonly string[];
  readonly uniforms: Map<string, Uniforms>;
  /** Whether the device has told if it is valid. */
  checked: boolean;
  /** Why it is not valid. */
  failure?: DeviceError;
}

/** The uniforms of one set of dims. Where shapes and numbers repeat, there are few. */
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

  /** Compiles for a device the ways that were chosen; `outcomes` waits for what it says of each pipeline. */
  constructor(readonly device: GPUDevice, readonly choices: Choices, readonly outcomes: Outcomes) {
    this.#memory = new UniformMemory(device);
  }

  /**
   * The pipeline of a call, which may turn out later not to be valid.
   *
   * @throws {DeviceError} if it is known not to be
   */
  of(call: KernelCall): Pipeline {
    const key = this.#keyOf(call);
    const known = this.#pipelines.get(key);
    const failure = known?.failure ?? this.#failures.get(key);
    if (failure) throw new DeviceError(failure.message, { cause: failure });
    if (known) return known;
    const { made: pipeline, error } = this.#scoped(() => {
      const { descriptor, layout } = this.#describe(call);
      return this.#keep(call, layout, this.device.createComputePipeline(descriptor), false);
    });
    this.outcomes.wait(error.then((error) => {
      if (error) pipeline.failure = refusal(call, error);
      pipeline.checked = true;
    }));
    return pipeline;
  }

  /** Calls whose kernels are not compiled yet, one per pipeline. */
  missing(calls: readonly KernelCall[]): KernelCall[] {
    const first = new Map(calls.toReversed().map((call) => [this.#keyOf(call), call]));
    return [...first].filter(([key]) => !this.#pipelines.has(key)).map(([, call]) => call).toReversed();
  }

  /**
   * Compiles a kernel, concurrently with other work if the platform can.
   *
   * @returns why it does not compile, if it does not
   */
  async compile(call: KernelCall): Promise<DeviceError | undefined> {
    const { made: { layout, made }, error } = this.#scoped(() => {
      const { descriptor, layout } = this.#describe(call);
      return { layout, made: this.device.createComputePipelineAsync(descriptor) };
    });
    try {
      this.#keep(call, layout, await made, true);
    } catch (cause) {
      const failure = refusal(call, await error ?? cause as GPUPipelineError); // the shader's own error says more
      this.#failures.set(this.#keyOf(call), failure);
      return failure;
    }
  }

  uniforms(pipeline: Pipeline, call: KernelCall): Uniforms {
    const { kernel, dims } = call;
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
    if (!uniforms) pipeline.uniforms.set(key, uniforms = this.#makeUniforms(call, fields));
    return uniforms;
  }

  /** Forgets all uniforms. Those in use live as long as the bind groups that hold their memory. */
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
        throw new DeviceError(
          `Cannot run ${kernel.name}: ${name} is ${dims[name]} (expected at most ${maxU32})`,
        );
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

  /** Runs the creation of a pipeline, and gives the validation error in it, if there is one. */
  #scoped<T>(make: () => T): { made: T; error: Promise<GPUError | null> } {
    this.device.pushErrorScope("validation");
    const made = make();
    return { made, error: this.device.popErrorScope().catch(() => null) }; // rejected if the device is lost
  }

  #keep(
    call: KernelCall,
    layout: GPUBindGroupLayout,
    handle: GPUComputePipeline,
    checked: boolean,
  ): Pipeline {
    const pipeline = {
      id: this.#pipelines.size,
      kernel: call.kernel,
      handle,
      layout,
      fields: Object.keys(call.dims),
      uniforms: new Map(),
      checked,
    };
    this.#pipelines.set(this.#keyOf(call), pipeline);
    return pipeline;
  }

  /** Of a kernel itself, not of its name: ops may replace others of their name. */
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

/** The complete shader of a kernel: dims and buffers by name, the op's `fn kernel`, and the entry point. */
export function shaderOf(call: KernelCall, tuning: Tuning): string {
  const { kernel, dims, half = [] } = call;
  const specialised = kernel.specialise(dims, tuning);
  const vectors = kernel.vectors?.(specialised) ?? [];
  const fields = Object.keys(dims).map((name) => `  ${name}: ${kernel.floats.has(name) ? "f32" : "u32"},`);
  const elementOf = ({ name, type }: Kernel["ports"][number]) => {
    const [number, vector] = half.includes(name) ? ["f16", "vec4h"] : [type, "vec4f"];
    return vectors.includes(name) ? vector : number;
  };
  const buffers = kernel.ports.map((port, i) =>
    `@group(0) @binding(${i + 1}) var<storage, ${
      port.writable ? "read_write" : "read"
    }> ${port.name}: array<${elementOf(port)}>; // [${port.axes.join(", ")}]`
  );
  return `${half.length > 0 ? "enable f16;\n" : ""}struct Dims {
${fields.join("\n")}
  runs: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
${buffers.join("\n")}

${halfWgsl(kernel.wgsl(tuning, specialised), half, vectors)}
${entry(kernel.workgroups(dims, tuning)?.lanes, tuning)}`;
}

/** @throws {DeviceError} if a shader takes vectors from a range that does not end with one */
function checkVectors({ kernel, dims, ranges }: KernelCall, tuning: Tuning): void {
  const vectors = kernel.vectors?.(kernel.specialise(dims, tuning)) ?? [];
  kernel.ports.forEach(({ name }, i) => {
    const { length } = ranges[i];
    if (!vectors.includes(name) || length % 4 === 0) return;
    throw new DeviceError(
      `Cannot run ${kernel.name}: ${name} has ${length} elements (expected a multiple of 4, as its kernel takes ` +
        "vectors)",
    );
  });
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
