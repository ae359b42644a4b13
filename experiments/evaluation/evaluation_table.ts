import { RunError } from "../run/atomic_write.ts";
import { className } from "../draw/classes.ts";
import { say, textTable } from "../program/output.ts";
import { type Evaluation, readEvaluation } from "./evaluation.ts";
import { type FigureMeaning, figureMeanings, figureNames, shownFigure } from "./figures.ts";

const whole = (value: number) => value.toLocaleString("en");

/** A few lines about the samples and the judge. */
export function aboutEvaluation({ samples, judge, dataset, device }: Evaluation): string {
  const { count, seed, how, seconds, evaluations } = samples;
  const drawn = `${whole(count)} samples from the noise of seed ${seed}, ${how}: ` +
    `${whole(evaluations)} evaluations, ${seconds.toFixed(1)} s on ${device}`;
  if (!judge) return `${drawn}\nNo judge: ${dataset.name} has no labels, or one class alone`;
  const seen =
    samples.classes?.map((count, label) => `${className(label, dataset.classNames)}: ${whole(count)}`) ?? [];
  return `${drawn}\nJudge ${judge.sha256.slice(0, 12)}, ${judge.source}: ` +
    `right on ${(100 * judge.accuracy).toFixed(2)} % of the test images of ${dataset.name}` +
    (seen.length > 0 ? `\nSamples of each class, as the judge sees them: ${seen.join(", ")}` : "");
}

/** The figures as a table, with intervals, the values of real images and noise, and cost. */
export function evaluationTable({ figures }: Evaluation): string {
  const head = ["", "value", "95 % interval", "real", "noise", "better", "evaluations", "seconds"];
  const rows = figureNames.flatMap((name) => {
    const figure = figures[name];
    if (!figure) return [];
    const { title, better }: FigureMeaning = figureMeanings[name];
    const shown = (value: number | undefined | null) => value == null ? "" : shownFigure(name, value);
    return [[
      title,
      shown(figure.value),
      `${shown(figure.low)} to ${shown(figure.high)}`,
      shown(figure.real),
      shown(figure.noise),
      better === "real" ? "as real" : better,
      whole(figure.evaluations),
      figure.seconds.toFixed(1),
    ]];
  });
  return textTable([head, ...rows], (column) => column > 0);
}

/** Conditions that evaluations must share to be comparable, by name. */
const conditions: Readonly<Record<string, (evaluation: Evaluation) => string>> = {
  "data": ({ dataset: { name, digest } }) => `${name} (${digest.slice(0, 12)})`,
  "judge": ({ judge }) => judge ? judge.sha256.slice(0, 12) : "none",
  "samples": ({ samples: { count } }) => count.toLocaleString("en"),
};

/**
 * Explains why figures of quality cannot be compared.
 *
 * @returns e.g. `Figures of quality of these runs are not comparable (samples: 2,000 or 500)`; undefined if they can
 */
export function qualityWarning(evaluations: readonly Evaluation[]): string | undefined {
  const differing = Object.entries(conditions).flatMap(([name, valueOf]) => {
    const values = new Set(evaluations.map(valueOf));
    return values.size > 1 ? [`${name}: ${[...values].join(" or ")}`] : [];
  });
  if (differing.length === 0) return undefined;
  return `Figures of quality of these runs are not comparable (${differing.join("; ")})`;
}

/** The warning for run folders. Prints why, if an evaluation cannot be read. */
export async function qualityWarningOf(runs: readonly string[]): Promise<string | undefined> {
  const evaluations: Evaluation[] = [];
  for (const run of runs) {
    try {
      const evaluation = await readEvaluation(run);
      if (evaluation) evaluations.push(evaluation);
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      say(error.message);
    }
  }
  return qualityWarning(evaluations);
}
