import type { TriedStep } from "../../models/mod.ts";
import type { DrawnSamples } from "./samples.ts";

/** Mean, least and most of some counts. */
export interface Spread {
  readonly mean: number;
  readonly least: number;
  readonly most: number;
}

/** How many steps samples accepted and rejected. */
export function stepCounts(
  steps: readonly (readonly TriedStep[])[],
): { readonly accepted: Spread; readonly rejected: Spread } {
  const spread = (wanted: boolean): Spread => {
    const counts = steps.map((own) => own.filter(({ accepted }) => accepted === wanted).length);
    return {
      mean: counts.reduce((sum, count) => sum + count, 0) / counts.length,
      least: counts.reduce((a, b) => Math.min(a, b), Infinity),
      most: counts.reduce((a, b) => Math.max(a, b), 0),
    };
  };
  return { accepted: spread(true), rejected: spread(false) };
}

/** What samples cost, in words: `40 evaluations each`, or how their steps went. */
export function costInWords({ evaluations, batches, steps }: Omit<DrawnSamples, "pixels">): string {
  const plural = evaluations === 1 ? "evaluation" : "evaluations";
  if (!steps) return `${Number(evaluations.toFixed(1))} ${plural} each`;
  const [least, most] = [Math.min(...batches), Math.max(...batches)];
  const { accepted, rejected } = stepCounts(steps);
  const words = ({ mean, least, most }: Spread) => `${mean.toFixed(1)} (${least} to ${most})`;
  return `${least === most ? least : `${least} to ${most}`} evaluations of each batch, ` +
    `steps of a sample: ${words(accepted)} accepted, ${words(rejected)} rejected`;
}
