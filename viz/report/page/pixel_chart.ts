/// <reference lib="dom" />
import { Chart } from "./charts.ts";
import { byId } from "./dom.ts";

/** A pixel of a sample on its way. */
export interface PixelCourse {
  /** Tells courses apart. */
  readonly key: string;
  readonly t: readonly number[];
  /** Times of the velocities. */
  readonly velocityT: readonly number[];
  readonly value: readonly number[];
  readonly velocity: readonly number[];
}

/** Value, predicted end and velocity of a pixel over time. */
export class PixelChart {
  readonly element = byId("pixel-chart");
  #course: PixelCourse = { key: "", t: [], velocityT: [], value: [], velocity: [] };
  readonly #chart = new Chart(this.element, ({ runs, muted }) => {
    const { t, velocityT, value, velocity } = this.#course;
    // At the end there is nothing left to predict.
    const end = value.map((x, m) => x + (1 - velocityT[m]) * (velocityT[m] === t[m] ? velocity[m] : 0));
    const line = { mode: "lines", hovertemplate: "%{y:.3f}" };
    return [
      { ...line, x: t, y: value, name: "value", line: { color: runs[0], width: 2 } },
      { ...line, x: t, y: end, name: "predicted end", line: { color: muted, width: 1.5, dash: "dot" } },
      {
        ...line,
        x: velocityT,
        y: velocity,
        name: "velocity",
        line: { color: runs[1], width: 2 },
        yaxis: "y2",
      },
    ];
  }, ({ line }) => ({
    showlegend: true,
    xaxis: { title: { text: "t" }, range: [0, 1], anchor: "y2" },
    yaxis: { title: { text: "value" }, domain: [0.56, 1], nticks: 4 },
    yaxis2: {
      title: { text: "velocity" },
      domain: [0, 0.44],
      nticks: 4,
      gridcolor: line,
      zerolinecolor: line,
      linecolor: line,
      tickcolor: line,
      automargin: true,
    },
  }));

  show(course: PixelCourse, t: number): void {
    if (course.key === this.#course.key) return this.#chart.moveTo(t);
    this.#course = course;
    this.#chart.draw(t);
  }
}
