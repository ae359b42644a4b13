import type { Device } from "../../../kernels/mod.ts";
import type { PresetName } from "./presets.ts";

/** The preset of a run that names none: by whether its device is a GPU. */
export function presetFor({ kind, tuning }: Pick<Device, "kind" | "tuning">): PresetName {
  return kind === "webgpu" && !tuning.software ? "standard" : "quick";
}
