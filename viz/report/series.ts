import type { Series } from "./data.ts";

/** A series of at most so many points, each the mean of its neighbours; without the numbers that are not finite. */
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

/**
 * Exponential moving average over about a twentieth of the series, without the pull of a start at 0.
 *
 * Source: Kingma and Ba 2015, arXiv:1412.6980, section 3 (bias correction)
 */
export function smoothed({ step, value }: Series): Series {
  const decay = 1 - 1 / Math.max(1, value.length / 20);
  let [sum, weight] = [0, 0];
  return {
    step,
    value: value.map((number) => {
      sum = decay * sum + (1 - decay) * number;
      weight = decay * weight + (1 - decay);
      return sum / weight;
    }),
  };
}
