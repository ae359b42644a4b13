import type { DataJudge } from "../judge/data_judge.ts";
import { compareSolvers, type ComparisonOptions } from "./compare_solvers.ts";
import { readSolverCosts, type SolverCosts, writeSolverCosts } from "./solver_costs.ts";
import type { Subject } from "./subject.ts";

/** What all solvers of a comparison have in common. */
export function commonOf(
  { weights, data: { testOrder } }: Subject,
  { digest }: DataJudge,
  { count, seed, guidance, device }: Omit<SolverCosts["common"], "weights" | "judge" | "testOrder">,
): SolverCosts["common"] {
  return {
    ...{ weights: weights.sha256, judge: digest, device, count, seed, guidance },
    ...testOrder && { testOrder },
  };
}

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
    say("Measuring anew: network, judge, device, test images or settings are not those of the results there");
  }
  return isSame ? earlier : { version: 1, common, solvers: [] };
}

/** The solvers that nothing was measured of yet, as specs. */
export function notMeasured({ solvers }: SolverCosts, specs: readonly string[]): string[] {
  return specs.filter((spec) => !solvers.some((known) => known.spec === spec));
}

/**
 * Measures solvers one by one, and keeps each result as soon as it is known.
 *
 * @param file null to keep them in no file
 * @param specs of solvers that were not measured before
 * @returns the earlier results and the new ones; those that there are, if it was stopped
 * @throws as `compareSolvers`
 * @throws {RunError} if the file cannot be written
 */
export async function measureSolvers(
  file: string | null,
  earlier: SolverCosts,
  subject: Subject,
  judge: DataJudge,
  specs: readonly string[],
  options: ComparisonOptions,
): Promise<SolverCosts> {
  let costs = earlier;
  for await (const cost of compareSolvers(subject, judge, specs, options)) {
    costs = { ...costs, solvers: [...costs.solvers, cost] };
    if (file !== null) await writeSolverCosts(file, costs);
  }
  return costs;
}
