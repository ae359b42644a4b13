import { type FigureName, shownFigure } from "../../evaluation/figures.ts";
import type { Difference } from "./summary.ts";
import type { Interval, SeedMean } from "./seed_intervals.ts";

/** `1.2 to 3.4`. */
export function intervalInWords(name: FigureName, [low, high]: Interval): string {
  return `${shown(name, low)} to ${shown(name, high)}`;
}

/** A figure as a reader sees it, with a minus sign that is not a hyphen. */
export function shown(name: FigureName, value: number): string {
  return shownFigure(name, value).replace("-", "\u2212");
}

/** `a, b and c`. */
export function listed(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** `4.6 times the arithmetic and 3.8 times the parameters` of the first of two setups; empty if they cost the same. */
export function costInWords({ ratio: { multiplyAdds, parameters, seconds } }: Difference): string {
  const parts: [number | undefined, string][] = [
    [multiplyAdds, "arithmetic"],
    [parameters, "parameters"],
    [seconds, "training time"],
  ];
  return listed(
    parts.flatMap(([ratio, of]) =>
      ratio === undefined || Math.abs(ratio - 1) < 0.05 ? [] : [`${times(ratio)} the ${of}`]
    ),
  );
}

/** `4.6 times`. */
export function times(ratio: number): string {
  return `${Number(ratio.toPrecision(2))} times`;
}

/** A share in per cent with two digits, or that it is nothing. */
export function percent(share: number): string {
  return share < 1e-4 ? `${share.toExponential(0)}` : `${Number((100 * share).toPrecision(2))} %`;
}

/** A mean with its interval, `12.1 (10.2 to 14)`; empty without one. */
export function meanInWords(name: FigureName, mean: SeedMean | undefined): string {
  if (!mean) return "";
  const value = shown(name, mean.mean);
  return mean.interval ? `${value} (${intervalInWords(name, mean.interval)})` : value;
}
