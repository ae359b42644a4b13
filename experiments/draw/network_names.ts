import type { ModelType } from "../../models/mod.ts";

/** What pictures call the networks. */
const names: Readonly<Record<ModelType, string>> = { UNet_FM: "base", UNet_FM_Residuals: "residual" };

/** The short name of a network; of one that is not known, the name that its file gives. */
export function networkName(type: string): string {
  return Object.hasOwn(names, type) ? names[type as ModelType] : type;
}
