/** The charts of runs that do not change: losses, learning rate, figures with their intervals, quality against cost. */
import {
  logAxis,
  panelNumber,
  type PlotlyFigure,
  type PlotlyLayout,
  type PlotlyTrace,
  seriesColors,
  seriesMarks,
} from "../figure/figure.ts";
import type { QualityFigure, ReportRun, Series, SolverQuality } from "./report_data.ts";
import { byStage, quantiles, rounded, smoothed, thinned } from "./series.ts";

/** The line of a run: colours repeat with other dashes. */
export function runLine(run: number): { readonly color: string; readonly dash: string } {
  const dash = ["solid", "dash", "dot"][Math.floor(run / seriesColors.length) % 3];
  return { color: seriesColors[run % seriesColors.length], dash };
}

/** An axis of times. */
export const timeAxis: PlotlyLayout = { title: { text: "t (0 noise, 1 data)" }, range: [0, 1] };

/** Hover text of a number at a step. */
const atStep = "step %{x:,}: %{y:.4~g}";
/** Hover text of a number at a time. */
export const atTime = "t = %{x:.2f}: %{y:.4~g}";

/** Digits of the labels of a logarithmic axis, from few to many. */
const tickDigits = [
  [1],
  [1, 3],
  [1, 2, 5],
  [1, 1.5, 2, 3, 4, 5, 7],
  [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9],
];

/**
 * A logarithmic axis with at least `least` labels among these values where Plotly's own would be one or two: the fewest of
 * {@linkcode tickDigits} that do. Plotly divides a range that is narrower than these.
 */
