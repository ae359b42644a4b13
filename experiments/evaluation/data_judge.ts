import {
  type ClassifierOptions,
  JudgeError,
  type JudgeInfo,
  type Judgement,
  type JudgeName,
  loadJudge,
} from "../../models/mod.ts";
import type { Dataset, LabelledImages } from "../data/dataset.ts";
import { checkout, readProgramFile, startCommand } from "../run/program_files.ts";
import { reasonOf, sha256 } from "../run/run_folder.ts";

export type Labelled = Required<LabelledImages>;

/** A data set with labels, to train and test a judge on. */
export interface JudgedData extends Dataset {
  readonly train: Labelled;
  readonly test: Labelled;
}

export interface DataJudge extends JudgeInfo {
  /** The judge's file. */
  readonly bytes: Uint8Array;
  /** SHA-256 of its file, in hex. */
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
  /** The command that trained it, without `--out` and the data's path. */
  readonly command: string;
}

/** The judges that come with the repository. */
export const storedJudges: readonly StoredJudge[] = [
  {
    name: "lenet",
    file: "checkpoints/judge_mnist.safetensors",
    digest: "72159ef727407e0eea9934756a95e91503caa06ed2ab15b6efe17885cd549427",
    dataDigest: "238708a50598d8febb533ba32bfe90f80bfcd533d2e0136eef29432cf4e00705",
    command: "deno task judge --steps 6000 --seed 46020 --device cpu",
  },
  {
    name: "vgg",
    file: "checkpoints/judge_mnist_vgg.safetensors",
    digest: "cd13c29891d4764e1001a40b3c3d13776f182c95390428c360a525c21b00c29f",
    dataDigest: "238708a50598d8febb533ba32bfe90f80bfcd533d2e0136eef29432cf4e00705",
    command: "deno task judge --judge vgg --steps 6000 --seed 1 --device cpu",
  },
  {
    name: "lenet",
    file: "checkpoints/judge_fashion_mnist.safetensors",
    digest: "a32e59c777aaa95bc261c286d4b00dff74492dfad804b1dcee7fed1c0aa1a165",
    dataDigest: "16049096c5d3b06c1fa03327523ce9cfba61e979592ec6f128d5ae572dcd1669",
    command: "deno task judge --data fashion-mnist --steps 12000 --seed 46020 --device cpu",
  },
  {
    name: "vgg",
    file: "checkpoints/judge_fashion_mnist_vgg.safetensors",
    digest: "53cbc5e61b75a9f135e5ed7e2a08f776200fc4c957b226754616722ae20063f1",
    dataDigest: "16049096c5d3b06c1fa03327523ce9cfba61e979592ec6f128d5ae572dcd1669",
    command: "deno task judge --judge vgg --data fashion-mnist --steps 6000 --seed 1 --device cpu",
  },
];

/**
 * Narrows a data set to one with labels.
 *
 * @throws {JudgeError} if it has no labels, or all its images are of one class
 */
export function judgedData(data: Dataset): JudgedData {
  const { train, test, classes } = data;
  if (!train.labels || !test.labels) {
    throw new JudgeError(
      `Cannot make a judge for ${data.name}: it has no labels (expected one for each image); ` +
        "add labels, or leave out what needs a judge",
    );
  }
  if (classes < 2) {
    throw new JudgeError(
      `Cannot make a judge for ${data.name}: all its labels are 0 (expected two classes or more)`,
    );
  }
  return { ...data, train: { ...train, labels: train.labels }, test: { ...test, labels: test.labels } };
}

/** SHA-256 in hex of the training images' digest followed by their labels. */
export function digestOf({ digest, train: { labels } }: JudgedData): Promise<string> {
  const bytes = new Uint8Array(digest.length / 2 + labels.length);
  bytes.set(Uint8Array.fromHex(digest));
  bytes.set(labels, digest.length / 2);
  return sha256(bytes);
}

/**
 * Reads a judge that comes with the repository.
 *
 * @throws {JudgeError} if the file is missing or has another digest
 */
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

/**
 * Loads a judge of a data set onto the current device.
 *
 * @param path of the file, for messages
 * @throws {JudgeError} if the file is not this judge, or judges other data
 */
export async function openJudge(
  name: JudgeName,
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  data: JudgedData,
  source: DataJudge["source"],
): Promise<DataJudge> {
  const judge = loadJudge(bytes, path);
  checkJudge(judge.info, name, data, await digestOf(data), path);
  return {
    ...judge.info,
    bytes,
    digest: await sha256(bytes),
    source,
    judge: (pixels) => judge.judge(pixels),
  };
}

/** @throws {JudgeError} if a judge has another name, other classes, another image size, or other training images */
function checkJudge(
  info: JudgeInfo,
  name: JudgeName,
  data: JudgedData,
  dataDigest: string,
  source: string,
): void {
  const sizes = ({ classes, channels, height, width }: Omit<ClassifierOptions, "name">) =>
    `${classes} classes of images [${channels}, ${height}, ${width}]`;
  const fail = (why: string) =>
    new JudgeError(`Cannot use the judge ${source}: ${why}; train another one with ${startCommand("judge")}`);
  if (info.name !== name) throw fail(`it is ${info.name} (expected ${name})`);
  if (sizes(info) !== sizes(data)) {
    throw fail(`it is for ${sizes(info)} (expected ${sizes(data)}, as in ${data.name})`);
  }
  if (info.dataDigest !== dataDigest) {
    throw fail(
      `it was trained on the images ${info.dataDigest} (expected ${dataDigest}, those of ${data.name})`,
    );
  }
}
