/// <reference lib="dom" />
import type { PageRun } from "../page_data.ts";
import type { Series, SolverQuality } from "../report_data.ts";
import { lossesByStage, smoothed } from "../series.ts";
import { logTicks } from "../../figure/log_ticks.ts";
import { type PlotlyPart, runLine, type Theme } from "./charts.ts";
import { plotlyText } from "./dom.ts";
import type { Views } from "./views.ts";

/** Adds the charts that do not depend on t: losses, learning rate, quality over t and by solver. */
export function showRuns(runs: readonly PageRun[], views: Views): void {
  const overT = { title: { text: "t (0 noise, 1 data)" }, range: [0, 1] };
  const losses = runs.flatMap(({ trainLoss, valLoss }) => [...trainLoss.value, ...valLoss.value]);
  views.addChart(
    "loss-chart",
    (theme) => runs.flatMap((run, i) => lossTraces(run, runs.length > 1, (n) => runLine(theme, i + n))),
    {
      showlegend: true,
      xaxis: { title: { text: "step" } },
      yaxis: { title: { text: "loss" }, type: "log", tickformat: ".3~g", ...logTicks(losses) },
    },
  );
  views.addChart(
    "rate-chart",
    (theme) =>
      runs.map(({ name, learningRate }, i) => {
        return { ...seriesTrace(learningRate), name: plotlyText(name), line: runLine(theme, i) };
      }),
    { xaxis: { title: { text: "step" } }, yaxis: { title: { text: "learning rate" } } },
  );
  views.addChart(
    "bins-chart",
    (theme) =>
      runs.map(({ name, lossByTime = [] }, i) => ({
        type: "bar",
        x: lossByTime.map(({ from, to }) => (from + to) / 2),
        y: lossByTime.map(({ loss }) => loss),
        customdata: lossByTime.map(({ images }) => images),
        hovertemplate: "%{y:.4f} (%{customdata} images)",
        name: plotlyText(name),
        marker: { color: runLine(theme, i).color },
      })),
    { bargap: 0.15, xaxis: overT, yaxis: { title: { text: "test loss" } } },
  );
  for (const figure of ["straightness", "curvature"] as const) {
    views.addChart(
      `quality-${figure}`,
      (theme) =>
        runs.map(({ name, overTime }, i) => ({
          x: overTime?.t ?? [],
          y: overTime?.[figure] ?? [],
          name: plotlyText(name),
          mode: "lines",
          line: runLine(theme, i),
        })),
      { xaxis: overT, yaxis: { title: { text: `${figure} (0 is straight)` }, rangemode: "tozero" } },
    );
  }
  showSolvers(runs, views);
}

/**
 * The losses of a run: of training batches, faint and smoothed, a line for each stage; and of held-out images.
 *
 * @param lineOf the line of the run, and of n-th stages if it is the only run
 */
export function lossTraces(
  run: Pick<PageRun, "name" | "trainLoss" | "stages" | "valLoss">,
  several: boolean,
  lineOf: (n: number) => ReturnType<typeof runLine>,
): PlotlyPart[] {
  const prefix = several ? `${plotlyText(run.name)} ` : "";
  const { valLoss } = run;
  const ofTraining = lossesByStage(run).flatMap(({ name, losses }, n): PlotlyPart[] => {
    const line = lineOf(several ? 0 : n);
    const stage = name === "" ? "train" : plotlyText(name);
    return [
      {
        x: losses.step,
        y: losses.value,
        mode: "lines",
        line: { ...line, width: 1 },
        opacity: 0.3,
        showlegend: false,
        hoverinfo: "skip",
      },
      { ...seriesTrace(smoothed(losses)), name: `${prefix}${stage}, smoothed`, line },
    ];
  });
  return [...ofTraining, {
    x: valLoss.step,
    y: valLoss.value,
    name: `${prefix}validation`,
    mode: "markers",
    marker: { color: lineOf(0).color, symbol: "diamond", size: 8, line: { width: 1.5 } },
  }];
}

/** A line through a series, or a point if it has one number. */
export function seriesTrace({ step, value }: Series): PlotlyPart {
  return { x: step, y: value, mode: step.length === 1 ? "lines+markers" : "lines" };
}

/** Shows Fréchet distance against evaluations, with a line for each solver of each run. */
function showSolvers(runs: readonly PageRun[], views: Views): void {
  const compared = runs.flatMap(({ name, solvers }) => solvers ? [{ name, solvers }] : []);
  const all = compared.flatMap(({ solvers }) => solvers);
  const names = [...new Set(all.map(({ solver }) => solver))];
  const log = (title: string, values: readonly number[]) => ({
    title: { text: title },
    type: "log",
    ...logTicks(values),
  });
  views.addChart(
    "solvers-chart",
    (theme) =>
      compared.flatMap(({ name, solvers }, run) =>
        names.map((solver, i) => {
          const own = solvers.filter((result) => result.solver === solver)
            .sort((a, b) => a.evaluations - b.evaluations);
          return traceOf(own, compared.length > 1 ? `${plotlyText(name)} ${solver}` : solver, theme, i, run);
        })
      ),
    {
      showlegend: true,
      hovermode: "closest",
      xaxis: log("evaluations of the network for a sample", all.map(({ evaluations }) => evaluations)),
      yaxis: log("Fréchet distance", all.flatMap(({ frechet: { low, high } }) => [low, high])),
    },
  );
}

/** Plotly's names of marks: after six solvers colours repeat with other marks. */
const symbols = ["circle", "diamond", "square"];

/** The results of one solver with their intervals; the chosen one is larger. */
function traceOf(
  results: readonly SolverQuality[],
  name: string,
  theme: Theme,
  solver: number,
  run: number,
): PlotlyPart {
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
