import type { Shape } from "../../kernels/mod.ts";
import { unknownName } from "../nearest.ts";
import { type OptimizerKind, optimizerKinds, updateRules } from "./update_rules.ts";

/**
 * The names of the parameters that each rule of an optimizer updates.
 *
 * @throws {TypeError} if the optimizer is unknown, or a rule for some parameters has none
 */
export function parameterGroups(
  kind: OptimizerKind,
  parameters: ReadonlyMap<string, { readonly shape: Shape }>,
): string[][] {
  if (!Object.hasOwn(updateRules, kind)) throw new TypeError(unknownName("optimizer", kind, optimizerKinds));
  const rules = updateRules[kind];
  const groups = rules.map((): string[] => []);
  for (const [name, { shape }] of parameters) {
    groups[rules.findIndex(({ takes }) => takes === undefined || takes.test(shape))].push(name);
  }
  const idle = rules.find(({ takes }, i) => takes !== undefined && groups[i].length === 0);
  if (!idle) return groups;
  throw new TypeError(
    `Cannot make the optimizer ${kind}: no parameter is ${
      idle.takes!.what
    } (expected one, or another optimizer)`,
  );
}

/**
 * The order in which parameters lie in memory so that an optimizer updates them with few kernels: those of one rule,
 * and of one shape where that matters, side by side.
 *
 * @param parameters by name, see `namedParameters`
 * @throws {TypeError} if the optimizer is unknown or has nothing to update by one of its rules
 */
export function memoryOrder(
  kind: OptimizerKind,
  parameters: ReadonlyMap<string, { readonly shape: Shape }>,
): string[] {
  return parameterGroups(kind, parameters).flatMap((names, i) => {
    const { alike } = updateRules[kind][i];
    if (!alike) return names;
    return Map.groupBy(names, (name) => alike(parameters.get(name)!.shape)).values().toArray().flat();
  });
}
