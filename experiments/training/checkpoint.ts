import { join } from "node:path";
import {
  checkFinite,
  decodeSafetensors,
  encodeSafetensors,
  saveCheckpoint,
  type State,
  StateError,
  stateOf,
  stateTensors,
  type Trainer,
  trainerStateOf,
} from "../../models/mod.ts";
import { readAutoguidance } from "../draw/conditioning.ts";
import { type Drawable, drawableOf } from "../draw/samples.ts";
import { fileAt, keepsEarly, runFile, runFolder } from "../run/files.ts";
import { decodeProgress, encodeProgress, readMetrics, type RunProgress } from "../run/metrics_log.ts";
import { findContained, makeFolder, readIfThere, RunError, writeAtomic } from "../run/run_folder.ts";
import { readRecord } from "../tracking/record.ts";
import type { PreparedTraining } from "./prepare_training.ts";
import type { RunSchedule } from "./schedule.ts";

/**
 * Writes the latest and averaged weights, and the whole state of the run as one file, atomically. Returns false, with
 * nothing written, if a weight, moment or average is not finite.
 */
export async function saveRun(
  run: string,
  prepared: PreparedTraining,
  progress: Omit<RunProgress, "dataDigest" | "labelDigest">,
): Promise<boolean> {
  const { network: { trainer, options }, data: { digest: dataDigest, labelDigest } } = prepared;
  const state = await trainer.state();
  const { parameters, ema } = state;
  const tensors = stateTensors(state);
  if (!isFiniteState(tensors)) return false;
  await saveWeights(run, runFile.last, prepared, parameters);
  if (ema) await saveWeights(run, runFile.ema, prepared, ema);
  const labels = options.classes && labelDigest ? { labelDigest } : {};
  const metadata = { progress: encodeProgress({ ...progress, dataDigest, ...labels }) };
  await writeAtomic(join(run, runFile.state), encodeSafetensors(tensors, metadata));
  return true;
}

const isFiniteState = (state: State) => state.values().every(({ data }) => data.every(Number.isFinite));

/** Writes weights of a run as a checkpoint, to a file such as `runFile.best`. */
export async function saveWeights(
  run: string,
  file: string,
  { network: { model, options }, source }: Pick<PreparedTraining, "network" | "source">,
  weights: State,
): Promise<void> {
  const info = { config: options, ...source.info };
  await writeAtomic(join(run, file), await saveCheckpoint(model, info, weights));
}

/** Restores a trainer to the last checkpoint of a run. The labels of its data matter only if the run learned from them. */
export async function restoreRun(
  run: string,
  trainer: Trainer,
  data: Pick<PreparedTraining["data"], "digest" | "labelDigest">,
): Promise<RunProgress> {
  const path = join(run, runFile.state);
  const bytes = await readIfThere(path);
  if (bytes === undefined) {
    throw new RunError(
      `Cannot resume ${run}: cannot read ${path} (there is no such file); the run may have no checkpoint yet`,
    );
  }
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  const progress = decodeProgress(metadata.progress);
  if (typeof progress === "string") {
    throw new StateError(
      `Cannot resume ${run}: ${path} does not hold the progress of a run: ${progress}; restore the file from a backup, ` +
        "or train again",
    );
  }
  checkFinite(tensors, path);
  const { dataDigest, labelDigest } = progress;
  const refuse = (what: string, digest: string) => {
    throw new RunError(
      `Cannot resume ${run}: it was trained on other ${what} (digest ${digest.slice(0, 12)}...)`,
    );
  };
  if (dataDigest !== data.digest) refuse("images", dataDigest);
  if (labelDigest && labelDigest !== data.labelDigest) refuse("labels", labelDigest);
  trainer.restore(trainerStateOf(tensors, progress.step), path);
  return progress;
}

/** Whether a run's log has a metric at a step. */
export async function isMeasured(run: string, step: number, name: string): Promise<boolean> {
  const metrics = await readMetrics(join(run, runFile.metrics));
  return metrics.some((line) => line.step === step && name in line);
}

/** Whether a run finished at this step with all artifacts written; a resumed run has to do so again. */
export async function isComplete(run: string, step: number): Promise<boolean> {
  const record = await readRecord(run);
  if (record?.status !== "FINISHED" || !await isMeasured(run, step, "test_loss")) return false;
  return findContained(join(run, runFile.report)) !== undefined;
}

/** Share of a run after which its early weights are kept. At a half, samples gain less; see docs/objectives.md. */
const earlyShare = 1 / 6;

/**
 * Keeps averaged weights during a run, if they are finite: those after requested steps, and the early weights of a run
 * without labels, which autoguidance steers samples away from.
 */
export class KeptWeights {
  readonly #keepsEarly: boolean;
  readonly #hasEarly: boolean;

  /** @param keepAt the requested steps */
  constructor(readonly run: string, readonly prepared: PreparedTraining, readonly keepAt: readonly number[]) {
    const { config } = prepared;
    this.#keepsEarly = keepsEarly(config);
    // A run that got another limit in minutes later keeps the early weights that it has.
    const isLonger = config.start.kind === "resume" && config.length.minutes > 0;
    this.#hasEarly = isLonger && findContained(join(run, runFile.early)) !== undefined;
  }

  /** The first step after `from` at which weights are kept; Infinity if there is none. */
  next(from: number, schedule: RunSchedule): number {
    return Math.min(...[...this.keepAt, this.#earlyStep(schedule)].filter((step) => step > from));
  }

  /** Writes the weights if they are kept after a step. */
  async keep(step: number, schedule: RunSchedule): Promise<void> {
    if (step === this.#earlyStep(schedule)) await this.#save(runFile.early);
    if (!this.keepAt.includes(step)) return;
    await makeFolder(this.run, runFolder.weights);
    await this.#save(fileAt(runFile.weightsAt, step));
  }

  /** The trained network, with the early one for autoguidance if there is one. */
  async drawable(): Promise<Drawable> {
    const { config: { guidance }, network, source } = this.prepared;
    const autoguidance = this.#keepsEarly ? await readAutoguidance(this.run, guidance) : undefined;
    return { ...drawableOf(network.averaged, source), autoguidance };
  }

  /** Infinity if there are no early weights, or while the run's length is unknown. */
  #earlyStep(schedule: RunSchedule): number {
    return this.#keepsEarly && !this.#hasEarly ? schedule.stepAfter(earlyShare) : Infinity;
  }

  async #save(file: string): Promise<void> {
    const weights = await stateOf(this.prepared.network.averaged);
    if (isFiniteState(weights)) await saveWeights(this.run, file, this.prepared, weights);
  }
}
