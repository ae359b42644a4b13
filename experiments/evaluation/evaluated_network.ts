import { join, relative } from "node:path";
import { decodeSafetensors, SafetensorsError } from "../../models/mod.ts";
import { readConfig } from "../cli/training_config.ts";
import { type Dataset, firstIndices, splitImages } from "../data/dataset.ts";
import { type DatasetOptions, loadDataset } from "../data/load_dataset.ts";
import { readAutoguidance } from "../draw/conditioning.ts";
import { checkFit, readCheckpoint } from "../draw/load_network.ts";
import type { Drawable } from "../draw/samples.ts";
import { loadWeights } from "../networks/own_network.ts";
import { readFile, readIfThere, RunError, sha256 } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { decodeProgress, lastStep, readMetrics } from "../run/metrics_log.ts";
import { findWeights, noWeights } from "../run/weights.ts";
import { requireRecord, type RunRecord } from "../tracking/record.ts";

/** A network to evaluate, with its training data. */
export interface EvaluatedNetwork {
  readonly drawable: Drawable;
  readonly data: Dataset;
  /** Indices of the training images that it learned from. */
  readonly trained: Uint32Array;
  /** The file of weights, its SHA-256 in hex, and the step it was saved at, if known. */
  readonly weights: { readonly file: string; readonly sha256: string; readonly step?: number };
  /** Number of the network's classes; 0 without. */
  readonly classes: number;
  /** Guidance scale of its run's samples. */
  readonly guidance?: number;
  /** Solver of its run's samples, in the syntax of `makeSolver`. */
  readonly drawnBy?: string;
}

/** The network of a run or, without one, of a checkpoint, as the words of a command line describe it. */
export function evaluatedNetwork(
  run: string | undefined,
  words: DatasetOptions & Readonly<Record<"checkpoint" | "data" | "model", string | null>>,
): Promise<EvaluatedNetwork> {
  return run === undefined ? networkOfCheckpoint(words.checkpoint!, words) : networkOfRun(run, words.model);
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

async function networkOfCheckpoint(
  path: string,
  words: DatasetOptions & Readonly<Record<"data" | "model", string | null>>,
): Promise<EvaluatedNetwork> {
  const bytes = await readCheckpoint(path);
  const data = await loadDataset(words.data ?? undefined, words);
  return {
    ...await subjectOf(bytes, path, data, words.model),
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
