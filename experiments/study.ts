import { join } from "node:path";
import { init } from "../kernels/mod.ts";
import { stderr } from "./cli/progress.ts";
import { main, type Stop, stopSignal, task, TrainingError } from "./cli/task.ts";
import { anyOf } from "./run/field_checks.ts";
import { taskCommand } from "./run/program_files.ts";
import { choice, integer, number, optional, path, text, toggle } from "./cli/kinds.ts";
import { ConfigError, flagOf, type Setting, type Values } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";
import { solverList } from "./cli/solver.ts";
import { training } from "./cli/training.ts";
import { readResults, type StudyResults } from "./study/cell_result.ts";
import { cellTable, checkRoom, freeBytesAt } from "./study/dry_run.ts";
import { type Launcher, launching, tryAgain } from "./study/launcher.ts";
import { local, runInTurn, threadsOf } from "./study/local.ts";
import { slurm } from "./study/slurm.ts";
import { type GivenPlan, type Plan, planEvaluation, type Value } from "./study/plan.ts";
import { type PlannedStudy, planStudy, saveStudy } from "./study/plan_study.ts";
import { findPlan, loadPlannedNetworks, planNames, plans } from "./study/plans.ts";
import { runCell } from "./study/run_cell.ts";
import { findStudy, requireCell, requireStudy, type Study } from "./study/study.ts";
import { collectStudy, failedCells, recordEnd, recordStudy } from "./study/study_tracking.ts";
import { print, say, textTable } from "./cli/output.ts";

const launchers = { local, slurm } as const satisfies Readonly<Record<string, Launcher>>;
const launcherNames = Object.keys(launchers) as (keyof typeof launchers)[];

/** Settings by name, such as `filters=8,16,32;batchSize=64`. */
function settingsByName<T>(
  hint: string,
  doc: string,
  valueOf: (text: string) => T,
): Setting<Readonly<Record<string, T>> | null> {
  return {
    doc,
    hint,
    default: null,
    expected: `settings such as ${hint}, each once`,
    fromText: (text) => {
      const pairs = text.split(";").map((pair) => /^\s*([^=]+?)\s*=\s*(.+?)\s*$/.exec(pair));
      const values = pairs.flatMap((pair) => pair ? [[pair[1], valueOf(pair[2])] as const] : []);
      return new Map(values).size < pairs.length ? text : Object.fromEntries(values);
    },
    accepts: (value): value is Readonly<Record<string, T>> => typeof value === "object" && value !== null,
  };
}

const valueOf = (text: string): Value => text === "true" ? true : text === "false" ? false : text;
const { count, guidance, milestones } = planEvaluation.rows;

const studying = defineSettings({
  preset: optional({ ...training.rows.preset, doc: "preset of all cells (default: the plan's, else quick)" }),
  grid: settingsByName(
    "model=base|residual;attn=true|false",
    "settings to vary, in all combinations, named as in config.json",
    (text) => text.split("|").map(valueOf),
  ),
  fixed: settingsByName(
    "filters=8,16,32;batchSize=64",
    "settings of all cells, written in the same way",
    valueOf,
  ),
  seeds: optional(
    integer({ doc: "number of seeds: 1 to N (default: the plan's, else 3)", min: 1, max: 1000 }),
  ),
  steps: optional(integer({ doc: "training steps of each cell (default: the plan's, else 1000)", min: 1 })),
  minutes: optional(number({
    doc: "minutes to train each cell instead, converted to steps by timing a few",
    above: 0,
  })),
  count: optional({ ...count, doc: "samples of an evaluation (default: the plan's, else 1000)" }),
  guidance: {
    ...guidance,
    doc: "guidance of evaluations, 1 = none (default: the plan's, else the preset's)",
  },
  milestones: optional({ ...milestones, doc: `${milestones.doc} (default: the plan's, else 0)` }),
  solvers: optional(solverList({ doc: "more solvers to sample each network with (default: the plan's)" })),

  out: optional(path("DIR", "folder of the study (default: runs/study-NAME)")),
  launcher: choice(launcherNames, {
    doc: launcherNames.map((name) => `${name}: ${launchers[name].doc}`).join("; "),
    default: "local",
  }),
  dryRun: toggle({ doc: "print what would be run, and run nothing", default: false }),
  only: optional(text({
    doc: "run only these cells of an existing study",
    hint: "ID,ID,...",
    pattern: /^[\w.-]+(,[\w.-]+)*$/,
    expected: "ids of cells, such as base-s1,base-s2",
  })),
  collect: toggle({
    doc: "write the table and report of an existing study, and run nothing",
    default: false,
  }),
  ...launching,
}, { preset: "Plan", out: "Run", profile: "On a Slurm cluster" });

