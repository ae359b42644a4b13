/// <reference lib="dom" />
import type { RunPayload } from "../payload.ts";
import type { SolverQuality } from "../quality.ts";
import { Chart, type Figure, runLine, type Theme } from "./charts.ts";
import { plain } from "./dom.ts";
import { logTicks } from "./log_ticks.ts";
import type { Views } from "./views.ts";

/** Fréchet distance against evaluations, a line for each solver of each run. */
export function showSolvers(runs: readonly RunPayload[], views: Views): void {
  const place = document.getElementById("solvers-chart");
  if (!place) return;
  const compared = runs.filter(({ solvers }) => solvers);
  const names = [...new Set(compared.flatMap(({ solvers }) => solvers!.map(({ solver }) => solver)))];
  const all = compared.flatMap(({ solvers }) => solvers!);
  const chart = new Chart(
    place,
    (theme) =>
      compared.flatMap(({ name, solvers }, run) =>
        names.map((solver, i) => {
          const own = solvers!.filter((result) => result.solver === solver)
            .toSorted((a, b) => a.evaluations - b.evaluations);
          return traceOf(own, compared.length > 1 ? `${plain(name)} ${solver}` : solver, theme, i, run);
        })
      ),
    () => ({
      showlegend: true,
      hovermode: "closest",
      xaxis: {
        title: { text: "evaluations of the network for a sample" },
        type: "log",
        ...logTicks(all.map(({ evaluations }) => evaluations)),
      },
      yaxis: {
        title: { text: "Fréchet distance" },
        type: "log",
        ...logTicks(all.flatMap(({ frechet: { low, high } }) => [low, high])),
      },
    }),
  );
  views.add(place, () => chart.draw());
}

/** Marks by Plotly's names: after six solvers the colours repeat, with other marks. */
const symbols = ["circle", "diamond", "square"];

/** The results of one solver with their intervals; the chosen one is larger. */
function traceOf(
  results: readonly SolverQuality[],
  name: string,
  theme: Theme,
  solver: number,
  run: number,
): Figure {
  const { color } = runLine(theme, solver);
  const symbol = symbols[Math.floor(solver / theme.runs.length) % symbols.length];
  const y = results.map(({ frechet }) => frechet.value);
  return {
    x: results.map(({ evaluations }) => evaluations),
    y,
    error_y: {
      type: "data",
      symmetric: false,
      array: results.map(({ frechet }, i) => frechet.high - y[i]),
      arrayminus: results.map(({ frechet }, i) => y[i] - frechet.low),
      color,
      thickness: 1,
      width: 2,
    },
    text: results.map(({ words }) => words),
    hovertemplate: "%{text}<br>%{x:.1~f} evaluations<br>Fréchet %{y:.3~g}<extra></extra>",
    name,
    mode: "lines+markers",
    line: { color, width: 1.5, dash: runLine(theme, run * theme.runs.length).dash },
    marker: { color, symbol, size: results.map(({ chosen }) => chosen ? 12 : 6) },
  };
}
