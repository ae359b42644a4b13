import { type JudgeName, judgeNames } from "../../models/mod.ts";
import { say, textTable } from "../cli/output.ts";
import { className } from "../draw/conditioning.ts";
import { RunError } from "../run/run_folder.ts";
import { type Evaluation, type EvaluationFigure, readEvaluation } from "./evaluation.ts";
import {
  type ByFigure,
  type FigureKey,
  figureKey,
  figureKeys,
  type FigureName,
  figureNames,
  meaningOf,
  shownFigure,
  titleOf,
} from "./figures.ts";
import { cheapestOfBest, judgedKeys, type SolverCosts } from "./solver_comparison.ts";

const whole = (value: number) => value.toLocaleString("en");

/** A few lines about the samples and the judges. */
export function aboutEvaluation({ samples, judges, dataset, device, figures }: Evaluation): string {
  const { count, seed, how, seconds, evaluations } = samples;
  const drawn = `${whole(count)} samples from the noise of seed ${seed}, ${how}: ` +
    `${whole(evaluations)} evaluations, ${seconds.toFixed(1)} s on ${device}`;
  if (judges.length === 0) return `${drawn}\nNo judge: figures that need one are left out`;
  const about = judges.flatMap(({ name, sha256, source, accuracy, classes = [] }) => {
    const seen = classes.map((count, label) => `${className(label, dataset.classNames)}: ${whole(count)}`);
    return [
      `Judge ${name} (${sha256.slice(0, 12)}, ${source}): ` +
      `right on ${(100 * accuracy).toFixed(2)} % of the test images of ${dataset.name}`,
      ...seen.length > 0 ? [`Samples of each class, as ${name} sees them: ${seen.join(", ")}`] : [],
    ];
  });
  const keys = Object.keys(figures);
  const hasFew = keys.some((key) => key.endsWith("kernel")) && !keys.some((key) => key.endsWith("frechet"));
  return [drawn, ...about, ...hasFew ? [fewWords] : []].join("\n");
}

const fewWords =
  "Few test images: judges compare by kernel distance (the Fréchet distance needs 168, precision and recall equal numbers)";

/** The figures as a table: values with intervals, and those of real images and of noise. */
export function evaluationTable({ figures }: Evaluation): string {
  const head = ["", "value (95 % interval)", "real images", "noise"];
  const notes = new Set<string>();
  const rows = figureKeys.flatMap((key) => {
    const figure = figures[key];
    if (!figure) return [];
    const shown = (value: number | undefined) => value === undefined ? "" : shownFigure(key, value);
    const bare = (value: number) => shown(value).replace(" %", "");
    const fewer = fewerReal(figure);
    if (fewer !== "") notes.add("In brackets: the number of real images, if it differs from that of samples");
    const mark = noiseScoresWell(key, figure) ? "*" : "";
    if (mark !== "") notes.add("* Even noise scores well here; do not use this figure alone");
    return [[
      titleOf(key) + mark,
      `${shown(figure.value)} (${bare(figure.low)} to ${bare(figure.high)})`,
      shown(figure.real) + fewer,
      shown(figure.noise),
    ]];
  });
  return [textTable([head, ...rows], (column) => column > 0), ...notes].join("\n");
}

/** The number of real images in brackets, if it differs from that of samples. */
function fewerReal({ real, count, realCount = count }: EvaluationFigure): string {
  return real === undefined || realCount === undefined || realCount === count ? "" : ` (${whole(realCount)})`;
}

/** Whether noise has as good a value as the samples. */
function noiseScoresWell(key: FigureKey, { value, noise, real }: EvaluationFigure): boolean {
  if (noise === undefined) return false;
  const { better } = meaningOf(key);
  if (better === "real") return real !== undefined && Math.abs(noise - real) <= Math.abs(value - real);
  return better === "higher" ? noise >= value : noise <= value;
}

