import { unknownName } from "../names.ts";
import { checkedTimes, uniformTimes } from "./times.ts";

/** How the steps of a solver are spread over time. */
export interface TimeGrid {
  /**
   * The time at which a share of the steps is done, both in [0, 1]: increasing, from 0 at 0 to 1 at 1.
   *
   * @param s share of the steps
   */
  at(s: number): number;
}

/** Equal steps. */
export const uniformGrid: TimeGrid = { at: (s) => s };

/**
 * Steps whose length changes linearly: t = s + bend s (1 - s).
 *
 * @param bend in [-1, 1]. With 1 the steps get shorter towards data, t = 1 - (1 - s)^2, as in DDIM; with -1 towards
 * noise, t = s^2
 * Source: Song et al. 2021, Denoising diffusion implicit models, arXiv:2010.02502, appendix D.2
 */
export function quadraticGrid(bend: number): TimeGrid {
  return { at: (s) => s + bend * s * (1 - s) };
}

/**
 * Steps whose lengths form a geometric series, so that the logarithm of a step's length falls evenly.
 *
 * @param ratio how much faster time goes at noise than at data: above 1 the steps are finest near data, where strokes
 * get their edges and solvers that choose their own steps take short ones; below 1 near noise
 */
export function logarithmicGrid(ratio: number): TimeGrid {
  if (ratio === 1) return uniformGrid;
  const rate = -Math.log(ratio);
  return { at: (s) => Math.expm1(rate * s) / Math.expm1(rate) }; // (1 - ratio^-s) / (1 - 1 / ratio), precise near 1
}

/** The grids of times by name. */
export const timeGrids = {
  uniform: { doc: "equal steps", settings: {}, make: () => uniformGrid },
  quadratic: {
    doc: "shorter steps at one end",
    settings: {
      bend: { doc: "1 = at data, -1 = at noise", min: -1, max: 1, default: 1 },
    },
    make: ({ bend }: Readonly<Record<string, number>>): TimeGrid => quadraticGrid(bend),
  },
  logarithmic: {
    doc: "lengths of steps in a geometric series",
    settings: {
      ratio: {
        doc: "first length by last; above 1 finest near data, below 1 near noise",
        min: 1e-4,
        max: 1e4,
        default: 4,
      },
    },
    make: ({ ratio }: Readonly<Record<string, number>>): TimeGrid => logarithmicGrid(ratio),
  },
} as const;

/** Name of a grid of times. */
export type TimeGridName = keyof typeof timeGrids;

/** Times of a solver: equal steps, steps on a grid, or any times. */
export interface TimesOptions {
  /** Number of steps from t = 0 to t = 1. Give either this or `times`. */
  readonly steps?: number;
  /** How `steps` are spread over time, by name or as a grid; by default `uniform`. */
  readonly grid?: TimeGridName | TimeGrid;
  /** Two or more times in [0, 1], increasing or decreasing. */
  readonly times?: readonly number[];
}

/** Names of these options. */
export const timesOptions = ["steps", "grid", "times"] as const satisfies readonly (keyof TimesOptions)[];

/**
 * The times at the ends of the steps.
 *
 * @throws {TypeError} if not exactly one of `steps` and `times` is given, a grid is given with `times`, or is unknown
 * @throws {RangeError} if `steps` is not a positive integer, or the times are not monotonic in [0, 1]
 */
export function timesOf({ steps, grid, times }: TimesOptions): readonly number[] {
  if ((steps === undefined) === (times === undefined)) {
    const which = steps === undefined ? "neither" : "both";
    throw new TypeError(`Cannot sample: ${which} of steps and times given (expected one of them)`);
  }
  if (steps !== undefined) return grid === undefined ? uniformTimes(steps) : gridTimes(steps, grid);
  if (grid !== undefined) {
    throw new TypeError("Cannot sample: both times and a grid given (expected a grid with steps only)");
  }
  return checkedTimes(times!);
}

/**
 * Times of steps on a grid, from noise to data.
 *
 * @returns `steps` + 1 times, 0 and 1 among them
 * @throws {TypeError} if there is no grid of the name
 * @throws {RangeError} if `steps` is not a positive integer, or the times do not increase
 */
export function gridTimes(steps: number, grid: TimeGridName | TimeGrid): readonly number[] {
  const even = uniformTimes(steps);
  const made = gridOf(grid);
  return checkedTimes(even.map((s, i) => i === 0 ? 0 : i === steps ? 1 : made.at(s)));
}

function gridOf(grid: TimeGridName | TimeGrid): TimeGrid {
  if (typeof grid === "object") return grid;
  if (!Object.hasOwn(timeGrids, grid)) {
    throw new TypeError(unknownName("grid of times", grid, Object.keys(timeGrids)));
  }
  const { settings, make } = timeGrids[grid];
  const defaults = Object.entries<{ default: number }>(settings).map(([name, setting]) =>
    [name, setting.default] as const
  );
  return make(Object.fromEntries(defaults));
}
