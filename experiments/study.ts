import { join } from "node:path";
import { init } from "../kernels/mod.ts";
import { integer, optional, path, toggle } from "./cli/kinds.ts";
import { formatTime, print, say, stderr, textTable } from "./cli/output.ts";
import { ConfigError, defineSettings, flagOf, type Values } from "./cli/settings.ts";
import { describeError, main, stopSignal, task, TrainingError } from "./cli/task.ts";
import { readConfig } from "./settings/config_file.ts";
import { resumedRun } from "./settings/decide.ts";
import type { RunConfig } from "./settings/run_config.ts";
import { trainingSettings } from "./settings/training.ts";
import { reportPath, writeReport } from "./report/write_report.ts";
import { runFile, runFolder } from "./run/files.ts";
import {
  findContained,
  lockName,
  lockRun,
  makeFolder,
  reasonOf,
  RunError,
  tryLockRun,
} from "./run/run_folder.ts";
import { expandPlan, type PlannedCell } from "./study/cells.ts";
import { findPlan, isSetting, planNames, plans } from "./study/find_plan.ts";
import { metricsOf } from "./study/findings.ts";
import { measureCell, milestonesOf } from "./study/measure_cell.ts";
import { readResult, readResults } from "./study/results.ts";
import { cellFolder, openStudy, readStudy, type Study, type StudyOptions } from "./study/study.ts";
import { endStudy, sendCell, startStudy } from "./study/study_tracking.ts";
import { summarizeStudy } from "./study/summary.ts";
import { writeResults } from "./study/write_results.ts";
import { readRecord } from "./tracking/record.ts";
import { timeTraining } from "./training/dry_run.ts";
import { runTraining } from "./training/run_training.ts";

const { preset, device, threads, mlflow, experiment } = trainingSettings;

const studying = defineSettings({
  preset: optional({ ...preset, doc: "preset of all cells (default: the plan's, else quick)" }),
  seeds: optional(integer({ doc: "seeds 1 to N (default: the plan's, else 3)", min: 1, max: 1000 })),
  steps: optional(integer({ doc: "training steps of each cell (default: the plan's, else 1000)", min: 1 })),
  count: optional(integer({
    doc: "samples of each network (default: the plan's, else 1000, or fewer if there are fewer test images)",
    min: 2,
    max: 100_000,
  })),
  cell: optional(integer({ doc: "run only the Nth cell, from 1, as a job of an array does", min: 1 })),
  dryRun: toggle({
    doc: "check everything, show the cells and the time of training; write nothing",
    default: false,
  }),
  out: optional(path("DIR", "folder of the study (default: runs/study-NAME)")),
  device,
  threads,
  mlflow: {
    ...mlflow,
    doc: "MLflow server to record the study on, with nested runs (default: MLFLOW_TRACKING_URI)",
  },
  experiment,
}, { preset: "Plan", cell: "Run" });

/** Flags that have an effect where a study only shows its results. */
const ofResults: readonly string[] = ["mlflow", "experiment"];

/** Tells the plan, or the folder of a study, from settings among the words of a command line. */
function resolve(values: Partial<Values<typeof studying.rows>>, words: readonly string[]) {
  const settings = words.filter(isSetting);
  const [plan, ...more] = words.filter((word) => !isSetting(word));
  if (more.length > 0) {
    throw new ConfigError(`Cannot run the plans ${plan} and ${more.join(", ")} at once (expected one)`);
  }
  if (plan === undefined && settings.length === 0) {
    const names = planNames.join(", ");
    throw new ConfigError(
      `Missing PLAN: give ${names}, a file, a study's folder, or settings such as model=base model=residual`,
    );
  }
  const flags = Object.keys(values).filter((name) => !ofResults.includes(name)).map(flagOf);
  return { ...studying.resolve(values), plan, settings, given: [...flags, ...settings] };
}

/** Trains and evaluates networks by a plan, one after another, and states what can be concluded. */
export const studyTask = task({
  name: "study",
  about:
    "Train and evaluate every cell of a plan, and compare them; or show the results in the folder of a study",
  words: "PLAN|FOLDER [SETTING=VALUE...]",
  settings: studying,
  epilogue: "A setting that is given several times is varied: model=base model=residual\n\nPlans\n" +
    textTable(Object.entries(plans).map(([name, { doc }]) => [name, doc]), undefined, 80),
  resolve,
  async run({ plan: named, settings, given, cell: only, out, dryRun, ...flags }, argv) {
    using stop = stopSignal((signal) =>
      say(`\n${signal}: saving and stopping; press again to quit immediately`)
    );
    const { signal } = stop;
    const options = { ...flags, signal, say, terminal: stderr, argv };

    // Show the results in the folder of a study.
    const existing = named === undefined || planNames.includes(named) ? undefined : await readStudy(named);
    if (existing && given.length > 0) {
      throw new ConfigError(
        `Cannot use ${given[0]} with ${named}: this folder only shows results (expected the study's plan)`,
      );
    }
    if (existing) return await showResults(existing, options);

    // Expand a plan to its cells, in a new folder or in that of the same study.
    const plan = await findPlan(named, settings, flags);
    const cells = expandPlan(plan);
    const { length: count } = cells;
    const folder = out ?? join("runs", `study-${plan.name}`);
    const study = await openStudy(folder, plan, cells, dryRun);
    if (only !== null && only > count) {
      throw new ConfigError(`Cannot run cell ${only} of ${folder}: it has ${count} (expected 1 to ${count})`);
    }

    if (dryRun) return await showPlan(study, cells, options) ? 0 : stop.exitCode;

    // Train and evaluate one cell after another.
    await startStudy(study, options);
    const failed: string[] = [];
    for (const [i, one] of cells.entries()) {
      if (signal.aborted) break;
      if (only !== null && only !== i + 1) continue;
      const { id } = one.cell;
      say(`Cell ${i + 1} of ${count}: ${id}`);
      try {
        const end = await runCell(study, one, { ...options, isAlone: only !== null });
        if (end === "busy") say(`Skipping ${id}: another program holds ${lockName} in its folder`);
        if (end === "finished") await sendCell(study, one.cell, options);
      } catch (error) {
        if (only !== null) throw error;
        say(`${id}: ${describeError(error)}`);
        failed.push(id);
      }
    }

    // Conclude; of the jobs of an array, only the last does.
    const failure = failed.length > 0
      ? `${failed.length} of ${count} cells failed: ${failed.join(", ")}`
      : undefined;
    if (signal.aborted) {
      if (failure !== undefined) throw new TrainingError(failure);
      await endStudy(study, { metrics: {}, isFinished: false }, options);
      say("Stopped; run the same command to resume");
      return stop.exitCode;
    }
    if (only === null || (await readResults(study)).length === count) {
      await showResults(study, options, failure);
    }
    if (failure !== undefined) throw new TrainingError(failure);
  },
});

