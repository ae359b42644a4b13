import { type Model, optionsOf, type SolverOptions } from "../../models/mod.ts";
import { startCommand } from "../run/program_files.ts";
import { usualGuidance } from "../settings/drawing.ts";
import { ConfigError } from "../settings/setting.ts";

/** Whether a network is a flow map, as `deno task distill` makes. */
export function isFlowMap(model: Model): boolean {
  return optionsOf(model)?.flowMap === true;
}

/** The solver of a network's samples, if none is given: one step of a flow map, 20 of Heun's method otherwise. */
export function usualSolver(model: Model): string {
  return isFlowMap(model) ? "map:steps=1" : "heun:steps=20";
}

/** The guidance of a network's samples, if none is given: a flow map has learned that of its teacher. */
export function defaultGuidance(model: Model): number {
  return isFlowMap(model) ? 1 : usualGuidance;
}

/**
 * Checks that a network can take the steps of a flow map, if the solver needs that.
 *
 * @param guidance the scale of guidance by class
 * @param source name of the network's file, for errors
 * @throws {ConfigError} if it cannot, or guidance would need another network
 */
export function checkMap(
  model: Model,
  { solver }: SolverOptions,
  guidance: number | undefined,
  source: string,
): void {
  if (solver !== "map") return;
  if (!isFlowMap(model)) {
    throw new ConfigError(
      `Cannot use --solver map with ${source}: its network takes no steps of given length ` +
        `(expected a distilled one, see ${startCommand("distill")}, or another solver)`,
    );
  }
  if (guidance !== undefined && guidance !== 1) {
    throw new ConfigError(
      `Cannot use --guidance ${guidance} with --solver map: the network has learned its guidance (leave it out)`,
    );
  }
}
