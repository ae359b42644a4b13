/** Dispatches after which queued work is handed to the GPU, so that it starts before the host has queued all. */
const dispatchesPerSubmit = 1024;
/** Bytes of small writes that go out together. */
const stagingBytes = 1 << 16;

/** A pipeline on given memory. */
export interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly x: number;
  readonly y: number;
}

/**
 * Encodes dispatches, copies and writes in the order of the calls, and hands them to the GPU in few submits: when there
 * is enough work, when the host wants an answer, and at the latest when the code that queued it gives way to other code.
 *
 * A queue write overtakes commands that are encoded but not submitted. So small writes, such as those before each run of
 * a recorded step, become copies from a staging buffer that a submit fills at once: many steps can share a submit.
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
    this.#pass.setPipeline(pipeline);
    this.#pass.setBindGroup(0, bindGroup);
    this.#pass.dispatchWorkgroups(x, y);
    if (++this.#dispatches >= dispatchesPerSubmit) this.submit();
  }

  copy(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, bytes: number): void {
    this.#endPass();
    this.#commands().copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
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

  /** Drops what was not submitted: the device is going away. */
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
