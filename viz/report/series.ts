import { movingAverage } from "../figure/moving_average.ts";
import type { Series } from "./data.ts";

/** A series of at most `most` points, each the mean of neighbours; numbers that are not finite are left out. */
export function thinned({ step, value }: Series, most: number): Series {
  const kept = value.flatMap((number, i) => Number.isFinite(number) ? [i] : []);
  const run = Math.ceil(kept.length / most);
  const groups = Array.from(
    { length: Math.ceil(kept.length / run) || 0 },
    (_, g) => kept.slice(g * run, (g + 1) * run),
  );
  const mean = (of: readonly number[], group: number[]) =>
    group.reduce((sum, i) => sum + of[i], 0) / group.length;
  return {
    step: groups.map((group) => step[group.at(-1)!]),
    value: groups.map((group) => mean(value, group)),
  };
}

/** The moving average over about a twentieth of the series. */
export function smoothed({ step, value }: Series): Series {
  return { step, value: movingAverage(value, Math.max(1, value.length / 20)) };
}
