import { addArrow, type ChartLines } from "../../flow/quiver.ts";
import type { PlaneTrajectories } from "../report_data.ts";
import type { Theme } from "./charts.ts";
import { lastUntil } from "./trajectory_view.ts";

/** Trajectories in a plane with a class for each sample, `noClass` if unknown. */
export type ClassedTrajectories =
  & Pick<PlaneTrajectories, "t" | "position" | "velocity" | "shape">
  & { readonly classes: ArrayLike<number> };

/** The trajectories and real images of a run. */
export type DrawnPlane = PlaneTrajectories & ClassedTrajectories;

/** Margin at each end of an axis, as a share of its range. */
const margin = 0.06;

/** The range of each axis around all trajectories and real images. */
export function rangesOf({ position, real }: DrawnPlane): (readonly [low: number, high: number])[] {
  return [0, 1].map((axis) => {
    let [low, high] = [Infinity, -Infinity];
    for (const values of [position, real.position]) {
      for (let i = axis; i < values.length; i += 2) {
        low = Math.min(low, values[i]);
        high = Math.max(high, values[i]);
      }
    }
    const free = margin * (high - low || 1);
    return [low - free, high + free];
  });
}

/** The time that arrows look ahead. */
const ahead = 0.1;

/**
 * The samples of a class at time t: points, and arrows of the velocity times 0.1. Positions between snapshots are exact,
 * because a step of Euler's method is a straight line.
 */
export function classAt(plane: ClassedTrajectories, label: number, t: number) {
  const { shape: [M, N], t: times, classes, position, velocity } = plane;
  const points: ChartLines & { customdata: number[] } = { x: [], y: [], customdata: [] };
  const arrows: ChartLines = { x: [], y: [] };
  const m = Math.max(0, Math.min(M - 2, lastUntil(times, t)));
  const share = M > 1 ? Math.min(1, (t - times[m]) / (times[m + 1] - times[m])) : 0;
  for (let n = 0; n < N; n++) {
    if (classes[n] !== label) continue;
    const at = (k: number, axis: number) => position[(k * N + n) * 2 + axis];
    const [x, y] = [0, 1].map((axis) => at(m, axis) + share * (at(m + 1, axis) - at(m, axis)));
    points.x.push(x);
    points.y.push(y);
    points.customdata.push(n);
    if (t < 1) {
      addArrow(arrows, x, y, ahead * velocity[(m * N + n) * 2], ahead * velocity[(m * N + n) * 2 + 1]);
    }
  }
  return { points, arrows };
}

/** The trajectories of the samples of a class. */
export function trailsOf(plane: ClassedTrajectories, label: number): ChartLines {
  const { shape: [M, N], classes, position } = plane;
  const of = (axis: number) =>
    Array.from({ length: N }, (_, n) => n).filter((n) => classes[n] === label)
      .flatMap((n) => [...Array.from({ length: M }, (_, k) => position[(k * N + n) * 2 + axis]), NaN]);
  return { x: of(0), y: of(1) };
}

/** The label of an unknown class. */
export const noClass = -1;

/** The colour of a class. Colours repeat after ten classes, but the symbols differ. */
export function classColour(theme: Theme, c: number): string {
  return theme.classes[c === noClass ? 0 : c % theme.classes.length];
}

/** A unique symbol for each class: a short name, or else the first letter, or else the number. */
export function signsOf(classes: readonly number[], names: readonly string[]): ReadonlyMap<number, string> {
  const words = classes.map((c) => names[c] ?? `${c}`);
  const letters = words.map((word, i) => names[classes[i]] === undefined ? word : [...word.toUpperCase()][0]);
  const areSigns = (all: readonly string[]) =>
    new Set(all).size === all.length && all.every((sign) => sign && sign.length <= 3);
  const signs = [words, letters].find(areSigns) ?? classes.map(String);
  return new Map(classes.map((c, i) => [c, signs[i]]));
}

/** The classes of samples of all runs, in ascending order. */
export function classesOf(runs: readonly ArrayLike<number>[]): number[] {
  return [...new Set(runs.flatMap((classes) => Array.from(classes)))].sort((a, b) => a - b);
}
