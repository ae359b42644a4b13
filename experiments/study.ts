import { launchers, plansHelp, resolveStudy, studying, type StudyWords } from "./study/study_words.ts";
import { type Launcher, tryAgain } from "./study/launch/launcher.ts";
import { runInTurn, threadsOf } from "./study/launch/local.ts";
import { join } from "node:path";
import { init } from "../kernels/mod.ts";
import { stderr } from "./program/progress.ts";
import { main, type Stop, stopSignal, task, TrainingError } from "./program/task.ts";
import { collectStudy, failedCells, recordEnd } from "./study/collect_study.ts";
import { readResults, type StudyResults } from "./study/cell_result.ts";
import { checkRoom, dryRun, freeBytesAt } from "./study/dry_run.ts";
import type { Plan } from "./study/plan.ts";
import { type PlannedStudy, planStudy, saveStudy } from "./study/plan_study.ts";
import { findPlan } from "./study/plans.ts";
import { runCell } from "./study/run_cell.ts";
import { type Cell, findStudy, requireCell, requireStudy, type Study } from "./study/study.ts";
import { recordStudy } from "./study/study_tracking.ts";
import { print, say } from "./program/output.ts";

export const studyTask = task({
  name: "study",
  about: "Run a study: train and evaluate every cell of a plan, and compare them",
  words: "PLAN",
  settings: studying,
  epilogue: plansHelp(),
  resolve: resolveStudy,
  async run(words) {
    using stop = stopSignal((signal) => say(`\n${signal}: saving and stopping; press again to quit at once`));
    if (words.only !== null) return await runOnly(words.only.split(","), words, stop);
    else if (words.collect) await collectStudy(await studyOf(words), { ...words, say });
    else await run(words, stop);
    if (stop.signal.aborted) return stop.exitCode;
  },
});

/** Plans the study, has its unfinished cells run, and collects what they measured. */
async function run(words: StudyWords, { signal }: Stop): Promise<void> {
  const launcher: Launcher = launchers[words.launcher];
  const options = { flags: words, signal, say, terminal: stderr };
  if (!words.dryRun) await launcher.check?.(options);
  const { plan, folder = words.out ?? join("runs", `study-${plan.name}`) } = await findPlan(words);
  const threads = threadsOf(words);
  // A machine that only hands cells over need not have the device that they run on.
  const kind = launcher.collects ? words.device : "auto";
  const device = await init({ device: kind, threads });
  const timed = words.dryRun && launcher.collects;
  const planned = await open(folder, plan, { device: kind, threads, signal, say, timed }, words);
  device.close();
  if (!planned) return;
  const { study, added, dropped, known, unfinished, problems } = planned;
  problems.forEach((problem) => say(problem));
  if (words.dryRun) {
    print(dryRun(planned, unfinished, words.jobs));
    const script = unfinished.length > 0 ? launcher.describe?.(study, unfinished, options) : undefined;
    if (script !== undefined) print(`\n${script}`);
    return;
  }
  if (known) {
    const done = study.cells.length - unfinished.length;
    say(`${study.folder} has ${done} of ${study.cells.length} cells finished`);
    if (added.length > 0) say(`The plan adds ${added.map(({ id }) => id).join(", ")}`);
  }
  if (dropped.length > 0) {
    say(`Not in the plan any more, and kept: ${dropped.map(({ id }) => id).join(", ")}`);
  }
  const tracking = { ...words, say };
  await recordStudy(study, "RUNNING", tracking);
  // Found once: looking for a GPU in several threads at the same time can crash the Vulkan loader (its issue 2018).
  const flags = launcher.collects ? { ...words, device: device.kind } : words;
  let failed: TrainingError | undefined;
  try {
    const ids = unfinished.length > 0 ? await launcher.launch(study, unfinished, { ...options, flags }) : [];
    failed = failure(ids, unfinished.length);
    if (signal.aborted) {
      await recordEnd(study, tracking);
      say("Stopped; the same command goes on from here");
    } else if (launcher.collects) await collectStudy(study, tracking, failed?.message);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    await recordStudy(study, "FAILED", tracking, reason).catch(() => {}); // the first error is the one to report
    throw error;
  }
  if (failed && !signal.aborted) throw failed;
}

/** Plans a study and saves it, but for a dry run; undefined if that was stopped. */
async function open(
  folder: string,
  plan: Plan,
  options: Parameters<typeof planStudy>[2],
  { dryRun }: Pick<StudyWords, "dryRun">,
): Promise<PlannedStudy & StudyResults | undefined> {
  for (;;) {
    const planned = await planStudy(folder, plan, options);
    if (options.signal.aborted) return undefined;
    const results = await readResults(planned.study);
    checkRoom(folder, results.unfinished, await freeBytesAt(folder), plan.evaluation.milestones);
    if (dryRun || await saveStudy(planned, options)) return { ...planned, ...results };
    if (options.signal.aborted) return undefined;
    say(`Another program has changed ${folder} meanwhile; planning it again`);
  }
}

/** What to say of cells that failed; undefined if none did. */
function failure(ids: readonly string[], of: number): TrainingError | undefined {
  return ids.length === 0 ? undefined : new TrainingError(failedCells(ids, of));
}

/** Runs cells of a study in this process, as the tasks of an array do; a cell that is held gives the exit code `tryAgain`. */
async function runOnly(
  ids: readonly string[],
  words: StudyWords,
  stop: Stop,
): Promise<number> {
  const { signal } = stop;
  const study = await studyOf(words);
  const cells = ids.map((id) => requireCell(study, id));
  const device = await init({ device: words.device, threads: words.threads ?? 0 });
  const options = { ...words, device, signal, say, terminal: stderr };
  const run = (cell: Cell) => runCell(study, cell, options);
  const { failed, busy } = await runInTurn(cells, run, options);
  device.close();
  if (signal.aborted) return stop.exitCode;
  const error = failure(failed, cells.length);
  if (error) throw error;
  return busy.length > 0 ? tryAgain : 0;
}

/** The study that is named by its folder. */
async function studyOf({ plan }: StudyWords): Promise<Study> {
  return await requireStudy(await findStudy(plan!) ?? plan!);
}

if (import.meta.main) await main(studyTask);
