import type { Pipeline, PipelineCache } from "./pipelines.ts";
import type { DeviceBuffer, KernelCall } from "../device.ts";
import type { Health } from "./health.ts";

/**
 * Milliseconds of work per submit: few enough for the GPU to start before the host has queued everything, and for no
 * driver to consider it hung. Windows resets a GPU after two seconds.
 */
const submitMs = 250;
/** Dispatches per submit until the first wait shows how long they take. */
const firstPerSubmit = 128;
/** Minimum dispatches per submit from then on. */
const minPerSubmit = 16;
/** Maximum dispatches per submit from then on. */
const maxPerSubmit = 1024;
/** Bytes of small writes per submit. */
const stagingBytes = 1 << 16;

/** A pipeline with its bind group and grid. */
export interface Dispatch {
  readonly pipeline: Pipeline;
  readonly bindGroup: GPUBindGroup;
  readonly x: number;
  readonly y: number;
}

/**
 * Encodes dispatches, copies and writes in call order, and submits them in few batches: when there is enough work, when
 * the host waits for a result, and at the latest in the next microtask.
 *
 * Queue writes overtake commands that are encoded but not submitted. So small writes, such as those before each run of
 * a recorded step, become copies from a staging buffer that is filled once per submit, and many steps share a submit.
 */
