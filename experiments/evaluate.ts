import { join } from "node:path";
import { init } from "../kernels/mod.ts";
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
  evaluatedNetwork,
  evaluationOptions,
} from "./evaluation/evaluated_network.ts";
import { evaluated, fileOrRuns, measuring, ofCheckpoint } from "./evaluation/evaluation_settings.ts";
import { forecastMeasuring } from "./evaluation/forecast.ts";
import { formatOrder, type Ordered } from "./evaluation/judges_order.ts";
import type { Watch } from "./evaluation/measurement.ts";
import { judgesFor } from "./evaluation/find_judge.ts";
import { batchSize } from "./evaluation/train_judge.ts";
import { dryRun, printDryRun } from "./cli/dry_run.ts";
import { print, say } from "./cli/output.ts";
import { ProgressBar, stderr } from "./cli/progress.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { reportPath, writeReport } from "./report/write_report.ts";
import { checkFolderOf, lockRun } from "./run/run_folder.ts";
import { runFile } from "./run/files.ts";
import { optional, outputFile } from "./cli/kinds.ts";
import { ConfigError, type Values } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";
import { isGpu, shared } from "./cli/shared.ts";
import { trackingOf } from "./tracking/choose_tracking.ts";
import { findRuns } from "./tracking/find_run.ts";
import { trySendingRun } from "./tracking/run_tracker.ts";

/** Settings of `deno task evaluate`. */
export const evaluating = defineSettings({
  dryRun,
  ...evaluated,
  ...measuring,
  out: optional(outputFile([".json"], {
    doc: "file for the evaluation of a checkpoint (a run gets evaluation.json in its folder)",
    needs: ofCheckpoint,
  })),
  device: shared.device,
  threads: shared.threads,
  mlflow: {
    ...shared.mlflow,
    doc: "MLflow server for the figures (default: MLFLOW_TRACKING_URI, else the run's server)",
    needs: { words: "a run", met: ({ checkpoint }) => checkpoint === null },
  },
}, { checkpoint: "What", count: "How", out: "Where" });

type EvaluateWords = Values<typeof evaluating.rows> & {
  readonly runs: readonly string[];
};

/** @throws {ConfigError} if neither runs nor a file are named, or a flag has no effect */
function resolve(
  flags: Partial<Values<typeof evaluating.rows>>,
  words: readonly string[],
): EvaluateWords {
  const [values, runs] = fileOrRuns(flags, words);
  const config = evaluating.resolve(values);
  const isCheckpoint = config.checkpoint !== null;
  if (!isCheckpoint && runs.length === 0) {
    throw new ConfigError("Missing FILE|RUN: name one or more folders of runs, or a file of weights");
  }
  if (isCheckpoint && runs.length > 0) {
    throw new ConfigError(`Cannot use --checkpoint with the run ${runs[0]} (expected one of them)`);
  }
  return { ...config, runs };
}

/** Shows the progress of a measurement: of the network, of comparing images, or of training classifiers. */
function progressBars(totalSteps: number): Watch & Disposable {
  const main = new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "evaluations" }, stderr);
  let [comparing, training, shown]: (ProgressBar | undefined)[] = [];
  const show = (bar: ProgressBar, done: number) => {
    if (bar !== shown) shown?.clear();
    if (bar !== main) main.skipTime();
    shown = bar;
    bar.update(done);
  };
  return {
    onProgress: (done) => show(main, done),
    onCompared(done, most) {
      const [millions, totalSteps] = [done / 1e6, most / 1e6].map(Math.ceil);
      show(
        comparing ??= new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "million pairs" }, stderr),
        millions,
      );
    },
    onTrained(done, totalSteps) {
      show(training ??= new ProgressBar({ totalSteps, imagesPerStep: batchSize }, stderr), done);
    },
    [Symbol.dispose]: () => shown?.clear(),
  };
}

/** Measures networks, one after another. */
export const evaluateTask = task({
  name: "evaluate",
  about:
    "Measure the quality of runs' networks: figures with intervals, for the run, its report and the tracker",
  words: "FILE|RUN...",
  settings: evaluating,
  resolve,
  async run(words) {
    const { checkpoint, out, judge, judgeSteps } = words;
    if (out !== null) await checkFolderOf(out);
    const runs = await findRuns(words.runs);
    const device = await init({ device: words.device, threads: words.threads });
    using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit immediately`));
    const { signal } = stop;
    const optionsFor = (subject: EvaluatedNetwork) =>
      evaluationOptions(words, subject, isGpu(device) ? 10_000 : 2000);
    if (words.dryRun) {
      for (const run of checkpoint === null ? runs : [undefined]) {
        const subject = await evaluatedNetwork(run, words);
        const options = optionsFor(subject);
        const written = [
          runFile.evaluation,
          runFile.judged,
          runFile.judge,
          runFile.reference,
          runFile.report,
        ];
        printDryRun(
          await forecastMeasuring(subject, {
            ...{ device, judge, judgeSteps: judgeSteps ?? undefined },
            samples: `${options.count.toLocaleString("en")} by ${options.words}`,
            evaluations: (judges) => expectedEvaluations(subject, judges, options),
            draw: (watch) => evaluateNetwork(subject, [], options, watch),
            files: run === undefined ? out === null ? [] : [out] : written.map((file) => join(run, file)),
          }),
        );
      }
      device.close();
      return;
    }
    const measure = async (run: string | undefined) => {
      const subject = await evaluatedNetwork(run, words);
      const options = optionsFor(subject);
      const steps = judgeSteps ?? undefined;
      const judges = await judgesFor(subject.data, { judge, steps, say, signal, terminal: stderr });
      if (signal.aborted) return undefined;
      using bars = progressBars(expectedEvaluations(subject, judges, options));
      return await evaluateNetwork(subject, judges, options, { ...bars, signal });
    };
    const show = (evaluation: Evaluation) =>
      print(`${aboutEvaluation(evaluation)}\n${evaluationTable(evaluation)}`);
    if (checkpoint !== null) {
      const result = await measure(undefined);
      if (result) show(result.evaluation);
      if (result && out !== null) await writeEvaluation(out, result.evaluation);
    }
    const measured: Ordered[] = [];
    for (const run of runs) {
      if (runs.length > 1) print(run);
      const { target } = await trackingOf(words, run);
      {
        using _ = await lockRun(run);
        const result = await measure(run);
        if (!result) break;
        const evaluation = await withEarlierFigures(run, result.evaluation, say);
        show(evaluation);
        await recordEvaluation(run, { ...result, evaluation }, result.evaluation.time);
        measured.push({ label: run, figures: evaluation.figures });
        await writeReport([run], reportPath([run]));
        say(`Done; see ${join(run, runFile.report)}`);
      }
      if (target) await trySendingRun(run, target, say);
    }
    const order = formatOrder(measured);
    if (order !== undefined) print(order);
    device.close();
    if (signal.aborted) return stop.exitCode;
  },
});

if (import.meta.main) await main(evaluateTask);
