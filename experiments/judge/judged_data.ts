import { type ClassifierOptions, JudgeError, type JudgeInfo } from "../../models/mod.ts";
import type { Dataset, LabelledImages } from "../data/dataset.ts";
import { sha256 } from "../data/mnist.ts";

/** Images that all have labels. */
export type Labelled = Required<LabelledImages>;

/** A data set that a judge can learn from and be tested on. */
export interface JudgedData extends Dataset {
  readonly train: Labelled;
  readonly test: Labelled;
}

/**
 * The data set, if it can have a judge.
 *
 * @throws {JudgeError} if it has no labels, or all its images are of one class
 */
export function judgedData(data: Dataset): JudgedData {
  const { train, test, classes } = data;
  if (!train.labels || !test.labels) {
    throw new JudgeError(
      `Cannot make a judge for ${data.name}: it has no labels (expected one for each image); ` +
        "add them, or leave out what needs a judge",
    );
  }
  if (classes < 2) {
    throw new JudgeError(
      `Cannot make a judge for ${data.name}: all its labels are 0 (expected two classes or more)`,
    );
  }
  return { ...data, train: { ...train, labels: train.labels }, test: { ...test, labels: test.labels } };
}

/** Digest of the labelled training images, SHA-256 of the digest of their images and of their labels, in hex. */
export function digestOf({ digest, train: { labels } }: JudgedData): Promise<string> {
  const bytes = new Uint8Array(digest.length / 2 + labels.length);
  bytes.set(Uint8Array.fromHex(digest));
  bytes.set(labels, digest.length / 2);
  return sha256(bytes);
}

/**
 * Checks that a judge was made for a data set.
 *
 * @param dataDigest that of the data set, see `digestOf`
 * @param source the judge's file, for messages
 * @throws {JudgeError} if it tells other classes, looks at images of another size, or learned from other images
 */
export function checkJudge(info: JudgeInfo, data: JudgedData, dataDigest: string, source: string): void {
  const sizes = ({ classes, channels, height, width }: ClassifierOptions) =>
    `${classes} classes of images [${channels}, ${height}, ${width}]`;
  const advice = "make another one with deno task judge";
  if (sizes(info) !== sizes(data)) {
    throw new JudgeError(
      `Cannot judge by ${source}: it is for ${sizes(info)} (expected ${
        sizes(data)
      }, as in ${data.name}); ${advice}`,
    );
  }
  if (info.dataDigest === dataDigest) return;
  throw new JudgeError(
    `Cannot judge by ${source}: it was trained on the images ${info.dataDigest} (expected ${dataDigest}, those of ${data.name}); ${advice}`,
  );
}
