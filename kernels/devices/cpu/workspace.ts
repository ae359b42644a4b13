import { Layout } from "./memory_layout.ts";
import type { SharedMemory } from "./shared_memory.ts";

/** Memory that all kernels share for what they need while they run; kernels read its address at every call. */
export class Workspace {
  #address = 0;
  #bytes = 0;

  constructor(readonly memory: SharedMemory) {}

  /**
   * Makes it large enough.
   *
   * @param needed bytes
   * @throws {DeviceError} if there is no memory left; it is then as large as before
   */
  reserve(needed: number): void {
    const bytes = this.#bytes;
    if (needed <= bytes) return;
    if (bytes > 0) this.memory.release(this.#address, bytes); // so that the larger one may take its place
    try {
      this.#take(needed);
    } catch (error) {
      if (bytes > 0) this.#take(bytes);
      throw error;
    } finally {
      this.memory.u32[Layout.workspace / 4] = this.#address;
      this.memory.u32[Layout.workspaceBytes / 4] = this.#bytes;
    }
  }

  #take(bytes: number): void {
    this.#address = this.memory.allocate(bytes);
    this.#bytes = bytes;
  }
}
