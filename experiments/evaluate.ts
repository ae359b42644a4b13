import { join } from "node:path";
import { init } from "../kernels/mod.ts";
import { evaluate, evaluationsOf } from "./evaluation/evaluate.ts";
import { writeEvaluation } from "./evaluation/evaluation.ts";
import { judgeFor } from "./judge/find_judge.ts";
import { planOf } from "./evaluation/plan.ts";
import { recordEvaluation } from "./evaluation/record.ts";
import { type Subject, subjectOfCheckpoint, subjectOfRun } from "./evaluation/subject.ts";
import { aboutEvaluation, evaluationTable } from "./evaluation/table.ts";
import { runTask, stopSignal } from "./program/command.ts";
import { ProgressBar, stderr } from "./program/progress.ts";
import { reportPath, writeReport } from "./report/write_report.ts";
import { checkFolderOf } from "./run/atomic_write.ts";
import { runFile } from "./run/layout.ts";
import { isGpu } from "./settings/is_gpu.ts";
import { lockRun } from "./run/run_lock.ts";
import { evaluating, parseEvaluation } from "./settings/tasks/evaluate.ts";
import { print, say } from "./terminal/output.ts";
import { findRuns } from "./tracking/find_run.ts";
import { sayingWhy } from "./tracking/saying_why.ts";
import { sendRun } from "./tracking/send.ts";
import { sentLines } from "./tracking/sent_lines.ts";
import { trackingOf } from "./tracking/start.ts";

await runTask(async () => {
  const words = parseEvaluation(Deno.args);
  if (words.help) {
    print(evaluating.help("deno task evaluate RUN..."));
    return;
  }
  if (words.out !== null) await checkFolderOf(words.out);
  const runs = await findRuns(words.runs);
  const device = await init({ device: words.device, threads: words.threads });
  using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit at once`));
  const measure = async (subject: Subject) => {
    const options = planOf(words, subject, isGpu(device) ? 10_000 : 2000);
    const judge = await judgeFor(subject.data, { say, signal: stop.signal, terminal: stderr });
    if (stop.signal.aborted) return undefined;
    const totalSteps = evaluationsOf(subject, judge, options);
    const bar = new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "evaluations" }, stderr);
    let comparing: ProgressBar | undefined;
    const found = await evaluate(subject, judge, options, {
      onProgress(done) {
        comparing?.clear();
        bar.update(done);
      },
      onCompared(done, most) {
        bar.clear();
        bar.skipTime();
        const [millions, totalSteps] = [done / 1e6, most / 1e6].map(Math.ceil);
        comparing ??= new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "million pairs" }, stderr);
        comparing.update(millions);
      },
      signal: stop.signal,
    }).finally(() => {
      bar.clear();
      comparing?.clear();
    });
    if (found) print(`${aboutEvaluation(found.evaluation)}\n${evaluationTable(found.evaluation)}`);
    return found;
  };
  if (words.checkpoint !== null) {
    const found = await measure(await subjectOfCheckpoint(words.checkpoint, words.data ?? undefined));
    if (found && words.out !== null) await writeEvaluation(words.out, found.evaluation);
  }
  for (const run of runs) {
    if (runs.length > 1) print(run);
    const { address, patience } = await trackingOf(words, run);
    {
      using _ = await lockRun(run);
      const found = await measure(await subjectOfRun(run));
      if (!found) break;
      await recordEvaluation(run, found);
      await writeReport([run], reportPath([run]));
      say(`Done; see ${join(run, runFile.report)}`);
    }
    if (!address) continue;
    await sayingWhy(say, async () => {
      for await (const sent of sendRun(run, { address, patience })) {
        sentLines(sent).forEach((line) => say(line));
      }
    });
  }
  device.close();
  if (stop.signal.aborted) Deno.exit(stop.exitCode);
});
