/** Bytes of a buffer. */
const bufferBytes = 1 << 15;

/** Memory for the uniforms of calls, many to a buffer: thousands of buffers are slow to make, and slower to free. */
export class UniformMemory {
  #buffer: GPUBuffer | undefined;
  #end = 0;

  constructor(readonly device: GPUDevice) {}

  /** Bytes in memory of their own, which lives as long as something holds its buffer. */
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
