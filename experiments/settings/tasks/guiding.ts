import { number, optional, toggle } from "../kinds.ts";
import { ConfigError, flagOf, type Values } from "../setting.ts";
import { interval } from "./classes.ts";
import { presets } from "./presets.ts";

/** The guidance where none is given: that of training's own pictures. */
export const usualGuidance = presets.quick.guidance;

/** Settings that say how a network is guided by the class. */
export const guiding = {
  guidance: optional(number({ doc: `guidance by the class, 1 = none (else ${usualGuidance})`, min: 0 })),
  guidanceInterval: interval("times between which there is guidance (else 0,1)"),
  cfgZero: toggle({ doc: "guide by CFG-Zero*", default: false }),
} as const;

/** The settings of guidance by name. */
export type GuidingConfig = Values<typeof guiding>;

/** The flag of guidance that is given, if any. */
export function givenGuidance(config: GuidingConfig): string | undefined {
  return config.guidance !== null ? flagOf("guidance") : refinement(config);
}

/** @throws {ConfigError} if a setting of guidance has no effect */
export function checkGuidance(config: GuidingConfig): void {
  const refine = refinement(config);
  if (config.guidance !== 1 || refine === undefined) return;
  throw new ConfigError(
    `Cannot use ${refine} with --guidance 1: 1 means no guidance (expected another, or no ${refine})`,
  );
}

/** The flag that says where or how there is guidance. */
function refinement({ guidanceInterval, cfgZero }: GuidingConfig): string | undefined {
  if (guidanceInterval !== null) return flagOf("guidanceInterval");
  return cfgZero ? flagOf("cfgZero") : undefined;
}
