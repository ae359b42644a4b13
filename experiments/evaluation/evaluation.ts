import { readJson, RunError, writeJson } from "../run/run_folder.ts";
import { join } from "node:path";
import { judgeNames, type SolverOptions } from "../../models/mod.ts";
import type { JudgedSamples, LiveJudge } from "../../viz/report/mod.ts";
import {
  check,
  type Checked,
  count,
  fieldProblem,
  fieldsOf,
  finiteNumber,
  ifGiven,
  listOf,
  oneOf,
  tableOf,
  textField,
  time,
} from "../run/field_checks.ts";
import { fileAt, runFile } from "../run/files.ts";
import { appendMetrics } from "../run/metrics_log.ts";
import { timeBins } from "./loss_by_time.ts";
import { type ByFigure, type FigureKey, figureKeys, metricOf } from "./figures.ts";
import { writeJudged, writeLiveJudge } from "./judged_files.ts";

const numbers = listOf(finiteNumber);

/** A judge, with the number of samples that it assigns to each class. */
const judgeField = fieldsOf({
  name: oneOf(judgeNames),
  sha256: textField,
  accuracy: finiteNumber,
  source: textField,
  classes: ifGiven(listOf(count)),
});

/** Cost of a figure: evaluations of the network, each of one image at one time, and seconds. */
const cost = { evaluations: count, seconds: finiteNumber };

const figure = fieldsOf({
  value: finiteNumber,
  /** Limits of the 95 % confidence interval. */
  low: finiteNumber,
  high: finiteNumber,
  ...cost,
  /** Number of images that are compared at a time; distances grow as it falls. Absent before version 0.10. */
  count: ifGiven(count),
  /** The value for real images: training images if the figure compares with test images. */
  real: ifGiven(finiteNumber),
  /** The same number of real images, which may be fewer. Absent before version 0.10. */
  realCount: ifGiven(count),
  /** The value for noise. */
  noise: ifGiven(finiteNumber),
  /** The evaluation that measured it, if not that of the file: its time, and its number of samples. */
  from: ifGiven(fieldsOf({ time, samples: count })),
});

const figures = check<ByFigure<EvaluationFigure>>(
  `an object with fields among ${figureKeys.join(", ")}`,
  (value) => tableOf(figure).accepts(value) && Object.keys(value).every(oneOf(figureKeys).accepts),
);

/** The request of an evaluation. */
const request = {
  /** Number of samples, and of real images of each kind. */
  count,
  /** Seed of the noise. */
  seed: count,
  /** Scale of classifier-free guidance (0 ignores the class), or of autoguidance without classes; 1 is none. */
  guidance: finiteNumber,
  /** The solver as text, such as `heun, 20 steps`. */
  words: textField,
  /** Images for trajectory and round-trip figures, at most `count`. */
  courseImages: count,
  /** Test images for bits per dimension, at most `count`. */
  bitsImages: count,
  /** Steps of classifiers trained on the samples, of 64 images. */
  accuracySteps: count,
};

const checks = {
  version: check<2>("1 or 2; evaluate the run again", (value) => value === 2),
  /** Time of the evaluation, in milliseconds since 1970. */
  time,
  /** Duration of the evaluation. */
  seconds: finiteNumber,
  /** The file of weights, its SHA-256 in hex, and the step it was saved at, if known. */
  weights: fieldsOf({ file: textField, sha256: textField, step: ifGiven(count) }),
  /** The device that computed. */
  device: textField,
  /** The data compared with, the digest of its training images, and the names of its classes, if it has any. */
  dataset: fieldsOf({ name: textField, digest: textField, classNames: ifGiven(listOf(textField)) }),
  /** The judges, the first of which has the figures whose keys name none; none without labels. */
  judges: listOf(judgeField),
  asked: ifGiven(fieldsOf(request)),
  /** The samples, how they were drawn, and their cost. */
  samples: fieldsOf({
    count,
    seed: count,
    /** How they were drawn, as text: solver, grid, guidance. */
    how: textField,
    ...cost,
  }),
  figures,
  /** Means over samples along their trajectories. */
  course: ifGiven(fieldsOf({ t: numbers, straightness: numbers, curvature: numbers })),
  /** Velocity error in bins of t. */
  lossByTime: ifGiven(timeBins),
};

const evaluationCheck = fieldsOf(checks);
const requestCheck = fieldsOf(request);

/** The quality of a network, stored as `evaluation.json`. */
export type Evaluation = Checked<typeof evaluationCheck>;

/** A figure with its interval and cost. */
export type EvaluationFigure = Checked<typeof figure>;

/** Cost of a figure or of drawing the samples. */
export type Cost = Pick<EvaluationFigure, keyof typeof cost>;

/** The measurements to make, and on how many images. */
export type EvaluationRequest = Checked<typeof requestCheck>;

export interface EvaluationOptions extends EvaluationRequest {
  readonly how: SolverOptions;
}

/** Reads the evaluation of a run; undefined if it has none. */
export async function readEvaluation(run: string): Promise<Evaluation | undefined> {
  const path = join(run, runFile.evaluation);
  const json = await readJson(path);
  if (json === undefined) return undefined;
  const current = json.version === 1 ? withJudges(json) : json;
  const problem = fieldProblem(current, checks);
  if (problem === undefined) return current as unknown as Evaluation;
  throw new RunError(`Cannot read ${path}: ${problem}; delete the file, or evaluate the run again`);
}

