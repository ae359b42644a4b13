import type { ReportRun } from "./data.ts";
import { type Markup, markup } from "./markup.ts";
import { chart, details, table } from "./tables.ts";

/** Quality of samples against what they cost, by solver. */
export function solversSection(runs: readonly ReportRun[]): Markup | undefined {
  const compared = runs.flatMap(({ name, solvers }) => solvers ? [{ name, solvers }] : []);
  if (compared.length === 0) return undefined;
  const chosen = compared.map(({ name, solvers }) => {
    const { words, evaluations, frechet } = solvers.find(({ chosen }) => chosen)!;
    const whose = runs.length > 1 ? markup`<b>${name}</b>: ` : undefined;
    return markup`<p>${whose}<b>${words}</b> is the cheapest that may be as good as the best: ${
      countOf(evaluations)
    } evaluations, Fréchet distance ${shown(frechet.value)}.</p>`;
  });
  const numbers = compared.map(({ name, solvers }) => {
    const rows = solvers.toSorted((a, b) => a.evaluations - b.evaluations).map((solver) => [
      solver.words,
      countOf(solver.evaluations),
      shown(solver.frechet.value),
      `${shown(solver.frechet.low)} to ${shown(solver.frechet.high)}`,
      `${(100 * solver.confident).toFixed(1)} %`,
    ]);
    return markup`<h3>${name}</h3>
${table(["solver", "evaluations", "Fréchet distance", "95 % interval", "recognised"], rows)}`;
  });
  return markup`<section id="solvers" aria-labelledby="solvers-title">
<h2 id="solvers-title">Quality against cost</h2>
<p>All solvers start from the same noise. An evaluation is one run of the network on one image; a step takes one or
several. Lower and further left is better.</p>
${chart("solvers-chart", "Fréchet distance against evaluations, by solver", "tall")}
${chosen}
${details("Numbers of this chart", markup`${numbers}`)}
</section>`;
}

/** A number of evaluations, which of a solver with steps of its own is a mean. */
function countOf(evaluations: number): string {
  return String(Number(evaluations.toFixed(1)));
}

function shown(value: number): string {
  return String(Number(value.toPrecision(3)));
}
