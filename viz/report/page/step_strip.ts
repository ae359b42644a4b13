/// <reference lib="dom" />
import type { TriedStep } from "../../../models/mod.ts";
import { type PlotlyFigure, type PlotlyTrace, seriesColors } from "../../figure/figure.ts";
import { timeAxis } from "../run_figures.ts";
import { Chart } from "./charts.ts";
import { element } from "./dom.ts";
import { countOf, type TrajectoryView } from "./trajectory_view.ts";

/** Shows the adaptive solver's steps of the current sample, with a line at t. */
export class StepStrip {
  /** Exists only in reports with live sampling. */
  readonly #place = document.getElementById("step-strip");
  #shown: TrajectoryView | undefined;
  #chart: Chart | undefined;

  /** Shows the steps of a trajectory, or nothing if its steps are fixed. */
  show(trajectory: TrajectoryView, t: number): void {
    if (!this.#place) return;
    const { tried, solved, evaluations } = trajectory;
    this.#place.hidden = tried === undefined;
    if (tried === undefined) return;
    if (trajectory !== this.#shown) {
      this.#shown = trajectory;
      const words = `Steps that ${solved?.solver} chose by its error estimate: `;
      const { chart, parts } = stepsOf([tried], words + formatSteps([tried], evaluations));
      this.#chart = chart;
      this.#place.replaceChildren(...parts);
    }
    this.#chart!.moveTo(t);
  }
}

/** The steps of several samples, one row per sample. */
export function stepRows(trajectories: readonly TrajectoryView[]): HTMLElement | undefined {
  const rows = trajectories.flatMap(({ tried }) => tried ? [tried] : []);
  if (rows.length === 0) return undefined;
  const words = `Steps along t, one row per sample: ${formatSteps(rows, trajectories[0].evaluations)}`;
  const { chart, parts } = stepsOf(rows, words);
  chart.draw();
  return element("div", { class: "strip" }, ...parts);
}

/** "7 to 9 steps taken, 0 to 2 rejected, 68 evaluations." */
export function formatSteps(
  rows: readonly (readonly TriedStep[])[],
  evaluations: number | undefined,
): string {
  const count = (accepted: boolean) =>
    rows.map((row) => row.filter((step) => step.accepted === accepted).length);
  const lengths = rows.flat().filter(({ accepted }) => accepted).map(({ dt }) => dt);
  const cost = evaluations === undefined ? "" : `, ${countOf(evaluations)}`;
  return `${span(count(true), String)} taken, ${span(lengths, (dt) => dt.toPrecision(2))} long; ` +
    `${span(count(false), String)} rejected${cost}${rows.length > 1 ? ", together" : ""}.`;
}

/** "7 to 9", or "7" if all are the same. */
function span(values: readonly number[], shown: (value: number) => string): string {
  const lowest = shown(Math.min(...values));
  const highest = shown(Math.max(...values));
  return lowest === highest ? lowest : `${lowest} to ${highest}`;
}

/** A chart of steps, and the text below it. */
function stepsOf(rows: readonly (readonly TriedStep[])[], words: string) {
  const place = element("div", {
    class: "chart",
    role: "group",
    "aria-label": "Steps of the solver over t",
    style: `height: ${86 + 10 * rows.length}px`,
  });
  return {
    chart: new Chart(place, () => stepsFigure(rows)),
    parts: [place, element("p", { class: "small", text: words })],
  };
}

/** The steps of each sample over t, one row per sample: those taken, and below them those rejected. */
export function stepsFigure(rows: readonly (readonly TriedStep[])[]): PlotlyFigure {
  const data = [true, false].map((taken): PlotlyTrace => {
    const steps = rows.flatMap((row, y) =>
      row.filter(({ accepted }) => accepted === taken).map((step) => ({ ...step, y }))
    );
    return {
      type: "bar",
      orientation: "h",
      name: taken ? "taken" : "rejected",
      base: steps.map(({ t }) => t),
      x: steps.map(({ dt }) => dt),
      y: steps.map(({ y }) => y),
      width: taken ? 0.6 : 0.2,
      offset: taken ? -0.4 : 0.25,
      marker: { color: seriesColors[taken ? 0 : 1], line: { color: "#ffffff", width: 1 } },
      text: steps.map(({ t, dt, ratio }) =>
        `t = ${t.toFixed(3)} to ${(t + dt).toFixed(3)}, estimated error ${
          ratio.toPrecision(2)
        } times the tolerance`
      ),
      textposition: "none",
      hovertemplate: "%{text}<extra>%{fullData.name}</extra>",
    };
  });
  return {
    data,
    layout: {
      barmode: "overlay",
      showlegend: true,
      margin: { t: 24, b: 36 },
      xaxis: { ...timeAxis, fixedrange: false },
      yaxis: { visible: false, range: [rows.length - 0.4, -0.6] },
    },
  };
}
