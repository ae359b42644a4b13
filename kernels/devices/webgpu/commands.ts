import type { Pipeline, PipelineCache } from "./pipelines.ts";
import type { KernelCall } from "../device.ts";
import type { GpuBuffer } from "./buffer_pool.ts";

/**
 * Milliseconds of work per submit: few enough for the GPU to start before the host has queued everything, and for no
 * driver to consider it hung. Windows resets a GPU after two seconds.
 */
const submitMs = 250;
/**
 * Dispatches per submit until the first wait shows how long they take, and from then on the minimum and the maximum.
 */
const [firstPerSubmit, minPerSubmit, maxPerSubmit] = [128, 16, 1024];
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
  constructor(
    readonly device: GPUDevice,
    readonly pipelines: PipelineCache,
    readonly most = maxBindGroups,
  ) {}

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
