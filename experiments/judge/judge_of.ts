import { dirname, join } from "node:path";
import type { Dataset } from "../data/dataset.ts";
import { UserError } from "../../kernels/core/user_error.ts";
import { ProgressBar, stderr, type Terminal } from "../program/progress.ts";
import { reasonOf, writeAtomic } from "../run/atomic_write.ts";
import { readIfThere } from "../run/read_file.ts";
import { judging } from "../settings/tasks/judge.ts";
import { type DataJudge, openJudge } from "./data_judge.ts";
import { batchSize } from "./judge_training.ts";
import { digestOf, type JudgedData, judgedData } from "./judged_data.ts";
import { makeJudge } from "./make_judge.ts";
import { readStored, type StoredJudge, storedJudges } from "./stored_judges.ts";

/** Milliseconds between looks whether another program still trains a judge. */
const pauseMs = 100;

/** How the judge of a data set is found. */
export interface JudgeOptions {
  /** Hears in a line what is trained, and what is ignored and why. */
  readonly say: (line: string) => void;
  /** Ends the training. */
  readonly signal?: AbortSignal;
  /** Where the progress of training is shown. */
  readonly terminal?: Terminal;
  /** Steps of the training. */
  readonly steps?: number;
  /** The judges of the repository. */
  readonly stored?: readonly StoredJudge[];
  /** Folder of the judges that were trained for other data. */
  readonly cache?: string;
}

/**
 * The judge of a data set, on the current device: that of the repository, if it holds one that learned from the same
 * labelled images; else the one that an earlier task trained; else a new one, which is kept for the next time.
 *
 * @returns undefined if the training was stopped
 * @throws {JudgeError} if the data have no labels, or the repository's judge is missing or not as stated
 * @throws {TrainingError} if the loss becomes NaN or infinite
 */
export async function judgeOf(
  data: Dataset,
  { stored = storedJudges, cache = join("runs", ".judges"), ...options }: JudgeOptions,
): Promise<DataJudge | undefined> {
  const judged = judgedData(data);
  const dataDigest = await digestOf(judged);
  const known = stored.find((judge) => judge.dataDigest === dataDigest);
  if (known) return await openJudge(await readStored(known), known.file, judged, "stored");
  const path = join(cache, `${dataDigest}.safetensors`);
  const cached = await cachedJudge(path, judged, options);
  if (cached || options.signal?.aborted) return cached;
  using _ = await turnIn(cache, options);
  if (options.signal?.aborted) return undefined;
  // Another program may have trained it meanwhile.
  return await cachedJudge(path, judged, { say: () => {} }) ?? await trainedJudge(path, judged, options);
}

/**
 * Waits while another program, or worker of this one, trains a judge for the same folder, such as that of another cell of a
 * study. Where a folder cannot be locked nobody waits: the same judge is then trained twice.
 */
async function turnIn(
  folder: string,
  { say, signal }: Pick<JudgeOptions, "say" | "signal">,
): Promise<Disposable> {
  let file: Deno.FsFile | undefined;
  try {
    await Deno.mkdir(folder, { recursive: true });
    file = await Deno.open(folder, { read: true });
    for (let waits = false; !await file.tryLock(true) && !signal?.aborted; waits = true) {
      if (!waits) say(`Waiting for another program that trains a judge in ${folder}`);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  } catch { /* keeping the judge says why */ }
  return { [Symbol.dispose]: () => file?.close() };
}

/** The judge that an earlier task trained, if it is there and whole. */
async function cachedJudge(
  path: string,
  data: JudgedData,
  { say }: Pick<JudgeOptions, "say">,
): Promise<DataJudge | undefined> {
  try {
    const bytes = await readIfThere(path);
    return bytes && await openJudge(bytes, path, data, "cached");
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    say(`${error.message}; it is ignored and made anew`);
  }
}

/** Trains a judge and keeps it; undefined if that was stopped. */
async function trainedJudge(
  path: string,
  data: JudgedData,
  { say, signal, terminal = stderr, steps = judging.rows.steps.default! }: JudgeOptions,
): Promise<DataJudge | undefined> {
  say(`Training a judge for ${data.name}, ${steps} steps; it is kept in ${path}`);
  using bar = new ProgressBar({ totalSteps: steps, imagesPerStep: batchSize }, terminal);
  const made = await makeJudge(data, {
    ...{ steps, seed: judging.rows.seed.default!, ...signal && { signal } },
    onProgress: (step, loss) => bar.update(step, loss),
  });
  bar.finish();
  if (!made) return undefined;
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await writeAtomic(path, made.bytes);
  } catch (error) {
    say(`Cannot keep the judge in ${path}: ${reasonOf(error)}; the next task trains it again`);
  }
  return await openJudge(made.bytes, path, data, "trained");
}
