/// <reference lib="dom" />
import type { PageRun } from "../page_data.ts";
import type { Series, SolverQuality } from "../report_data.ts";
import { smoothed } from "../series.ts";
import { Chart, type Figure, logTicks, runLine, type Theme } from "./charts.ts";
import { byId, plain } from "./dom.ts";
import type { Views } from "./views.ts";

/** Losses over the steps, the learning rate, and the loss over t. */
export function showTraining(runs: readonly PageRun[], views: Views): void {
  const several = runs.length > 1;
  const legend = { showlegend: true };
  const ticks = logTicks(runs.flatMap(({ trainLoss, valLoss }) => [...trainLoss.value, ...valLoss.value]));
  show(
    "loss-chart",
    (theme) => runs.flatMap((run, i) => lossTraces(run, several, runLine(theme, i))),
    () => ({
      ...legend,
      xaxis: { title: { text: "step" } },
      yaxis: { title: { text: "loss" }, type: "log", tickformat: ".3~g", ...ticks },
    }),
  );
  show("rate-chart", (theme) =>
    runs.map(({ name, learningRate }, i) => {
      return { ...lineOf(learningRate), name: plain(name), line: runLine(theme, i) };
    }), () => ({ xaxis: { title: { text: "step" } }, yaxis: { title: { text: "learning rate" } } }));
  if (!document.getElementById("bins-chart")) return;
  show("bins-chart", (theme) =>
    runs.map(({ name, lossByTime = [] }, i) => ({
      type: "bar",
      x: lossByTime.map(({ from, to }) => (from + to) / 2),
      y: lossByTime.map(({ loss }) => loss),
      customdata: lossByTime.map(({ images }) => images),
      hovertemplate: "%{y:.4f} (%{customdata} images)",
      name: plain(name),
      marker: { color: runLine(theme, i).color },
    })), () => ({
      bargap: 0.15,
      xaxis: { title: { text: "t (0 noise, 1 data)" }, range: [0, 1] },
      yaxis: { title: { text: "test loss" } },
    }));

  function show(id: string, traces: (theme: Theme) => Figure[], layout: () => Figure): void {
    const place = byId(id);
    const chart = new Chart(place, traces, layout);
    views.add(place, () => chart.draw());
  }
}

/** The losses of a run: those of its batches, faint and smoothed, and those of held-out images. */
export function lossTraces(
  run: Pick<PageRun, "name" | "trainLoss" | "valLoss">,
  several: boolean,
  line: ReturnType<typeof runLine>,
): Figure[] {
  const prefix = several ? `${plain(run.name)} ` : "";
  const { trainLoss, valLoss } = run;
  return [
    {
      x: trainLoss.step,
      y: trainLoss.value,
      mode: "lines",
      line: { ...line, width: 1 },
      opacity: 0.3,
      showlegend: false,
      hoverinfo: "skip",
    },
    { ...lineOf(smoothed(trainLoss)), name: `${prefix}train, smoothed`, line },
    {
      x: valLoss.step,
      y: valLoss.value,
      name: `${prefix}validation`,
      mode: "markers",
      marker: { color: line.color, symbol: "diamond", size: 8, line: { width: 1.5 } },
    },
  ];
}

/** A line through a series; of one number, which makes no line, a point. */
export function lineOf({ step, value }: Series): Figure {
  return { x: step, y: value, mode: step.length === 1 ? "lines+markers" : "lines" };
}

/** Figures over t, by the id of the place of their chart. */
const figuresOverTime = { "quality-straightness": "straightness", "quality-curvature": "curvature" } as const;

/** Straightness and curvature over t, of runs that were evaluated. */
export function showOverTime(runs: readonly PageRun[], views: Views): void {
  for (const [id, name] of Object.entries(figuresOverTime)) {
    const place = document.getElementById(id);
    if (!place) continue;
    const chart = new Chart(place, (theme) =>
      runs.map(({ name: run, overTime }, i) => ({
        x: overTime?.t ?? [],
        y: overTime?.[name] ?? [],
        name: plain(run),
        mode: "lines",
        line: runLine(theme, i),
      })), () => ({
        xaxis: { title: { text: "t (0 noise, 1 data)" }, range: [0, 1] },
        yaxis: { title: { text: name }, rangemode: "tozero" },
      }));
    views.add(place, () => chart.draw());
  }
}

/** Fréchet distance against evaluations, a line for each solver of each run. */
export function showSolvers(runs: readonly PageRun[], views: Views): void {
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
