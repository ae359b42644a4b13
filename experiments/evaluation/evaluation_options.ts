import { featureCount, type SolverOptions } from "../../models/mod.ts";
import { choice, integer, number, optional, path } from "../cli/kinds.ts";
import { ConfigError, type Need, type Values } from "../cli/settings.ts";
import { solverList, solverSetting } from "../cli/solver.ts";
import { checkSolver, usualSolver } from "../draw/samples.ts";
import { runFile } from "../run/files.ts";
import { isFile } from "../run/weights.ts";
import { dataSettings, optionalDataSettings } from "../settings/data.ts";
import { ownModule } from "../settings/network.ts";
import { type EvaluatedNetwork, hasFewTestImages, leastImages } from "./evaluated_network.ts";
import { judgeChoices } from "./judges.ts";

/** What settings of a file of weights need. */
export const ofCheckpoint: Need = {
  words: "a file of weights",
  met: ({ checkpoint }) => checkpoint !== null,
};

/** The network to evaluate: a file of weights, if it is not of a run, and the settings of its data. */
export const evaluated = {
  checkpoint: optional(path("FILE", "weights outside of a run, in place of the word FILE")),
  model: ownModule,
  ...optionalDataSettings(ofCheckpoint),
  data: {
    ...dataSettings.data,
    doc: `data of a file's network, or the new place of a run's; ${dataSettings.data.doc}`,
  },
  testList: dataSettings.testList,
};

/** Tells a file of weights from runs among the words of a command line. @throws {ConfigError} if both are there */
export function fileOrRuns<Given extends { readonly checkpoint?: string | null }>(
  values: Given,
  words: readonly string[],
): [values: Given, runs: readonly string[]] {
  const file = words.find(isFile);
  if (file === undefined) return [values, words];
  if (words.length === 1 && !values.checkpoint) return [{ ...values, checkpoint: file }, []];
  throw new ConfigError(`Cannot use ${file} with other words (expected a single file, or runs)`);
}

const alone: Need = { words: "no --solvers", met: ({ solvers = null }) => solvers === null };
const judged: Need = { words: "a judge", met: ({ judge }) => judge !== "none" };

/** How samples are drawn and measured. A study has other defaults, and no choice of judges. */
export const measuring = {
  count: optional(integer({
    doc: "samples, and real images to compare them with (default: 2,000 on a CPU, 10,000 on a GPU)",
    min: 2,
    max: 100_000,
  })),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  guidance: {
    ...optional(number({ doc: "guidance, 1 = none (default: the run's, or 1 for a checkpoint)", min: 0 })),
    details: ["classifier-free guidance; unlabelled networks: autoguidance"],
  },
  solver: optional(solverSetting({
    doc: "solver of the samples (default: the run's, or heun:steps=20 for a checkpoint)",
    needs: alone,
  })),
  courseImages: integer({
    doc: "images for trajectory and round-trip metrics, 0 = none",
    default: 128,
    needs: alone,
  }),
  bitsImages: integer({ doc: "test images for bits per dimension, 0 = none", default: 128, needs: alone }),
  judge: choice(judgeChoices, {
    doc: "classifiers that judge the samples; if there are none for the data, they are trained first",
    default: "all",
  }),
  judgeSteps: optional(integer({
    doc: "train new judges of the data, with N steps of 64 images",
    min: 1,
    needs: judged,
  })),
};

/** Solvers to compare instead of measuring figures. */
export const comparedSolvers = optional(solverList({
  doc: "compare these solvers instead, on the same noise: their quality against network evaluations",
}));

/** How to evaluate a network, from a command line or a plan; plans use all judges. */
export type MeasuringWords =
  & Omit<Values<typeof measuring>, "judge" | "judgeSteps">
  & Partial<Pick<Values<typeof measuring>, "judge">>;

/** The measurements to make, and on how many images. */
export interface EvaluationOptions {
  /** Number of samples, and of real images of each kind. */
  readonly count: number;
  /** Seed of the noise. */
  readonly seed: number;
  /** Scale of classifier-free guidance (0 ignores the class), or of autoguidance without classes; 1 is none. */
  readonly guidance: number;
  /** The solver as text, such as `heun, 20 steps`. */
  readonly words: string;
  /** Images for trajectory and round-trip figures, at most `count`. */
  readonly courseImages: number;
  /** Test images for bits per dimension, at most `count`. */
  readonly bitsImages: number;
  readonly how: SolverOptions;
}

/** Chooses how to evaluate a network: by the flags, otherwise the way its run draws `usual` samples. */
export function evaluationOptions(
  words: MeasuringWords,
  subject: EvaluatedNetwork,
  usual: number,
): EvaluationOptions {
  const { seed, solver } = words;
  const count = words.count ?? Math.min(usual, maxSamples(subject));
  checkSampleCount(count, subject, words.judge !== "none");
  const [courseImages, bitsImages] = [words.courseImages, words.bitsImages].map((n) => Math.min(n, count));
  const guidance = guidanceFor(words.guidance, subject);
  const { model } = subject.drawable;
  const { how, description } = solver ?? subject.drawnBy ?? usualSolver(model);
  checkSolver(model, how, subject.weights.file, subject.classes > 0 ? guidance : 1);
  return { count, seed, courseImages, bitsImages, guidance, how, words: description };
}

/** The largest number of samples for which there are as many real images; few test images are compared with more. */
export function maxSamples({ data, trained }: Pick<EvaluatedNetwork, "data" | "trained">): number {
  return hasFewTestImages(data) ? trained.length : Math.min(data.test.count, trained.length);
}

/** Refuses more samples than real images, or too few for the covariance of a judge's features. */
export function checkSampleCount(
  count: number,
  subject: Pick<EvaluatedNetwork, "data" | "trained">,
  isJudged = true,
): void {
  const { data, trained } = subject;
  const most = maxSamples(subject);
  if (count > most) {
    const kind = most === trained.length ? "training" : "test";
    throw new ConfigError(
      `Cannot compare ${count} samples: there are only ${most} ${kind} images; use --count ${most}`,
    );
  }
  if (count >= leastImages || hasFewTestImages(data) || data.classes < 2 || !isJudged) return;
  throw new ConfigError(
    `Cannot judge ${count} samples: the covariance of the judge's ${featureCount} features needs ${leastImages}; ` +
      `use --count ${leastImages}`,
  );
}

/** The guidance scale of the samples; that of the run if it is null. */
function guidanceFor(scale: number | null, { classes, drawable, guidance = 1 }: EvaluatedNetwork): number {
  if (classes > 0 || drawable.autoguidance !== undefined) return scale ?? guidance;
  if (scale === null) return 1;
  throw new ConfigError(
    `Cannot use --guidance ${scale}: the network was trained without classes, and there is no ` +
      `${runFile.early} to guide it away from (leave it out)`,
  );
}
