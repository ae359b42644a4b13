/// <reference lib="dom" />
import { Chart, type PlotlyPart, type Theme } from "./charts.ts";
import { byId } from "./dom.ts";

/** A pixel of a sample over time. */
export interface PixelTrajectory {
  /** Unique for each trajectory and pixel. */
  readonly key: string;
  readonly t: readonly number[];
  /** Value of each channel at each t. */
  readonly value: readonly (readonly number[])[];
  /** Velocity of each channel at each t; the last t may have none. */
  readonly velocity: readonly (readonly number[])[];
}

/** Names of three channels. */
const channels = ["red", "green", "blue"];

/** A chart of the value, predicted end and velocity of a pixel over time. */
export class PixelChart {
  readonly element = byId("pixel-chart");
  #shown: PixelTrajectory = { key: "", t: [], value: [], velocity: [] };
  readonly #chart = new Chart(this.element, (theme) => pixelTraces(this.#shown, theme), () => ({
    showlegend: true,
    xaxis: { title: { text: "t" }, range: [0, 1], anchor: "y2" },
    yaxis: { title: { text: "value" }, domain: [0.56, 1], nticks: 4 },
    yaxis2: { title: { text: "velocity" }, domain: [0, 0.44], nticks: 4 },
  }));

  show(pixel: PixelTrajectory, t: number): void {
    if (pixel.key === this.#shown.key) return this.#chart.moveTo(t);
    this.#shown = pixel;
    this.#chart.draw(t);
    this.element.dataset.key = pixel.key; // for tests
  }
}

/** The value, predicted end and velocity of each channel. */
export function pixelTraces(
  { t, value, velocity }: Omit<PixelTrajectory, "key">,
  theme: Pick<Theme, "runs" | "muted" | "channels">,
): PlotlyPart[] {
  const common = { mode: "lines", hovertemplate: "%{y:.3f}" };
  return value.flatMap((x, c) => {
    const v = velocity[c];
    // The last value is the end itself.
    const end = x.map((x, m) => x + (1 - t[m]) * (v[m] ?? 0));
    const grey = value.length === 1;
    const group = grey ? {} : { legendgroup: channels[c] };
    const [first, second, third] = grey
      ? [theme.runs[0], theme.muted, theme.runs[1]]
      : Array(3).fill(theme.channels[c]);
    const trace = (what: string, y: readonly number[], color: string, more: PlotlyPart = {}) => {
      const name = grey ? what : `${what}, ${channels[c]}`;
      return { ...common, ...group, x: t.slice(0, y.length), y, name, line: { color, width: 2 }, ...more };
    };
    const dotted = { line: { color: second, width: 1.5, dash: "dot" }, showlegend: grey };
    return [
      trace("value", x, first),
      trace("predicted end", end, second, dotted),
      trace("velocity", v, third, { yaxis: "y2", showlegend: grey }),
    ];
  });
}
