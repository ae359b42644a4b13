import type { Dims, Kernel } from "../devices/device.ts";
import { ShapeError } from "./shape.ts";
import type { Tensor } from "./tensor.ts";
import { type MemoryRange, overlap, owners } from "./memory.ts";

/** Notes that an op overwrites tensors: for good if it runs now, else for as long as the step is being traced. */
export function noteWrites(op: string, tensors: readonly Tensor[]): void {
  const { recording } = owners;
  for (const { storage, offset, size } of tensors) {
    if (recording) recording.noteWrite(storage, offset, size, op);
    else storage.noteWrite(offset, size, op);
  }
}

/**
 * Runs a kernel now, or adds it to the step being recorded.
 *
 * @throws {Error} if a tensor lives on another device, is not aligned for this one, or its memory was freed
 * @throws {ShapeError} if a tensor is larger than what a kernel can bind
 */
export function execute(
  kernel: Kernel,
  tensors: readonly Tensor[],
  dims: Dims,
  device: Tensor["device"],
): void {
  tensors.forEach((tensor, i) => {
    if (tensor.device !== device) throw strayError(kernel, tensor, device);
    if (tensor.offset % device.offsetAlignment !== 0) throw misplacedError(kernel, i, tensor, device);
  });
  if (owners.recording) {
    owners.recording.calls.push({
      kernel,
      tensors: tensors.map(({ storage, offset, size }) => ({ storage, offset, size })),
      dims,
    });
  } else {
    const ranges = tensors.map(({ storage, offset, size }) => storage.range(offset, size));
    const large = ranges.findIndex(({ length }) => length * 4 > device.maxRangeBytes);
    if (large >= 0) {
      throw new ShapeError(
        `Cannot run ${kernel.name}: ${kernel.ports[large].name} ${tensors[large]} is larger than the ` +
          `${device.maxRangeBytes} bytes that a kernel can bind on this device; use a smaller batch`,
      );
    }
    device.run({ kernel, ranges, dims });
  }
}

function strayError({ name }: Kernel, tensor: Tensor, { kind }: Tensor["device"]): Error {
  const elsewhere = tensor.device.kind === kind ? `another ${kind}` : kind;
  return new Error(
    `Cannot run ${name}: ${tensor} lives on ${tensor.device.kind}, the others on ${elsewhere}; each ` +
      "init() opens a device of its own: make all tensors on one, after the last init() or in withDevice()",
  );
}

function misplacedError(
  { name, ports }: Kernel,
  at: number,
  tensor: Tensor,
  { kind, offsetAlignment }: Tensor["device"],
): Error {
  const port = ports[at].name;
  return new Error(
    `Cannot run ${name}: ${port} ${tensor} starts at element ${tensor.offset} of its memory (expected a ` +
      `multiple of ${offsetAlignment} on ${kind}); take a part of a tensor with slice(), which copies it`,
  );
}

/**
 * Refuses on every device what would make a WebGPU device fail: a kernel may not overwrite a buffer that it also reads,
 * not even in another part, nor overwrite the same elements through two tensors.
 *
 * @throws {Error} naming both tensors
 */
export function checkSharing(
  { name, ports }: Kernel,
  tensors: readonly MemoryRange[],
): void {
  tensors.forEach((a, i) => {
    if (!ports[i].writable) return;
    tensors.forEach((b, j) => {
      if (i === j || a.storage !== b.storage) return;
      if (ports[j].writable && !overlap(a, b)) return;
      const [one, other] = [ports[i].name, ports[j].name];
      throw new Error(
        `Cannot run ${name}: ${one}, which it overwrites, and ${other} share memory, ` +
          "which WebGPU does not allow; copy one of them first, for example with add(x, 0)",
      );
    });
  });
}
