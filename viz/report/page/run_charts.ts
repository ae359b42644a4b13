/// <reference lib="dom" />
import type { PageRun } from "../page_data.ts";
import type { Series, SolverQuality } from "../report_data.ts";
import { lossesByStage, smoothed } from "../series.ts";
import { type ChartContent, type ChartTrace, type Plot, runLine } from "./charts.ts";
import { byId } from "./dom.ts";
import type { Views } from "./views.ts";

/** Adds the charts that do not depend on t: losses, learning rate, quality over t and by solver. */
export function showRuns(runs: readonly PageRun[], views: Views): void {
  const add = (id: string, plot: Plot, more: Partial<ChartContent> = {}) =>
    views.addChart(id, { plots: [plot], ...more });
  const overT = { xTitle: "t (0 noise, 1 data)", xRange: [0, 1] } as const;
  const plots = lossPlots(runs);
  views.addChart("loss-chart", { plots, legend: true });
  if (plots.length > 1) byId("loss-chart").style.height = `${150 * plots.length}px`;
  add("rate-chart", {
    traces: runs.map(({ name, learningRate }, i) => ({ ...seriesTrace(learningRate), name, ...runLine(i) })),
    layout: { xTitle: "step", yTitle: "learning rate" },
  });
  add("bins-chart", {
    traces: runs.map(({ name, lossByTime = [] }, i): ChartTrace => {
      const barWidth = 0.85 / Math.max(lossByTime.length, 1) / runs.length;
      return {
        mode: "bars",
        x: lossByTime.map(({ from, to }) => (from + to) / 2 + (i - (runs.length - 1) / 2) * barWidth),
        y: lossByTime.map(({ loss }) => loss ?? NaN),
        words: lossByTime.map(({ loss, images }) => `${loss?.toFixed(4)} (${images} images)`),
        name,
        barWidth,
        color: runLine(i).color,
      };
    }),
    layout: { ...overT, yTitle: "test loss" },
    fromZero: true,
  });
  for (const figure of ["straightness", "curvature"] as const) {
    add(`quality-${figure}`, {
      traces: runs.map(({ name, overTime }, i) => {
        return { x: overTime?.t ?? [], y: overTime?.[figure] ?? [], name, ...runLine(i) };
      }),
      layout: { ...overT, yTitle: `${figure} (0 is straight)` },
      fromZero: true,
    });
  }
  const compared = runs.flatMap(({ name, solvers }) => solvers ? [{ name, solvers }] : []);
  const names = [...new Set(compared.flatMap(({ solvers }) => solvers.map(({ solver }) => solver)))];
  const distance = compared[0]?.solvers[0]?.distance;
  add("solvers-chart", {
    traces: compared.flatMap(({ name, solvers }, run) =>
      names.map((solver, i) => {
        const own = solvers.filter((result) => result.solver === solver);
        return solverTrace(own, compared.length > 1 ? `${name} ${solver}` : solver, i, run);
      })
    ),
    layout: {
      xTitle: "network evaluations per sample",
      yTitle: distance ?? "Fréchet distance",
      xLog: true,
      yLog: distance === undefined, // others may be negative
    },
  }, { legend: true, nearest: true });
}

/** The losses of all runs. If one run has stages, whose losses are not comparable, they and validation get own plots. */
export function lossPlots(runs: readonly PageRun[]): Plot[] {
  const several = runs.length > 1;
  const losses = runs.flatMap((run, i) => lossTraces(run, several, i));
  const [{ stages = [] }] = runs;
  const plotOf = (traces: readonly ChartTrace[], yTitle: string, xTitle = "step"): Plot => {
    return { traces, layout: { xTitle, yTitle, yLog: true } };
  };
  if (several || stages.length < 2) return [plotOf(losses, "loss")];
  const ofStages = stages.map(({ name }, n) => plotOf(losses.slice(2 * n, 2 * n + 2), name, ""));
  return [...ofStages, plotOf(losses.slice(-1), "validation")];
}

/**
 * The losses of run number `place`: of training batches (faint, and smoothed, one line per stage), and of held-out images.
 */
export function lossTraces(
  run: Pick<PageRun, "name" | "trainLoss" | "stages" | "valLoss">,
  several: boolean,
  place: number,
): ChartTrace[] {
  const prefix = several ? `${run.name} ` : "";
  const ofTraining = lossesByStage(run).flatMap(({ name: stage, losses }, n): ChartTrace[] => {
    const line = runLine(several ? place : place + n);
    const name = `${prefix}${stage === "" ? "train" : stage}, smoothed`;
    return [
      { x: losses.step, y: losses.value, ...line, size: 1, opacity: 0.3, group: name },
      { ...seriesTrace(smoothed(losses)), name, ...line },
    ];
  });
  return [...ofTraining, {
    x: run.valLoss.step,
    y: run.valLoss.value,
    name: `${prefix}validation`,
    mode: "markers",
    mark: "diamond",
    color: runLine(place).color,
    size: 8,
  }];
}

/** A line through a series, or a point if it has only one number. */
function seriesTrace({ step, value }: Series): ChartTrace {
  return { x: step, y: value, mode: step.length === 1 ? "lines+markers" : "lines" };
}

/** Marks of solvers, because colours repeat after six. */
const marks = ["circle", "diamond", "square"] as const;

/** The results of one solver with their intervals; the recommended one is larger. */
function solverTrace(
  results: readonly SolverQuality[],
  name: string,
  solver: number,
  run: number,
): ChartTrace {
  const sorted = [...results].sort((a, b) => a.evaluations - b.evaluations);
  const of = (end: "value" | "low" | "high") => sorted.map(({ frechet }) => frechet[end]);
  return {
    x: sorted.map(({ evaluations }) => evaluations),
    y: of("value"),
    interval: { low: of("low"), high: of("high") },
    words: sorted.map(({ words, evaluations, frechet: { value } }) =>
      `${words}: ${Number(evaluations.toFixed(1))} evaluations, distance ${Number(value.toPrecision(3))}`
    ),
    name,
    mode: "lines+markers",
    mark: marks[Math.floor(solver / 6) % marks.length],
    size: sorted.map(({ chosen }) => chosen ? 12 : 6),
    color: runLine(solver).color,
    dash: runLine(6 * run).dash,
  };
}
