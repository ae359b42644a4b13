import type { Pipeline } from "./pipelines.ts";

/** Dispatches after which queued work is submitted, so that the GPU starts before the host has queued everything. */
const dispatchesPerSubmit = 1024;
/** Bytes of small writes that are submitted together. */
const stagingBytes = 1 << 16;

/** A pipeline with its memory and grid. */
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
 * A queue write overtakes commands that are encoded but not submitted. So small writes, such as those before each run
 * of a recorded step, become copies from a staging buffer that is filled once per submit: many steps can share a
 * submit.
 */
export class CommandQueue {
  readonly #device: GPUDevice;
  readonly #staging: GPUBuffer;
  readonly #staged = new Uint8Array(stagingBytes);
  #stagedBytes = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #dispatches = 0;
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
    if (++this.#dispatches >= dispatchesPerSubmit) this.submit();
  }

  /**
   * Submits dispatches by themselves, since their pipelines may not be valid: one that is not spoils all that is
   * submitted with it.
   *
   * @returns the error, if any
   */
  isolate(dispatches: readonly Dispatch[]): Promise<GPUError | null> {
    this.submit();
    this.#device.pushErrorScope("validation");
    for (const dispatch of dispatches) this.dispatch(dispatch);
    this.submit();
    return this.#device.popErrorScope().catch(() => null); // rejected if the device is lost
  }

  copy(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, bytes: number): void {
    this.#endPass();
    this.#commands().copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
  }

  /** Copies four bytes that mean nothing: once they are there, all that was queued before is done. */
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

  /** Drops commands that were not submitted, because the device is closing. */
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
