import { join } from "node:path";
import { init } from "../kernels/mod.ts";
import type { Dataset } from "./data/dataset.ts";
import { evaluate, evaluationsOf } from "./evaluation/evaluate.ts";
import { writeEvaluation } from "./evaluation/evaluation.ts";
import { guidanceFor } from "./evaluation/guidance.ts";
import { recordEvaluation } from "./evaluation/record.ts";
import { type Subject, subjectOfCheckpoint, subjectOfRun } from "./evaluation/subject.ts";
import { aboutEvaluation, evaluationTable } from "./evaluation/table.ts";
import type { EvaluationOptions } from "./evaluation/trial.ts";
import type { DataJudge } from "./judge/data_judge.ts";
import { judgeOf } from "./judge/judge_of.ts";
import { runTask, stopSignal } from "./program/command.ts";
import { ProgressBar, stderr } from "./program/progress.ts";
import { runFile } from "./run/layout.ts";
import { lockRun } from "./run/run_lock.ts";
import { solverSpec } from "./settings/solver_spec.ts";
import { type EvaluateWords, evaluating, parseEvaluation } from "./settings/tasks/evaluate.ts";
import { ConfigError } from "./settings/setting.ts";
import { print, say } from "./terminal/output.ts";
import { findRuns } from "./tracking/find_run.ts";

await runTask(async () => {
  const words = parseEvaluation(Deno.args);
  if (words.help) {
    print(evaluating.help("deno task evaluate RUN..."));
    return;
  }
  const runs = await findRuns(words.runs);
  const device = await init({ device: words.device, threads: words.threads });
  const isGpu = device.kind === "webgpu" && !device.tuning.software;
  using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit at once`));
  const measure = async (subject: Subject) => {
    const judge = await judgeFor(subject.data, stop.signal);
    if (stop.signal.aborted) return undefined;
    const options = optionsFor(words, subject, isGpu ? 10_000 : 2000);
    const totalSteps = evaluationsOf(subject, judge, options);
    using bar = new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "evaluations" }, stderr);
    const found = await evaluate(subject, judge, options, {
      onProgress: (done) => bar.update(done),
      signal: stop.signal,
    });
    bar.finish();
    if (found) print(`${aboutEvaluation(found.evaluation)}\n${evaluationTable(found.evaluation)}`);
    return found;
  };
  if (words.checkpoint !== null) {
    const found = await measure(await subjectOfCheckpoint(words.checkpoint, words.data ?? undefined));
    if (found && words.out !== null) await writeEvaluation(words.out, found.evaluation);
  }
  for (const run of runs) {
    using _ = await lockRun(run);
    if (runs.length > 1) print(`${run}`);
    const found = await measure(await subjectOfRun(run));
    if (!found) break;
    await recordEvaluation(run, found);
    say(`Done; see ${join(run, runFile.report)}`);
  }
  device.close();
  if (stop.signal.aborted) Deno.exit(stop.exitCode);
});

/** The judge of a data set; none for data without labels, which is then said. */
async function judgeFor(data: Dataset, signal: AbortSignal): Promise<DataJudge | undefined> {
  if (data.classes > 1) return await judgeOf(data, { say, signal, terminal: stderr });
  say(`No judge for ${data.name}, which has no labels: figures that need one are left out`);
  return undefined;
}

/** How a network is evaluated: by flags, else as its run draws samples, with as many samples as there are images. */
function optionsFor(
  words: EvaluateWords,
  { data, trained, drawnBy, ...subject }: Subject,
  most: number,
): EvaluationOptions {
  const { seed, solver, courseImages, bitsImages } = words;
  const there = Math.min(data.test.count, trained.length);
  if (words.count !== null && words.count > there) {
    throw new ConfigError(
      `Cannot use --count ${words.count}: ${data.name} has ${data.test.count} test images, and the network learned from ` +
        `${trained.length} (expected at most ${there}, so that equally many are compared)`,
    );
  }
  return {
    ...{ seed, courseImages, bitsImages, guidance: guidanceFor(words.guidance, subject) },
    count: words.count ?? Math.min(most, there),
    ...solverSpec(solver ?? drawnBy ?? "heun:steps=20"),
  };
}
