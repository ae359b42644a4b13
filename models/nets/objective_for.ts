import type { VelocityField } from "../flow/field.ts";
import { flowMatching, type Objective } from "../flow/objective.ts";
import { paths } from "../flow/path.ts";
import { velocityPrediction } from "../flow/prediction.ts";
import { optionsOf } from "./networks.ts";

/** Flow matching on the path that a network was created for; the straight one for a field of the user's own. */
export function objectiveFor(field: VelocityField): Objective {
  const options = optionsOf(field);
  return options ? { ...flowMatching, path: paths[options.path].make() } : flowMatching;
}

/**
 * Checks that a network is trained on the path that it was created for.
 *
 * @throws {TypeError} if it was created for another one than the objective's, or its outputs would be converted twice
 */
export function checkObjective(
  field: VelocityField,
  { path, prediction }: Pick<Objective, "path" | "prediction">,
): void {
  const options = optionsOf(field);
  if (!options || (options.path === "linear" && options.prediction === "velocity")) return;
  if (paths[options.path].make() !== path) {
    throw new TypeError(
      `Cannot train: the network was created for the path ${options.path} (expected it as objective.path)`,
    );
  }
  if (options.prediction === "velocity" || prediction === velocityPrediction) return;
  throw new TypeError(
    `Cannot train: the network turns its ${options.prediction} into a velocity itself (expected velocityPrediction)`,
  );
}
