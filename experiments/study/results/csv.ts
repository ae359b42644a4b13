import { type FigureName, figureNames } from "../../evaluation/figures.ts";
import type { SeedMean } from "./seed_intervals.ts";
import type { Summary } from "./summary.ts";

/**
 * Every figure of every setup and difference, a line each: `setup,minus,figure,seeds,mean,deviation,low,high,
 * bootstrap_low,bootstrap_high,values`; values are in the order of the seeds, with spaces between.
 */
export function csvOf({ setups, differences }: Summary): string {
  const head = "setup,minus,figure,seeds,mean,deviation,low,high,bootstrap_low,bootstrap_high,values";
  const lineOf = (setup: string, minus: string, figure: string, mean: SeedMean) =>
    [
      setup,
      minus,
      figure,
      mean.seeds.join(" "),
      mean.mean,
      mean.deviation ?? "",
      ...mean.interval ?? ["", ""],
      ...mean.bootstrap ?? ["", ""],
      mean.values.join(" "),
    ].map(csvCell).join(",");
  const figures = (of: Readonly<Partial<Record<FigureName, SeedMean>>>) =>
    figureNames.flatMap((name) => of[name] ? [[name, of[name]] as const] : []);
  return [
    head,
    ...setups.flatMap(({ label, figures: of, costs, seconds }) => [
      ...figures(of).map(([name, mean]) => lineOf(label, "", name, mean)),
      ...costs.map(({ solver, frechet }) => lineOf(label, "", `frechet by ${solver}`, frechet)),
      ...seconds ? [lineOf(label, "", "seconds", seconds)] : [],
    ]),
    ...differences.flatMap(({ a, b, figures: of }) =>
      figures(of).map(([name, mean]) => lineOf(a, b, name, mean))
    ),
    "",
  ].join("\n");
}

function csvCell(value: string | number): string {
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
