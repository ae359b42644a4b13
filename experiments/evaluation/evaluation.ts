import { join } from "node:path";
import { decodeJudge, encodeSafetensors, type JudgeName, judgeNames } from "../../models/mod.ts";
import type { JudgedSamples, LiveJudge, TimeBin } from "../../viz/report/mod.ts";
import { noiseScoresWell } from "../../viz/report/verdict.ts";
import { readFields, readIfThere, readJson, RunError, writeAtomic, writeJson } from "../run/run_folder.ts";
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
  orNull,
  tableOf,
  textField,
  time,
} from "../run/field_checks.ts";
import { runFile } from "../run/files.ts";
import { appendMetrics } from "../run/metrics_log.ts";
import { TensorFile, tensorsOf } from "../run/weights.ts";
import {
  type ByFigure,
  figureKeys,
  figureNames,
  meaningOf,
  metricOf,
  shownFigure,
  titleOf,
} from "./figures.ts";
import { figureKey } from "./measurements.ts";
import { say, textTable } from "../cli/output.ts";
import { className } from "../draw/conditioning.ts";
import { cheapestOfBest, judgedKeys, type SolverCosts } from "./solver_comparison.ts";

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

export const timeBins: FieldCheck<readonly TimeBin[]> = listOf(
  fieldsOf({ from: finiteNumber, to: finiteNumber, images: count, loss: orNull(finiteNumber) }),
);

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
  /** Multiply-adds of one evaluation of the network for one image. Absent before version 1.1. */
  multiplyAdds: ifGiven(count),
  /** The data compared with, the digest of its training images, and the names of its classes, if it has any. */
  dataset: fieldsOf({ name: textField, digest: textField, classNames: ifGiven(listOf(textField)) }),
  /** The judges, the first of which has the figures whose keys name none; none without labels. */
  judges: listOf(judgeField),
  /** See {@linkcode EvaluationOptions}. */
  asked: ifGiven(fieldsOf({
    ...{ count, seed: count, guidance: finiteNumber, words: textField },
    ...{ courseImages: count, bitsImages: count },
  })),
  /** The samples, how they were drawn, as text (solver, grid, guidance), and their cost. */
  samples: fieldsOf({ count, seed: count, how: textField, ...cost }),
  figures: tableOf(figure),
  /** Figures of the averaged weights after some steps of training; a study writes them, even if there are none. */
  milestones: ifGiven(listOf(fieldsOf({ step: count, figures: tableOf(finiteNumber) }))),
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
  const known = Object.entries(evaluation.figures).filter(([key]) => figureKeys.includes(key));
  return { ...evaluation, figures: Object.fromEntries(known) };
}

/** Reads the bins in `loss_by_time.json` of a run; undefined if it has none. */
export async function readLossByTime(run: string): Promise<readonly TimeBin[] | undefined> {
  const advice = "delete the file, and the run is shown without it";
  return (await readFields(join(run, runFile.lossByTime), { bins: timeBins }, advice))?.bins;
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

/**
 * Writes `judged.safetensors` of a run: f32 tensors named as the fields of {@linkcode JudgedSamples}, and those of a
 * second judge with `second_` before their names.
 */
export async function writeJudged(run: string, samples: JudgedSamples): Promise<void> {
  const { shape, labels, second } = samples;
  const [N] = shape;
  const tensors = tensorsOf(shapesOf(shape), samples);
  const perSample = { second_confidence: second?.confidence, second_classes: second?.classes, labels };
  for (const [name, values] of Object.entries(perSample)) {
    if (values) tensors.set(name, { shape: [N], data: Float32Array.from(values) });
  }
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
  const [N] = shape;
  const hasSecond = file.has("second_confidence");
  return {
    shape,
    ...file.readAll(shapesOf(shape)),
    second: hasSecond
      ? { confidence: file.read("second_confidence", N), classes: file.read("second_classes", N) }
      : undefined,
    labels: file.has("labels") ? file.labels("labels", N) : undefined,
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

/** Reads the files of {@linkcode writeLiveJudge}; undefined if one is missing, as in runs that were not evaluated. */
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
  "Few test images: judges compare by kernel distance, less that of training images (the Fréchet distance needs 168, precision and recall equal numbers)";

/** The figures as a table: values with intervals, and those of real images and of noise. */
export function evaluationTable({ figures }: Evaluation): string {
  const head = ["", "value (95 % interval)", "real images", "noise"];
  const notes = new Set<string>();
  const rows = figureKeys.flatMap((key) => {
    const figure = figures[key];
    if (!figure) return [];
    const shown = (value: number | undefined) => value === undefined ? "" : shownFigure(key, value);
    const bare = (value: number) => shown(value).replace(" %", "");
    const { real, count, realCount = count } = figure;
    const isFewer = real !== undefined && realCount !== undefined && realCount !== count;
    const fewer = isFewer ? ` (${whole(realCount)})` : "";
    if (fewer !== "") notes.add("In brackets: the number of real images, if it differs from that of samples");
    const mark = noiseScoresWell({ ...figure, better: meaningOf(key).better }) ? "*" : "";
    if (mark !== "") notes.add("* Even noise scores well here, so this figure says nothing alone");
    return [[
      titleOf(key) + mark,
      `${shown(figure.value)} (${bare(figure.low)} to ${bare(figure.high)})`,
      shown(real) + fewer,
      shown(figure.noise),
    ]];
  });
  return [textTable([head, ...rows], (column) => column > 0), ...notes].join("\n");
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
type Ranked = Pick<EvaluationFigure, "value"> & Partial<EvaluationFigure>;

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
  const signOf = (name: string, judge: JudgeName, [a, b]: typeof pairs[number]) => {
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
      const { value, low, high } = cost.figures[key]!;
      return `${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
    }),
    ...shares.map((key) => shownFigure(key, cost.figures[key]!.value)),
    cost.seconds.toFixed(1),
  ]);
  const about = `${count.toLocaleString("en")} samples per solver, all from the noise of seed ${seed}`;
  const order = formatOrder(solvers.map(({ figures }) => figures));
  return [about, textTable([head, ...rows], (column) => column > 0), ...order ? [order] : []].join("\n");
}
