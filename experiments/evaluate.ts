import { join } from "node:path";
import { init } from "../kernels/mod.ts";
import { isFile } from "./draw/load_network.ts";
import { evaluateNetwork, expectedEvaluations } from "./evaluation/evaluate_network.ts";
import {
  type Evaluation,
  recordEvaluation,
  withEarlierFigures,
  writeEvaluation,
} from "./evaluation/evaluation.ts";
import { aboutEvaluation, evaluationTable } from "./evaluation/evaluation_table.ts";
import {
  type EvaluatedNetwork,
  evaluationOptions,
  networkOfCheckpoint,
  networkOfRun,
} from "./evaluation/evaluated_network.ts";
import { forecastMeasuring } from "./evaluation/forecast.ts";
import { formatOrder, type Ordered } from "./evaluation/judges_order.ts";
import { judgeChoices, judgesFor } from "./judge/find_judge.ts";
import { batchSize } from "./judge/train_judge.ts";
import { dryRun, printDryRun } from "./program/dry_run.ts";
import { print, say } from "./program/output.ts";
import { ProgressBar, stderr } from "./program/progress.ts";
import { main, stopSignal, task } from "./program/task.ts";
import { reportPath, writeReport } from "./report/write_report.ts";
import { checkFolderOf } from "./run/atomic_write.ts";
import { runFile } from "./run/files.ts";
import { lockRun } from "./run/run_lock.ts";
import { choice, integer, number, optional, outputFile, path } from "./settings/kinds.ts";
import { ConfigError, type Need, type Values } from "./settings/setting.ts";
import { defineSettings } from "./settings/settings.ts";
import { dataSettings, optionalDataSettings } from "./settings/data.ts";
import { shared } from "./settings/shared.ts";
import { solverSetting } from "./settings/solver.ts";
import { isGpu } from "./settings/training.ts";
import { trackingOf } from "./tracking/choose_tracking.ts";
import { findRuns } from "./tracking/find_run.ts";
import { trySendingRun } from "./tracking/send_run.ts";

/** What settings of a file of weights need. */
export const ofCheckpoint: Need = {
  words: "a file of weights",
  met: ({ checkpoint }) => checkpoint !== null,
};

/** `--checkpoint` of tasks that also take a file of weights as their only word. */
export const checkpoint = optional(path("FILE", "weights outside of a run, as the word FILE"));

const judged: Need = { words: "a judge", met: ({ judge }) => judge !== "none" };

/** Settings of the data of a checkpoint. */
export const checkpointData: typeof dataSettings = optionalDataSettings(
  `data of the file's network; ${dataSettings.data.doc}`,
  ofCheckpoint,
);

/** Settings of `deno task evaluate`. */
export const evaluating = defineSettings({
  dryRun,
  checkpoint,
  ...checkpointData,
  count: optional(integer({
    doc: "samples, and real images to compare them with (else 2,000 on a CPU, 10,000 on a GPU)",
    min: 2,
    max: 100_000,
  })),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  guidance: {
    ...optional(number({ doc: "guidance, 1 = none (else the run's; for a checkpoint 1)", min: 0 })),
    details: ["classifier-free guidance; unlabelled networks: autoguidance"],
  },
  solver: optional(solverSetting({
    doc: "how samples are drawn (else as in the run; for a checkpoint heun:steps=20)",
  })),
  courseImages: integer({
    doc: "images for trajectory and round-trip metrics, 0 = none",
    default: 128,
  }),
  bitsImages: integer({ doc: "test images for bits per dimension, 0 = none", default: 128 }),
  judge: choice(judgeChoices, {
    doc: "classifiers that judge the samples; they are trained if there are none for the data",
    default: "all",
  }),
  judgeSteps: optional(integer({
    doc: "train judges of the data anew, with so many steps of 64 images",
    min: 1,
    needs: judged,
  })),
  accuracySteps: integer({
    doc: "steps of classifiers trained on the samples alone and tested on real images, 0 = none",
    default: 0,
    needs: { ...judged, off: 0 },
  }),
  out: optional(outputFile([".json"], {
    doc: "file for the evaluation of a checkpoint (a run gets evaluation.json in its folder)",
    needs: ofCheckpoint,
  })),
  device: shared.device,
  threads: shared.threads,
  mlflow: {
    ...shared.mlflow,
    doc: "MLflow server that gets the figures (else MLFLOW_TRACKING_URI, the run's server)",
    needs: { words: "a run", met: ({ checkpoint }) => checkpoint === null },
  },
}, { checkpoint: "What", count: "How", out: "Where" });

type EvaluateWords = Values<typeof evaluating.rows> & {
  readonly runs: readonly string[];
};

/**
 * Tells a file of weights from runs among the words of a command line.
 *
 * @returns the values, with the file as `checkpoint`, and the runs
 * @throws {ConfigError} if a file is not alone
 */
export function fileOrRuns<Given extends { readonly checkpoint?: string | null }>(
  values: Given,
  words: readonly string[],
): [values: Given, runs: readonly string[]] {
  const file = words.find(isFile);
  if (file === undefined) return [values, words];
  if (words.length === 1 && !values.checkpoint) return [{ ...values, checkpoint: file }, []];
  throw new ConfigError(`Cannot use ${file} beside others (expected one file alone, or runs)`);
}

