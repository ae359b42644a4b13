import { join } from "node:path";
import type { Dataset } from "../data/dataset.ts";
import type { TimeBin } from "../../viz/report/mod.ts";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import {
  count,
  type FieldCheck,
  fieldProblem,
  fieldsOf,
  finiteNumber,
  ifGiven,
  listOf,
  oneOf,
  optional,
  tableOf,
  text,
  time,
} from "../run/field_checks.ts";
import { runFile } from "../run/layout.ts";
import { readJson } from "../run/contained.ts";
import { type FigureName, figureNames } from "./figures.ts";

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

/** Means over samples at times on their way. */
export interface Course {
  /** In [0, 1). */
  readonly t: readonly number[];
  /** Mean squared difference between the velocity and the straight line, per value. */
  readonly straightness: readonly number[];
  /** Distance from noise to sample over the radius of the way: 0 on a straight line. */
  readonly curvature: readonly number[];
}

/** What an evaluation is asked to measure, and on how much. */
export interface Asked {
  /** Samples, and real images of each kind to compare them with. */
  readonly count: number;
  /** Seed of the noise. */
  readonly seed: number;
  /** Guidance by the class, where 0 draws without class, or away from what the network was; 1 is none. */
  readonly guidance: number;
  /** The solver in words, such as `heun, 20 steps`. */
  readonly words: string;
  /** Images that are followed from noise to data, or back; at most `count`. */
  readonly courseImages: number;
  /** Test images whose bits per dimension are measured; at most `count`. */
  readonly bitsImages: number;
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
  readonly dataset: {
    readonly name: string;
    readonly digest: string;
    /** Of the test images, of which the first are compared with. */
    readonly testOrder?: Dataset["testOrder"];
  };
  /** The classifier that judged; none where the data has no labels. */
  readonly judge?:
    | { readonly sha256: string; readonly accuracy: number; readonly source: string }
    | undefined;
  /** What was asked for; earlier versions did not note it. */
  readonly asked?: Asked | undefined;
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
  readonly course?: Course | undefined;
  /** Test loss in bins of t. */
  readonly lossByTime?: readonly TimeBin[] | undefined;
}

const numbers = listOf(finiteNumber);

const figure = fieldsOf({
  ...{ value: finiteNumber, low: finiteNumber, high: finiteNumber },
  ...{ evaluations: count, seconds: finiteNumber },
  ...{ real: optional(finiteNumber), noise: optional(finiteNumber) },
});

const askedChecks: Readonly<Record<keyof Asked, FieldCheck>> = {
  ...{ count, seed: count, courseImages: count, bitsImages: count },
  ...{ guidance: finiteNumber, words: text },
};

const checks = {
  version: { expected: "1; evaluate the run again", accepts: (value: unknown) => value === 1 },
  time,
  seconds: finiteNumber,
  weights: fieldsOf({ file: text, sha256: text, step: optional(count) }),
  device: text,
  dataset: fieldsOf({ name: text, digest: text, testOrder: ifGiven(oneOf(["random"])) }),
  judge: optional(fieldsOf({ sha256: text, accuracy: finiteNumber, source: text })),
  asked: optional(fieldsOf(askedChecks)),
  samples: fieldsOf({
    ...{ count, seed: count, how: text, classes: optional(listOf(count)) },
    ...{ evaluations: count, seconds: finiteNumber },
  }),
  figures: tableOf(figure),
  course: optional(fieldsOf({ t: numbers, straightness: numbers, curvature: numbers })),
  lossByTime: optional(listOf(fieldsOf({
    ...{ from: finiteNumber, to: finiteNumber },
    ...{ images: count, loss: optional(finiteNumber) },
  }))),
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
  const unknown = () => Object.keys(Object(json.figures)).find((name) => !isFigure(name));
  const problem = fieldProblem(json, checks) ??
    (unknown() === undefined ? undefined : `figures has an unknown ${JSON.stringify(unknown())}`);
  if (problem === undefined) return json as unknown as Evaluation;
  throw new RunError(`Cannot read ${path}: ${problem}; delete the file, or evaluate the run again`);
}

/** Whether an evaluation has measured what is asked for: by the same weights, judge and options, on the same images. */
export function hasMeasured(
  { weights, judge, dataset, asked }: Pick<Evaluation, "weights" | "judge" | "dataset" | "asked">,
  wanted: {
    readonly weights: string;
    readonly judge: string | undefined;
    readonly testOrder: Dataset["testOrder"];
    readonly asked: Asked;
  },
): boolean {
  const names = Object.keys(askedChecks) as (keyof Asked)[];
  return weights.sha256 === wanted.weights && judge?.sha256 === wanted.judge &&
    dataset.testOrder === wanted.testOrder &&
    names.every((name) => asked?.[name] === wanted.asked[name]);
}

function isFigure(name: string): name is FigureName {
  return figureNames.some((known) => known === name);
}

/** @throws {RunError} if the file cannot be written */
export async function writeEvaluation(path: string, evaluation: Evaluation): Promise<void> {
  await writeAtomic(path, JSON.stringify(evaluation, null, 2) + "\n");
}
