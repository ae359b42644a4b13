import { refuse } from "./checks.ts";
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

/** Runs a kernel now, or adds it to the step being recorded. */
export function execute(
  kernel: Kernel,
  tensors: readonly Tensor[],
  dims: Dims,
  device: Tensor["device"],
): void {
  tensors.forEach((tensor, i) => {
    if (tensor.device !== device) refuseStray(kernel, tensor, device);
    if (tensor.offset % device.offsetAlignment !== 0) {
      const why = `${kernel.ports[i].name} ${tensor} starts at element ${tensor.offset} of its memory`;
      const expected =
        `a multiple of ${device.offsetAlignment} on ${device.kind}; slice() copies a part of a tensor`;
      refuse(Error, `run ${kernel.name}: ${why}`, expected);
    }
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
      const expected = `at most ${device.maxRangeBytes} bytes; use a smaller batch`;
      const value = `${kernel.ports[large].name} ${tensors[large]}`;
      refuse(ShapeError, `run ${kernel.name}: ${value} is too large`, expected);
    }
    device.run({ kernel, ranges, dims });
  }
}

function refuseStray({ name }: Kernel, tensor: Tensor, { kind }: Tensor["device"]): never {
  const elsewhere = tensor.device.kind === kind ? `another ${kind}` : kind;
  const where = `${tensor} lives on ${tensor.device.kind}, the others on ${elsewhere}`;
  const advice = "make all tensors on one, after the last init() or in withDevice()";
  refuse(Error, `run ${name}: ${where}; each init() opens a device of its own: ${advice}`);
}

/**
 * Refuses on every device what would make a WebGPU device fail: a kernel may not overwrite a buffer that it also reads,
 * not even in another part, nor overwrite the same elements through two tensors.
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
      const why = `${one}, which it overwrites, and ${other} share memory, which WebGPU does not allow`;
      refuse(Error, `run ${name}: ${why}; copy one of them first, for example with add(x, 0)`);
    });
  });
}
