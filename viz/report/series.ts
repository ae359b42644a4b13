import { movingAverage } from "../figure/moving_average.ts";
import type { ReportRun, Series } from "./report_data.ts";

/** Averages neighbours until at most `maxPoints` are left; numbers that are not finite are skipped. */
export function thinned({ step, value }: Series, maxPoints: number): Series {
  const kept = value.flatMap((number, i) => Number.isFinite(number) ? [i] : []);
  const run = Math.ceil(kept.length / maxPoints);
  const groups = Array.from(
    { length: Math.ceil(kept.length / run) || 0 },
    (_, g) => kept.slice(g * run, (g + 1) * run),
  );
  const mean = (group: number[]) => group.reduce((sum, i) => sum + value[i], 0) / group.length;
  return { step: groups.map((group) => step[group.at(-1)!]), value: groups.map(mean) };
}

/** The moving average over about a twentieth of the series, at least five values. */
export function smoothed({ step, value }: Series): Series {
  return { step, value: movingAverage(value, Math.max(5, value.length / 20)) };
}

/** A series by stage of a distillation; if there are no stages, all of it under an empty name. */
export function byStage(
  { step, value }: Series,
  stages: ReportRun["stages"] = [{ name: "", from: 0 }],
): { readonly name: string; readonly series: Series }[] {
  return stages.map(({ name, from }, i) => {
    const end = stages[i + 1]?.from ?? Infinity;
    const inside = step.flatMap((at, k) => at > from && at <= end ? [k] : []);
    return { name, series: { step: inside.map((k) => step[k]), value: inside.map((k) => value[k]) } };
  });
}

/** The 10 %, 50 % and 90 % quantiles at each time. */
export type Quantiles = Record<"low" | "median" | "high", readonly number[]>;

/** Quantiles over N samples at each time, from f32[M, N]. */
export function quantiles(values: Float32Array, N: number): Quantiles {
  const times = Array.from({ length: values.length / N }, (_, m) => values.slice(m * N, (m + 1) * N).sort());
  const at = (share: number) => times.map((sorted) => sorted[Math.round(share * (N - 1))]);
  return { low: at(0.1), median: at(0.5), high: at(0.9) };
}

/** Formats a share as a percentage. */
export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** Rounds a number to `digits` significant digits; a chart cannot show more than six. */
export function rounded(value: number, digits = 6): number {
  return Number(value.toPrecision(digits));
}

/** Formats a number with four digits. */
export function digits(value: number): string {
  return String(rounded(value, 4));
}
