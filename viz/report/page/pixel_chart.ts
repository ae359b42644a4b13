/// <reference lib="dom" />
import { Chart, type ChartTrace, runLine } from "./charts.ts";
import { byId } from "./dom.ts";

/** A pixel of a sample over time. */
export interface PixelTrajectory {
  /** A unique key for each trajectory and pixel. */
  readonly key: string;
  readonly t: readonly number[];
  /** Value of each channel at each t. */
  readonly value: readonly (readonly number[])[];
  /** Velocity of each channel at each t; the last t may have none. */
  readonly velocity: readonly (readonly number[])[];
}

const channels = ["red", "green", "blue"];

/** A chart of the value, predicted end and velocity of a pixel over time. */
export class PixelChart {
  readonly element = byId("pixel-chart");
  #shown: PixelTrajectory = { key: "", t: [], value: [], velocity: [] };
  readonly #chart = new Chart(this.element, () => {
    const { values, velocities } = pixelTraces(this.#shown);
    const xRange = [0, 1] as const;
    return {
      plots: [
        { traces: values, layout: { yTitle: "value", xRange } },
        { traces: velocities, layout: { xTitle: "t", yTitle: "velocity", xRange } },
      ],
      legend: true,
    };
  });

  show(pixel: PixelTrajectory, t: number): void {
    if (pixel.key === this.#shown.key) return this.#chart.moveTo(t);
    this.#shown = pixel;
    this.#chart.draw(t);
    this.element.dataset.key = pixel.key; // for tests
  }
}

/** The value, predicted end and velocity of each channel; the three channels share legend entries. */
export function pixelTraces(
  { t, value, velocity }: Omit<PixelTrajectory, "key">,
): Record<"values" | "velocities", ChartTrace[]> {
  const traces = value.map((x, c) => {
    const v = velocity[c];
    // The last value is already the end.
    const end = x.map((x, m) => x + (1 - t[m]) * (v[m] ?? 0));
    const grey = value.length === 1;
    const [first, second, third] = grey
      ? [runLine(0).color, "var(--muted)", runLine(1).color]
      : Array(3).fill(`var(--channel-${c})`);
    const trace = (what: string, y: readonly number[], color: string): ChartTrace => ({
      x: t.slice(0, y.length),
      y,
      name: grey ? what : `${what}, ${channels[c]}`,
      ...!grey && { group: channels[c] },
      color,
      size: 2,
    });
    return {
      values: [trace("value", x, first), { ...trace("predicted end", end, second), dash: "2 3", size: 1.5 }],
      velocities: [trace("velocity", v, third)],
    };
  });
  return {
    values: traces.flatMap(({ values }) => values),
    velocities: traces.flatMap(({ velocities }) => velocities),
  };
}
