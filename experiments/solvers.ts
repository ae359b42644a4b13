import { join } from "node:path";
import { init } from "../kernels/mod.ts";
import {
  evaluated,
  fileOrRuns,
  measuring,
  ofCheckpoint,
  samplesOfStudy,
} from "./evaluation/evaluation_settings.ts";
import { forecastMeasuring } from "./evaluation/forecast.ts";
import { samplingEvaluations } from "./evaluation/image_sets.ts";
import {
  cheapestOfBest,
  checkSolvers,
  compareSolvers,
  measureSolvers,
  solverTable,
} from "./evaluation/solver_comparison.ts";
import { checkSampleCount, evaluatedNetwork, guidanceFor } from "./evaluation/evaluated_network.ts";
import { judgesOf } from "./evaluation/find_judge.ts";
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
import { shared } from "./cli/shared.ts";
import { makeSolver, solverList, usualSolvers } from "./cli/solver.ts";
import { findRun } from "./tracking/find_run.ts";

const comparingSolvers = defineSettings({
  dryRun,
  solvers: optional(solverList({
    doc:
      `solvers to compare, such as "heun:steps=8;dopri5:rtol=1e-2" (default: all, with ${usualSolvers.length} settings)`,
  })),
  ...evaluated,
  count: { ...samplesOfStudy, doc: "samples per solver, all from the same noise" },
  seed: measuring.seed,
  guidance: measuring.guidance,
  out: optional(outputFile([".json"], {
    doc: "file for the results of a checkpoint (a run gets solvers.json in its folder)",
    needs: ofCheckpoint,
  })),
  device: shared.device,
  threads: shared.threads,
});

type SolversWords = Values<typeof comparingSolvers.rows> & {
  /** The run's folder; undefined for a checkpoint. */
  readonly run: string | undefined;
};

/**
 * Completes and checks the settings.
 *
 * @throws {ConfigError} unless one run or checkpoint is named, or if a flag has no effect
 */
function resolve(
  flags: Partial<Values<typeof comparingSolvers.rows>>,
  args: readonly string[],
): SolversWords {
  const [values, words] = fileOrRuns(flags, args);
  const config = comparingSolvers.resolve(values);
  const isCheckpoint = config.checkpoint !== null;
  if (words.length !== (isCheckpoint ? 0 : 1)) {
    throw new ConfigError(
      `Cannot compare solvers on ${words.length} runs${isCheckpoint ? " and a checkpoint" : ""}: ` +
        "name the folder of one run, or a file of weights (see --help)",
    );
  }
  return { ...config, run: words[0] };
}

/** Compares solvers: quality against cost. */
export const solversTask = task({
  name: "solvers",
  about: "Compare solvers on a run: sample quality against network evaluations",
  words: "FILE|RUN",
  settings: comparingSolvers,
  resolve,
  async run({ solvers, count, seed, ...words }) {
    const specs = solvers ?? usualSolvers;
    if (words.out !== null) await checkFolderOf(words.out);
    const run = words.run === undefined ? undefined : await findRun(words.run);
    using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit immediately`));
    using _ = run === undefined || words.dryRun ? undefined : await lockRun(run);
    const device = await init({ device: words.device, threads: words.threads });
    const subject = await evaluatedNetwork(run, words);
    const file = run === undefined ? words.out : join(run, runFile.solvers);
    checkSampleCount(count, subject);
    const guidance = guidanceFor(words.guidance, subject);
    checkSolvers(subject, specs, guidance);
    if (words.dryRun) {
      const options = { count, seed, guidance };
      const costs = specs.map((spec) =>
        samplingEvaluations(subject, { ...options, how: makeSolver(spec).how })
      );
      printDryRun(
        await forecastMeasuring(subject, {
          ...{ device, judge: "all" },
          samples: `${count.toLocaleString("en")} by each of ${specs.length} solvers`,
          evaluations: () => costs.reduce((sum, evaluations) => sum + evaluations, 0),
          draw: (watch) => Array.fromAsync(compareSolvers(subject, [], specs, { ...options, ...watch })),
          files: [...file === null ? [] : [file], ...run === undefined ? [] : [join(run, runFile.report)]],
        }),
      );
      device.close();
      return;
    }
    const judges = await judgesOf(subject.data, { say, signal: stop.signal, terminal: stderr });
    if (judges.length === 0) return stop.exitCode;
    let bar: ProgressBar | undefined;
    const costs = await measureSolvers(file, subject, judges, specs, {
      count,
      seed,
      guidance,
      device: device.description,
      say,
      onStart: (totalSteps) => {
        bar = new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "evaluations" }, stderr);
      },
      onProgress: (done) => bar?.update(done),
      signal: stop.signal,
    }).finally(() => bar?.clear());
    if (costs.solvers.length > 0) print(solverTable(costs));
    if (stop.signal.aborted) {
      say("Stopped; run the same command to resume");
      return stop.exitCode;
    }
    say(`The cheapest that may be as good as the best: ${cheapestOfBest(costs.solvers).spec}`);
    if (run !== undefined) await writeReport([run], reportPath([run]));
    const seen = run === undefined ? file : join(run, runFile.report);
    if (seen !== null) say(`Done; see ${seen}`);
    device.close();
  },
});

if (import.meta.main) await main(solversTask);