export class CommandQueue {
  readonly #device: GPUDevice;
  readonly #staging: GPUBuffer;
  readonly #staged = new Uint8Array(stagingBytes);
  #stagedBytes = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #dispatches = 0;
  #perSubmit = firstPerSubmit;
  /** Dispatches since the host last waited for all work, and the time of the first. */
  #sinceWait = { count: 0, started: 0 };
  #closed = false;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#staging = device.createBuffer({
      label: "staging",
      size: stagingBytes,
      usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
  }

  dispatch({ pipeline, bindGroup, x, y }: Dispatch): void {
    this.#pass ??= this.#commands().beginComputePass();
    this.#pass.setPipeline(pipeline.handle);
    this.#pass.setBindGroup(0, bindGroup);
    this.#pass.dispatchWorkgroups(x, y);
    if (this.#sinceWait.count++ === 0) this.#sinceWait.started = performance.now();
    if (++this.#dispatches >= this.#perSubmit) this.submit();
  }

  /** Notes that all submitted work has just ended. Time in which the host did other things counts as the GPU's. */
  waited(): void {
    const { count, started } = this.#sinceWait;
    if (count === 0) return;
    const target = Math.floor(submitMs * count / (performance.now() - started));
    this.#perSubmit = Math.max(minPerSubmit, Math.min(target, maxPerSubmit));
    this.#sinceWait.count = 0;
  }

  copy(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, bytes: number): void {
    this.#endPass();
    this.#commands().copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
  }

  /** Copies four arbitrary bytes; when they arrive, all earlier work is done. */
  copyMark(to: GPUBuffer): void {
    this.copy(this.#staging, 0, to, 0, 4);
  }

  write(to: GPUBuffer, offset: number, data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): void {
    const bytes = data.byteLength;
    if (bytes > stagingBytes / 4) {
      this.submit();
      this.#device.queue.writeBuffer(to, offset, data);
      return;
    }
    if (this.#stagedBytes + bytes > stagingBytes) this.submit();
    this.#staged.set(new Uint8Array(data.buffer, data.byteOffset, bytes), this.#stagedBytes);
    this.copy(this.#staging, this.#stagedBytes, to, offset, bytes);
    this.#stagedBytes += bytes;
  }

  submit(): void {
    if (!this.#encoder || this.#closed) return;
    this.#endPass();
    if (this.#stagedBytes > 0) {
      this.#device.queue.writeBuffer(this.#staging, 0, this.#staged, 0, this.#stagedBytes);
    }
    this.#device.queue.submit([this.#encoder.finish()]);
    this.#encoder = undefined;
    this.#stagedBytes = this.#dispatches = 0;
  }

  /** Drops unsubmitted commands, because the device is closing. */
  close(): void {
    this.#closed = true;
  }

  #commands(): GPUCommandEncoder {
    if (!this.#encoder) {
      this.#encoder = this.#device.createCommandEncoder();
      queueMicrotask(() => this.submit());
    }
    return this.#encoder;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }
}

/** Limit of bind groups kept for calls that recur on the same memory. */
const maxBindGroups = 1 << 14;

/** Turns calls into dispatches. */
export class Dispatches {
  readonly #kept = new Map<string, Dispatch>();

  /** @param most maximum number of bind groups (and uniforms) to keep */
  constructor(readonly device: GPUDevice, readonly pipelines: PipelineCache, readonly most = maxBindGroups) {}

  /** The dispatch of a call, kept for later calls on the same memory. */
  of(call: KernelCall): Dispatch {
    const pipeline = this.pipelines.of(call);
    let key = `${pipeline.id}`;
    for (const { buffer, offset, length } of call.ranges) {
      key += `,${(buffer as GpuBuffer).id}:${offset}:${length}`;
    }
    key += `|${this.pipelines.uniforms(pipeline, call).id}`;
    const cached = this.#kept.get(key);
    if (cached) return cached;
    if (this.#kept.size >= this.most) {
      this.clear();
      return this.of(call); // now with uniforms that later calls reuse
    }
    const dispatch = this.make(call);
    this.#kept.set(key, dispatch);
    return dispatch;
  }

  /** The dispatch of a call that will not recur. */
  make(call: KernelCall): Dispatch {
    const pipeline = this.pipelines.of(call);
    const uniforms = this.pipelines.uniforms(pipeline, call);
    const y = Math.max(1, Math.ceil(uniforms.groups / this.device.limits.maxComputeWorkgroupsPerDimension));
    return {
      pipeline,
      bindGroup: this.device.createBindGroup({
        label: call.kernel.name,
        layout: pipeline.layout,
        entries: [
          { binding: 0, resource: uniforms.binding },
          ...call.ranges.map(({ buffer, offset, length }, i) => ({
            binding: i + 1,
            resource: {
              buffer: (buffer as GpuBuffer).handle,
              offset: offset * 4,
              size: Math.max(length * 4, 4),
            },
          })),
        ],
      }),
      x: Math.ceil(uniforms.groups / y), // fewer than y groups are idle
      y,
    };
  }

  /** Clears the cache. Dispatches of recorded steps are not affected. */
  clear(): void {
    this.#kept.clear();
    this.pipelines.forgetUniforms();
  }
}

let nextId = 0;

/** A GPU buffer of the pool, with an id for cache keys. */
export class GpuBuffer implements DeviceBuffer {
  readonly id = nextId++;

  constructor(readonly handle: GPUBuffer, readonly bytes: number) {}
}

/** Rounds a size up to one of eight steps per octave, so that similar sizes share buffers; a large one to 32 steps. */
function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** (Math.ceil(Math.log2(bytes)) - (bytes < largeBytes ? 4 : 6));
  return Math.ceil(bytes / Math.max(step, 256)) * Math.max(step, 256);
}

/** The device is asked whether it has the memory for a buffer of at least this size. */
const largeBytes = 1 << 24;

/** Unused bytes that are always kept. */
const keptBytes = 1 << 26;
/** Bytes that are kept, as a share of those that were in use lately. */
const keptShare = 1.5;
/** How fast bytes in use are forgotten, at every use of a buffer: by half after 45,000. */
const forgetting = 1 - 2 ** -16;

/** A pool of reusable storage buffers. It gives back those that have not been used for a while. */
export class BufferPool {
  /** Unused buffers by size, and all of them; those that have waited longest come first. */
  readonly #free = new Map<number, GpuBuffer[]>();
  readonly #unused = new Set<GpuBuffer>();
  #bytes = 0;
  #unusedBytes = 0;
  /** Most bytes in use lately. */
  #needed = 0;

  /** @param submit submits all commands, which may refer to a buffer that is destroyed next */
  constructor(
    readonly device: GPUDevice,
    readonly health: Pick<Health, "fail">,
    readonly submit: () => void,
  ) {}

  /** Bytes of all buffers, including returned ones that wait for the next use. */
  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): GpuBuffer {
    const { maxBufferSize } = this.device.limits; // may exceed 32 bits
    const size = Math.min(sizeClass(bytes), Math.max(maxBufferSize - maxBufferSize % 4, bytes));
    const buffer = this.#free.get(size)?.at(-1);
    if (buffer) this.#remove(buffer);
    else this.#bytes += size;
    this.#needed = Math.max(this.#needed * forgetting, this.#bytes - this.#unusedBytes);
    this.#giveBack(Math.max(keptBytes, keptShare * this.#needed));
    return buffer ?? (size < largeBytes ? this.#create(size) : this.#createLarge(size, bytes));
  }

  /** Creates a buffer; without memory for it, the device fails. */
  #createLarge(size: number, bytes: number): GpuBuffer {
    this.device.pushErrorScope("out-of-memory");
    const buffer = this.#create(size);
    this.device.popErrorScope().then((error) => {
      if (!error) return;
      this.#giveBack(0);
      this.health.fail(
        `Cannot allocate ${bytes} bytes: the device is out of memory; use a smaller batch or network`,
      );
    }, () => {}); // rejected if the device is lost
    return buffer;
  }

  #create(size: number): GpuBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    return new GpuBuffer(this.device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST }), size);
  }

  /** Destroys unused buffers until at most `most` bytes are left, first those that have waited longest. */
  #giveBack(most: number): void {
    for (const buffer of this.#unused) {
      if (this.#unusedBytes <= most) return;
      this.#remove(buffer);
      this.destroy(buffer);
    }
  }

  /** Takes a buffer from the unused ones. */
  #remove(buffer: GpuBuffer): void {
    const free = this.#free.get(buffer.bytes)!;
    free.splice(free.lastIndexOf(buffer), 1);
    this.#unused.delete(buffer);
    this.#unusedBytes -= buffer.bytes;
  }

  /** Frees a buffer that nothing will refer to any more. */
  destroy(buffer: GpuBuffer): void {
    this.submit();
    buffer.handle.destroy();
    this.#bytes -= buffer.bytes;
  }

  give(buffer: GpuBuffer): void {
    const free = this.#free.get(buffer.bytes);
    if (free) free.push(buffer);
    else this.#free.set(buffer.bytes, [buffer]);
    this.#unused.add(buffer);
    this.#unusedBytes += buffer.bytes;
  }
}
