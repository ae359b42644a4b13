import { join } from "node:path";
import type { SolverOptions } from "../../models/mod.ts";
import type { JudgedSamples, LiveJudge, Quality, TimeBin } from "../../viz/report/mod.ts";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import {
  count,
  type FieldCheck,
  fieldProblem,
  fieldsOf,
  finiteNumber,
  listOf,
  optional,
  tableOf,
  text,
  time,
} from "../run/field_checks.ts";
import { runFile } from "../run/layout.ts";
import { appendMetrics } from "../run/metrics_log.ts";
import { readJson } from "../run/contained.ts";
import { type FigureName, figureNames, metricOf } from "./figures.ts";
import { writeJudged, writeLiveJudge } from "./judged_files.ts";

/** What a figure cost: evaluations of the network, each of one image at one time, and seconds. */
export interface Cost {
  readonly evaluations: number;
  readonly seconds: number;
}

/** A figure with the interval that holds the true value with 95 % confidence. */
export interface Figure extends Cost {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** What as many real images give: training images where the figure compares with test images. */
  readonly real?: number;
  /** What noise gives. */
  readonly noise?: number;
}

/** What an evaluation is to measure, and on how much. */
export interface EvaluationRequest {
  /** Samples, and real images of each kind to compare them with. */
  readonly count: number;
  /** Seed of the noise. */
  readonly seed: number;
  /** Classifier-free guidance, 0 without class; networks without classes: autoguidance. 1 is none. */
  readonly guidance: number;
  /** The solver in words, such as `heun, 20 steps`. */
  readonly words: string;
  /** Images for trajectory and round-trip figures; at most `count`. */
  readonly courseImages: number;
  /** Test images for bits per dimension; at most `count`. */
  readonly bitsImages: number;
}

/** What is measured, on how much, and how samples are drawn. */
export interface EvaluationOptions extends EvaluationRequest {
  readonly how: SolverOptions;
}

/** How good a network is, the content of `evaluation.json`. */
export interface Evaluation {
  readonly version: 1;
  /** When it was measured, in milliseconds since 1970. */
  readonly time: number;
  /** How long all of it took. */
  readonly seconds: number;
  /** The file of weights, its SHA-256 in hex, and the step it was saved at, if it is known. */
  readonly weights: { readonly file: string; readonly sha256: string; readonly step?: number | undefined };
  /** The device that computed. */
  readonly device: string;
  /** The data compared with; the digest is that of the training images. */
  readonly dataset: { readonly name: string; readonly digest: string };
  /** The classifier that judged; none where the data has no labels. */
  readonly judge?:
    | { readonly sha256: string; readonly accuracy: number; readonly source: string }
    | undefined;
  readonly asked?: EvaluationRequest | undefined;
  /** What was drawn, how, and what that cost. */
  readonly samples: Cost & {
    readonly count: number;
    readonly seed: number;
    /** In words: solver, grid, guidance. */
    readonly how: string;
    /** Samples of each class, as the judge sees them. */
    readonly classes?: readonly number[] | undefined;
  };
  readonly figures: Readonly<Partial<Record<FigureName, Figure>>>;
  /** Means over samples along their trajectories. */
  readonly course?: Quality["overTime"] | undefined;
  /** Test loss in bins of t. */
  readonly lossByTime?: readonly TimeBin[] | undefined;
}

const numbers = listOf(finiteNumber);

const figure = fieldsOf({
  value: finiteNumber,
  low: finiteNumber,
  high: finiteNumber,
  evaluations: count,
  seconds: finiteNumber,
  real: optional(finiteNumber),
  noise: optional(finiteNumber),
});

const askedChecks: Readonly<Record<keyof EvaluationRequest, FieldCheck>> = {
  count,
  seed: count,
  guidance: finiteNumber,
  words: text,
  courseImages: count,
  bitsImages: count,
};

const checks = {
  version: { expected: "1; evaluate the run again", accepts: (value: unknown) => value === 1 },
  time,
  seconds: finiteNumber,
  weights: fieldsOf({ file: text, sha256: text, step: optional(count) }),
  device: text,
  dataset: fieldsOf({ name: text, digest: text }),
  judge: optional(fieldsOf({ sha256: text, accuracy: finiteNumber, source: text })),
  asked: optional(fieldsOf(askedChecks)),
  samples: fieldsOf({
    count,
    seed: count,
    how: text,
    classes: optional(listOf(count)),
    evaluations: count,
    seconds: finiteNumber,
  }),
  figures: tableOf(figure),
  course: optional(fieldsOf({ t: numbers, straightness: numbers, curvature: numbers })),
  lossByTime: optional(
    listOf(fieldsOf({ from: finiteNumber, to: finiteNumber, images: count, loss: optional(finiteNumber) })),
  ),
};

/**
 * Reads the evaluation of a run.
 *
 * @returns undefined if the run has none
 * @throws {RunError} if the file cannot be read or holds no evaluation
 */
export async function readEvaluation(run: string): Promise<Evaluation | undefined> {
  const path = join(run, runFile.evaluation);
  const json = await readJson(path);
  if (json === undefined) return undefined;
  const unknown = Object.keys(Object(json.figures)).find((name) =>
    !figureNames.some((known) => known === name)
  );
  const problem = fieldProblem(json, checks) ??
    (unknown === undefined ? undefined : `figures has an unknown ${JSON.stringify(unknown)}`);
  if (problem === undefined) return json as unknown as Evaluation;
  throw new RunError(`Cannot read ${path}: ${problem}; delete the file, or evaluate the run again`);
}

/** Whether an evaluation measured what is wanted: the same request, with the same weights and judge. */
export function hasMeasured(
  { weights, judge, asked }: Pick<Evaluation, "weights" | "judge" | "asked">,
  wanted: {
    readonly weights: string;
    readonly judge: string | undefined;
    readonly asked: EvaluationRequest;
  },
): boolean {
  const names = Object.keys(askedChecks) as (keyof EvaluationRequest)[];
  return weights.sha256 === wanted.weights && judge?.sha256 === wanted.judge &&
    names.every((name) => asked?.[name] === wanted.asked[name]);
}

/** @throws {RunError} if the file cannot be written */
export async function writeEvaluation(path: string, evaluation: Evaluation): Promise<void> {
  await writeAtomic(path, JSON.stringify(evaluation, null, 2) + "\n");
}

/** An evaluation, and samples to look at. */
export interface Evaluated {
  readonly evaluation: Evaluation;
  readonly judged: JudgedSamples | undefined;
  /** What the report's page judges fresh samples by. */
  readonly live: LiveJudge | undefined;
}

/**
 * Adds an evaluation to a run: its files, and its figures with their intervals as metrics. The caller holds the run's lock.
 *
 * @throws {RunError} if a file cannot be written
 */
export async function recordEvaluation(run: string, { evaluation, judged, live }: Evaluated): Promise<void> {
  await writeEvaluation(join(run, runFile.evaluation), evaluation);
  if (judged) await writeJudged(run, judged);
  if (live) await writeLiveJudge(run, live);
  const metrics = figureNames.flatMap((name) => {
    const figure = evaluation.figures[name];
    if (!figure) return [];
    const metric = metricOf(name);
    return [[metric, figure.value], [`${metric}_low`, figure.low], [`${metric}_high`, figure.high]] as const;
  });
  const { weights: { step = 0 }, time } = evaluation;
  appendMetrics(join(run, runFile.metrics), { step, time, ...Object.fromEntries(metrics) });
}
