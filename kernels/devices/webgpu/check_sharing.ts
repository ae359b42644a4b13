import type { KernelCall } from "../device.ts";

/**
 * Refuses a call that WebGPU would answer by failing the device: a kernel may not overwrite a buffer that it also reads,
 * not even another part of it, nor overwrite elements through two of its buffers.
 *
 * @throws {Error} naming both ports
 */
export function checkSharing({ kernel, ranges }: KernelCall): void {
  for (const [i, a] of ranges.entries()) {
    if (!kernel.ports[i].writable) continue;
    for (const [j, b] of ranges.entries()) {
      if (i === j || a.buffer !== b.buffer) continue;
      const overlap = a.offset < b.offset + b.length && b.offset < a.offset + a.length;
      if (kernel.ports[j].writable && !overlap) continue;
      throw new Error(
        `Cannot run ${kernel.name}: ${kernel.ports[i].name}, which it overwrites, and ${
          kernel.ports[j].name
        } ` +
          "are parts of one memory, which WebGPU does not allow; copy one of them first, such as with add(x, 0)",
      );
    }
  }
}
