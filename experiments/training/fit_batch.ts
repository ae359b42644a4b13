import type { Device, MemoryPlan } from "../../kernels/mod.ts";
import { TrainingError } from "../program/command.ts";

/** Share of the free memory that a step may take where the device computes in main memory. */
const shareOfMemory = 0.8;

/**
 * The largest batch, at most the wanted one and halved as often as needed, whose step the device can run.
 *
 * @param plan what a step of a batch size needs
 * @returns the batch size, and why it is smaller than wanted, if it is
 * @throws {TrainingError} if not even a single image fits
 */
export function fitBatch(
  device: Pick<Device, "tuning" | "maxRangeBytes" | "maxBytes" | "allocatedBytes">,
  wanted: number,
  plan: (batchSize: number) => MemoryPlan,
): { batchSize: number; reason?: string } {
  const inMainMemory = device.tuning.software &&
    Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" }).state === "granted";
  const free = Math.min(
    inMainMemory ? Deno.systemMemoryInfo().available * shareOfMemory : Infinity,
    device.maxBytes - device.allocatedBytes,
  );
  let reason: string | undefined;
  for (let batchSize = wanted;; batchSize = Math.floor(batchSize / 2)) {
    if (batchSize < 1) {
      throw new TrainingError(
        `Cannot train this network here: not even one image fits (${reason}); use fewer --filters`,
      );
    }
    const { bytes, largestBytes } = plan(batchSize);
    if (largestBytes > device.maxRangeBytes) {
      reason ??= `a value of ${megabytes(largestBytes)} is more than a kernel can bind, ${
        megabytes(device.maxRangeBytes)
      }`;
    } else if (bytes > free) {
      reason ??= `a step of ${megabytes(bytes)} is more than the memory that is free, ${megabytes(free)}`;
    } else return { batchSize, ...reason !== undefined && { reason } };
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
