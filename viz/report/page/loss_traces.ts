/// <reference lib="dom" />
import type { Series } from "../data.ts";
import type { RunPayload } from "../payload.ts";
import type { Figure, runLine } from "./charts.ts";
import { plain } from "./dom.ts";

/** The losses of a run: those of its batches, faint and smoothed, and those of held-out images. */
export function lossTraces(run: RunPayload, several: boolean, line: ReturnType<typeof runLine>): Figure[] {
  const prefix = several ? `${plain(run.name)} ` : "";
  const { trainLoss, trainSmoothed, valLoss } = run;
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
    { ...lineOf(trainSmoothed), name: `${prefix}train, smoothed`, line },
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
