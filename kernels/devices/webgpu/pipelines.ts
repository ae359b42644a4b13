import { isCount, maxU32, refuse } from "../../core/checks.ts";
import { DeviceError, type Kernel, type KernelCall, type Tuning } from "../device.ts";
import type { Health } from "./health.ts";
import { showAxes } from "../../core/shape.ts";

/** What a choice depends on. */
type ChosenCall = Pick<KernelCall, "kernel" | "dims" | "half" | "candidate">;

/** Kernel and sizes of a call, the key of its choice. */
export function nameOfCall({ kernel, dims, half = [] }: ChosenCall): string {
  const sizes = Object.entries(dims).map(([name, value]) => `${name}=${value}`);
  return [kernel.name, ...sizes, ...half.map((port) => `${port}:f16`)].join(" ");
}

/** The candidates chosen for calls, by kernel and sizes. */
export class Choices {
  readonly #chosen = new Map<string, string>();
  readonly #tunings = new Map<string, Tuning>();
  #version = 0;

  /** @param table the tuning of calls without a choice */
  constructor(readonly table: Tuning) {}

  /** Changes with every new choice. */
  get version(): number {
    return this.#version;
  }

  /** The tuning for a call. */
  of(call: ChosenCall): Tuning {
    const candidate = call.candidate ?? this.chosen(call);
    if (candidate === undefined) return this.table;
    const cached = this.#tunings.get(candidate);
    if (cached) return cached;
    const tuning = { ...this.table, candidate };
    this.#tunings.set(candidate, tuning);
    return tuning;
  }

  /** Name of the candidate chosen for a call, if any. */
  chosen(call: ChosenCall): string | undefined {
    if (this.#chosen.size === 0 || !call.kernel.candidates) return undefined;
    return this.#chosen.get(nameOfCall(call));
  }

  choose(call: ChosenCall, candidate: string): void {
    this.#chosen.set(nameOfCall(call), candidate);
    this.#version++;
  }
}

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
  const buffers = kernel.ports.map((port, i) => {
    const access = port.writable ? "read_write" : "read";
    return `@group(0) @binding(${i + 1}) var<storage, ${access}> ${port.name}: array<${
      elementOf(port)
    }>; // [${showAxes(port.axes)}]`;
  });
  return `${half.length > 0 ? "enable f16;\n" : ""}struct Dims {
${fields.join("\n")}
  runs: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
${buffers.join("\n")}

${halfWgsl(kernel.wgsl(tuning, specialised), half, vectors)}
${entry(kernel.workgroups(dims, tuning)?.lanes, tuning)}`;
}

/** The entry point: workgroups with this number of lanes, or single invocations. */
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

/**
 * Rewrites WGSL so that some buffers hold f16. Values are converted to f32 on reads and to f16 on stores, so all
 * arithmetic stays in f32. Ops are written for f32 and need no change.
 *
 * @param wgsl statements that use the buffers only as `name[index]`
 * @param names buffers declared as `array<f16>` or `array<vec4h>`
 * @param vectors the buffers among them that are declared as `array<vec4h>`
 */
export function halfWgsl(wgsl: string, names: readonly string[], vectors: readonly string[] = []): string {
  if (names.length === 0) return wgsl;
  const use = new RegExp(`(?<![\\w.])(${names.join("|")})\\s*\\[`);
  return rewritten(wgsl.replaceAll(/\/\/.*/g, ""), use, vectors);
}

/** An assignment, not a comparison; captures the operator of a compound one. */
const assignment = /^\s*([-+*/]?)=(?!=)/;

function rewritten(wgsl: string, use: RegExp, vectors: readonly string[]): string {
  const match = use.exec(wgsl);
  if (!match) return wgsl;
  const open = match.index + match[0].length;
  const close = endOf(wgsl, open, "]");
  const [wide, narrow] = vectors.includes(match[1]) ? ["vec4f", "vec4h"] : ["f32", "f16"];
  const element = `${match[1]}[${rewritten(wgsl.slice(open, close), use, vectors)}]`;
  const before = wgsl.slice(0, match.index);
  const after = wgsl.slice(close + 1);
  const stored = assignment.exec(after);
  if (!stored) return `${before}${wide}(${element})${rewritten(after, use, vectors)}`;
  const end = endOf(after, stored[0].length, ";");
  const value = rewritten(after.slice(stored[0].length, end), use, vectors);
  const sum = stored[1] === "" ? value : `${wide}(${element}) ${stored[1]} (${value})`;
  return `${before}${element} = ${narrow}(${sum})${rewritten(after.slice(end), use, vectors)}`;
}

/** Index of the bracket that closes the one opened before `from`, or of the end of the statement. */
function endOf(wgsl: string, from: number, closing: "]" | ";"): number {
  let depth = 0;
  for (let i = from; i < wgsl.length; i++) {
    if (depth === 0 && wgsl[i] === closing) return i;
    if ("([{".includes(wgsl[i])) depth++;
    else if (")]}".includes(wgsl[i])) depth--;
  }
  refuse(SyntaxError, `store in f16: no "${closing}" after ${wgsl.slice(from, from + 40)}`);
}
