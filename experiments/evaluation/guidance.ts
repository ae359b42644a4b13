import { ConfigError } from "../settings/setting.ts";
import type { Subject } from "./subject.ts";

/**
 * The guidance by the class with which samples are drawn.
 *
 * @param given null for that of the run
 * @throws {ConfigError} if it is given for a network that cannot be asked for a class
 */
export function guidanceFor(
  given: number | null,
  { classes, guidance = 1 }: Pick<Subject, "classes" | "guidance">,
): number {
  if (given === null || classes > 0) return given ?? guidance;
  throw new ConfigError(
    `Cannot use --guidance ${given}: the network was trained without classes (leave it out)`,
  );
}
