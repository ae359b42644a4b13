import { readSolverCosts, type SolverCosts } from "./solver_costs.ts";

/**
 * What an earlier comparison of solvers measured under the same conditions; nothing yet if there was none.
 *
 * @param file null for none
 * @param say called with a line for the user where an earlier one is measured anew
 * @throws {RunError} if the file cannot be read or holds something else
 */
export async function earlierCosts(
  file: string | null,
  common: SolverCosts["common"],
  say: (line: string) => void,
): Promise<SolverCosts> {
  const earlier = file === null ? undefined : await readSolverCosts(file);
  const isSame = earlier &&
    Object.entries(common).every(([name, value]) => earlier.common[name as keyof typeof common] === value);
  if (earlier && !isSame) {
    say("Measuring anew: network, judge, device or settings are not those of the results there");
  }
  return isSame ? earlier : { version: 1, common, solvers: [] };
}
