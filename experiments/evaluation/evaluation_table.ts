import { RunError } from "../run/run_folder.ts";
import { judgeNames } from "../../models/mod.ts";
import { className } from "../draw/classes.ts";
import { say, textTable } from "../cli/output.ts";
import { type Evaluation, type EvaluationFigure, readEvaluation } from "./evaluation.ts";
import { formatOrder, type Ordered } from "./judges_order.ts";
import { figureKeys, meaningOf, shownFigure, titleOf } from "./figures.ts";

const whole = (value: number) => value.toLocaleString("en");

/** A few lines about the samples and the judges. */
export function aboutEvaluation({ samples, judges, dataset, device, figures }: Evaluation): string {
  const { count, seed, how, seconds, evaluations } = samples;
  const drawn = `${whole(count)} samples from the noise of seed ${seed}, ${how}: ` +
    `${whole(evaluations)} evaluations, ${seconds.toFixed(1)} s on ${device}`;
  if (judges.length === 0) {
    return [drawn, "No judge: figures that need one are left out", ...formatAdded(figures)].join("\n");
  }
  const about = judges.flatMap(({ name, sha256, source, accuracy, classes = [] }) => {
    const seen = classes.map((count, label) => `${className(label, dataset.classNames)}: ${whole(count)}`);
    return [
      `Judge ${name} (${sha256.slice(0, 12)}, ${source}): ` +
      `right on ${(100 * accuracy).toFixed(2)} % of the test images of ${dataset.name}`,
      ...seen.length > 0 ? [`Samples of each class, as ${name} sees them: ${seen.join(", ")}`] : [],
    ];
  });
  const alone = judges.length === 1 ? ["Only one judge: add --judge all for a second judge"] : [];
  return [drawn, ...about, ...alone, ...formatAdded(figures)].join("\n");
}

/** One line per other evaluation that figures come from. */
function formatAdded(figures: Evaluation["figures"]): string[] {
  const added = figureKeys.flatMap((key) => figures[key]?.from ? [{ key, from: figures[key].from }] : []);
  return [...Map.groupBy(added, ({ from }) => from.time)].map(([time, group]) => {
    const date = new Date(time).toISOString().slice(0, 16).replace("T", " ");
    return `From an evaluation of ${whole(group[0].from.samples)} samples on ${date} UTC: ` +
      group.map(({ key }) => titleOf(key)).join(", ");
  });
}

/** The figures as a table, with intervals, the values of real images and noise, and cost. */
export function evaluationTable({ figures }: Evaluation): string {
  const head = ["", "value", "95 % interval", "real", "noise", "better", "evaluations", "seconds"];
  const rows = figureKeys.flatMap((key) => {
    const figure = figures[key];
    if (!figure) return [];
    const { better } = meaningOf(key);
    const shown = (value: number | undefined | null) => value == null ? "" : shownFigure(key, value);
    return [[
      titleOf(key),
      shown(figure.value),
      `${shown(figure.low)} to ${shown(figure.high)}`,
      shown(figure.real) + formatFewer(figure),
      shown(figure.noise),
      better === "real" ? "as real" : better,
      whole(figure.evaluations),
      figure.seconds.toFixed(1),
    ]];
  });
  const table = textTable([head, ...rows], (column) => column > 0);
  const fewer = Object.values(figures).some((figure) => formatFewer(figure) !== "");
  return fewer
    ? `${table}\nIn brackets: the number of real images, if it differs from that of samples`
    : table;
}

/** The number of real images in brackets, if it differs from that of samples. */
function formatFewer({ real, count, realCount = count }: EvaluationFigure): string {
  return real === undefined || realCount === undefined || realCount === count ? "" : ` (${whole(realCount)})`;
}

/** Conditions that evaluations must share to be comparable, by name. */
const conditions: Readonly<Record<string, (evaluation: Evaluation) => string | undefined>> = {
  "data": ({ dataset: { name, digest } }) => `${name} (${digest.slice(0, 12)})`,
  ...Object.fromEntries(judgeNames.map((judge) => [`judge ${judge}`, (evaluation: Evaluation) => {
    return evaluation.judges.find(({ name }) => name === judge)?.sha256.slice(0, 12);
  }])),
  "samples": ({ samples: { count } }) => count.toLocaleString("en"),
};

/**
 * Explains why figures of quality cannot be compared.
 *
 * @returns e.g. `Figures of quality of these runs are not comparable (samples: 2,000 or 500)`; undefined if they can
 */
export function qualityWarning(evaluations: readonly Evaluation[]): string | undefined {
  const differing = Object.entries(conditions).flatMap(([name, valueOf]) => {
    const values = new Set(evaluations.flatMap((evaluation) => valueOf(evaluation) ?? []));
    return values.size > 1 ? [`${name}: ${[...values].join(" or ")}`] : [];
  });
  if (differing.length === 0) return undefined;
  return `Figures of quality of these runs are not comparable (${differing.join("; ")})`;
}

/**
 * A note about the figures of several runs: why they cannot be compared, or whether the judges rank the runs in the
 * same order. Prints the error if an evaluation cannot be read.
 */
export async function qualityNoteOf(runs: readonly string[]): Promise<string | undefined> {
  const evaluations: Evaluation[] = [];
  const ordered: Ordered[] = [];
  for (const run of runs) {
    try {
      const evaluation = await readEvaluation(run);
      if (!evaluation) continue;
      evaluations.push(evaluation);
      ordered.push({ label: run, figures: evaluation.figures });
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      say(error.message);
    }
  }
  return qualityWarning(evaluations) ?? formatOrder(ordered);
}
