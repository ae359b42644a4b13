import { checkInteger } from "../check.ts";
import { type Figure, figure } from "./figure.ts";
import type { Trace } from "./figure_parts.ts";
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
 * const { plotly } = lossFigure({ adam: [4, 2, 1], sgd: [4, 3, 2] });
 * assert.equal(plotly.data.length, 2);
 * ```
 *
 * @param losses losses at steps 1, 2, ..., of one run or of several by name
 * @throws {RangeError} if no loss is positive and finite
 */
export function lossFigure(
  losses: ArrayLike<number> | Readonly<Record<string, ArrayLike<number>>>,
  { smoothing, title = "Loss" }: LossFigureOptions = {},
): Figure {
  if (smoothing !== undefined) checkInteger("draw losses", "smoothing", smoothing, 1);
  const layout = { title, xTitle: "step", yTitle: "loss", yLog: true };
  const smooth = (values: ArrayLike<number>) =>
    movingAverage(values, smoothing ?? Math.max(1, Math.round(values.length / 40)));
  if (isList(losses)) {
    return figure([
      { ...curve(losses), name: "each step", color: "#b8cfe0", size: 1 },
      { ...curve(smooth(losses)), name: "smoothed", color: "#0072b2", size: 2 },
    ], layout);
  }
  const lines = Object.entries(losses).map(([name, values]) => ({ ...curve(smooth(values)), name, size: 2 }));
  return figure(lines, layout);
}

function isList(losses: object): losses is ArrayLike<number> {
  return Array.isArray(losses) || ArrayBuffer.isView(losses);
}

/** A line, or a point if there is only one loss. */
function curve(values: ArrayLike<number>): Trace {
  const stride = Math.ceil(values.length / maxPoints);
  const steps = Array.from({ length: Math.ceil(values.length / stride) }, (_, i) => i * stride);
  const mode = values.length === 1 ? "markers" : "lines";
  return { x: steps.map((step) => step + 1), y: steps.map((step) => values[step]), mode };
}
