import { join, relative } from "node:path";
import { decodeSafetensors, featureCount, SafetensorsError } from "../../models/mod.ts";
import { type Dataset, firstIndices, splitImages } from "../data/dataset.ts";
import { type DatasetOptions, loadDataset } from "../data/load_dataset.ts";
import { readAutoguidance } from "../draw/conditioning.ts";
import { checkSolver, usualSolver } from "../draw/chosen_solver.ts";
import { checkFit, readCheckpoint } from "../draw/load_network.ts";
import type { Drawable } from "../draw/samples.ts";
import { loadWeights } from "../networks/own_network.ts";
import { readFile, readIfThere, RunError, sha256 } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { findWeights, noWeights } from "../run/weights.ts";
import { decodeProgress, lastStep, readMetrics } from "../run/metrics_log.ts";
import { ConfigError } from "../cli/setting.ts";
import { makeSolver } from "../cli/solver.ts";
import { readConfig } from "../cli/training_config.ts";
import { requireRecord, type RunRecord } from "../tracking/record.ts";
import type { Evaluation, EvaluationOptions } from "./evaluation.ts";
import type { MeasuringWords } from "./evaluation_settings.ts";

/** A network to evaluate, with its training data. */
export interface EvaluatedNetwork {
  readonly drawable: Drawable;
  readonly data: Dataset;
  /** Indices of the training images that it learned from. */
  readonly trained: Uint32Array;
  readonly weights: Evaluation["weights"];
  /** Number of the network's classes; 0 without. */
  readonly classes: number;
  /** Guidance scale of its run's samples. */
  readonly guidance?: number;
  /** Solver of its run's samples, in the syntax of `makeSolver`. */
  readonly drawnBy?: string;
}

/**
 * Whether the test images of a data set are too few for the Fréchet distance. Samples are then compared with training
 * images, and there may be more of them than test images.
 */
export function hasFewTestImages({ test }: Pick<Dataset, "test">): boolean {
  return test.count < 2 * featureCount;
}

/** The network of a run or, without one, of a checkpoint, as the words of a command line describe it. */
export function evaluatedNetwork(
  run: string | undefined,
  words: DatasetOptions & Readonly<Record<"checkpoint" | "data" | "model", string | null>>,
): Promise<EvaluatedNetwork> {
  return run === undefined
    ? networkOfCheckpoint(words.checkpoint!, words.data ?? undefined, words, words.model)
    : networkOfRun(run, words.model);
}

/**
 * The network of a run, with its averaged weights.
 *
 * @param model the user's module of the network, if it is a custom one
 * @throws {RunError} if the run has no weights, or its data has changed
 */
export async function networkOfRun(run: string, model: string | null = null): Promise<EvaluatedNetwork> {
  const record = await requireRecord(run, "evaluate");
  const config = readConfig(run);
  const weights = findWeights(run);
  if (!weights) throw new RunError(`Cannot evaluate ${run}: ${noWeights}`);
  const bytes = await readFile(weights.path, run);
  const data = await loadDataset(config.data ?? undefined, config);
  if (record.dataset && record.dataset.digest !== data.digest) {
    throw new RunError(
      `Cannot evaluate ${run}: it was trained on images that ${data.source} no longer holds ` +
        `(digest ${record.dataset.digest.slice(0, 12)}..., now ${data.digest.slice(0, 12)}...)`,
    );
  }
  const step = await stepOfWeights(run, record);
  const subject = await subjectOf(bytes, weights.path, data, model);
  const autoguidance = subject.classes === 0 ? await readAutoguidance(run, config.guidance) : undefined;
  return {
    ...subject,
    drawable: { ...subject.drawable, autoguidance },
    trained: splitImages(data.train.count, config).train,
    weights: { file: relative(run, weights.path), sha256: await sha256(bytes.slice()), step },
    drawnBy: config.solver,
    guidance: config.guidance,
  };
}

/**
 * The network of a checkpoint.
 *
 * @param source of its data, and how it is prepared, see {@linkcode loadDataset}
 */
async function networkOfCheckpoint(
  path: string,
  source: string | undefined,
  how: DatasetOptions,
  own: string | null,
): Promise<EvaluatedNetwork> {
  const bytes = await readCheckpoint(path);
  const data = await loadDataset(source, how);
  return {
    ...await subjectOf(bytes, path, data, own),
    trained: firstIndices(data.train.count),
    weights: { file: path, sha256: await sha256(bytes) },
  };
}

