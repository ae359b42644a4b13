import { pathOf, type VelocityField } from "../flow/field.ts";
import { flowMatching, type Objective } from "../flow/objective.ts";
import { paths } from "../flow/path.ts";
import { velocityPrediction } from "../flow/prediction.ts";
import { optionsOf } from "./networks.ts";

/** Flow matching on the path that a field is for; the straight one where it says nothing. */
export function objectiveFor(field: VelocityField): Objective {
  const path = pathOf(field);
  return path ? { ...flowMatching, path } : flowMatching;
}

/**
 * Checks that a field is trained on the path that it is for.
 *
 * @throws {TypeError} if that is another one than the objective's, or a network's outputs would be converted twice
 */
export function checkObjective(
  field: VelocityField,
  { path, prediction }: Pick<Objective, "path" | "prediction">,
): void {
  const own = pathOf(field);
  if (own && own !== path) {
    const name = Object.entries(paths).find(([, { make }]) => make() === own)?.[0] ?? "that it names";
    throw new TypeError(
      `Cannot train: the network was created for the path ${name} (expected it as objective.path)`,
    );
  }
  const options = optionsOf(field);
  if (!options || options.prediction === "velocity" || prediction === velocityPrediction) return;
  throw new TypeError(
    `Cannot train: the network turns its ${options.prediction} into a velocity itself (expected velocityPrediction)`,
  );
}
