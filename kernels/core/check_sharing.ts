import type { Kernel } from "../devices/device.ts";
import { overlap } from "./overlap.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Refuses, on every device, what WebGPU would answer by failing the device: a kernel may not overwrite memory that it also
 * reads, not even another part of it, nor overwrite elements through two of its tensors.
 *
 * @throws {Error} naming both
 */
export function checkSharing(
  { name, ports }: Kernel,
  tensors: readonly Pick<Tensor, "storage" | "offset" | "size">[],
): void {
  tensors.forEach((a, i) => {
    if (!ports[i].writable) return;
    tensors.forEach((b, j) => {
      if (i === j || a.storage !== b.storage) return;
      if (ports[j].writable && !overlap(a, b)) return;
      throw new Error(
        `Cannot run ${name}: ${ports[i].name}, which it overwrites, and ${
          ports[j].name
        } are parts of one memory, ` +
          "which WebGPU does not allow; copy one of them first, such as with add(x, 0)",
      );
    });
  });
}
