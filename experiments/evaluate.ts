import { init } from "../kernels/mod.ts";
import { optional, outputFile } from "./cli/kinds.ts";
import { print, ProgressBar, say, stageProgress, stderr } from "./cli/output.ts";
import { ConfigError, defineSettings, type Values } from "./cli/settings.ts";
import { isGpu, shared } from "./cli/shared.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { evaluatedNetwork } from "./evaluation/evaluated_network.ts";
import { evaluateNetwork, expectedEvaluations } from "./evaluation/evaluate_network.ts";
import { type Evaluation, recordEvaluation } from "./evaluation/evaluation.ts";
import {
  comparedSolvers,
  evaluated,
  evaluationOptions,
  fileOrRuns,
  measuring,
  ofCheckpoint,
} from "./evaluation/evaluation_options.ts";
import { aboutEvaluation, evaluationTable, formatOrder, solverTable } from "./evaluation/evaluation_table.ts";
import { judgesFor } from "./evaluation/judges.ts";
import { cheapestOfBest, measureSolvers, solversFile } from "./evaluation/solver_comparison.ts";
import { reportPath, writeReport } from "./report/write_report.ts";
import { checkFolderOf, lockRun, writeJson } from "./run/run_folder.ts";
import { trackingOf } from "./tracking/choose_tracking.ts";
import { findRuns } from "./tracking/find_run.ts";
import { trySendingRun } from "./tracking/run_tracker.ts";

/** Settings of `deno task evaluate`. */
export const evaluating = defineSettings({
  ...evaluated,
  ...measuring,
  solvers: comparedSolvers,
  out: optional(outputFile([".json"], {
    doc: "file for the results of a checkpoint (a run has them in its folder)",
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

type Given = Values<typeof evaluating.rows>;

/** @throws {ConfigError} unless runs or a file are named, or if a flag has no effect */
function resolve(
  flags: Partial<Given>,
  words: readonly string[],
): Given & { readonly runs: readonly string[] } {
  const [values, runs] = fileOrRuns(flags, words);
  const config = evaluating.resolve(values);
  if (config.checkpoint === null && runs.length === 0) {
    throw new ConfigError("Missing FILE|RUN: name one or more folders of runs, or a file of weights");
  }
  if (config.checkpoint !== null && runs.length > 0) {
    throw new ConfigError(`Cannot use --checkpoint with the run ${runs[0]} (expected one of them)`);
  }
  return { ...config, runs };
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
    if (words.out !== null) await checkFolderOf(words.out);
    const runs = await findRuns(words.runs);
    const device = await init({ device: words.device, threads: words.threads });
    using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit immediately`));
    const { signal } = stop;
    const usual = words.solvers ? 1000 : isGpu(device) ? 10_000 : 2000;
    const evaluations: Evaluation["figures"][] = [];

    for (const run of words.checkpoint === null ? runs : [undefined]) {
      if (runs.length > 1) print(run!);
      const target = run === undefined ? undefined : (await trackingOf(words, run)).target;
      using lock = run === undefined ? undefined : await lockRun(run);
      const subject = await evaluatedNetwork(run, words);
      const options = evaluationOptions(words, subject, usual);
      const { judge, judgeSteps } = words;
      const steps = judgeSteps ?? undefined;
      const judges = await judgesFor(subject.data, { judge, steps, say, signal, terminal: stderr });
      if (signal.aborted) break;

      let bar: ProgressBar | undefined;
      const start = (totalSteps: number) =>
        bar = new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "evaluations" }, stderr);
      const pairs = stageProgress("comparing pairs of images", stderr);
      const watch = {
        signal,
        onProgress: (done: number) => bar?.update(done),
        onCompared: (done: number, most: number) => (bar?.clear(), bar?.skipTime(), pairs.update(done, most)),
      };
      if (words.solvers) {
        if (judges.length === 0) {
          throw new ConfigError(`Cannot compare solvers without a judge of ${subject.data.name}`);
        }
        const file = run === undefined ? words.out : solversFile(run);
        const how = { ...options, ...watch, device: device.description, say, onStart: start };
        const costs = await measureSolvers(file, subject, judges, words.solvers, how).finally(() =>
          bar?.clear()
        );
        if (costs.solvers.length > 0) print(solverTable(costs));
        if (signal.aborted) {
          say("Stopped; run the same command to resume");
          break;
        }
        print(`Cheapest solver within the best one's interval: ${cheapestOfBest(costs.solvers).spec}`);
      } else {
        start(expectedEvaluations(subject, judges, options));
        const result = await evaluateNetwork(subject, judges, options, watch).finally(() => bar?.clear());
        if (!result) break;
        const { evaluation } = result;
        print(`${aboutEvaluation(evaluation)}\n${evaluationTable(evaluation)}`);
        if (run !== undefined) await recordEvaluation(run, result);
        else if (words.out !== null) await writeJson(words.out, evaluation);
        evaluations.push(evaluation.figures);
      }
      if (run === undefined) continue;
      await writeReport([run], reportPath([run]));
      say(`Done; see ${reportPath([run])}`);
      lock?.[Symbol.dispose](); // sending locks the run again
      if (target) await trySendingRun(run, target, say);
    }
    const order = formatOrder(evaluations);
    if (order !== undefined) print(order);
    device.close();
    if (signal.aborted) return stop.exitCode;
  },
});

if (import.meta.main) await main(evaluateTask);
