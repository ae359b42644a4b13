import { ownModule } from "../cli/model_setting.ts";
import { isFile } from "../draw/load_network.ts";
import { judgeChoices } from "./find_judge.ts";
import { dataSettings, optionalDataSettings } from "../cli/data.ts";
import { choice, integer, number, optional, path } from "../cli/kinds.ts";
import { ConfigError, type Need, type Values } from "../cli/setting.ts";
import { solverSetting } from "../cli/solver.ts";

/** What settings of a file of weights need. */
export const ofCheckpoint: Need = {
  words: "a file of weights",
  met: ({ checkpoint }) => checkpoint !== null,
};

/** The network to evaluate: a file of weights, if it is not of a run, and the settings of its data. */
export const evaluated = {
  checkpoint: optional(path("FILE", "weights outside of a run, in place of the word FILE")),
  model: ownModule,
  ...optionalDataSettings(`data of the file's network; ${dataSettings.data.doc}`, ofCheckpoint),
};

/**
 * Tells a file of weights from runs among the words of a command line.
 *
 * @returns the values, with the file as `checkpoint`, and the runs
 * @throws {ConfigError} if a file is not the only word
 */
export function fileOrRuns<Given extends { readonly checkpoint?: string | null }>(
  values: Given,
  words: readonly string[],
): [values: Given, runs: readonly string[]] {
  const file = words.find(isFile);
  if (file === undefined) return [values, words];
  if (words.length === 1 && !values.checkpoint) return [{ ...values, checkpoint: file }, []];
  throw new ConfigError(`Cannot use ${file} with other words (expected a single file, or runs)`);
}

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
  })),
  courseImages: integer({ doc: "images for trajectory and round-trip metrics, 0 = none", default: 128 }),
  bitsImages: integer({ doc: "test images for bits per dimension, 0 = none", default: 128 }),
  judge: choice(judgeChoices, {
    doc: "classifiers that judge the samples; if there are none for the data, they are trained first",
    default: "all",
  }),
  judgeSteps: optional(integer({
    doc: "train new judges of the data, with N steps of 64 images",
    min: 1,
    needs: judged,
  })),
  accuracySteps: integer({
    doc: "steps of classifiers trained only on the samples and tested on real images, 0 = none",
    default: 0,
    needs: { ...judged, off: 0 },
  }),
};

/** Number of samples that a study draws of each cell, and a comparison of solvers by each solver. */
export const samplesOfStudy = integer({ ...measuring.count, min: 2, max: 100_000, default: 1000 });

/** How to evaluate a network, from a command line or a plan; plans use all judges. */
export type MeasuringWords =
  & Omit<Values<typeof measuring>, "judge" | "judgeSteps">
  & Partial<Pick<Values<typeof measuring>, "judge">>;
