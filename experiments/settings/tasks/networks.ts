import type { ModelType } from "../../../models/mod.ts";

/** Type of each network that tasks train, by its name in flags and settings. */
export const networkTypes = {
  residual: "UNet_FM_Residuals",
  base: "UNet_FM",
} as const satisfies Record<string, ModelType>;

/** Name of a network in flags and settings. */
export type NetworkName = keyof typeof networkTypes;

/** The names of all networks. */
export const networkNames = Object.keys(networkTypes) as readonly NetworkName[];

/** The name of a network by its type; the type itself where no task trains it. */
export function networkName(type: string): string {
  return networkNames.find((name) => networkTypes[name] === type) ?? type;
}
