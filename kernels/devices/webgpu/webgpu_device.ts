import {
  type BufferRange,
  type CompileProgress,
  type Device,
  type DeviceBuffer,
  DeviceError,
  type KernelCall,
} from "../device.ts";
import { BufferPool, type GpuBuffer } from "./buffer_pool.ts";
import { checkSharing } from "./check_sharing.ts";
import { CommandQueue, type Dispatch } from "./command_queue.ts";
import { type Pipeline, PipelineCache } from "./pipelines.ts";

/** Bind groups kept for calls that recur on the same memory. */
const maxBindGroups = 1 << 14;

/** Why there is no WebGPU device, and what to do. */
function noAdapter(): string {
  if ("document" in globalThis) {
    return "No WebGPU adapter: this browser has none for this page (it needs https, localhost or a file, and a GPU)";
  }
  return "No WebGPU adapter: install a Vulkan driver and loader (Debian: mesa-vulkan-drivers libvulkan1), start through " +
    "./denow, or use the CPU device (--device cpu)";
}

/** Runs ops as WGSL compute shaders on a WebGPU adapter. */
export class WebGpuDevice implements Device {
  readonly kind = "webgpu";
  readonly description: string;
  readonly tuning;
  readonly maxRangeBytes: number;
  readonly maxBytes = Infinity;
  readonly offsetAlignment: number;
  readonly halfStorage: boolean;
  #device: GPUDevice;
  #pool: BufferPool;
  #pipelines: PipelineCache;
  #bindGroups = new Map<string, Dispatch>();
  #queue: CommandQueue;
  #failure: DeviceError | undefined;
  #closed = false;