type StudyFlags = Values<typeof studying.rows>;

interface StudyOptions extends StudyFlags {
  /** Name of a plan, path of one, or the folder of a study; undefined for a plan made of flags. */
  readonly plan: string | undefined;
  readonly changes: GivenPlan;
}

/** Flags allowed with `--only` or `--collect`, when the study already has a plan. */
const kept: readonly string[] = ["only", "collect", "device", "threads", "mlflow", "experiment"];

function resolveStudy(values: Partial<StudyFlags>, words: readonly string[]): StudyOptions {
  const flags = studying.resolve(values);
  const names = Object.keys(values);
  const [plan] = words;
  if (words.length > 1) {
    throw new ConfigError(`Cannot run ${words.length} plans: ${words.join(", ")} (expected one)`);
  }
  if (plan === undefined && flags.grid === null) {
    throw new ConfigError(
      `Missing PLAN: give the name of one (${anyOf(planNames)}), its path, the folder of a study, or --grid`,
    );
  }
  if (flags.steps !== null && flags.minutes !== null) {
    throw new ConfigError("Cannot use --minutes with --steps: each is a budget (expected one of them)");
  }
  if (flags.only !== null && flags.collect) {
    throw new ConfigError("Cannot use --collect with --only: it runs no cell (expected one of them)");
  }
  for (const other of launcherNames) {
    const flag = launchers[other].flags.find((flag) => names.includes(flag));
    if (other === flags.launcher || flag === undefined) continue;
    throw new ConfigError(
      `Cannot use ${
        flagOf(flag)
      } with --launcher ${flags.launcher}: it has no effect there (expected --launcher ${other})`,
    );
  }
  const alone = flags.only !== null ? "only" : flags.collect ? "collect" : undefined;
  const idle = alone && names.find((name) => !kept.includes(name));
  if (idle) {
    throw new ConfigError(
      `Cannot use ${flagOf(idle)} with ${flagOf(alone)}: the study keeps its plan (leave it out)`,
    );
  }
  return { ...flags, plan, changes: changesOf(flags) };
}

function changesOf(flags: StudyFlags): GivenPlan {
  const { preset, grid, fixed, seeds, steps, minutes, count, guidance, milestones, solvers } = flags;
  return {
    ...preset !== null && { preset },
    ...grid !== null && { grid },
    ...fixed !== null && { fixed },
    ...seeds !== null && { seeds: Array.from({ length: seeds }, (_, i) => i + 1) },
    ...steps !== null && { budget: { steps } },
    ...minutes !== null && { budget: { minutes } },
    evaluation: {
      ...count !== null && { count },
      ...guidance !== null && { guidance },
      ...milestones !== null && { milestones },
      ...solvers !== null && { solvers },
    },
  };
}

/** Trains and evaluates networks by a plan, and states what can be concluded. */
export const studyTask = task({
  name: "study",
  about: "Run a study: train and evaluate every cell of a plan, and compare them",
  words: "PLAN",
  settings: studying,
  epilogue: `Plans\n${textTable(Object.entries(plans).map(([name, { doc }]) => [name, doc]), undefined, 80)}`,
  resolve: resolveStudy,
  async run(options, argv) {
    using stop = stopSignal((signal) =>
      say(`\n${signal}: saving and stopping; press again to quit immediately`)
    );
    if (options.only !== null) return await runOnly(options.only.split(","), options, stop);
    if (options.collect) await collectStudy(await studyOf(options), { ...options, say });
    else await runStudy({ ...options, command: taskCommand("study", argv) }, stop);
    if (stop.signal.aborted) return stop.exitCode;
  },
});

