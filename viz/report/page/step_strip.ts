/// <reference lib="dom" />
import type { TriedStep } from "../../../models/mod.ts";
import { element } from "./dom.ts";
import { countOf, type TrajectoryView } from "./trajectory_view.ts";

/** Heights in CSS pixels: bars for taken steps, dashes for rejected ones below, and the gap between rows. */
interface RowSize {
  readonly taken: number;
  readonly rejected: number;
  readonly gap: number;
}

const large: RowSize = { taken: 14, rejected: 6, gap: 3 };
const small: RowSize = { taken: 5, rejected: 3, gap: 1 };

/** Shows the adaptive solver's steps of the current sample, with a line at t. */
export class StepStrip {
  /** Exists only in reports with live sampling. */
  readonly #place = document.getElementById("step-strip");
  #shown: TrajectoryView | undefined;
  #cursor: SVGElement | undefined;

  /** Shows the steps of a trajectory, or nothing if its steps are fixed. */
  show(trajectory: TrajectoryView, t: number): void {
    if (!this.#place) return;
    const { tried, solved, evaluations } = trajectory;
    this.#place.hidden = tried === undefined;
    if (tried === undefined) return;
    if (trajectory !== this.#shown) {
      const svg = strip([tried], large);
      this.#cursor = svgElement("line", { y1: 0, y2: "100%", class: "cursor" });
      svg.append(this.#cursor);
      const words = `Steps that ${solved?.solver} chose by its error estimate: ` +
        formatSteps([tried], evaluations);
      this.#place.replaceChildren(...captioned(svg, words));
      this.#shown = trajectory;
    }
    for (const x of ["x1", "x2"]) this.#cursor!.setAttribute(x, percent(t));
  }
}

/** The steps of several samples, one row per sample. */
export function stepRows(trajectories: readonly TrajectoryView[]): HTMLElement | undefined {
  const rows = trajectories.flatMap(({ tried }) => tried ? [tried] : []);
  if (rows.length === 0) return undefined;
  const words = `Steps along t, one row per sample: ${formatSteps(rows, trajectories[0].evaluations)}`;
  return element("div", { class: "strip" }, ...captioned(strip(rows, small), words));
}

/** "7 to 9 steps taken (bars), 0 to 2 rejected (dashes), 68 evaluations." */
export function formatSteps(
  rows: readonly (readonly TriedStep[])[],
  evaluations: number | undefined,
): string {
  const count = (accepted: boolean) =>
    rows.map((row) => row.filter((step) => step.accepted === accepted).length);
  const lengths = rows.flat().filter(({ accepted }) => accepted).map(({ dt }) => dt);
  const cost = evaluations === undefined ? "" : `, ${countOf(evaluations)}`;
  return `${span(count(true), String)} taken (bars), ${span(lengths, (dt) => dt.toPrecision(2))} long; ` +
    `${span(count(false), String)} rejected (dashes)${cost}${rows.length > 1 ? ", together" : ""}.`;
}

/** "7 to 9", or "7" if all are the same. */
function span(values: readonly number[], shown: (value: number) => string): string {
  const [lowest, highest] = [Math.min(...values), Math.max(...values)].map(shown);
  return lowest === highest ? lowest : `${lowest} to ${highest}`;
}

/** Draws the steps of each sample over t from 0 to 1, with their values as titles. */
function strip(rows: readonly (readonly TriedStep[])[], { taken, rejected, gap }: RowSize): SVGElement {
  const pitch = taken + rejected + gap;
  const svg = svgElement("svg", { width: "100%", height: rows.length * pitch, "aria-hidden": "true" });
  rows.forEach((row, i) => {
    let bars = 0;
    for (const { t, dt, ratio, accepted } of row) {
      const [x1, x2] = [percent(t), percent(t + dt)];
      const y = i * pitch;
      const bar = { x: x1, width: percent(dt), y, height: taken };
      const mark = accepted
        ? svgElement("rect", { ...bar, class: bars++ % 2 ? "step odd" : "step" })
        : svgElement("line", { x1, x2, y1: y + taken + 2, y2: y + taken + 2, class: "rejected" });
      const title = svgElement("title", {});
      const error = `estimated error ${ratio.toPrecision(2)} times the tolerance`;
      title.textContent = `t = ${t.toFixed(3)} to ${(t + dt).toFixed(3)}, ${error}: ` +
        (accepted ? "taken" : "rejected");
      mark.append(title);
      svg.append(mark);
    }
  });
  return svg;
}

function captioned(svg: SVGElement, words: string): Element[] {
  const ends = ["t = 0, noise", "t = 1, image"].map((text) => element("span", { text }));
  return [
    svg,
    element("div", { class: "ends small" }, ...ends),
    element("p", { class: "small", text: words }),
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(3)}%`;
}

function svgElement(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