  private constructor(device: GPUDevice, info: GPUAdapterInfo, software: boolean) {
    const { limits } = device;
    this.#device = device;
    this.description = [info.description || info.vendor, software ? "software" : ""].filter(Boolean).join(
      ", ",
    );
    this.tuning = {
      workgroupSize: Math.min(64, limits.maxComputeWorkgroupSizeX, limits.maxComputeInvocationsPerWorkgroup),
      software,
      pieces: 512, // invocations on a software adapter, workgroups on a GPU
    };
    this.maxRangeBytes = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
    this.offsetAlignment = Math.max(1, limits.minStorageBufferOffsetAlignment / 4);
    this.halfStorage = device.features.has("shader-f16");
    this.#pool = new BufferPool(device);
    this.#queue = new CommandQueue(device);
    this.#pipelines = new PipelineCache(device, this.tuning, (error) => this.#fail(error));
    device.addEventListener("uncapturederror", (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      this.#fail(new DeviceError(`WebGPU reports: ${oneLine(error.message)}`));
      event.preventDefault();
    });
    device.lost.then(({ reason, message }) => {
      if (!this.#closed) {
        this.#fail(
          new DeviceError(
            `The WebGPU device was lost (${reason}): ${
              oneLine(message)
            }; restart, or open a new device with init()`,
          ),
        );
      }
    });
  }

  /**
   * A device of the adapter that WebGPU prefers, with the adapter's limits.
   *
   * @param software whether to run the kernels for software adapters or those for GPUs; by default what the adapter is.
   * Both are correct everywhere, and tests run both
   * @throws {DeviceError} if there is no adapter, or it offers no device
   */
  static async open({ software }: { software?: boolean } = {}): Promise<WebGpuDevice> {
    const adapter = await globalThis.navigator?.gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) throw new DeviceError(noAdapter());
    const { limits } = adapter;
    try {
      const device = await adapter.requestDevice({
        requiredFeatures: adapter.features.has("shader-f16") ? ["shader-f16"] : [],
        requiredLimits: {
          maxBufferSize: limits.maxBufferSize,
          maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
          maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
          maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
          maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
        },
      });
      return new WebGpuDevice(device, adapter.info, software ?? isSoftware(adapter));
    } catch (cause) {
      throw new DeviceError(`The WebGPU adapter ${adapter.info.description} offers no device: ${cause}`, {
        cause,
      });
    }
  }

  get allocatedBytes(): number {
    return this.#pool.bytes;
  }

  allocate(bytes: number): DeviceBuffer {
    const most = this.#device.limits.maxBufferSize;
    if (bytes > most) { // a request for it would make this device fail for good
      throw new DeviceError(
        `Cannot allocate ${bytes} bytes for one value on ${this.description} (expected at most ${most}); ` +
          "use a smaller batch or network",
      );
    }
    return this.#pool.take(bytes);
  }

  release(buffer: DeviceBuffer): void {
    if (!this.#closed) this.#pool.give(buffer as GpuBuffer);
  }

  write({ buffer, offset }: BufferRange, data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): void {
    this.#queue.write((buffer as GpuBuffer).handle, offset * 4, data);
  }

  async read({ buffer, offset, length }: BufferRange): Promise<ArrayBuffer> {
    this.#check();
    const bytes = Math.max(length * 4, 4);
    const staging = this.#device.createBuffer({
      size: bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    this.#queue.copy((buffer as GpuBuffer).handle, offset * 4, staging, 0, bytes);
    this.#queue.submit();
    try {
      await staging.mapAsync(GPUMapMode.READ);
    } catch (cause) {
      this.#check();
      throw new DeviceError(`Cannot read from the device: ${cause}`, { cause });
    }
    await this.#pipelines.settled();
    this.#check();
    const copy = staging.getMappedRange().slice(0, length * 4);
    staging.destroy();
    return copy;
  }

  run(call: KernelCall): void {
    this.#check();
    this.#queue.dispatch(this.#dispatch(call));
  }

  prepare(calls: readonly KernelCall[]): () => void {
    this.#check();
    let dispatches: readonly Dispatch[] | undefined; // created by the first run, so that compile() can come first
    return () => {
      this.#check();
      dispatches ??= calls.map((call) => this.#dispatch(call));
      for (const dispatch of dispatches) this.#queue.dispatch(dispatch);
    };
  }

  async compile(calls: readonly KernelCall[], progress: CompileProgress): Promise<void> {
    this.#check();
    const missing = this.#pipelines.missing(calls);
    // All start at once. Where compiling blocks, other code gets to run between two of them.
    const compiled = missing.map((call, i) => task(i).then(() => this.#pipelines.compile(call)));
    for (const [i, call] of missing.entries()) {
      await compiled[i];
      this.#check();
      // Some drivers, such as Lavapipe, compile at the first dispatch and let the next submit wait for it. A dispatch
      // without workgroups does nothing else.
      this.#queue.dispatch({ ...this.#dispatch(call), x: 0 });
      this.#queue.submit();
      await task(0);
      progress(i + 1, missing.length);
    }
    await this.finished();
  }

  async finished(): Promise<void> {
    this.#queue.submit();
    await this.#device.queue.onSubmittedWorkDone();
    await this.#pipelines.settled();
    this.#check();
  }

  close(): void {
    this.#closed = true;
    this.#queue.close();
    this.#bindGroups.clear();
    this.#device.destroy();
  }

  #dispatch(call: KernelCall): Dispatch {
    const pipeline = this.#pipelines.of(call);
    let key = `${pipeline.id}`;
    for (const { buffer, offset, length } of call.ranges) {
      key += `,${(buffer as GpuBuffer).id}:${offset}:${length}`;
    }
    const uniforms = this.#pipelines.uniforms(pipeline, call);
    key += `|${uniforms.id}`;
    const known = this.#bindGroups.get(key);
    if (known) return known;
    checkSharing(call);
    if (this.#bindGroups.size >= maxBindGroups) this.#bindGroups.clear();
    const dispatch = {
      pipeline: pipeline.handle,
      bindGroup: this.#bind(pipeline, call, uniforms.buffer),
      ...this.#grid(uniforms.groups),
    };
    this.#bindGroups.set(key, dispatch);
    return dispatch;
  }

  #bind(pipeline: Pipeline, { kernel, ranges }: KernelCall, uniforms: GPUBuffer): GPUBindGroup {
    return this.#device.createBindGroup({
      label: kernel.name,
      layout: pipeline.layout,
      entries: [
        { binding: 0, resource: { buffer: uniforms } },
        ...ranges.map(({ buffer, offset, length }, i) => ({
          binding: i + 1,
          resource: {
            buffer: (buffer as GpuBuffer).handle,
            offset: offset * 4,
            size: Math.max(length * 4, 4),
          },
        })),
      ],
    });
  }

  #grid(groups: number): { x: number; y: number } {
    const x = Math.min(groups, this.#device.limits.maxComputeWorkgroupsPerDimension);
    return { x, y: Math.ceil(groups / Math.max(x, 1)) };
  }

  #fail(error: DeviceError): void {
    this.#failure ??= error;
  }

  #check(): void {
    if (this.#closed) {
      throw new DeviceError("Cannot use a WebGPU device after close(); init() opens a new one");
    }
    if (this.#failure) throw this.#failure;
  }
}

/** Waits for the i-th of the next tasks. */
function task(i: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, i));
}

function oneLine(message: string): string {
  return message.trim().replace(/\s*\n\s*/g, " ");
}

/** Whether the adapter runs on the CPU, which browsers and Deno report in different places. */
function isSoftware(adapter: GPUAdapter): boolean {
  const flagged = adapter.info.isFallbackAdapter ??
    (adapter as { isFallbackAdapter?: boolean }).isFallbackAdapter;
  return flagged ?? /llvmpipe|lavapipe|swiftshader/i.test(adapter.info.description);
}
