import type { Device } from "../../../kernels/mod.ts";
import { isGpu } from "../is_gpu.ts";
import type { PresetName } from "./presets.ts";

/** The preset of a run that names none: by whether its device is a GPU. */
export function presetFor(device: Pick<Device, "kind" | "tuning">): PresetName {
  return isGpu(device) ? "standard" : "quick";
}
