import { dirname, join } from "node:path";
import { UserError } from "../../kernels/core/user_error.ts";
import { type JudgeName, judgeNames } from "../../models/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { ProgressBar, stderr, type Terminal } from "../cli/progress.ts";
import { type Lock, readIfThere, reasonOf, waitForLock, writeAtomic } from "../run/run_folder.ts";
import { batchSize, formatLength, makeJudge, recipes } from "./train_judge.ts";
import {
  type DataJudge,
  digestOf,
  type JudgedData,
  judgedData,
  openJudge,
  readStored,
  type StoredJudge,
  storedJudges,
} from "./data_judge.ts";

/** The lock of a folder in which a program trains a judge. */
export const trainingLock = ".training";

/** Which judges to use: all, one, or none. */
export const judgeChoices = ["all", ...judgeNames, "none"] as const;

export type JudgeChoice = typeof judgeChoices[number];

/** Options for finding the judges of a data set. */
export interface JudgeOptions {
  /** Which judges to find; by default all. */
  readonly judge?: JudgeChoice;
  /** Called with a message about training, or about an ignored judge. */
  readonly say: (line: string) => void;
  /** Ends the training. */
  readonly signal?: AbortSignal | undefined;
  /** Shows the progress of training. */
  readonly terminal?: Terminal | undefined;
  /**
   * Training steps; judges that were trained for another number are ignored. By default the number in the judge's
   * recipe.
   */
  readonly steps?: number | undefined;
  /** Whether a missing judge is trained (the default) or left out. */
  readonly train?: boolean;
  /** The judges that come with the repository. */
  readonly stored?: readonly StoredJudge[];
  /** Folder of judges trained by earlier tasks. */
  readonly cache?: string;
}

/**
 * Finds the judges of a data set. For data without labels or with one class there are none, and a message says why.
 *
 * @returns none also if training was stopped
 */
export async function judgesFor(data: Dataset, options: JudgeOptions): Promise<readonly DataJudge[]> {
  if (options.judge === "none") return [];
  if (data.classes > 1) return await judgesOf(data, options);
  const what = data.classes === 1 ? "only one class" : "no labels";
  options.say(`No judges for ${data.name}, which has ${what}: figures that need them are left out`);
  return [];
}

/**
 * Finds the judges of a data set, in the order of `judgeNames`; see {@linkcode judgeOf}.
 *
 * @returns none if training was stopped
 */
export async function judgesOf(data: Dataset, options: JudgeOptions): Promise<readonly DataJudge[]> {
  const judges: DataJudge[] = [];
  const { judge: choice = "all" } = options;
  for (const name of judgeNames) {
    if (choice !== "all" && choice !== name) continue;
    const judge = await judgeOf(name, data, options);
    if (judge) judges.push(judge);
    else if (options.train !== false) return [];
  }
  return judges;
}

/** The judges of a choice that have not been found, and so have to be trained. */
export function untrainedJudges(choice: JudgeChoice, trained: readonly DataJudge[]): readonly JudgeName[] {
  return judgeNames.filter((name) =>
    (choice === "all" || choice === name) && !trained.some((judge) => judge.name === name)
  );
}

/**
 * Finds one judge of a data set, on the current device: in the repository, or among those trained by earlier tasks.
 * Otherwise it trains it and stores it.
 *
 * @returns undefined if training was stopped, or options forbid it
 * @throws {JudgeError} if the data has no labels, or the repository's judge is missing or has another digest
 */
export async function judgeOf(
  name: JudgeName,
  data: Dataset,
  { stored = storedJudges, cache = join("runs", ".judges"), ...options }: JudgeOptions,
): Promise<DataJudge | undefined> {
  const judged = judgedData(data);
  const dataDigest = await digestOf(judged);
  const known = stored.find((judge) => judge.name === name && judge.dataDigest === dataDigest);
  if (known && options.steps === undefined) {
    return await openJudge(name, await readStored(known), known.file, judged, "stored");
  }
  const path = join(cache, cachedFile(name, dataDigest, options.steps));
  const cached = await cachedJudge(name, path, judged, options);
  if (cached || options.signal?.aborted || options.train === false) return cached;
  using _ = await lockTraining(cache, options);
  if (options.signal?.aborted) return undefined;
  // Another program may have trained it while this one waited.
  return await cachedJudge(name, path, judged, { say: () => {} }) ??
    await trainedJudge(name, path, judged, options);
}

/**
 * File of a judge in the cache. The first judge's file has kept its name of version 0.2, without the judge's name.
 *
 * @param steps of its training, if they are not those of its recipe
 */
export function cachedFile(name: JudgeName, dataDigest: string, steps?: number): string {
  const parts = [dataDigest, ...name === judgeNames[0] ? [] : [name], ...steps === undefined ? [] : [steps]];
  return `${parts.join("-")}.safetensors`;
}

/**
 * Waits while another program or worker, such as a cell of a study, trains a judge for the same folder. If the folder
 * cannot be locked, the judge may be trained twice, which does no harm.
 */
async function lockTraining(
  folder: string,
  { say, signal }: Pick<JudgeOptions, "say" | "signal">,
): Promise<Lock | undefined> {
  try {
    await Deno.mkdir(folder, { recursive: true });
    return await waitForLock(
      folder,
      trainingLock,
      signal,
      (holder) => say(`Waiting for ${holder}, which trains a judge in ${folder}`),
    );
  } catch { /* writing the judge will report the reason */ }
}

/** The judge of an earlier task; undefined if its file is missing or damaged. */
async function cachedJudge(
  name: JudgeName,
  path: string,
  data: JudgedData,
  { say }: Pick<JudgeOptions, "say">,
): Promise<DataJudge | undefined> {
  try {
    const bytes = await readIfThere(path);
    return bytes && await openJudge(name, bytes, path, data, "cached");
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    say(`${error.message}; training another one`);
  }
}

/** Trains a judge and stores it; undefined if stopped. */
async function trainedJudge(
  name: JudgeName,
  path: string,
  data: JudgedData,
  { say, signal, terminal = stderr, steps }: JudgeOptions,
): Promise<DataJudge | undefined> {
  const totalSteps = steps ?? recipes[name].steps;
  say(`Training the judge ${name} for ${data.name}, ${formatLength(steps, name)}; it is kept in ${path}`);
  using bar = new ProgressBar({ totalSteps, imagesPerStep: batchSize }, terminal);
  const made = await makeJudge(data, {
    name,
    steps,
    seed: recipes[name].seed,
    signal,
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
  return await openJudge(name, made.bytes, path, data, "trained");
}
