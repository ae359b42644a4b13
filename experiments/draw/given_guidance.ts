/** The guidance that a command line gives, or the usual one of a network. */

import type { Model, VelocityField } from "../../models/mod.ts";
import { ConfigError, flagOf } from "../cli/settings.ts";
import { runFile } from "../run/files.ts";
import { givenGuidance, type GuidingConfig, usualGuidance } from "../settings/drawing.ts";
import type { Autoguidance, Guidance } from "./conditioning.ts";

/** The default guidance of a network's samples: 1 for a flow map that has learned its teacher's guidance. */
export function defaultGuidance({ maxGuidance, meanVelocity }: VelocityField): number {
  return meanVelocity && maxGuidance === undefined ? 1 : Math.min(usualGuidance, maxGuidance ?? Infinity);
}

/** The guidance of a command line, for a network with classes. */
export function guidanceOf(
  { guidance, guidanceInterval: interval, cfgZero }: GuidingConfig,
  model: Model,
): Guidance {
  const scale = guidance ?? defaultGuidance(model);
  if (model.maxGuidance !== undefined && (interval || cfgZero)) {
    throw new ConfigError(
      `Cannot use ${
        flagOf(interval ? "guidanceInterval" : "cfgZero")
      } with a flow map: it has learned its guidance ` +
        "(leave it out)",
    );
  }
  return { scale, interval: interval ?? undefined, zeroStar: cfgZero || undefined };
}

/**
 * Refuses flags that a network without classes cannot follow.
 *
 * @param source name of the network's file, for errors
 * @param autoguidance its guidance, if it has early weights
 */
export function checkUnlabelled(
  config: GuidingConfig & { readonly class: unknown },
  source: string,
  autoguidance: Autoguidance | undefined,
): void {
  const flag = config.class !== null ? "--class" : givenGuidance({ ...config, guidance: null });
  if (flag !== undefined) {
    throw new ConfigError(
      `Cannot use ${flag} with ${source}: its network was trained without classes (leave it out)`,
    );
  }
  if (config.guidance === null || autoguidance) return;
  throw new ConfigError(
    `Cannot use --guidance with ${source}: its network was trained without classes, and there is no ` +
      `${runFile.early} to guide it away from (expected the folder of a run that has one, or leave it out)`,
  );
}
