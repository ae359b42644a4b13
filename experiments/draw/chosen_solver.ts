import { flowSolverOf, linearPath, type SolverOptions, type VelocityField } from "../../models/mod.ts";
import { startCommand } from "../run/program_files.ts";
import { usualGuidance } from "../cli/drawing.ts";
import { ConfigError } from "../cli/settings.ts";

/** Whether a network is a flow map, such as `deno task distill` trains. */
export function isFlowMap(field: VelocityField): boolean {
  return field.meanVelocity !== undefined;
}

/** The default solver of a network's samples: one step of a flow map, 20 of Heun's method otherwise. */
export function usualSolver(field: VelocityField): string {
  return isFlowMap(field) ? "map:steps=1" : "heun:steps=20";
}

/** The default guidance of a network's samples: 1 for a flow map that has learned its teacher's guidance. */
export function defaultGuidance({ maxGuidance, meanVelocity }: VelocityField): number {
  return meanVelocity && maxGuidance === undefined ? 1 : Math.min(usualGuidance, maxGuidance ?? Infinity);
}

/** A solver with the seed of the samples, if it adds noise. */
export function withSeed(how: SolverOptions, seed: number): SolverOptions {
  return flowSolverOf(how.solver).addsNoise ? { ...how, seed } : how;
}

/**
 * Checks that a solver suits a network.
 *
 * @param source name of the network's file, for errors
 * @param guidance the scale of guidance by class, 1 for none
 * @throws {ConfigError} if the network is not a flow map, its path is not linear, or it cannot use this guidance
 */
export function checkSolver(
  field: VelocityField,
  { solver }: SolverOptions,
  source: string,
  guidance = 1,
): void {
  const { needsMap, addsNoise } = flowSolverOf(solver);
  if (needsMap && !isFlowMap(field)) {
    throw new ConfigError(
      `Cannot use --solver ${solver} with ${source}: its network is not a flow map ` +
        `(expected a distilled one, see ${startCommand("distill")}, or another solver)`,
    );
  }
  if (addsNoise && (field.path ?? linearPath) !== linearPath) {
    throw new ConfigError(
      `Cannot use --solver ${solver} with ${source}: its network was trained on another path than linear ` +
        "(expected another solver)",
    );
  }
  const { maxGuidance } = field;
  if (maxGuidance !== undefined) {
    if (guidance >= 1 && guidance <= maxGuidance) return;
    throw new ConfigError(
      `Cannot use --guidance ${guidance} with ${source}: its network has learned guidance from 1 to ${maxGuidance}`,
    );
  }
  if (needsMap && guidance !== 1) {
    throw new ConfigError(
      `Cannot use --guidance ${guidance} with --solver ${solver}: the network has learned its guidance (leave it out)`,
    );
  }
}
