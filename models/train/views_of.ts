import type { Tensor } from "../../kernels/mod.ts";
import type { FlatParameters } from "./flat_parameters.ts";

/**
 * The values of parameters in flat memory.
 *
 * @param task what needs them, as in `Cannot ${task} parameters`
 * @param parameters by name
 * @returns each parameter with its values
 * @throws {RangeError} if there are none for one of them
 */
export function viewsOf(
  task: string,
  parameters: ReadonlyMap<string, Tensor>,
  { views }: FlatParameters,
): (readonly [parameter: Tensor, view: Tensor])[] {
  return Array.from(parameters, ([name, parameter]) => {
    const view = views.get(name);
    if (view) return [parameter, view];
    throw new RangeError(`Cannot ${task} parameters: there are no values for "${name}"`);
  });
}