/** Conditions that evaluations must share to be comparable, by name. */
const conditions: Readonly<Record<string, (evaluation: Evaluation) => string | undefined>> = {
  "data": ({ dataset: { name, digest } }) => `${name} (${digest.slice(0, 12)})`,
  ...Object.fromEntries(judgeNames.map((judge) => [`judge ${judge}`, (evaluation: Evaluation) => {
    return evaluation.judges.find(({ name }) => name === judge)?.sha256.slice(0, 12);
  }])),
  "samples": ({ samples: { count } }) => whole(count),
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
  for (const run of runs) {
    try {
      const evaluation = await readEvaluation(run);
      if (evaluation) evaluations.push(evaluation);
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      say(error.message);
    }
  }
  return qualityWarning(evaluations) ?? formatOrder(evaluations.map(({ figures }) => figures));
}

/** A value, with the ends of its 95 % interval if there is one. */
interface Ranked {
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
}

/**
 * States by which figures the judges rank things, such as networks or solvers, differently beyond their intervals.
 *
 * @param measured the figures of each thing
 * @returns `lenet and vgg disagree about: Fréchet distance, Recall`, or that they agree; undefined if there are fewer
 * than two things or judges
 */
export function formatOrder(measured: readonly ByFigure<Ranked | undefined>[]): string | undefined {
  const pairs = measured.flatMap((b, i) => measured.slice(0, i).map((a) => [a, b] as const));
  /** The sign of the difference of a pair by a judge, 0 if it may be chance; undefined if it was not measured. */
  const signOf = (name: FigureName, judge: JudgeName, [a, b]: typeof pairs[number]) => {
    const [one, other] = [a, b].map((figures) => figures[figureKey(name, judge)]);
    if (!one || !other) return undefined;
    const { low = one.value, high = one.value } = one;
    return low > (other.high ?? other.value) ? 1 : high < (other.low ?? other.value) ? -1 : 0;
  };
  const compared = figureNames.flatMap((name) => {
    const signs = pairs.map((pair) => judgeNames.map((judge) => signOf(name, judge, pair)))
      .filter((signs) => !signs.includes(undefined));
    return signs.length > 0 ? [{ name, differs: signs.some((s) => s.includes(1) && s.includes(-1)) }] : [];
  });
  if (compared.length === 0) return undefined;
  const judges = judgeNames.join(" and ");
  const titles = compared.filter(({ differs }) => differs).map(({ name }) => meaningOf(name).title);
  return titles.length > 0
    ? `${judges} disagree about: ${titles.join(", ")}`
    : `${judges} do not disagree about any figure`;
}

/** Solvers as a table, cheapest first; a star marks {@linkcode cheapestOfBest}. A line says whether the judges agree. */
export function solverTable({ solvers, common: { count, seed } }: SolverCosts): string {
  const chosen = cheapestOfBest(solvers);
  const distances = judgedKeys(solvers, "frechet", "kernel");
  const shares = judgedKeys(solvers, "asked_class", "confident");
  const head = ["solver", "evaluations", ...distances.map(titleOf), ...shares.map(titleOf), "seconds"];
  const rows = solvers.toSorted((a, b) => a.evaluations - b.evaluations).map((cost) => [
    `${cost === chosen ? "* " : ""}${cost.spec}`,
    String(Number(cost.evaluations.toFixed(1))),
    ...distances.map((key) => {
      const [value, low, high] = (["value", "low", "high"] as const).map((end) => cost[key]![end].toFixed(2));
      return `${value} (${low} to ${high})`;
    }),
    ...shares.map((key) => shownFigure(key, cost[key]!.value)),
    cost.seconds.toFixed(1),
  ]);
  const about = `${count.toLocaleString("en")} samples per solver, all from the noise of seed ${seed}`;
  const order = formatOrder(solvers);
  return [about, textTable([head, ...rows], (column) => column > 0), ...order ? [order] : []].join("\n");
}
