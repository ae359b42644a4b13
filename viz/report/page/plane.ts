import { addArrow, type ChartLines } from "../../flow/quiver.ts";
import type { PlaneTrajectories } from "../report_data.ts";
import type { Theme } from "./charts.ts";
import { lastUntil } from "./trajectory_view.ts";

/** Trajectories in a plane with a class for each sample, `noClass` if unknown. */
export type ClassedTrajectories =
  & Pick<PlaneTrajectories, "t" | "position" | "velocity" | "shape">
  & { readonly classes: ArrayLike<number> };

/** How far arrows look ahead in t. */
const ahead = 0.1;

/**
 * The samples of a class at time t: points, arrows that show the velocity times 0.1, and trajectories. Positions between
 * snapshots are exact, as a step of Euler's method is a straight line.
 */
export function classAt(plane: ClassedTrajectories, wanted: number, t: number) {
  const { shape: [M, N], t: times, classes, position, velocity } = plane;
  const points: ChartLines & { customdata: number[] } = { x: [], y: [], customdata: [] };
  const arrows: ChartLines = { x: [], y: [] };
  const trails: ChartLines = { x: [], y: [] };
  const m = Math.max(0, Math.min(M - 2, lastUntil(times, t)));
  const share = M > 1 ? Math.min(1, (t - times[m]) / (times[m + 1] - times[m])) : 0;
  const snapshots = Array.from({ length: M }, (_, k) => k);
  for (let n = 0; n < N; n++) {
    if (classes[n] !== wanted) continue;
    const at = (k: number, axis: number) => position[(k * N + n) * 2 + axis];
    const [x, y] = [0, 1].map((axis) => at(m, axis) + share * (at(m + 1, axis) - at(m, axis)));
    points.x.push(x);
    points.y.push(y);
    points.customdata.push(n);
    if (t < 1) {
      addArrow(arrows, x, y, ahead * velocity[(m * N + n) * 2], ahead * velocity[(m * N + n) * 2 + 1]);
    }
    trails.x.push(...snapshots.map((k) => at(k, 0)), NaN);
    trails.y.push(...snapshots.map((k) => at(k, 1)), NaN);
  }
  return { points, arrows, trails };
}

/** Stands for an unknown class. */
export const noClass = -1;

/** Plotly's names of shapes. Each is used with all colours before the next. */
const symbols = ["circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "triangle-down"];

/** Colour and shape of a class; they repeat after 80 classes. */
export function classMark(theme: Theme, c: number): { readonly color: string; readonly symbol: string } {
  if (c === noClass) return { color: theme.classes[0], symbol: symbols[0] };
  const colours = theme.classes.length;
  return {
    color: theme.classes[c % colours],
    symbol: symbols[Math.floor(c / colours) % symbols.length],
  };
}

/** The classes of samples of all runs, in ascending order. */
export function classesOf(runs: readonly ArrayLike<number>[]): number[] {
  return [...new Set(runs.flatMap((classes) => Array.from(classes)))].sort((a, b) => a - b);
}
