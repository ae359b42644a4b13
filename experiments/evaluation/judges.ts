import { dirname, join } from "node:path";
import { UserError } from "../../kernels/core/checks.ts";
import {
  type ClassifierOptions,
  JudgeError,
  type JudgeInfo,
  type Judgement,
  type JudgeName,
  judgeNames,
  loadJudge,
} from "../../models/mod.ts";
import { ProgressBar, stderr, type Terminal } from "../cli/output.ts";
import type { Dataset } from "../data/dataset.ts";
import { type Lock, readIfThere, reasonOf, sha256, waitForLock, writeAtomic } from "../run/run_folder.ts";
import { checkout, readProgramFile } from "../run/program_files.ts";
import {
  batchSize,
  digestOf,
  type JudgedData,
  judgedData,
  makeJudge,
  recipes,
  takesRounds,
} from "./train_judge.ts";

/** A judge of a data set. */
export interface DataJudge extends JudgeInfo {
  /** Its file, and the SHA-256 of that in hex. */
  readonly bytes: Uint8Array;
  readonly digest: string;
  /** Whether it comes with the repository, was trained by an earlier task, or was trained now. */
  readonly source: "stored" | "cached" | "trained";
  /** Judges images f32[N, C, H, W], 0 black to 1 white; see `Judge.judge()`. */
  judge(pixels: Float32Array): Promise<Judgement>;
}

/** A judge that comes with the repository. */
export interface StoredJudge {
  readonly name: JudgeName;
  /** The file's path from the root of the repository. */
  readonly file: string;
  /** SHA-256 of the file, in hex. */
  readonly digest: string;
  /** Digest of the labelled images that it was trained on, see {@linkcode digestOf}. */
  readonly dataDigest: string;
}

const mnist = "238708a50598d8febb533ba32bfe90f80bfcd533d2e0136eef29432cf4e00705";
const fashion = "16049096c5d3b06c1fa03327523ce9cfba61e979592ec6f128d5ae572dcd1669";
const table: readonly (readonly [name: JudgeName, data: string, dataDigest: string, digest: string])[] = [
  ["lenet", "mnist", mnist, "72159ef727407e0eea9934756a95e91503caa06ed2ab15b6efe17885cd549427"],
  ["vgg", "mnist", mnist, "cd13c29891d4764e1001a40b3c3d13776f182c95390428c360a525c21b00c29f"],
  ["lenet", "fashion_mnist", fashion, "a32e59c777aaa95bc261c286d4b00dff74492dfad804b1dcee7fed1c0aa1a165"],
  ["vgg", "fashion_mnist", fashion, "53cbc5e61b75a9f135e5ed7e2a08f776200fc4c957b226754616722ae20063f1"],
];

/** The judges that come with the repository. */
export const storedJudges: readonly StoredJudge[] = table.map(([name, data, dataDigest, digest]) => {
  const file = `checkpoints/judge_${data}${name === judgeNames[0] ? "" : `_${name}`}.safetensors`;
  return { name, file, digest, dataDigest };
});

/** Which judges to use: all, one, or none. */
export const judgeChoices = ["all", ...judgeNames, "none"] as const;

export type JudgeChoice = typeof judgeChoices[number];

/** Options for finding the judges of a data set; by default all. */
export interface JudgeOptions {
  readonly judge?: JudgeChoice;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  readonly terminal?: Terminal | undefined;
  /** Steps of new judges; by default there may be judges already, and new ones take the steps of their recipes. */
  readonly steps?: number | undefined;
  readonly stored?: readonly StoredJudge[];
  /** Folder of judges trained by earlier tasks. */
  readonly cache?: string;
}

/**
 * Finds the judges of a data set on the current device, in the order of `judgeNames`: in the repository, or among those
 * trained by earlier tasks; others are trained and kept. There are none if training was stopped, or for data without
 * labels or with one class; then a message says why.
 */
export async function judgesFor(data: Dataset, options: JudgeOptions): Promise<readonly DataJudge[]> {
  const { judge: choice = "all" } = options;
  if (choice === "none") return [];
  if (data.classes < 2) {
    const what = data.classes === 1 ? "only one class" : "no labels";
    options.say(`No judges for ${data.name}, which has ${what}: figures that need them are left out`);
    return [];
  }
  const judges: DataJudge[] = [];
  for (const name of judgeNames.filter((name) => choice === "all" || choice === name)) {
    const judge = await judgeOf(name, judgedData(data), options);
    if (!judge) return [];
    judges.push(judge);
  }
  return judges;
}

/** Which judge of which data to find. */
interface Sought {
  readonly name: JudgeName;
  readonly data: JudgedData;
  readonly dataDigest: string;
}

