import { textTable } from "../program/output.ts";
import { cheapestOfBest, type SolverCosts } from "./solver_costs.ts";

/** Solvers as a table, cheapest first; a star marks the cheapest that may be as good as the best. */
export function solverTable({ solvers, common: { count, seed } }: SolverCosts): string {
  const chosen = cheapestOfBest(solvers);
  const head = ["", "solver", "evaluations", "Fréchet", "95 % interval", "recognised", "seconds"];
  const rows = solvers.toSorted((a, b) => a.evaluations - b.evaluations).map((cost) => {
    const { spec, evaluations, frechet: { value, low, high }, confident, seconds } = cost;
    return [
      cost === chosen ? "*" : "",
      spec,
      String(Number(evaluations.toFixed(1))),
      value.toFixed(2),
      `${low.toFixed(2)} to ${high.toFixed(2)}`,
      `${(100 * confident.value).toFixed(1)} %`,
      seconds.toFixed(1),
    ];
  });
  const about = `${count.toLocaleString("en")} samples each, all from the noise of seed ${seed}`;
  return `${about}\n${textTable([head, ...rows], (column) => column > 1)}`;
}
