import { type Device, init } from "../kernels/mod.ts";
import { optional, outputFile } from "./cli/kinds.ts";
import { print, ProgressBar, say, stageProgress, stderr } from "./cli/output.ts";
import { ConfigError, defineSettings, type Values } from "./cli/settings.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { evaluatedNetwork } from "./evaluation/evaluated_network.ts";
import { evaluateNetwork, expectedEvaluations } from "./evaluation/evaluate_network.ts";
import {
  aboutEvaluation,
  type Evaluation,
  evaluationTable,
  formatOrder,
  recordEvaluation,
  solverTable,
} from "./evaluation/evaluation.ts";
import {
  comparedSolvers,
  evaluated,
  evaluationOptions,
  fileOrRuns,
  measuring,
  ofCheckpoint,
} from "./evaluation/evaluation_options.ts";
import { judgesFor } from "./evaluation/judges.ts";
import { cheapestOfBest, measureSolvers, solversFile } from "./evaluation/solver_comparison.ts";
import { reportPath, writeReport } from "./report/write_report.ts";
import { checkFolderOf, lockRun, writeJson } from "./run/run_folder.ts";
import { isGpu, shared } from "./settings/run.ts";
import { trackingOf } from "./tracking/choose_tracking.ts";
import { findRuns } from "./tracking/find_run.ts";
import { trySendingRun } from "./tracking/live_mirror.ts";

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

/** Refuses words that name neither runs nor a file, and flags without effect. */
function resolve(flags: Partial<Given>, words: readonly string[]) {
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
  examples: [
    "runs/A",
    "runs/A runs/B --count 2000",
    "runs/A --solvers heun:steps=10 --solvers euler:steps=20",
  ],
  settings: evaluating,
  resolve,
  async run(config) {
    if (config.out !== null) await checkFolderOf(config.out);
    const runs = await findRuns(config.runs);
    const device = await init(config);
    using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit immediately`));
    const evaluations: Evaluation[] = [];
    for (const run of config.checkpoint === null ? runs : [undefined]) {
      if (runs.length > 1) print(run!);
      const evaluation = await evaluate(run, config, device, stop.signal);
      if (stop.signal.aborted) break;
      if (evaluation) evaluations.push(evaluation);
    }
    const order = formatOrder(evaluations.map(({ figures }) => figures));
    if (order !== undefined) print(order);
    device.close();
    if (stop.signal.aborted) return stop.exitCode;
  },
});

/** Measures a run, or a file of weights without one. Undefined if it was stopped, or compared solvers. */
async function evaluate(
  run: string | undefined,
  config: ReturnType<typeof resolve>,
  device: Device,
  signal: AbortSignal,
): Promise<Evaluation | undefined> {
  // Check everything that may be wrong before the first sample is drawn.
  const target = run === undefined ? undefined : (await trackingOf(config, run)).target;
  using lock = run === undefined ? undefined : await lockRun(run);
  const subject = await evaluatedNetwork(run, config);
  const usual = config.solvers ? 1000 : isGpu(device) ? 10_000 : 2000;
  const options = evaluationOptions(config, subject, usual);
  const { judge, judgeSteps, solvers, out } = config;
  const judges = await judgesFor(subject.data, {
    judge,
    steps: judgeSteps ?? undefined,
    say,
    signal,
    terminal: stderr,
  });
  if (signal.aborted) return undefined;

  // Show the progress of the network's evaluations, and of the comparison of images between them.
  let bar: ProgressBar | undefined;
  const onStart = (totalSteps: number) => {
    bar = new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "evaluations" }, stderr);
  };
  const pairs = stageProgress("comparing pairs of images", stderr);
  const watch = {
    signal,
    onProgress: (done: number) => bar?.update(done),
    onCompared(done: number, most: number) {
      bar?.clear();
      bar?.skipTime();
      pairs.update(done, most);
    },
  };

  // Measure, and write the figures to the run or the file.
  let evaluation: Evaluation | undefined;
  if (solvers) {
    const file = run === undefined ? out : solversFile(run);
    const how = { ...options, ...watch, device: device.description, say, onStart };
    const costs = await measureSolvers(file, subject, judges, solvers, how).finally(() => bar?.clear());
    if (costs.solvers.length > 0) print(solverTable(costs));
    if (signal.aborted) {
      say("Stopped; run the same command to resume");
      return undefined;
    }
    print(`Cheapest solver within the best one's interval: ${cheapestOfBest(costs.solvers).spec}`);
  } else {
    onStart(expectedEvaluations(subject, judges, options));
    const measured = await evaluateNetwork(subject, judges, options, watch).finally(() => bar?.clear());
    if (!measured) return undefined;
    evaluation = measured.evaluation;
    print(`${aboutEvaluation(evaluation)}\n${evaluationTable(evaluation)}`);
    if (run !== undefined) await recordEvaluation(run, measured);
    else if (out !== null) await writeJson(out, evaluation);
  }

  // Show them in the run's report, and send them to its server.
  if (run === undefined) return evaluation;
  await writeReport([run], reportPath([run]));
  say(`Done; see ${reportPath([run])}`);
  lock?.[Symbol.dispose](); // sending locks the run again
  if (target) await trySendingRun(run, target, say);
  return evaluation;
}

if (import.meta.main) await main(evaluateTask);
