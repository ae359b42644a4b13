import { type FigureMeaning, figureMeanings, type FigureName } from "../../evaluation/figures.ts";
import type { Difference } from "./summary.ts";
import type { Interval, SeedMean } from "./seed_intervals.ts";

/** The title of a figure within a sentence. */
export function nameOf(figure: FigureName): string {
  const { title } = figureMeanings[figure];
  return title === "Fréchet distance" ? title : title.toLowerCase();
}

/** `1.2 to 3.4`, with as many digits as the interval is sure of. */
export function intervalInWords(name: FigureName, interval: Interval): string {
  return interval.map((end) => shown(name, end, halfOf(interval))).join(" to ");
}

/** A mean with its interval, `12.1 (10.2 to 14.0)`; of one seed the value alone, and nothing without any. */
export function meanInWords(name: FigureName, found: SeedMean | undefined): string {
  if (!found) return "";
  const { mean, interval } = found;
  if (!interval) return shown(name, mean);
  return `${shown(name, mean, halfOf(interval))} (${intervalInWords(name, interval)})`;
}

/**
 * A figure as a reader sees it: with the decimals that two digits of a spread have, else with four digits; shares in per
 * cent. The minus sign is not a hyphen.
 */
export function shown(name: FigureName, value: number, spread?: number): string {
  const { share }: FigureMeaning = figureMeanings[name];
  const [scale, unit] = share ? [100, " %"] : [1, ""];
  const text = spread
    ? (scale * value).toFixed(decimalsOf(scale * spread))
    : String(Number((scale * value).toPrecision(4)));
  const signed = Number(text) === 0 ? text.replace("-", "") : text; // a little less than 0 is shown as 0
  return signed.replace("-", "\u2212") + unit;
}

/** Decimals with which a number has two digits; none if it is larger. */
function decimalsOf(spread: number): number {
  return Math.min(Math.max(1 - Math.floor(Math.log10(spread)), 0), 20);
}

function halfOf([low, high]: Interval): number {
  return (high - low) / 2;
}

/** `a, b and c`. */
export function listed(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** `4.6 times the arithmetic and 3.8 times the parameters` of the first of two setups; empty if they cost the same. */
export function costInWords({ ratio: { multiplyAdds, parameters } }: Difference): string {
  const parts = [[multiplyAdds, "arithmetic"], [parameters, "parameters"]] as const;
  return listed(
    parts.flatMap(([ratio, of]) => Math.abs(ratio - 1) < 0.05 ? [] : [`${times(ratio)} the ${of}`]),
  );
}

/** `4.6 times`. */
export function times(ratio: number): string {
  return `${Number(ratio.toPrecision(2))} times`;
}

/** A share in per cent with two digits, or that it is no more than rounding. */
export function percent(share: number): string {
  if (share > 0 && share < rounding) return "below 0.01 %";
  return `${Number((100 * share).toPrecision(2))} %`;
}

/** Shares below are those of rounding in f32. */
export const rounding = 1e-4;