export function labelledLogAxis(values: readonly number[], least: number): PlotlyLayout {
  const known = values.filter((value) => value > 0 && value < Infinity);
  if (known.length === 0) return logAxis;
  const [low, high] = [(a: number, b: number) => Math.min(a, b), (a: number, b: number) => Math.max(a, b)]
    .map((pick) => known.reduce(pick));
  const decades = Array.from(
    { length: Math.floor(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 },
    (_, i) => i + Math.floor(Math.log10(low)),
  );
  const ticks = tickDigits.map((digits) =>
    decades.flatMap((power) => digits.map((digit) => rounded(digit * 10 ** power)))
      .filter((tick) => tick >= 0.95 * low && tick <= 1.05 * high)
  );
  const tickvals = ticks.find(({ length }) => length >= least) ?? ticks.at(-1)!;
  return tickvals.length > 1 ? { ...logAxis, tickvals } : { ...logAxis, nticks: 3 };
}

const titled = (text: string): PlotlyLayout => ({ title: { text } });

function lineOf({ step, value }: Series, more: PlotlyTrace): PlotlyTrace {
  const mode = step.length === 1 ? "lines+markers" : "lines";
  return { mode, x: Float32Array.from(step), y: Float32Array.from(value), hovertemplate: atStep, ...more };
}

/** A panel of the loss figure; all share the axis of steps. */
interface LossPanel {
  /** The title of its axis. */
  readonly title: string;
  /** In pixels. */
  readonly height: number;
}

/**
 * The panels of the loss figure, from top to bottom: one for all losses, or, if one run has stages, whose losses are not
 * comparable, one for each of these and one for validation; then one for the norm of the gradient, if a run logged it.
 */
export function lossPanels(runs: readonly ReportRun[]): LossPanel[] {
  const panels = hasStagePanels(runs)
    ? [...runs[0].stages!.map(({ name }) => name), "validation"].map((title) => ({ title, height: 160 }))
    : [{ title: "loss", height: 260 }];
  if (hasGradientNorms(runs)) panels.push({ title: "gradient norm", height: 110 });
  return panels;
}

function hasStagePanels(runs: readonly ReportRun[]): boolean {
  return runs.length === 1 && (runs[0].stages ?? []).length > 1;
}

/** Whether a run logged the norm of its gradients. */
export function hasGradientNorms(runs: readonly ReportRun[]): boolean {
  return runs.some(({ gradientNorm }) => gradientNorm !== undefined && gradientNorm.step.length > 0);
}

/** The vertical axes of panels below each other, each from low to high as shares of the figure's height. */
function stackedAxes(panels: readonly LossPanel[], data: readonly PlotlyTrace[]): PlotlyLayout {
  const whole = panels.reduce((sum, { height }) => sum + height, 0);
  const gap = 24 / whole;
  const axes: Record<string, PlotlyLayout> = {};
  let below = whole;
  for (const [n, { title, height }] of panels.entries()) {
    const high = below / whole;
    below -= height;
    const low = below === 0 ? 0 : below / whole + gap;
    const own = data.filter(({ yaxis }) => yaxis === `y${panelNumber(n)}`);
    axes[`yaxis${panelNumber(n)}`] = {
      ...labelledLogAxis(own.flatMap(({ y }) => [...y as Float32Array]), height < 200 ? 2 : 4),
      ...titled(title),
      ...panels.length > 1 && { domain: [low, high] },
    };
  }
  if (panels.length === 1) return axes;
  const subplots = panels.map((_, n) => [`xy${panelNumber(n)}`]);
  return { ...axes, grid: { rows: panels.length, columns: 1, subplots } };
}

/**
 * The losses of all runs over the steps, of training batches (faint, and smoothed) and of held-out images, and the norm of
 * the gradient, see {@linkcode lossPanels}.
 */
export function lossFigure(runs: readonly ReportRun[]): PlotlyFigure {
  const panels = lossPanels(runs);
  const several = runs.length > 1;
  const isStaged = hasStagePanels(runs);
  const data = runs.flatMap((run, place): PlotlyTrace[] => {
    const prefix = several ? `${run.name} ` : "";
    const lookOf = (stage: number) => ({
      legendgroup: `${place} ${stage}`,
      line: runLine(several ? place : place + stage),
    });
    const training = byStage(thinned(run.trainLoss, 1000), run.stages).flatMap(({ name, series }, n) => {
      const { legendgroup, line } = lookOf(n);
      const yaxis = `y${panelNumber(isStaged ? n : 0)}`;
      const each = { line: { ...line, width: 1 }, opacity: 0.3, showlegend: false, hoverinfo: "skip" };
      return [
        lineOf(series, { legendgroup, yaxis, ...each }),
        lineOf(smoothed(series), {
          legendgroup,
          yaxis,
          line,
          name: several ? `${prefix}${name}`.trim() : `${name || "training"}, smoothed`,
        }),
      ];
    });
    const shared = several && { showlegend: false, legendgroup: `${place} 0` };
    const validation = lineOf(run.valLoss, {
      ...shared,
      name: `${prefix}validation`,
      mode: "markers",
      marker: { color: runLine(place).color, symbol: "diamond" },
      yaxis: `y${panelNumber(isStaged ? run.stages!.length : 0)}`,
    });
    const test = lineOf({ step: run.trainLoss.step.slice(-1), value: [run.testLoss ?? NaN] }, {
      ...shared,
      name: `${prefix}test`,
      mode: "markers",
      marker: { color: runLine(place).color, symbol: "star", size: 11 },
      yaxis: validation.yaxis,
    });
    const { gradientNorm = { step: [], value: [] } } = run;
    const norms = byStage(thinned(gradientNorm, 1000), run.stages).map(({ series }, n) => {
      const { legendgroup, line } = lookOf(n);
      return lineOf(series, {
        legendgroup, // the legend hides it together with the loss
        yaxis: `y${panelNumber(panels.length - 1)}`,
        line: { ...line, width: 1 },
        name: `${prefix}gradient norm`,
        showlegend: false,
      });
    });
    return [
      ...training,
      validation,
      ...run.testLoss === undefined ? [] : [test],
      ...hasGradientNorms([run]) ? norms : [],
    ];
  });
  return { data, layout: { xaxis: titled("step"), ...stackedAxes(panels, data) } };
}

export function rateFigure(runs: readonly ReportRun[]): PlotlyFigure {
  return {
    data: runs.map(({ name, learningRate }, i) =>
      lineOf(thinned(learningRate, 1000), { name, line: runLine(i) })
    ),
    layout: { xaxis: titled("step"), yaxis: { ...titled("learning rate"), rangemode: "tozero" } },
  };
}

/** The loss of held-out images by t, a group of bars for each range. */
export function binsFigure(runs: readonly ReportRun[]): PlotlyFigure {
  return {
    data: runs.map(({ name, lossByTime = [] }, i) => ({
      type: "bar" as const,
      name,
      x: lossByTime.map(({ from, to }) => (from + to) / 2),
      y: lossByTime.map(({ loss }) => loss),
      text: lossByTime.map(({ from, to, images }) =>
        `t = ${from.toFixed(1)} to ${to.toFixed(1)}, ${images} images`
      ),
      textposition: "none",
      hovertemplate: "%{text}: %{y:.4~g}",
      marker: { color: runLine(i).color },
    })),
    layout: { xaxis: timeAxis, yaxis: titled("test loss"), bargap: 0.15 },
  };
}

/** A figure of trajectories over t, a line for each run. */
export function overTimeFigure(
  runs: readonly {
    readonly name: string;
    readonly overTime?: ReportRun["overTime"] | undefined;
    readonly run: number;
  }[],
  figure: "straightness" | "curvature",
): PlotlyFigure {
  return {
    data: runs.map(({ name, run, overTime }) => ({
      mode: "lines",
      name,
      x: overTime?.t ?? [],
      y: overTime?.[figure] ?? [],
      line: runLine(run),
      hovertemplate: atTime,
    })),
    layout: { xaxis: timeAxis, yaxis: { ...titled(`${figure} (0 is straight)`), rangemode: "tozero" } },
  };
}

/** The median of a quantity of samples over t, with a band from the 10 % to the 90 % quantile, for each run. */
export function quantilesFigure(
  runs: readonly ReportRun[],
  quantity: "speed" | "straightness",
): PlotlyFigure {
  const data = runs.flatMap(({ name, plane }, run): PlotlyTrace[] => {
    if (!plane) return [];
    const { low, median, high } = quantiles(plane[quantity], plane.shape[1]);
    const { color } = runLine(run);
    const x = plane.t.slice(0, -1);
    const edge = {
      mode: "lines",
      x,
      line: { width: 0 },
      showlegend: false,
      hoverinfo: "skip",
      legendgroup: name,
    };
    return [
      { ...edge, y: low },
      { ...edge, y: high, fill: "tonexty", fillcolor: `${color}33` },
      { mode: "lines", x, y: median, name, legendgroup: name, line: runLine(run), hovertemplate: atTime },
    ];
  });
  const title = quantity === "speed" ? "speed, RMS per pixel" : "alignment";
  return { data, layout: { xaxis: timeAxis, yaxis: titled(title), showlegend: data.length > 3 } };
}

/** Quality against evaluations with intervals, a line for each solver and run; the recommended results are larger. */
export function solversFigure(
  compared: readonly { readonly name: string; readonly solvers: readonly SolverQuality[] }[],
): PlotlyFigure {
  const names = [...new Set(compared.flatMap(({ solvers }) => solvers.map(({ solver }) => solver)))];
  const distance = compared[0].solvers[0]?.distance;
  const data = compared.flatMap(({ name, solvers }, run) =>
    names.flatMap((solver, i): PlotlyTrace[] => {
      const own = solvers.filter((result) => result.solver === solver)
        .sort((a, b) => a.evaluations - b.evaluations);
      if (own.length === 0) return [];
      return [{
        mode: "lines+markers",
        name: compared.length > 1 ? `${name} ${solver}` : solver,
        x: own.map(({ evaluations }) => evaluations),
        y: own.map(({ frechet: { value } }) => value),
        error_y: intervals(own.map(({ frechet }) => frechet)),
        line: { color: runLine(i).color, dash: runLine(seriesColors.length * run).dash },
        marker: {
          symbol: seriesMarks[i % seriesMarks.length],
          size: own.map(({ chosen }) => chosen ? 14 : 7),
        },
        text: own.map(({ words, evaluations, frechet: { value, low, high } }) =>
          `${words}: ${Number(evaluations.toFixed(1))} evaluations, distance ${rounded(value, 3)} (${
            rounded(low, 3)
          } to ${rounded(high, 3)})`
        ),
        hovertemplate: "%{text}<extra></extra>",
      }];
    })
  );
  return {
    data,
    layout: {
      showlegend: true,
      xaxis: { ...logAxis, ...titled("network evaluations per sample") },
      yaxis: distance === undefined ? { ...logAxis, ...titled("Fréchet distance") } : titled(distance), // it may be negative
    },
  };
}

/** Error bars from values to the ends of their intervals. */
export function intervals(
  all: readonly { readonly value: number; readonly low: number; readonly high: number }[],
): PlotlyLayout {
  return {
    type: "data",
    symmetric: false,
    array: all.map(({ value, high }) => Math.max(0, high - value)),
    arrayminus: all.map(({ value, low }) => Math.max(0, value - low)),
    thickness: 1.5,
    width: 3,
  };
}

const references = ["real", "noise", "chance"] as const;
const referenceLooks = {
  real: { name: "real images", color: "#3b8f5a", symbol: "line-ns" },
  noise: { name: "noise", color: "#8a8f96", symbol: "x-thin" },
  chance: { name: "chance", color: "#8a8f96", symbol: "asterisk" },
};

/** The figures of one question with the run that each belongs to. */
export type RunFigures = readonly {
  readonly run: number;
  readonly name: string;
  readonly figure: QualityFigure;
}[];

/**
 * The values of runs with their intervals, a row for each figure and judge, all on one axis from worse to better; real
 * images, noise and chance are marked.
 */
export function intervalsFigure(
  all: RunFigures,
  shownBy: (figure: QualityFigure) => (value: number) => string,
): PlotlyFigure {
  const titles = [...new Set(all.map(({ figure }) => titleOf(figure)))];
  const rows = titles.map((title) => all.filter(({ figure }) => titleOf(figure) === title));
  const places = rows.map((own) => placeOf(own.map(({ figure }) => figure)));
  const runs = [...new Map(all.map(({ run, name }) => [run, name]))];
  const data = runs.map(([run, name], i): PlotlyTrace => {
    const points = rows.flatMap((own, row) =>
      own.filter((one) => one.run === run).map(({ figure }) => {
        const ends = [figure.low, figure.high].map((end) => places[row](end, figure));
        const low = Math.min(...ends);
        const high = Math.max(...ends);
        const value = places[row](figure.value, figure);
        // The value of real images is the best one, also inside an interval around it.
        const isAround = figure.better === "real" && figure.real !== undefined && figure.low < figure.real &&
          figure.real < figure.high;
        const shown = shownBy(figure);
        const text = `${titleOf(figure)}: ${shown(figure.value)} (95 % interval ${shown(figure.low)} to ${
          shown(figure.high)
        })`;
        return {
          y: row + (i - (runs.length - 1) / 2) * 0.6 / runs.length,
          value,
          low,
          high: isAround ? 1 : high,
          text,
        };
      })
    );
    return {
      mode: "markers",
      name,
      x: points.map(({ value }) => value),
      y: points.map(({ y }) => y),
      error_x: { ...intervals(points), thickness: 3, width: 0 },
      text: points.map(({ text }) => text),
      hovertemplate: "%{text}<extra></extra>",
      marker: { color: runLine(run).color, size: 9 },
      showlegend: runs.length > 1,
    };
  });
  const marks = references.flatMap((name): PlotlyTrace[] => {
    const { color, symbol, ...look } = referenceLooks[name];
    const points = rows.flatMap(([{ figure }], y) => {
      const value = figure[name];
      const count = name === "real" && figure.realCount !== undefined
        ? `${figure.realCount.toLocaleString("en")} `
        : "";
      return value === undefined ? [] : [{
        x: places[y](value, figure),
        y,
        text: `${titleOf(figure)}, ${count}${look.name}: ${shownBy(figure)(value)}`,
      }];
    });
    if (points.length === 0) return [];
    return [{
      mode: "markers",
      ...look,
      x: points.map(({ x }) => x),
      y: points.map(({ y }) => y),
      text: points.map(({ text }) => text),
      hovertemplate: "%{text}<extra></extra>",
      marker: { symbol, color, size: name === "real" ? 20 : 9, line: { color, width: 2 } },
    }];
  });
  return {
    data: [...marks, ...data],
    layout: {
      showlegend: true,
      xaxis: { range: [-0.03, 1.03], tickvals: [0, 1], ticktext: ["worse", "better"] },
      yaxis: {
        range: [rows.length - 0.5, -0.5],
        tickvals: rows.map((_, row) => row),
        ticktext: rows.map(([{ figure: { title, judge } }]) =>
          judge === undefined ? title : `${title}<br>${judge}`
        ),
      },
    },
  };
}

/** The title of a figure, with its judge. */
export function titleOf({ title, judge }: QualityFigure): string {
  return judge === undefined ? title : `${title} (${judge})`;
}

/**
 * Where values of a figure lie between worst, 0, and best, 1: on a linear scale for shares and figures with ends, by the
 * distance if real images are best, or else on a logarithmic scale.
 */
function placeOf(figures: readonly QualityFigure[]): (value: number, figure: QualityFigure) => number {
  const [{ better, share, ends = share ? [0, 1] : undefined }] = figures;
  const each = (measure: (value: number, figure: QualityFigure) => number) =>
    figures.flatMap((figure) => {
      const { value, low, high, real = value, noise = value, chance = value } = figure;
      return [value, low, high, real, noise, chance].map((value) => measure(value, figure));
    });
  const between =
    (worst: number, best: number, goodness: (value: number, figure: QualityFigure) => number) =>
    (value: number, figure: QualityFigure) =>
      Math.min(1, Math.max(0, (goodness(value, figure) - worst) / (best - worst || 1)));
  if (better === "real" && figures.every(({ real }) => real !== undefined)) {
    const goodness = (value: number, { real }: QualityFigure) => -Math.abs(value - real!);
    return between(Math.min(...each(goodness)), 0, goodness);
  }
  const all = each((value) => value);
  const positive = all.filter((value) => value > 0);
  if (better === "lower" && !ends && positive.length > 0) {
    const least = Math.min(...positive) / (positive.length < all.length ? 10 : 1); // a distance of sets can be 0 or less
    return between(
      -Math.log(Math.max(...positive)),
      -Math.log(least),
      (value) => -Math.log(Math.max(value, least)),
    );
  }
  const sign = better === "lower" ? -1 : 1;
  const signed = [...ends ?? [], ...all].map((value) => sign * value);
  return between(Math.min(...signed), Math.max(...signed), (value) => sign * value);
}
