import { describeValue, isCount, refuse } from "../../kernels/core/checks.ts";
import { makeDefault } from "../names.ts";

/** How a solver's steps are spread over time. */
export interface TimeGrid {
  /**
   * The time after a share of the steps; increases from 0 at s = 0 to 1 at s = 1.
   *
   * @param s share of the steps, in [0, 1]
   */
  at(s: number): number;
}

/** Time grids by name. */
export const timeGrids = {
  uniform: { doc: "equal steps", settings: {}, make: (): TimeGrid => ({ at: (s) => s }) },
  /** Step length changes linearly. Source: Song et al. 2021, arXiv:2010.02502, appendix D.2, for bend 1 */
  quadratic: {
    doc: "shorter steps at one end",
    settings: {
      bend: { doc: "1 = at data, -1 = at noise", min: -1, max: 1, default: 1 },
    },
    make: ({ bend }: Readonly<Record<string, number>>): TimeGrid => ({ at: (s) => s + bend * s * (1 - s) }),
  },
  /** Step lengths form a geometric series. Ratios above 1 give the finest steps near data, where details form. */
  logarithmic: {
    doc: "lengths of steps in a geometric series",
    settings: {
      ratio: {
        doc: "first length / last length; above 1 finest near data, below 1 near noise",
        min: 1e-4,
        max: 1e4,
        default: 4,
      },
    },
    make: ({ ratio }: Readonly<Record<string, number>>): TimeGrid => {
      const rate = -Math.log(ratio);
      // (1 - ratio^-s) / (1 - 1 / ratio), precise near 1
      return { at: (s) => rate === 0 ? s : Math.expm1(rate * s) / Math.expm1(rate) };
    },
  },
} as const;

/** Name of a time grid. */
export type TimeGridName = keyof typeof timeGrids;

/** The steps of a solver: equal steps, a grid, or given times. */
export interface TimesOptions {
  /** Number of steps from t = 0 to t = 1; by default 20, or 1 for a flow map. Cannot be combined with `times`. */
  readonly steps?: number;
  /** Spacing of the steps, by name or as a grid; by default `uniform`, or {@linkcode flowMapTimes} for a flow map. */
  readonly grid?: TimeGridName | TimeGrid;
  /** Two or more times in [0, 1], increasing or decreasing. */
  readonly times?: readonly number[];
}

/** Names of these options. */
export const timesOptions = ["steps", "grid", "times"] as const satisfies readonly (keyof TimesOptions)[];

/** Start and end time of a flow. */
export interface Span {
  /** Start time in [0, 1]; by default 0, noise. */
  readonly from?: number;
  /** End time in [0, 1]; by default 1, data. If less than `from`, the flow goes back. */
  readonly to?: number;
}

/** More steps would not fit in memory. */
const maxSteps = 2 ** 24;

/**
 * Start and end times of the steps.
 *
 * @param defaultSteps number of steps if neither steps nor times are given
 * @param timesFor times of a number of steps without a grid
 */
export function timesOf(
  { steps, grid, times }: TimesOptions,
  defaultSteps = 20,
  timesFor: (steps: number) => readonly number[] = uniformTimes,
): readonly number[] {
  const count = steps === undefined ? defaultSteps : steps;
  if (times === undefined) return grid === undefined ? timesFor(count) : gridTimes(count, grid);
  if (steps === undefined && grid === undefined) return checkedTimes(times);
  const other = steps === undefined ? "grid" : "steps";
  refuse(TypeError, `sample: both times and ${other} were given`, "only one");
}

/** Equal steps from noise to data: 0, 1 / steps, ..., 1. */
export function uniformTimes(steps: number): number[] {
  if (isCount(steps, 1, maxSteps)) return Array.from({ length: steps + 1 }, (_, i) => i / steps);
  refuse(RangeError, `sample in ${describeValue(steps)} steps`, `a positive integer, at most ${maxSteps}`);
}

/**
 * Times of n evaluations of a flow map: the first leads to 1/2, and the last from 7/8, or from 1/2 if there are two; those
 * between take equal steps. A long first step keeps to the requested class.
 */
export function flowMapTimes(n: number): readonly number[] {
  return uniformTimes(n).map((t, i) => t % 1 === 0 ? t : 1 / 2 + 3 / 8 * (i - 1) / Math.max(1, n - 2));
}

/** Times of steps on a grid, from 0 to 1. */
export function gridTimes(steps: number, grid: TimeGridName | TimeGrid): readonly number[] {
  const even = uniformTimes(steps);
  const spread = gridOf(grid);
  return checkedTimes(even.map((s, i) => i === 0 ? 0 : i === steps ? 1 : spread.at(s)));
}

/** Scales times from 0 to 1 to a span, and reverses them if it goes back. */
export function timesWithin(times: readonly number[], span: Span): readonly number[] {
  const { from, to } = checkedSpan(span);
  const [least, most] = [Math.min(from, to), Math.max(from, to)];
  const scaled = times.map((t) => t === 1 ? most : least + (most - least) * t);
  return from < to ? scaled : scaled.reverse();
}

/** A span with its defaults. */
export function checkedSpan({ from = 0, to = 1 }: Span): Required<Span> {
  for (const [name, t] of Object.entries({ from, to })) {
    if (!(t >= 0 && t <= 1)) refuse(RangeError, `solve: ${name} is ${t}`, "a time in [0, 1]");
  }
  if (from === to) refuse(RangeError, `solve: to is ${to}`, "a time other than `from`");
  return { from, to };
}

function gridOf(grid: TimeGridName | TimeGrid): TimeGrid {
  return typeof grid === "object" ? grid : makeDefault<TimeGrid>("grid of times", timeGrids, grid);
}

function checkedTimes(times: readonly number[]): readonly number[] {
  if (!(times?.length >= 2)) {
    refuse(RangeError, `sample at the times ${times}`, "two or more, such as [0, 0.5, 1]");
  }
  const direction = Math.sign(times[1] - times[0]);
  const bad = times.findIndex((t, i) =>
    !(t >= 0 && t <= 1) || (i > 0 && !(Math.sign(t - times[i - 1]) === direction && direction !== 0))
  );
  if (bad < 0) return times;
  const at = `t = ${times[bad]}, time ${bad} of ${times.length}`;
  refuse(RangeError, `sample at ${at}`, "increasing or decreasing times in [0, 1]");
}
