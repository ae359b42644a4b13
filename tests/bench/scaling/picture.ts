import { figure, type Trace } from "../../../viz/mod.ts";
import type { Point } from "./measure.ts";
import type { Axis, Kind } from "./rows.ts";
import type { Scaling } from "./table.ts";

const panels: Readonly<Partial<Record<Axis, string>>> = {
  batch: "batch",
  width: "width",
  size: "image size",
  threads: "threads",
};

/**
 * Plots time and planned memory of a step, a panel per varied quantity, as multiples of the middle row on logarithmic
 * axes.
 *
 * @returns SVG
 * @throws {RangeError} if there are no measurements to plot
 */
export function picture({ points, devices }: Scaling): string {
  const kinds = Object.keys(devices) as Kind[];
  const traces = (axis: Axis): Trace[] => [
    ...kinds.map((kind) => ({
      ...multiples(points.filter((point) => point.axis === axis && point.device === kind), "milliseconds"),
      name: kind === "cpu" ? "time, CPU" : "time, WebGPU",
    })),
    {
      ...multiples(
        points.filter((point) => point.axis === axis && point.device === kinds[0]),
        "plannedBytes",
      ),
      name: "memory",
    },
  ];
  const frames = Object.entries(panels)
    .filter(([axis]) => points.some((point) => point.axis === axis))
    .map(([axis, label], i, shown) => {
      const all = traces(axis as Axis);
      // Only the last panel has a legend, where threads leave room for it.
      return { label, traces: i === shown.length - 1 ? all : all.map(({ x, y }) => ({ x, y })) };
    });
  return figure([], {
    title: "A training step, in multiples of [16,32,64] with 32 images of 28 x 28",
    xTitle: "times as much",
    yTitle: "times the step",
    xLog: 2,
    yLog: 2,
    width: 900,
  }, frames).svg;
}

/** A measurement as multiples of the middle row's, which has `times` 1. */
function multiples(points: readonly Point[], name: "milliseconds" | "plannedBytes"): Pick<Trace, "x" | "y"> {
  const sorted = points.toSorted((a, b) => (a.times ?? 0) - (b.times ?? 0));
  const middle = points.find(({ times }) => times === 1)?.[name] ?? NaN;
  return { x: sorted.map(({ times }) => times ?? NaN), y: sorted.map((point) => point[name] / middle) };
}
