import { join } from "node:path";
import { print, say, stderr, textTable } from "./cli/output.ts";
import { describeError, main, stopSignal, task, TrainingError } from "./cli/task.ts";
import { integer, optional, path } from "./cli/kinds.ts";
import { ConfigError, defineSettings, flagOf, type Values } from "./cli/settings.ts";
import { trainingSettings } from "./settings/training.ts";
import { findPlan, isSetting, planNames, plans } from "./study/plan.ts";
import { runCell } from "./study/run_cell.ts";
import { openStudy, readStudy, type Study, type StudyOptions } from "./study/study.ts";
import { endStudy, sendCell, startStudy } from "./study/study_tracking.ts";
import { readResults } from "./study/summary.ts";
import { writeResults } from "./study/write_results.ts";

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
  out: optional(path("DIR", "folder of the study (default: runs/study-NAME)")),
  device,
  threads,
  mlflow: {
    ...mlflow,
    doc: "MLflow server to record the study on, with nested runs (default: MLFLOW_TRACKING_URI)",
  },
  experiment,
}, { preset: "Plan", cell: "Run" });

type StudyFlags = Values<typeof studying.rows>;

/** Flags that show results, too. */
const ofResults: readonly string[] = ["device", "threads", "mlflow", "experiment"];

/** Trains and evaluates networks by a plan, one after another, and states what can be concluded. */
export const studyTask = task({
  name: "study",
  about:
    "Train and evaluate every cell of a plan, and compare them; or show the results in the folder of a study",
  words: "PLAN|FOLDER [SETTING=VALUE...]",
  settings: studying,
  epilogue: "A setting that is given several times is varied: model=base model=residual\n\nPlans\n" +
    textTable(Object.entries(plans).map(([name, { doc }]) => [name, doc]), undefined, 80),
  resolve(values: Partial<StudyFlags>, words) {
    const [plan, ...more] = words.filter((word) => !isSetting(word));
    if (more.length > 0) {
      throw new ConfigError(`Cannot run the plans ${plan} and ${more.join(", ")} at once (expected one)`);
    }
    const settings = words.filter(isSetting);
    if (plan === undefined && settings.length === 0) {
      const names = planNames.join(", ");
      throw new ConfigError(
        `Missing PLAN: give ${names}, a file, a study's folder, or settings such as model=base model=residual`,
      );
    }
    const given = Object.keys(values).map(flagOf).filter((flag) => !ofResults.map(flagOf).includes(flag));
    return { ...studying.resolve(values), plan, settings, given: [...given, ...settings] };
  },
  async run({ plan: named, settings, given, cell: only, out, ...flags }, argv) {
    using stop = stopSignal((signal) =>
      say(`\n${signal}: saving and stopping; press again to quit immediately`)
    );
    const options = { ...flags, signal: stop.signal, say, terminal: stderr, argv };
    const existing = named === undefined || planNames.includes(named) ? undefined : await readStudy(named);
    if (existing) {
      if (given.length === 0) return await showResults(existing, options);
      throw new ConfigError(
        `Cannot use ${given[0]} with ${named}: this folder only shows results (expected the study's plan)`,
      );
    }

    const plan = await findPlan(named, settings, flags);
    const study = await openStudy(out ?? join("runs", `study-${plan.name}`), plan);
    const { folder, cells: { length: all } } = study;
    if (only !== null && only > all) {
      throw new ConfigError(`Cannot run cell ${only} of ${folder}: it has ${all} (expected 1 to ${all})`);
    }
    await startStudy(study, options);
    const failed: string[] = [];
    for (const [i, cell] of study.cells.entries()) {
      if (stop.signal.aborted) break;
      if (only !== null && only !== i + 1) continue;
      say(`Cell ${i + 1} of ${all}: ${cell.id}`);
      try {
        const end = await runCell(study, cell, options);
        if (end === "busy") say(`Skipping ${cell.id}: another program holds .lock in its folder`);
        if (end === "finished") await sendCell(study, cell, options);
      } catch (error) {
        if (only !== null) throw error;
        say(`${cell.id}: ${describeError(error)}`);
        failed.push(cell.id);
      }
    }
    const failure = failed.length > 0
      ? `${failed.length} of ${all} cells failed: ${failed.join(", ")}`
      : undefined;
    if (!stop.signal.aborted && (only === null || (await readResults(study)).length === all)) {
      await showResults(study, options, failure);
    }
    if (failure !== undefined) throw new TrainingError(failure);
    if (stop.signal.aborted) {
      await endStudy(study, { metrics: {}, isFinished: false }, options);
      say("Stopped; run the same command to resume");
      return stop.exitCode;
    }
  },
});

/** Writes and prints the results of a study's finished cells. @param failure why cells failed */
async function showResults(study: Study, options: StudyOptions, failure?: string): Promise<void> {
  const outcome = await writeResults(study, options);
  const { conclusion, setups: { head, rows }, problems } = outcome;
  problems.forEach((problem) => say(problem));
  print(`${conclusion}\n\n${textTable([[...head], ...rows], (column) => column > 0)}`);
  await endStudy(study, outcome, options, failure);
  say(`Done; see ${join(study.folder, "study.html")} and study.md in the same folder`);
}

if (import.meta.main) await main(studyTask);
