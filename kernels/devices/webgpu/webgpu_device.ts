import {
  type BufferRange,
  type CompileProgress,
  type Device,
  type DeviceBuffer,
  DeviceError,
  type KernelCall,
  type KernelChoice,
  type TuneOptions,
  type Tuning,
} from "../device.ts";
import { checkCount, refuse } from "../../core/checks.ts";
import { BufferPool, CommandQueue, type Dispatch, Dispatches, type GpuBuffer } from "./commands.ts";
import { PassWorkspace } from "./workspace.ts";
import { Health, readBack } from "./health.ts";
import { Choices, PipelineCache } from "./pipelines.ts";
import { tuneCalls } from "./tune.ts";

/** Features to enable if the adapter has them: f16 values, and the clock for tuning. */
const features: readonly GPUFeatureName[] = ["shader-f16", "timestamp-query"];

/** Runs ops as WGSL compute shaders on a WebGPU adapter. */
export class WebGpuDevice implements Device {
  readonly kind = "webgpu";
  readonly description: string;
  readonly tuning: Tuning;
  readonly maxRangeBytes: number;
  readonly maxBytes = Infinity;
  readonly offsetAlignment: number;
  readonly halfStorage: boolean;
  #device: GPUDevice;
  #adapter: string;
  #pool: BufferPool;
  #workspace: PassWorkspace;
  #pipelines: PipelineCache;
  #choices: Choices;
  #dispatches: Dispatches;
  #queue: CommandQueue;
  #health: Health;

  private constructor(
    device: GPUDevice,
    info: GPUAdapterInfo,
    { software, candidate }: { software: boolean; candidate?: string },
  ) {
    const { limits } = device;
    this.#device = device;
    this.#health = new Health(device);
    this.#adapter = adapterKey(info);
    this.description = [info.description || info.vendor, software ? "software" : ""].filter(Boolean).join(
      ", ",
    );
    this.tuning = {
      workgroupSize: Math.min(64, limits.maxComputeWorkgroupSizeX, limits.maxComputeInvocationsPerWorkgroup),
      software,
      ...candidate !== undefined && { candidate },
      pieces: 512, // invocations on a software adapter, workgroups on a GPU
    };
    this.maxRangeBytes = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
    this.offsetAlignment = Math.max(1, limits.minStorageBufferOffsetAlignment / 4);
    this.halfStorage = device.features.has("shader-f16");
    this.#pool = new BufferPool(device, this.#health, () => this.#queue.submit());
    this.#queue = new CommandQueue(device);
    this.#choices = new Choices(this.tuning);
    this.#workspace = new PassWorkspace(this.#pool, this.#choices, this.maxRangeBytes);
    this.#pipelines = new PipelineCache(device, this.#choices, this.#health);
    this.#dispatches = new Dispatches(device, this.#pipelines);
  }

