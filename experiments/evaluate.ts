import { init } from "../kernels/mod.ts";
import { optional, outputFile } from "./cli/kinds.ts";
import { print, say } from "./cli/output.ts";
import { ConfigError, defineSettings, type Values } from "./cli/settings.ts";
import { isGpu, shared } from "./cli/shared.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { evaluateRun } from "./evaluation/evaluate_run.ts";
import { type Evaluation, formatOrder } from "./evaluation/evaluation.ts";
import {
  comparedSolvers,
  evaluated,
  fileOrRuns,
  measuring,
  ofCheckpoint,
} from "./evaluation/evaluation_options.ts";
import { reportPath, writeReport } from "./report/write_report.ts";
import { checkFolderOf } from "./run/run_folder.ts";
import { findRuns } from "./tracking/find_run.ts";

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
  settings: evaluating,
  resolve,
  async run(words) {
    if (words.out !== null) await checkFolderOf(words.out);
    const runs = await findRuns(words.runs);
    const device = await init({ device: words.device, threads: words.threads });
    using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit immediately`));
    const { signal } = stop;
    const usual = words.solvers ? 1000 : isGpu(device) ? 10_000 : 2000;
    const report = async (run: string) => {
      await writeReport([run], reportPath([run]));
      say(`Done; see ${reportPath([run])}`);
    };
    const evaluations: Evaluation["figures"][] = [];
    for (const run of words.checkpoint === null ? runs : [undefined]) {
      if (runs.length > 1) print(run!);
      const evaluation = await evaluateRun(run, words, { device, signal, usual, report });
      if (signal.aborted) break;
      if (evaluation) evaluations.push(evaluation.figures);
    }
    const order = formatOrder(evaluations);
    if (order !== undefined) print(order);
    device.close();
    if (signal.aborted) return stop.exitCode;
  },
});

if (import.meta.main) await main(evaluateTask);
