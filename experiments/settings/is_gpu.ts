import type { Device } from "../../kernels/mod.ts";

/** Whether a device computes on a GPU; a software adapter does not. */
export function isGpu({ kind, tuning }: Pick<Device, "kind" | "tuning">): boolean {
  return kind === "webgpu" && !tuning.software;
}
