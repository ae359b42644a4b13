import { ConfigError, flagOf, type Values } from "../setting.ts";
import { integer, number, optional, path, text } from "../kinds.ts";
import { defineSettings } from "../settings.ts";
import { solverSpec } from "../solver_spec.ts";
import { shared } from "./shared.ts";
import { training } from "./train.ts";

/** The settings of the task that measures how good networks are. */
export const evaluating = defineSettings({
  checkpoint: optional(path("FILE", "weights to evaluate, where they are not those of a run")),
  data: optional({ ...training.rows.data, doc: `data of the checkpoint; ${training.rows.data.doc}` }),
  count: optional(integer({
    doc: "samples, and real images to compare them with (else 2,000 on a CPU, 10,000 on a GPU)",
    min: 2,
    max: 100_000,
  })),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  guidance: {
    ...optional(number({ doc: "guidance, 1 = none (else the run's; 1 of a checkpoint)", min: 0 })),
    details: ["by the class, 0 = without class; without classes away from the early weights"],
  },
  solver: optional(text({
    doc: "how samples are drawn (else as the run draws them; of a checkpoint heun:steps=20)",
    hint: "SPEC",
    pattern: /./,
    expected: "a solver such as heun:steps=20, heun:grid=quadratic or dopri5:rtol=1e-3",
  })),
  courseImages: integer({
    doc: "images that are followed from noise or to it and back, 0 = none",
    default: 128,
  }),
  bitsImages: integer({ doc: "test images whose bits per dimension are measured, 0 = none", default: 128 }),
  out: optional(
    path("FILE", "the evaluation of a checkpoint as JSON; of a run it is evaluation.json in its folder"),
  ),
  device: shared.device,
  threads: shared.threads,
  mlflow: {
    ...shared.mlflow,
    doc: "MLflow server that gets the figures (else MLFLOW_TRACKING_URI, the run's server)",
  },
}, { checkpoint: "What", count: "How", out: "Where" });

/** What the command line of the task says. */
export type EvaluateWords = Values<typeof evaluating.rows> & {
  readonly help: boolean;
  readonly runs: readonly string[];
};

/**
 * Reads `RUN... [flags]`.
 *
 * @throws {ConfigError} if neither a run nor a checkpoint is named, or a flag cannot be used or has no effect
 */
export function parseEvaluation(argv: readonly string[]): EvaluateWords {
  const { words: runs, help, values } = evaluating.parseWords(argv);
  const config = evaluating.resolve(values);
  const isCheckpoint = config.checkpoint !== null;
  if (!help && !isCheckpoint && runs.length === 0) {
    throw new ConfigError("Missing RUN: name the folder of a run, or of several, or give --checkpoint FILE");
  }
  if (isCheckpoint && runs.length > 0) {
    throw new ConfigError(`Cannot use --checkpoint with the run ${runs[0]} (expected one of them)`);
  }
  if (config.solver !== null) solverSpec(config.solver); // fails before anything is read
  const idle = isCheckpoint ? ["mlflow"] : ["data", "out"];
  const given = idle.find((name) => name in values);
  if (given !== undefined) {
    throw new ConfigError(
      `Cannot use ${flagOf(given)} with ${isCheckpoint ? "--checkpoint" : "a run"}: it has no effect there`,
    );
  }
  return { ...config, help, runs };
}
