import { join } from "node:path";
import { init } from "../kernels/mod.ts";
import { comparisonEvaluations } from "./evaluation/compare_solvers.ts";
import { checkCount, guidanceFor } from "./evaluation/plan.ts";
import { commonOf, earlierCosts, measureSolvers, notMeasured } from "./evaluation/kept_costs.ts";
import { cheapestOfBest } from "./evaluation/solver_costs.ts";
import { subjectOfCheckpoint, subjectOfRun } from "./evaluation/subject.ts";
import { solverTable } from "./evaluation/solver_table.ts";
import { judgeOf } from "./judge/find_judge.ts";
import { runTask, stopSignal } from "./program/command.ts";
import { ProgressBar, stderr } from "./program/progress.ts";
import { reportPath, writeReport } from "./report/write_report.ts";
import { checkFolderOf } from "./run/atomic_write.ts";
import { runFile } from "./run/layout.ts";
import { lockRun } from "./run/run_lock.ts";
import { comparingSolvers, parseSolversWords } from "./settings/tasks/solvers.ts";
import { print, say } from "./terminal/output.ts";
import { findRun } from "./tracking/find_run.ts";

await runTask(async () => {
  const { help, specs, count, seed, ...words } = parseSolversWords(Deno.args);
  if (help) {
    print(comparingSolvers.help("deno task solvers RUN"));
    return;
  }
  if (words.out !== null) await checkFolderOf(words.out);
  const run = words.run === undefined ? undefined : await findRun(words.run);
  using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit at once`));
  using _ = run === undefined ? undefined : await lockRun(run);
  const device = await init({ device: words.device, threads: words.threads });
  const subject = run === undefined
    ? await subjectOfCheckpoint(words.checkpoint!, words.data ?? undefined)
    : await subjectOfRun(run);
  const file = run === undefined ? words.out : join(run, runFile.solvers);
  checkCount(count, subject);
  const guidance = guidanceFor(words.guidance, subject);
  const judge = await judgeOf(subject.data, { say, signal: stop.signal, terminal: stderr });
  if (!judge) Deno.exit(stop.exitCode);
  const common = commonOf(subject, judge, { count, seed, guidance, device: device.description });
  const earlier = await earlierCosts(file, common, say);
  const left = notMeasured(earlier, specs);
  const totalSteps = comparisonEvaluations(subject, left, { count, guidance });
  const bar = new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "evaluations" }, stderr);
  const options = {
    count,
    seed,
    guidance,
    onProgress: (done: number) => bar.update(done),
    signal: stop.signal,
  };
  const costs = await measureSolvers(file, earlier, subject, judge, left, options)
    .finally(() => bar.clear());
  if (costs.solvers.length > 0) print(solverTable(costs));
  if (stop.signal.aborted) {
    say("Stopped; the same command goes on from here");
    Deno.exit(stop.exitCode);
  }
  say(`The cheapest that may be as good as the best: ${cheapestOfBest(costs.solvers).spec}`);
  if (run !== undefined) await writeReport([run], reportPath([run]));
  const seen = run === undefined ? file : join(run, runFile.report);
  if (seen !== null) say(`Done; see ${seen}`);
  device.close();
});