async function subjectOf(
  bytes: Uint8Array,
  path: string,
  data: Dataset,
  own: string | null,
): Promise<Pick<EvaluatedNetwork, "drawable" | "data" | "classes">> {
  const { model, info: { normalization, config }, shape } = await loadWeights(bytes, path, {}, own);
  const { classes = 0 } = config;
  checkFit("evaluate", path, { shape, classes }, data);
  return { drawable: { model, normalization, shape }, data, classes };
}

/**
 * The step of a run's weights. The log of a killed run may have later steps. If it was killed between writing its
 * weights and its state, this is the step of the previous checkpoint.
 */
export async function stepOfWeights(run: string, { status }: Pick<RunRecord, "status">): Promise<number> {
  const saved = status === "FINISHED" ? undefined : await savedStep(run);
  return saved ?? lastStep(await readMetrics(join(run, runFile.metrics)));
}

/** The step of a run's saved state; undefined if the state is missing or damaged. */
async function savedStep(run: string): Promise<number | undefined> {
  const path = join(run, runFile.state);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  try {
    const progress = decodeProgress(decodeSafetensors(bytes, path).metadata.progress);
    return typeof progress === "string" ? undefined : progress.step;
  } catch (error) {
    if (error instanceof SafetensorsError) return undefined;
    throw error;
  }
}

/**
 * Chooses how to evaluate a network: by the flags, otherwise the way its run draws samples.
 *
 * @param usual default number of samples
 * @throws {ConfigError} if the flags request more images than there are, or guidance that the network cannot have
 */
export function evaluationOptions(
  words: MeasuringWords,
  subject: EvaluatedNetwork,
  usual: number,
): EvaluationOptions {
  const { seed, solver } = words;
  const { data, trained } = subject;
  const few = hasFewTestImages(data);
  const count = words.count ?? Math.min(usual, few ? trained.length : maxImages(subject));
  if (!few) checkSampleCount(count, subject, words.judge !== "none");
  else if (count > trained.length) {
    throw new ConfigError(
      `Cannot compare ${count} samples: the network learned from ${trained.length} images of ${data.name} ` +
        `(expected --count at most ${trained.length}, so that equal numbers are compared)`,
    );
  }
  const [courseImages, bitsImages] = [words.courseImages, words.bitsImages].map((n) => Math.min(n, count));
  const guidance = guidanceFor(words.guidance, subject);
  const { accuracySteps } = words;
  if (accuracySteps > 0 && subject.classes === 0) {
    throw new ConfigError(
      `Cannot use --accuracy-steps ${accuracySteps}: the network was trained without classes, so its samples have no labels ` +
        "to train a classifier with (leave it out)",
    );
  }
  const { model } = subject.drawable;
  const { how, description } = makeSolver(solver ?? subject.drawnBy ?? usualSolver(model));
  checkSolver(model, how, subject.weights.file, subject.classes > 0 ? guidance : 1);
  return { count, seed, courseImages, bitsImages, accuracySteps, guidance, how, words: description };
}

/** The largest number of samples for which there are as many test and training images. */
function maxImages({ data, trained }: Pick<EvaluatedNetwork, "data" | "trained">): number {
  return Math.min(data.test.count, trained.length);
}

/**
 * @param isJudged whether judges compare samples with test images
 * @throws {ConfigError} if there are fewer real images, or too few samples for a covariance of features
 */
export function checkSampleCount(
  count: number,
  subject: Pick<EvaluatedNetwork, "data" | "trained">,
  isJudged = true,
): void {
  const { data, trained } = subject;
  const most = maxImages(subject);
  if (count > most) {
    throw new ConfigError(
      `Cannot compare ${count} samples: ${data.name} has ${data.test.count} test images, and the network learned from ` +
        `${trained.length} (expected --count at most ${most}, so that equal numbers are compared)`,
    );
  }
  const least = 2 * featureCount;
  if (count >= least || data.classes < 2 || !isJudged) return;
  throw new ConfigError(
    `Cannot judge ${count} samples: the covariance of the judge's ${featureCount} features needs more ` +
      `(expected at least ${least}, and as many test images)`,
  );
}

/**
 * The guidance scale of the samples.
 *
 * @param scale null for that of the run
 * @throws {ConfigError} if it is given for a network without classes and early weights
 */
export function guidanceFor(
  scale: number | null,
  { classes, drawable, guidance = 1 }: Pick<EvaluatedNetwork, "classes" | "guidance"> & {
    readonly drawable: { readonly autoguidance?: unknown };
  },
): number {
  if (classes > 0 || drawable.autoguidance !== undefined) return scale ?? guidance;
  if (scale === null) return 1;
  throw new ConfigError(
    `Cannot use --guidance ${scale}: the network was trained without classes, and there is no ` +
      `${runFile.early} to guide it away from (leave it out)`,
  );
}
