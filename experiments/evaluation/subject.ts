import { relative } from "node:path";
import { loadCheckpoint } from "../../models/mod.ts";
import { type Dataset, splitImages } from "../data/dataset.ts";
import { loadDataset } from "../data/load_dataset.ts";
import { readAutoguidance } from "../draw/conditioning.ts";
import { checkFit, readCheckpoint } from "../draw/load_network.ts";
import type { Drawable } from "../draw/samples.ts";
import { readFile, sha256 } from "../run/contained.ts";
import { findWeights, noWeights } from "../run/layout.ts";
import { RunError } from "../run/atomic_write.ts";
import { readConfig } from "../settings/training_config.ts";
import { requireRecord } from "../tracking/current_record.ts";
import type { Evaluation } from "./evaluation.ts";
import { stepOfWeights } from "./step_of_weights.ts";

/** A network to evaluate, and the data that it should be like. */
export interface Subject {
  readonly drawable: Drawable;
  readonly data: Dataset;
  /** The training images that it learned from, as indices. */
  readonly trained: Uint32Array;
  readonly weights: Evaluation["weights"];
  /** Number of classes that the network can be asked for; 0 without. */
  readonly classes: number;
  /** Guidance with which its run draws samples: by the class, or away from what the network was. */
  readonly guidance?: number;
  /** How its run draws samples, as `makeSolver` reads it. */
  readonly drawnBy?: string;
}

/**
 * The network of a run, with its averaged weights.
 *
 * @throws {RunError} if the run has no weights, or its data has changed
 * @throws {ConfigError} if its settings cannot be read
 * @throws {DataError} if its data cannot be loaded
 */
export async function subjectOfRun(run: string): Promise<Subject> {
  const record = await requireRecord(run, "evaluate");
  const config = readConfig(run);
  const found = findWeights(run);
  if (!found) throw new RunError(`Cannot evaluate ${run}: ${noWeights}`);
  const bytes = await readFile(found.path, run);
  const data = await loadDataset(config.data ?? undefined);
  if (record.dataset && record.dataset.digest !== data.digest) {
    throw new RunError(
      `Cannot evaluate ${run}: it was trained on other images than ${data.source} holds now ` +
        `(digest ${record.dataset.digest.slice(0, 12)}..., there it is ${data.digest.slice(0, 12)}...)`,
    );
  }
  const step = await stepOfWeights(run, record);
  const subject = subjectOf(bytes, found.path, data);
  const autoguidance = subject.classes === 0 ? await readAutoguidance(run, config.guidance) : undefined;
  return {
    ...subject,
    drawable: { ...subject.drawable, autoguidance },
    trained: splitImages(data.train.count, config).train,
    weights: { file: relative(run, found.path), sha256: await sha256(bytes.slice()), step },
    drawnBy: config.solver,
    guidance: config.guidance,
  };
}

/**
 * The network of a checkpoint.
 *
 * @param source of its data, see {@linkcode loadDataset}
 * @throws {RunError} if the file cannot be read, or its images are not of the data's size
 */
export async function subjectOfCheckpoint(path: string, source: string | undefined): Promise<Subject> {
  const bytes = await readCheckpoint(path);
  const data = await loadDataset(source);
  return {
    ...subjectOf(bytes, path, data),
    trained: Uint32Array.from({ length: data.train.count }, (_, i) => i),
    weights: { file: path, sha256: await sha256(bytes) },
  };
}

function subjectOf(
  bytes: Uint8Array,
  path: string,
  data: Dataset,
): Pick<Subject, "drawable" | "data" | "classes"> {
  const { model, info: { normalization, config }, shape } = loadCheckpoint(bytes, path);
  const { classes = 0 } = config;
  checkFit("evaluate", path, { shape, classes }, data);
  return { drawable: { model, normalization, shape }, data, classes };
}