/** Plans the study, runs its unfinished cells, and collects their results. */
async function runStudy(
  options: StudyOptions & { readonly command: string },
  { signal }: Stop,
): Promise<void> {
  const launcher: Launcher = launchers[options.launcher];
  const launch = { flags: options, signal, say, terminal: stderr };
  if (!options.dryRun) await launcher.check?.(launch);
  const { plan, folder: existing } = await findPlan(options.plan, options.changes);
  const folder = existing ?? options.out ?? join("runs", `study-${plan.name}`);
  await loadPlannedNetworks(options.changes);
  await loadPlannedNetworks(plan);
  // A machine that only submits cells need not have the device that they run on.
  const kind = launcher.collects ? options.device : "auto";
  const threads = threadsOf(options);
  const device = await init({ device: kind, threads });
  const timed = options.dryRun && launcher.collects;
  const planned = await planAndSave(
    folder,
    plan,
    { device: kind, threads, signal, say, timed },
    options.dryRun,
  );
  device.close();
  if (!planned) return;
  const { study, added, dropped, known, unfinished, problems } = planned;
  problems.forEach((problem) => say(problem));
  if (options.dryRun) {
    print(cellTable(planned, unfinished, options.jobs));
    const script = unfinished.length > 0 ? await launcher.describe?.(study, unfinished, launch) : undefined;
    if (script !== undefined) print(`\n${script}`);
    return;
  }
  if (known) {
    const done = study.cells.length - unfinished.length;
    say(`${study.folder} has ${done} of ${study.cells.length} cells finished`);
    if (added.length > 0) say(`The plan adds ${added.map(({ id }) => id).join(", ")}`);
  }
  if (dropped.length > 0) say(`Kept although no longer planned: ${dropped.map(({ id }) => id).join(", ")}`);
  const tracking = { ...options, say };
  await recordStudy(study, "RUNNING", tracking);
  // Chosen once: several threads that look for a GPU at the same time can crash the Vulkan loader (its issue 2018).
  const flags = launcher.collects ? { ...options, device: device.kind } : options;
  let failure: string | undefined;
  try {
    const failed = unfinished.length === 0
      ? []
      : await launcher.launch(study, unfinished, { ...launch, flags });
    failure = failed.length === 0 ? undefined : failedCells(failed, unfinished.length);
    if (signal.aborted) {
      await recordEnd(study, tracking);
      say("Stopped; run the same command to resume");
    } else if (launcher.collects) await collectStudy(study, tracking, failure);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    await recordStudy(study, "FAILED", tracking, reason).catch(() => {}); // the first error is the one to report
    throw error;
  }
  if (failure !== undefined && !signal.aborted) throw new TrainingError(failure);
}

/** Plans a study and saves it, except for a dry run; undefined if it was stopped. */
async function planAndSave(
  folder: string,
  plan: Plan,
  options: Parameters<typeof planStudy>[2],
  isDry: boolean,
): Promise<PlannedStudy & StudyResults | undefined> {
  for (;;) {
    const planned = await planStudy(folder, plan, options);
    if (options.signal.aborted) return undefined;
    const results = await readResults(planned.study);
    checkRoom(folder, results.unfinished, await freeBytesAt(folder), plan.evaluation.milestones);
    if (isDry || await saveStudy(planned, options)) return { ...planned, ...results };
    if (options.signal.aborted) return undefined;
    say(`Another program changed ${folder}; planning it again`);
  }
}

/** Runs cells of a study in this process, as a task of a scheduler does. @returns the exit code */
async function runOnly(ids: readonly string[], options: StudyOptions, stop: Stop): Promise<number> {
  const { signal } = stop;
  const study = await studyOf(options);
  const cells = ids.map((id) => requireCell(study, id));
  const device = await init({ device: options.device, threads: options.threads ?? 0 });
  const cellOptions = { ...options, device, signal, say, terminal: stderr };
  const { failed, busy } = await runInTurn(cells, (cell) => runCell(study, cell, cellOptions), cellOptions);
  device.close();
  if (signal.aborted) return stop.exitCode;
  if (failed.length > 0) throw new TrainingError(failedCells(failed, cells.length));
  return busy.length > 0 ? tryAgain : 0;
}

async function studyOf({ plan }: StudyOptions): Promise<Study> {
  return await requireStudy(await findStudy(plan!) ?? plan!);
}

if (import.meta.main) await main(studyTask);
