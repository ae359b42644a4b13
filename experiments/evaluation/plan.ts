import { featureCount } from "../../models/judge/classifier.ts";
import { weightsFile } from "../run/layout.ts";
import { ConfigError } from "../settings/setting.ts";
import { makeSolver } from "../settings/solver.ts";
import type { EvaluateWords } from "../evaluate.ts";
import type { Subject } from "./subject.ts";
import type { EvaluationOptions } from "./trial.ts";

/**
 * How a network is evaluated: by flags, else as its run draws samples, with as many samples as there are images.
 *
 * @param usual number of samples where no other is asked for
 * @throws {ConfigError} if the flags ask for more images than there are, or for guidance that the network does not have
 */
export function planOf(words: EvaluateWords, subject: Subject, usual: number): EvaluationOptions {
  const { seed, solver } = words;
  const { drawnBy } = subject;
  const count = words.count ?? Math.min(usual, mostImages(subject));
  checkCount(count, subject);
  const [courseImages, bitsImages] = [words.courseImages, words.bitsImages].map((n) => Math.min(n, count));
  const guidance = guidanceFor(words.guidance, subject);
  const { how, description } = makeSolver(solver ?? drawnBy ?? "heun:steps=20");
  return { count, seed, courseImages, bitsImages, guidance, how, words: description };
}

/** Real images of each kind that there are to compare samples with. */
function mostImages({ data, trained }: Pick<Subject, "data" | "trained">): number {
  return Math.min(data.test.count, trained.length);
}

/** @throws {ConfigError} if there are not as many real images, or too few samples for the covariance of their features */
export function checkCount(count: number, subject: Pick<Subject, "data" | "trained">): void {
  const { data, trained } = subject;
  const most = mostImages(subject);
  if (count > most) {
    throw new ConfigError(
      `Cannot compare ${count} samples: ${data.name} has ${data.test.count} test images, and the network learned from ` +
        `${trained.length} (expected --count ${most} at most, so that equally many are compared)`,
    );
  }
  const least = 2 * featureCount;
  if (count >= least || data.classes < 2) return;
  throw new ConfigError(
    `Cannot judge ${count} samples: the covariance of the judge's ${featureCount} features needs more ` +
      `(expected at least ${least}, and as many test images)`,
  );
}

/**
 * The guidance with which samples are drawn.
 *
 * @param given null for that of the run
 * @throws {ConfigError} if it is given for a network without classes and early weights
 */
export function guidanceFor(
  given: number | null,
  { classes, drawable, guidance = 1 }: Pick<Subject, "classes" | "guidance"> & {
    /** What the network may be guided away from, if it has no classes. */
    readonly drawable: { readonly autoguidance?: unknown };
  },
): number {
  if (classes > 0 || drawable.autoguidance !== undefined) return given ?? guidance;
  if (given === null) return 1;
  throw new ConfigError(
    `Cannot use --guidance ${given}: the network was trained without classes, and there is no ` +
      `${weightsFile("early")} to guide it away from (leave it out)`,
  );
}
