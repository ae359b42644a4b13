import { join } from "node:path";
import { decodeJudge, encodeSafetensors, judgeNames } from "../../models/mod.ts";
import type { JudgedSamples, LiveJudge } from "../../viz/report/mod.ts";
import { readIfThere, readJson, RunError, writeAtomic, writeJson } from "../run/run_folder.ts";
import {
  check,
  type Checked,
  count,
  type FieldCheck,
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
import { runFile } from "../run/files.ts";
import { appendMetrics } from "../run/metrics_log.ts";
import { TensorFile, tensorsOf } from "../run/weights.ts";
import { type ByFigure, type FigureKey, figureKeys, metricOf } from "./figures.ts";
import { timeBins } from "./loss_by_time.ts";

const numbers = listOf(finiteNumber);
const advice = "delete the file, or evaluate the run again";

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
});

const checks = {
  version: check<2>("1 or 2", (value) => value === 2),
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
  /** See {@linkcode EvaluationRequest}. */
  asked: ifGiven(fieldsOf({
    ...{ count, seed: count, guidance: finiteNumber, words: textField },
    ...{ courseImages: count, bitsImages: count },
  })),
  /** The samples, how they were drawn, as text (solver, grid, guidance), and their cost. */
  samples: fieldsOf({ count, seed: count, how: textField, ...cost }),
  figures: tableOf(figure) as unknown as FieldCheck<ByFigure<EvaluationFigure>>,
  /** Means over samples along their trajectories. */
  course: ifGiven(fieldsOf({ t: numbers, straightness: numbers, curvature: numbers })),
  /** Velocity error in bins of t. */
  lossByTime: ifGiven(timeBins),
};

const evaluationCheck = fieldsOf(checks);

/** The quality of a network, stored as `evaluation.json`. */
export type Evaluation = Checked<typeof evaluationCheck>;

/** A figure with its interval and cost. */
export type EvaluationFigure = Checked<typeof figure>;

/** Reads the evaluation of a run, without figures that are no longer known; undefined if it has none. */
export async function readEvaluation(run: string): Promise<Evaluation | undefined> {
  const path = join(run, runFile.evaluation);
  const json = await readJson(path);
  if (json === undefined) return undefined;
  const current = json.version === 1 ? withJudges(json) : json;
  const problem = fieldProblem(current, checks);
  if (problem !== undefined) throw new RunError(`Cannot read ${path}: ${problem}; ${advice}`);
  const evaluation = current as unknown as Evaluation;
  const known = Object.entries(evaluation.figures).filter(([key]) => figureKeys.includes(key as FigureKey));
  return { ...evaluation, figures: Object.fromEntries(known) };
}

/** Converts a file of version 0.9, which has one judge, to the present form. */
function withJudges({ judge, ...json }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { classes } = Object(json.samples);
  const judges = judge === undefined ? [] : [{ name: judgeNames[0], classes, ...Object(judge) }];
  return { ...json, version: 2, judges };
}

/** An evaluation, with samples to look at. */
export interface Evaluated {
  readonly evaluation: Evaluation;
  readonly judged: JudgedSamples | undefined;
  /** The first judge, which judges fresh samples on the report's page. */
  readonly live: LiveJudge | undefined;
}

/** Writes an evaluation to a run: its files, and its figures as metrics with intervals. The caller holds the run's lock. */
export async function recordEvaluation(run: string, { evaluation, judged, live }: Evaluated): Promise<void> {
  await writeJson(join(run, runFile.evaluation), evaluation);
  if (judged) await writeJudged(run, judged);
  if (live) await writeLiveJudge(run, live);
  const metrics = figureKeys.flatMap((key) => {
    const figure = evaluation.figures[key];
    if (!figure) return [];
    const metric = metricOf(key);
    return [[metric, figure.value], [`${metric}_low`, figure.low], [`${metric}_high`, figure.high]] as const;
  });
  const { time, weights: { step = 0 } } = evaluation;
  appendMetrics(join(run, runFile.metrics), { step, time, ...Object.fromEntries(metrics) });
}

/** Tensors of `judged.safetensors`, with their shapes. */
const shapesOf = ([N, K, ...size]: readonly number[]) => ({
  image: [N, ...size],
  nearest: [N, K, ...size],
  confidence: [N],
  classes: [N],
  rank: [N],
});

/** Tensors of a second judge. */
const secondShapes = (N: number) => ({ second_confidence: [N], second_classes: [N] });

function readSecond(file: TensorFile, N: number): NonNullable<JudgedSamples["second"]> {
  const { second_confidence: confidence, second_classes: classes } = file.readAll(secondShapes(N));
  return { confidence, classes };
}

/**
 * Writes `judged.safetensors` of a run: f32 tensors named as the fields of {@linkcode JudgedSamples}, and those of a
 * second judge with `second_` before their names.
 */
export async function writeJudged(run: string, samples: JudgedSamples): Promise<void> {
  const { shape, labels, second } = samples;
  const [N] = shape;
  const tensors = tensorsOf(shapesOf(shape), samples);
  if (second) {
    const { confidence: second_confidence, classes: second_classes } = second;
    const more = tensorsOf(secondShapes(N), { second_confidence, second_classes });
    for (const [name, tensor] of more) tensors.set(name, tensor);
  }
  if (labels) tensors.set("labels", { shape: [N], data: Float32Array.from(labels) });
  await writeAtomic(join(run, runFile.judged), encodeSafetensors(tensors));
}

/** Reads the judged samples of a run; undefined if it has none. */
export async function readJudged(run: string): Promise<JudgedSamples | undefined> {
  const path = join(run, runFile.judged);
  const bytes = await readIfThere(path, run);
  if (bytes === undefined) return undefined;
  const file = new TensorFile(bytes, path, advice);
  const shape = file.shapeOf("nearest") as JudgedSamples["shape"];
  if (shape.length !== 5) throw file.mismatch("nearest", "f32[N, K, C, H, W]");
  return {
    shape,
    ...file.readAll(shapesOf(shape)),
    ...file.has("second_confidence") && { second: readSecond(file, shape[0]) },
    ...file.has("labels") && { labels: file.labels("labels", shape[0]) },
  };
}

/**
 * Writes the files that the report's page needs to judge fresh samples: `judge.safetensors`, a copy of the judge's
 * file, and `reference.safetensors` with `features`, f32[N, F], of test images.
 */
export async function writeLiveJudge(run: string, { weights, reference }: LiveJudge): Promise<void> {
  const { values: data, rows, width } = reference;
  await writeAtomic(join(run, runFile.judge), weights);
  const features = { shape: [rows, width], data };
  await writeAtomic(join(run, runFile.reference), encodeSafetensors(new Map([["features", features]])));
}

/**
 * Reads the files that the report's page needs to judge fresh samples.
 *
 * @returns undefined if one of the files is missing, as in runs that were not evaluated
 */
export async function readLiveJudge(run: string): Promise<LiveJudge | undefined> {
  const path = join(run, runFile.reference), judge = join(run, runFile.judge);
  const weights = await readIfThere(judge, run);
  const bytes = await readIfThere(path, run);
  if (!weights || !bytes) return undefined;
  decodeJudge(weights, judge);
  const file = new TensorFile(bytes, path, advice);
  const shape = file.shapeOf("features");
  if (shape.length !== 2) throw file.mismatch("features", "f32[N, F]");
  const [rows, width] = shape;
  return { weights, reference: { values: file.read("features", rows, width), rows, width } };
}
