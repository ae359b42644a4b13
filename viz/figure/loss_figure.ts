import { checkInteger } from "../check.ts";
import { type Figure, figure, logAxis, type PlotlyTrace, seriesColors } from "./figure.ts";
import { movingAverage } from "./moving_average.ts";

/** Options of {@linkcode lossFigure}. */
export interface LossFigureOptions {
  /** Steps that the smoothed line averages over; default a fortieth of the run, at least 1. */
  readonly smoothing?: number;
  /** Default `Loss`. */
  readonly title?: string;
}

/** Maximum number of points in a line; longer runs show every k-th step. */
const maxPoints = 2000;

/**
 * Draws the loss of each step on a logarithmic axis: one run raw and smoothed, several runs only smoothed.
 *
 * @example
 * ```ts
 * import { lossFigure } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(lossFigure({ adam: [4, 2, 1], sgd: [4, 3, 2] }).data.length, 2);
 * ```
 *
 * @param losses losses at steps 1, 2, ..., of one run or of several by name
 */
export function lossFigure(
  losses: ArrayLike<number> | Readonly<Record<string, ArrayLike<number>>>,
  { smoothing, title = "Loss" }: LossFigureOptions = {},
): Figure {
  if (smoothing !== undefined) checkInteger("draw losses", "smoothing", smoothing, 1);
  const layout = {
    title: { text: title },
    xaxis: { title: { text: "step" } },
    yaxis: { ...logAxis, title: { text: "loss" } },
  };
  const smooth = (values: ArrayLike<number>) =>
    movingAverage(values, smoothing ?? Math.max(1, Math.round(values.length / 40)));
  if (isList(losses)) {
    return figure([
      { ...curve(losses), name: "each step", line: { color: seriesColors[0], width: 1 }, opacity: 0.4 },
      { ...curve(smooth(losses)), name: "smoothed", line: { color: seriesColors[0] } },
    ], layout);
  }
  return figure(Object.entries(losses).map(([name, values]) => ({ ...curve(smooth(values)), name })), layout);
}

function isList(losses: object): losses is ArrayLike<number> {
  return Array.isArray(losses) || ArrayBuffer.isView(losses);
}

/** A line, or a point if there is only one loss. */
function curve(values: ArrayLike<number>): PlotlyTrace {
  const stride = Math.ceil(values.length / maxPoints);
  const steps = Array.from({ length: Math.ceil(values.length / stride) }, (_, i) => i * stride);
  return {
    x: Float32Array.from(steps, (step) => step + 1),
    y: Float32Array.from(steps, (step) => values[step]),
    mode: values.length === 1 ? "markers" : "lines",
    hovertemplate: "step %{x:,}: %{y:.4~g}",
  };
}
