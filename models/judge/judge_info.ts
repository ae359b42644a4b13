import { isCount } from "../../kernels/core/count.ts";
import type { Normalization } from "../normalization.ts";
import type { ClassifierOptions } from "./classifier.ts";
import { JudgeError } from "./judge_error.ts";

/** What is known of a judge. */
export interface JudgeInfo extends ClassifierOptions {
  /** From pixels to what the network sees. */
  readonly normalization: Normalization;
  /** Digest of the labelled images that it learned from, 64 hex digits. */
  readonly dataDigest: string;
  /** Accuracy on the test images, from 0 to 1; it was not trained on them. */
  readonly accuracy: number;
  /** Seed of its training. */
  readonly seed: number;
  /** Steps of its training. */
  readonly steps: number;
  /** The command that reproduces it. */
  readonly command: string;
}

/** What a field must be: in words, and whether a value is. */
type Rule = readonly [expected: string, fits: (value: unknown) => boolean];

/** Pixels along the longest side of an image, and classes: more would not fit the memory of any device. */
const most = 4096;
const count = (least: number): Rule => [
  `a whole number from ${least} to ${most}`,
  (value) => isCount(value, least, most),
];
const rules: Readonly<Record<keyof JudgeInfo, Rule>> = {
  classes: count(2),
  channels: count(1),
  height: count(1),
  width: count(1),
  normalization: ["a scale other than 0 and a shift, both finite", (value) => {
    const { scale, shift } = Object(value);
    return Number.isFinite(scale) && scale !== 0 && Number.isFinite(shift);
  }],
  dataDigest: ["64 hex digits", (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value)],
  accuracy: [
    "a number from 0 to 1",
    (value) => Number.isFinite(value) && Number(value) >= 0 && Number(value) <= 1,
  ],
  seed: ["a whole number of at least 0", (value) => isCount(value)],
  steps: ["a whole number of at least 1", (value) => isCount(value, 1)],
  command: ["text", (value) => typeof value === "string"],
};

/**
 * Reads what a file says of its judge.
 *
 * @param text JSON; fields that are not of a judge are ignored
 * @param source name of the file, for messages
 * @throws {JudgeError} if it is not JSON, or a field is missing or not as expected
 */
export function readJudgeInfo(text: string, source: string): JudgeInfo {
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(text));
  } catch {
    throw new JudgeError(
      `Cannot load ${source}: what it says of its judge is not JSON: ${text.slice(0, 60)}`,
    );
  }
  const read = Object.entries(rules).map(([name, [expected, fits]]) => {
    const value = fields[name];
    if (fits(value)) return [name, value];
    const shown = String(JSON.stringify(value)).slice(0, 60);
    throw new JudgeError(`Cannot load ${source}: ${name} of its judge is ${shown} (expected ${expected})`);
  });
  return Object.fromEntries(read) as JudgeInfo;
}