  /**
   * Opens a device on the adapter that WebGPU prefers, with the adapter's limits.
   *
   * @param software whether to run the kernels for software adapters or those for GPUs; by default as the adapter is.
   * Both are correct everywhere, and tests run both
   * @param candidate name of the variant to run, for every op that has one of this name, unless tuning chose another
   */
  static async open(
    { software, candidate }: { software?: boolean; candidate?: string } = {},
  ): Promise<WebGpuDevice> {
    const adapter = await globalThis.navigator?.gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) throw new DeviceError(noAdapter());
    const { limits } = adapter;
    try {
      const device = await adapter.requestDevice({
        requiredFeatures: features.filter((name) => adapter.features.has(name)),
        requiredLimits: {
          maxBufferSize: limits.maxBufferSize,
          maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
          maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
          maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
          maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
        },
      });
      return new WebGpuDevice(device, adapter.info, {
        software: software ?? isSoftware(adapter),
        ...candidate !== undefined && { candidate },
      });
    } catch (cause) {
      const isFull = /not enough memory/i.test(`${cause}`);
      const advice = isFull ? "; other programs hold its memory: end them, or use another GPU" : "";
      const { description } = adapter.info;
      throw new DeviceError(`The WebGPU adapter ${description} offers no device: ${cause}${advice}`, {
        cause,
      });
    }
  }

  get allocatedBytes(): number {
    return this.#pool.bytes;
  }

  allocate(bytes: number): DeviceBuffer {
    this.#health.checkOpen();
    checkCount("allocate memory", "the number of bytes", bytes);
    const most = this.#device.limits.maxBufferSize;
    if (bytes > most) { // requesting it would break this device for good
      const what = `allocate ${bytes} bytes for one value on ${this.description}`;
      refuse(DeviceError, what, `at most ${most}; use a smaller batch or network`);
    }
    return this.#pool.take(bytes);
  }

  release(buffer: DeviceBuffer): void {
    if (!this.#health.closed) this.#pool.give(buffer as GpuBuffer);
  }

  write(range: BufferRange, data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): void {
    this.#health.check();
    this.#queue.write((range.buffer as GpuBuffer).handle, range.offset * 4, data);
  }

  async read({ buffer, offset, length }: BufferRange): Promise<ArrayBuffer> {
    this.#health.checkOpen();
    const bytes = Math.max(length * 4, 4);
    const { handle } = buffer as GpuBuffer;
    const values = await this.#readBack(bytes, (to) => this.#queue.copy(handle, offset * 4, to, 0, bytes));
    return length === 0 ? new ArrayBuffer(0) : values;
  }

  run(call: KernelCall): void {
    this.#health.check();
    const dispatches = this.#workspace.expand([call]).map((each) => this.#dispatches.of(each));
    for (const dispatch of dispatches) this.#queue.dispatch(dispatch);
  }

  workspaceBytes(calls: readonly Pick<KernelCall, "kernel" | "dims">[]): number {
    return this.#workspace.bytesOf(calls);
  }

  prepare(calls: readonly KernelCall[]): () => void {
    this.#health.check();
    this.#workspace.expect(calls);
    // Created by the first run, so that compile() can come first, and again after tune() has chosen otherwise.
    let dispatches: readonly Dispatch[] = [];
    let version: string | undefined;
    return () => {
      this.#health.check();
      if (version !== this.#workspace.version) {
        dispatches = this.#workspace.expand(calls).map((call) => this.#dispatches.of(call));
        version = this.#workspace.version;
      }
      for (const dispatch of dispatches) this.#queue.dispatch(dispatch);
    };
  }

  async compile(calls: readonly KernelCall[], progress: CompileProgress): Promise<void> {
    this.#health.check();
    const missing = this.#pipelines.missing(this.#workspace.expand(calls));
    // All start together. If compiling blocks, other code can run between two kernels.
    const compiled = missing.map((call, i) => task(i).then(() => this.#pipelines.compile(call)));
    for (const [i, call] of missing.entries()) {
      const failure = await compiled[i];
      this.#health.check();
      if (failure) throw failure;
      // Some drivers, such as Lavapipe, compile at the first dispatch, and the next submit waits for that. A dispatch
      // without workgroups triggers it.
      this.#queue.dispatch({ ...this.#dispatches.of(call), x: 0 });
      this.#queue.submit();
      await task(0);
      progress(i + 1, missing.length);
    }
    await this.finished();
  }

  async tune(calls: readonly KernelCall[], options: TuneOptions): Promise<KernelChoice[]> {
    await this.finished();
    const tuned = {
      device: this.#device,
      adapter: this.#adapter,
      choices: this.#choices,
      dispatches: this.#dispatches,
      workspace: this.#workspace,
    };
    const choices = await tuneCalls(calls, tuned, options);
    this.#health.check();
    return choices;
  }

  async finished(): Promise<void> {
    await this.#readBack(4, (to) => this.#queue.copyMark(to)); // runs after all work queued before
  }

  close(): void {
    this.#queue.close();
    this.#dispatches.clear();
    this.#health.close();
  }

  async #readBack(bytes: number, copy: (to: GPUBuffer) => void): Promise<ArrayBuffer> {
    let cause: unknown;
    const values = await readBack(this.#device, bytes, (to) => {
      copy(to);
      this.#queue.submit();
    }).catch((error) => void (cause = error));
    this.#queue.waited();
    await this.#health.checkLate(!values);
    if (!values) throw new DeviceError(`Cannot read from the device: ${cause}`, { cause });
    return values;
  }
}

/** Resolves in the i-th task from now. */
function task(i: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, i));
}

/** Explains why there is no WebGPU device, and what to do. */
export function noAdapter(): string {
  if ("document" in globalThis || "importScripts" in globalThis) { // a page, or a worker of one
    return "No WebGPU adapter: this browser offers none to this page (it needs https, localhost or a file, and a GPU)";
  }
  return "No WebGPU adapter: install a Vulkan driver and loader (Debian: mesa-vulkan-drivers libvulkan1), start with " +
    "./denow, or use the CPU device (--device cpu)";
}

/** Whether the adapter runs on the CPU; browsers and Deno report it in different places. */
export function isSoftware(adapter: GPUAdapter): boolean {
  const flagged = adapter.info.isFallbackAdapter ??
    (adapter as { isFallbackAdapter?: boolean }).isFallbackAdapter;
  return flagged ?? /llvmpipe|lavapipe|swiftshader/i.test(adapter.info.description);
}

/** Identifies an adapter; measurements hold for adapters with the same key. */
function adapterKey({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  return [vendor, architecture, device, description].filter(Boolean).join(" | ");
}
