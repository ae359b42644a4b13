import { relative } from "node:path";
import { featureCount } from "../../models/mod.ts";
import type { ChosenSolver } from "../cli/solver.ts";
import { type Dataset, firstIndices, splitImages } from "../data/dataset.ts";
import { type DatasetOptions, loadDataOfRun, loadDataset } from "../data/load_dataset.ts";
import { readAutoguidance } from "../draw/conditioning.ts";
import { checkFit, readCheckpoint } from "../draw/load_network.ts";
import type { Drawable } from "../draw/samples.ts";
import { loadWeights } from "../networks/own_network.ts";
import { readFile, RunError, sha256 } from "../run/run_folder.ts";
import { readConfig } from "../settings/config_file.ts";
import type { ModuleChoice } from "../settings/network.ts";
import { findWeights, noWeights, stepOfWeights } from "../run/weights.ts";
import { requireRecord } from "../tracking/record.ts";

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
  /** Solver of its run's samples. */
  readonly drawnBy?: ChosenSolver;
}

/** The network of a run or, without one, of a checkpoint, as the words of a command line describe it. */
export async function evaluatedNetwork(
  run: string | undefined,
  words: DatasetOptions & {
    readonly checkpoint: string | null;
    readonly data: string | null;
    readonly model: ModuleChoice | null;
  },
): Promise<EvaluatedNetwork> {
  if (run !== undefined) return await networkOfRun(run, words);
  const path = words.checkpoint!;
  const bytes = await readCheckpoint(path);
  const data = await loadDataset(words.data ?? undefined, words);
  return {
    ...await subjectOf(bytes, path, data, words.model),
    trained: firstIndices(data.train.count),
    weights: { file: path, sha256: await sha256(bytes) },
  };
}

/**
 * The network of a run, with its averaged weights.
 *
 * @param words the user's module, if the network is a custom one, and the place of its images if they have moved
 */
export async function networkOfRun(
  run: string,
  { model = null, data: place = null, testList = null }: {
    readonly model?: ModuleChoice | null;
    readonly data?: string | null;
    readonly testList?: string | null;
  } = {},
): Promise<EvaluatedNetwork> {
  const record = await requireRecord(run, "evaluate");
  const config = readConfig(run);
  const weights = findWeights(run);
  if (!weights) throw new RunError(`Cannot evaluate ${run}: ${noWeights}`);
  const bytes = await readFile(weights.path, run);
  const how = { ...config, testList: testList ?? config.testList };
  const data = await loadDataOfRun(`evaluate ${run}`, record.dataset?.digest, place ?? config.data, how);
  const step = await stepOfWeights(run, record.status);
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

async function subjectOf(bytes: Uint8Array, path: string, data: Dataset, own: ModuleChoice | null) {
  const { model, info: { normalization, config }, shape } = await loadWeights(bytes, path, {}, own);
  const { classes = 0 } = config;
  checkFit("evaluate", path, { shape, classes }, data);
  return { drawable: { model, normalization, shape }, data, classes };
}

/** Least images for the covariance of a judge's features, and so for the Fréchet distance. */
export const leastImages: number = 2 * featureCount;

/** Whether test images are too few for the Fréchet distance, so that judges compare by the kernel distance. */
export function hasFewTestImages({ test }: Pick<Dataset, "test">): boolean {
  return test.count < leastImages;
}