/** @throws {ConfigError} if neither runs nor a file are named, or a flag has no effect */
function resolve(
  given: Partial<Values<typeof evaluating.rows>>,
  words: readonly string[],
): EvaluateWords {
  const [values, runs] = fileOrRuns(given, words);
  const config = evaluating.resolve(values);
  const isCheckpoint = config.checkpoint !== null;
  if (!isCheckpoint && runs.length === 0) {
    throw new ConfigError("Missing RUN: name the folder of a run, or of several, or a file of weights");
  }
  if (isCheckpoint && runs.length > 0) {
    throw new ConfigError(`Cannot use --checkpoint with the run ${runs[0]} (expected one of them)`);
  }
  return { ...config, runs };
}

function printEvaluation(evaluation: Evaluation): void {
  print(`${aboutEvaluation(evaluation)}\n${evaluationTable(evaluation)}`);
}

/** Measures networks, one after another. */
export const evaluateTask = task({
  name: "evaluate",
  about:
    "Measure how good the networks of runs are: figures with intervals, for the run, its report and the tracker",
  words: "FILE|RUN...",
  settings: evaluating,
  resolve,
  async run(words) {
    if (words.out !== null) await checkFolderOf(words.out);
    const runs = await findRuns(words.runs);
    const device = await init({ device: words.device, threads: words.threads });
    using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit at once`));
    const optionsFor = (subject: EvaluatedNetwork) =>
      evaluationOptions(words, subject, isGpu(device) ? 10_000 : 2000);
    if (words.dryRun) {
      for (const run of runs.length > 0 ? runs : [undefined]) {
        const subject = await (run === undefined
          ? networkOfCheckpoint(words.checkpoint!, words.data ?? undefined, words)
          : networkOfRun(run));
        const options = optionsFor(subject);
        printDryRun(
          await forecastMeasuring(subject, {
            ...{ device, judge: words.judge, judgeSteps: words.judgeSteps ?? undefined },
            samples: `${options.count.toLocaleString("en")} by ${options.words}`,
            evaluations: (judges) =>
              expectedEvaluations(subject, judges, options),
            draw: (watch) => evaluateNetwork(subject, [], options, watch),
            files: run === undefined
              ? words.out === null ? [] : [words.out]
              : [runFile.evaluation, runFile.judged, runFile.judge, runFile.reference, runFile.report].map((
                file,
              ) => join(run, file)),
          }),
        );
      }
      device.close();
      return;
    }
    const measure = async (subject: EvaluatedNetwork) => {
      const options = optionsFor(subject);
      const judges = await judgesFor(subject.data, {
        ...{ judge: words.judge, steps: words.judgeSteps ?? undefined },
        ...{ say, signal: stop.signal, terminal: stderr },
      });
      if (stop.signal.aborted) return undefined;
      const totalSteps = expectedEvaluations(subject, judges, options);
      const bar = new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "evaluations" }, stderr);
      let comparing: ProgressBar | undefined;
      let training: ProgressBar | undefined;
      const found = await evaluateNetwork(subject, judges, options, {
        onProgress(done) {
          comparing?.clear();
          training?.clear();
          bar.update(done);
        },
        onCompared(done, most) {
          bar.clear();
          bar.skipTime();
          const [millions, totalSteps] = [done / 1e6, most / 1e6].map(Math.ceil);
          comparing ??= new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "million pairs" }, stderr);
          comparing.update(millions);
        },
        onTrained(done, totalSteps) {
          bar.clear();
          bar.skipTime();
          training ??= new ProgressBar({ totalSteps, imagesPerStep: batchSize }, stderr);
          training.update(done);
        },
        signal: stop.signal,
      }).finally(() => {
        bar.clear();
        comparing?.clear();
        training?.clear();
      });
      return found;
    };
    if (words.checkpoint !== null) {
      const found = await measure(
        await networkOfCheckpoint(words.checkpoint, words.data ?? undefined, words),
      );
      if (found) printEvaluation(found.evaluation);
      if (found && words.out !== null) await writeEvaluation(words.out, found.evaluation);
    }
    const measured: Ordered[] = [];
    for (const run of runs) {
      if (runs.length > 1) print(run);
      const { address, patience } = await trackingOf(words, run);
      {
        using _ = await lockRun(run);
        const found = await measure(await networkOfRun(run));
        if (!found) break;
        const evaluation = await withEarlierFigures(run, found.evaluation, say);
        printEvaluation(evaluation);
        await recordEvaluation(run, { ...found, evaluation }, found.evaluation.time);
        measured.push({ label: run, figures: evaluation.figures });
        await writeReport([run], reportPath([run]));
        say(`Done; see ${join(run, runFile.report)}`);
      }
      if (address) await trySendingRun(run, { address, patience }, say);
    }
    const order = formatOrder(measured);
    if (order !== undefined) print(order);
    device.close();
    if (stop.signal.aborted) return stop.exitCode;
  },
});

if (import.meta.main) await main(evaluateTask);