/** Converts a file of version 0.9, which has one judge, to the present form. */
function withJudges({ judge, figures, ...json }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { classes } = Object(json.samples);
  return {
    ...json,
    version: 2,
    ...json.asked === undefined ? {} : { asked: { accuracySteps: 0, ...Object(json.asked) } },
    judges: judge === undefined ? [] : [{ name: judgeNames[0], classes, ...Object(judge) }],
    figures,
  };
}

/** Whether an evaluation matches a request, with the same weights and judges. */
export function hasMeasured(
  { weights, judges, asked }: Pick<Evaluation, "weights" | "judges" | "asked">,
  requested: {
    readonly weights: string;
    /** Digests. */
    readonly judges: readonly string[];
    readonly asked: EvaluationRequest;
  },
): boolean {
  const names = Object.keys(request) as (keyof EvaluationRequest)[];
  return weights.sha256 === requested.weights &&
    judges.map(({ sha256 }) => sha256).join() === requested.judges.join() &&
    names.every((name) => asked?.[name] === requested.asked[name]);
}

/**
 * Joins two evaluations of one network, drawn alike: the one with more samples, the first if equal, with the figures
 * that only the other has, or measured on more images.
 *
 * @returns undefined if weights, data, a judge, guidance or solver differ
 */
export function mergedEvaluation(first: Evaluation, second: Evaluation): Evaluation | undefined {
  const [base, other] = second.samples.count > first.samples.count ? [second, first] : [first, second];
  const isSame = base.weights.sha256 === other.weights.sha256 &&
    base.dataset.digest === other.dataset.digest &&
    base.asked?.guidance === other.asked?.guidance && base.asked?.words === other.asked?.words &&
    !other.judges.some(({ name, sha256 }) => base.judges.some((j) => j.name === name && j.sha256 !== sha256));
  if (!isSame) return undefined;
  const added = Object.entries(other.figures).flatMap(([key, figure]) => {
    const measured = base.figures[key as FigureKey];
    if (measured && !((figure.count ?? 0) > (measured.count ?? Infinity))) return [];
    return [[key, { from: { time: other.time, samples: other.samples.count }, ...figure }]];
  });
  const figures: Evaluation["figures"] = { ...base.figures, ...Object.fromEntries(added) };
  const course = figures.straightness?.from ? other.course : base.course;
  return {
    ...base,
    judges: judgeNames.flatMap((judge) =>
      [...base.judges, ...other.judges].find(({ name }) => name === judge) ?? []
    ),
    figures,
    ...course && { course },
  };
}

/**
 * Joins an evaluation with the earlier one of its run. An earlier one of the same weights whose samples were drawn
 * differently is kept in another file.
 *
 * @param say called with a message about what is kept, or if the earlier evaluation cannot be read
 */
export async function withEarlierFigures(
  run: string,
  evaluation: Evaluation,
  say: (line: string) => void,
): Promise<Evaluation> {
  const earlier = await readEvaluation(run).catch((error) => {
    if (!(error instanceof RunError)) throw error;
    say(`${error.message} (replaced)`);
  });
  if (!earlier) return evaluation;
  const merged = mergedEvaluation(evaluation, earlier);
  if (!merged && earlier.weights.sha256 === evaluation.weights.sha256) {
    const path = join(run, fileAt(runFile.replacedEvaluation, earlier.time));
    await writeJson(path, earlier);
    say(
      `The earlier evaluation used different guidance, judges, data or another solver; it is kept in ${path}`,
    );
  }
  if (merged && merged.time < evaluation.time) {
    say(
      `Keeping the earlier evaluation: it has ${merged.samples.count} samples, not ${evaluation.samples.count}`,
    );
  }
  return merged ?? evaluation;
}

/** Writes an evaluation. @throws {RunError} if the file cannot be written */
export async function writeEvaluation(path: string, evaluation: Evaluation): Promise<void> {
  await writeJson(path, evaluation);
}

/** An evaluation, with samples to look at. */
export interface Evaluated {
  readonly evaluation: Evaluation;
  readonly judged: JudgedSamples | undefined;
  /** The first judge, which judges fresh samples on the report's page. */
  readonly live: LiveJudge | undefined;
}

/**
 * Adds an evaluation to a run: its files, and its figures as metrics with intervals. The caller holds the run's lock.
 *
 * @param at time of the metrics, in milliseconds since 1970
 */
export async function recordEvaluation(
  run: string,
  { evaluation, judged, live }: Evaluated,
  at: number = evaluation.time,
): Promise<void> {
  await writeEvaluation(join(run, runFile.evaluation), evaluation);
  if (judged) await writeJudged(run, judged);
  if (live) await writeLiveJudge(run, live);
  const metrics = figureKeys.flatMap((key) => {
    const figure = evaluation.figures[key];
    if (!figure) return [];
    const metric = metricOf(key);
    return [[metric, figure.value], [`${metric}_low`, figure.low], [`${metric}_high`, figure.high]] as const;
  });
  const { weights: { step } } = evaluation;
  appendMetrics(join(run, runFile.metrics), { step: step ?? 0, time: at, ...Object.fromEntries(metrics) });
}
