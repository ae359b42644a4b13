import { textTable } from "../program/output.ts";
import type { Evaluation } from "./evaluation.ts";
import { type FigureMeaning, figureMeanings, figureNames, shownFigure } from "./figures.ts";

/** Evaluations of a number as a reader sees it, e.g. 80,000. */
const whole = (value: number) => value.toLocaleString("en");

/** Says what was drawn and judged, in a few lines. */
export function aboutEvaluation({ samples, judge, dataset, device }: Evaluation): string {
  const { count, seed, how, seconds, evaluations } = samples;
  const drawn = `${whole(count)} samples from the noise of seed ${seed}, ${how}: ` +
    `${whole(evaluations)} evaluations, ${seconds.toFixed(1)} s on ${device}`;
  if (!judge) return `${drawn}\nNo judge: ${dataset.name} has no labels, or one class alone`;
  const seen = samples.classes?.map((count, label) => `${label}: ${whole(count)}`) ?? [];
  return `${drawn}\nJudge ${judge.sha256.slice(0, 12)}, ${judge.source}: ` +
    `right on ${(100 * judge.accuracy).toFixed(2)} % of the test images of ${dataset.name}` +
    (seen.length > 0 ? `\nSamples by the class it sees: ${seen.join(", ")}` : "");
}

/** The figures as a table with intervals, what real images and noise give, and cost. */
export function evaluationTable({ figures }: Evaluation): string {
  const head = ["", "value", "95 % interval", "real images", "noise", "better", "evaluations", "seconds"];
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