/** Finds or trains one judge of a data set; undefined if training was stopped. */
async function judgeOf(
  name: JudgeName,
  data: JudgedData,
  { stored = storedJudges, cache = join("runs", ".judges"), ...options }: JudgeOptions,
): Promise<DataJudge | undefined> {
  const dataDigest = await digestOf(data);
  const sought = { name, data, dataDigest };
  const known = stored.find((judge) => judge.name === name && judge.dataDigest === dataDigest);
  if (known && options.steps === undefined) {
    return await openJudge(sought, await readStored(known), known.file, "stored");
  }
  const path = join(cache, cachedFile(name, dataDigest, options.steps));
  const cached = await cachedJudge(sought, path, options.say);
  if (cached || options.signal?.aborted) return cached;
  using _ = await lockTraining(cache, options);
  if (options.signal?.aborted) return undefined;
  // Another program may have trained it while this one waited.
  return await cachedJudge(sought, path, () => {}) ?? await trainedJudge(sought, path, options);
}

/** Reads a judge that comes with the repository. @throws {JudgeError} if the file is missing or has another digest */
export async function readStored({ file, digest }: StoredJudge): Promise<Uint8Array<ArrayBuffer>> {
  const advice = checkout === undefined ? "" : `; restore it with git checkout ${file}`;
  const fail = (why: string) => new JudgeError(`Cannot use the judge ${file}: ${why}${advice}`);
  const bytes = await readProgramFile(file).catch((error) => {
    throw fail(reasonOf(error));
  });
  const actual = await sha256(bytes);
  if (actual !== digest) throw fail(`its SHA-256 is ${actual} (expected ${digest})`);
  return bytes;
}

/** Loads a judge onto the current device. @throws {JudgeError} if the file is not this judge, or judges other data */
async function openJudge(
  { name, data, dataDigest }: Sought,
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  source: DataJudge["source"],
): Promise<DataJudge> {
  const judge = loadJudge(bytes, path);
  const about = ({ classes, channels, height, width }: Omit<ClassifierOptions, "name">) =>
    `for ${classes} classes of images [${channels}, ${height}, ${width}]`;
  const facts: readonly (readonly [actual: string, expected: string])[] = [
    [judge.info.name, name],
    [about(judge.info), about(data)],
    [`of the images ${judge.info.dataDigest}`, `of the images ${dataDigest}`],
  ];
  const wrong = facts.find(([actual, expected]) => actual !== expected);
  if (wrong) {
    throw new JudgeError(
      `Cannot use the judge ${path}: it is ${wrong[0]} (expected ${wrong[1]}, as in ${data.name})`,
    );
  }
  const digest = await sha256(bytes);
  return { ...judge.info, bytes, digest, source, judge: (pixels) => judge.judge(pixels) };
}

/** A judge's file in the cache, with `steps` that are not those of its recipe; that of the first judge names none. */
export function cachedFile(name: JudgeName, dataDigest: string, steps?: number): string {
  const parts = [dataDigest, ...name === judgeNames[0] ? [] : [name], ...steps === undefined ? [] : [steps]];
  return `${parts.join("-")}.safetensors`;
}

/** The judge of an earlier task; undefined if its file is missing or damaged. */
async function cachedJudge(sought: Sought, path: string, say: JudgeOptions["say"]) {
  try {
    const bytes = await readIfThere(path);
    return bytes && await openJudge(sought, bytes, path, "cached");
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    say(`${error.message}; training another one`);
  }
}

/**
 * Waits while another program, such as one with a cell of a study, trains a judge for the same folder. If the folder
 * cannot be locked, the judge may be trained twice, which does no harm.
 */
async function lockTraining(folder: string, { say, signal }: JudgeOptions): Promise<Lock | undefined> {
  try {
    await Deno.mkdir(folder, { recursive: true });
    const onWait = (holder: string) => say(`Waiting for ${holder}, which trains a judge in ${folder}`);
    return await waitForLock(folder, ".training", signal, onWait);
  } catch { /* writing the judge will report the reason */ }
}

/** Trains a judge and stores it; undefined if stopped. */
async function trainedJudge(
  sought: Sought,
  path: string,
  { say, signal, terminal = stderr, steps }: JudgeOptions,
): Promise<DataJudge | undefined> {
  const { name, data } = sought;
  const totalSteps = steps ?? recipes[name].steps;
  const length = takesRounds(data, steps)
    ? `up to ${totalSteps} steps, in rounds that end once they do not help`
    : `${totalSteps} steps`;
  say(`Training the judge ${name} for ${data.name}, ${length}; it is kept in ${path}`);
  const work = { totalSteps, imagesPerStep: batchSize };
  using bar = new ProgressBar(work, terminal);
  const onProgress = (step: number, loss: number, end: number) => {
    work.totalSteps = end; // of the round: further ones follow only while they help
    bar.update(step, loss);
  };
  const made = await makeJudge(data, { name, steps, seed: recipes[name].seed, signal, onProgress });
  bar.finish();
  if (!made) return undefined;
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await writeAtomic(path, made.bytes);
  } catch (error) {
    say(`Cannot keep the judge in ${path}: ${reasonOf(error)}; the next task trains it again`);
  }
  return await openJudge(sought, made.bytes, path, "trained");
}