/**
 * Trains the network of a cell, or goes on with it, and evaluates it.
 *
 * @returns how it ended; it is busy if another program runs it
 * @throws {RunError} if it is busy and the only one to run: the caller would succeed without having done anything
 */
async function runCell(
  study: Study,
  { cell, set }: PlannedCell,
  { isAlone, ...options }: StudyOptions & { readonly isAlone: boolean },
): Promise<"finished" | "finished earlier" | "busy" | "stopped"> {
  const run = cellFolder(study, cell);
  await makeFolder(join(study.folder, runFolder.cells), cell.id);
  using lock = isAlone ? await lockRun(run) : await tryLockRun(run);
  if (!lock) return "busy";
  if (await readResult(study, cell)) return "finished earlier";
  const device = await init(options); // each cell has its own, so that a lost one ends no other cell
  try {
    const { signal, say, terminal, mlflow, experiment } = options;
    const how = { signal, say, terminal };
    const keepAt = milestonesOf(cell.steps, study.plan.evaluation.milestones);
    const left = await leftToTrain(run, { ...set, out: run, mlflow, experiment });
    if (left) {
      const { interrupted } = await runTraining(left, { ...how, device, lock, runName: cell.id, keepAt });
      if (interrupted) return "stopped";
    }
    say(`Evaluating ${cell.id}`);
    if (!await measureCell(run, study, keepAt, how)) return "stopped";
    await writeReport([run], reportPath([run]));
    return "finished";
  } finally {
    device.close();
  }
}

/** Prints the cells of a study with the time of their training, measured for one seed. Returns false if stopped. */
async function showPlan(
  study: Study,
  planned: readonly PlannedCell[],
  options: StudyOptions,
): Promise<boolean> {
  const { seeds } = study.plan;
  const seconds: number[] = [];
  const rows: string[][] = [];
  for (const [i, { cell, set }] of planned.entries()) {
    const setup = i % (planned.length / seeds.length); // cells are listed seed by seed
    if (seconds[setup] === undefined) {
      const device = await init(options);
      const timed = await timeTraining({ ...set, out: cellFolder(study, cell) }, { ...options, device })
        .finally(() => device.close());
      if (!timed) return false;
      seconds[setup] = timed.seconds;
    }
    rows.push([String(i + 1), cell.id, String(cell.steps), `about ${formatTime(seconds[setup])}`]);
  }
  const all = seconds.reduce((sum, one) => sum + one, 0) * seeds.length;
  print(textTable([["cell", "name", "steps", "training"], ...rows], (column) => column !== 1));
  print(
    `\nTraining all takes about ${
      formatTime(all)
    } on this machine; then each network draws ${study.count} samples ` +
      "and its pictures. Nothing was written.",
  );
  return true;
}

/** The settings to train a cell, or to resume it; undefined if it is trained. */
async function leftToTrain(run: string, config: RunConfig): Promise<RunConfig | undefined> {
  const kept = [runFile.state, runFile.evaluation];
  if (!kept.some((name) => findContained(join(run, name)))) {
    await clear(run);
    return config;
  }
  if ((await readRecord(run))?.status === "FINISHED") return undefined; // with all its files
  return resumedRun({ mlflow: config.mlflow ?? undefined }, run, readConfig(run));
}

/** Removes what a run has left that was killed before its first checkpoint, except its lock. */
async function clear(run: string): Promise<void> {
  try {
    for await (const { name } of Deno.readDir(run)) {
      if (!name.startsWith(lockName)) await Deno.remove(join(run, name), { recursive: true });
    }
  } catch (error) {
    throw new RunError(`Cannot restart ${run}: ${reasonOf(error)}`);
  }
}

/** Writes, prints and records the results of a study's finished cells. @param failure why cells failed */
async function showResults(study: Study, options: StudyOptions, failure?: string): Promise<void> {
  const results = await readResults(study);
  const summary = summarizeStudy(study.cells, results);
  const { conclusion, setups: { head, rows } } = await writeResults(study, results, summary);
  print(`${conclusion}\n\n${textTable([[...head], ...rows], (column) => column > 0)}`);
  const isFinished = results.length === study.cells.length;
  await endStudy(study, { metrics: metricsOf(summary), isFinished }, options, failure);
  say(`Done; see ${join(study.folder, "study.html")} and study.md in the same folder`);
}

if (import.meta.main) await main(studyTask);
