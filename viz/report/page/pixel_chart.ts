import type { PlotlyFigure, PlotlyTrace } from "../../figure/figure.ts";
import { atTime, runLine, timeAxis } from "../run_figures.ts";

/** A pixel of a sample over time. */
export interface PixelTrajectory {
  readonly t: readonly number[];
  /** Value of each channel at each t. */
  readonly value: readonly (readonly number[])[];
  /** Velocity of each channel at each t; the last t may have none. */
  readonly velocity: readonly (readonly number[])[];
}

const channels = ["red", "green", "blue"];
const channelColors = ["#c94040", "#2f8f45", "#4a74d4"];

/** The value and predicted end of each channel above its velocity; the three channels share legend entries. */
export function pixelFigure({ t, value, velocity }: PixelTrajectory): PlotlyFigure {
  const isGrey = value.length === 1;
  const data = value.flatMap((x, c): PlotlyTrace[] => {
    const v = velocity[c];
    // The last value is already the end.
    const end = x.map((x, m) => x + (1 - t[m]) * (v[m] ?? 0));
    const colors = isGrey ? [runLine(0).color, "#8a8f96", runLine(1).color] : Array(3).fill(channelColors[c]);
    const traces: PlotlyTrace[] = [
      { name: "value", y: x, line: { color: colors[0] } },
      { name: "predicted end", y: end, line: { color: colors[1], dash: "dot", width: 1.5 } },
      { name: "velocity", y: v, yaxis: "y2", line: { color: colors[2] } },
    ];
    return traces.map((trace, i) => ({
      ...trace,
      x: t.slice(0, trace.y!.length),
      mode: "lines",
      hovertemplate: `${trace.name}, ${atTime}<extra></extra>`,
      ...!isGrey && { name: channels[c], legendgroup: channels[c], showlegend: i === 0 },
    }));
  });
  return {
    data,
    layout: {
      grid: { rows: 2, columns: 1, subplots: [["xy"], ["xy2"]] },
      xaxis: { ...timeAxis, title: { text: "t" } },
      yaxis: { title: { text: "value" } },
      yaxis2: { title: { text: "velocity" } },
    },
  };
}
