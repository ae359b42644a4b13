import type { Dims, Kernel } from "../devices/device.ts";
import { context } from "./context.ts";
import { ShapeError } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/** Notes that an op overwrites tensors: for good if it runs now, else for as long as the step is being traced. */
export function noteWrites(op: string, tensors: readonly Tensor[]): void {
  const { recording } = context;
  for (const { storage, offset, size } of tensors) {
    if (recording) recording.noteWrite(storage, offset, size, op);
    else storage.noteWrite(offset, size, op);
  }
}

/**
 * Runs a kernel now, or adds it to the step being recorded.
 *
 * @throws {Error} if a tensor lives on another device, or its memory was freed
 * @throws {ShapeError} if a tensor is larger than what a kernel can bind
 */
export function execute(
  kernel: Kernel,
  tensors: readonly Tensor[],
  dims: Dims,
  device: Tensor["device"],
): void {
  const stray = tensors.find((tensor) => tensor.device !== device);
  if (stray) {
    throw new Error(
      `Cannot run ${kernel.name}: ${stray} lives on ${stray.device.kind}, the others on ${
        stray.device.kind === device.kind ? "another " : ""
      }${device.kind}; each init() opens a device of its own: make all tensors on one, after the last init() ` +
        "or in withDevice()",
    );
  }
  if (context.recording) {
    context.recording.add({
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
