#!/usr/bin/env -S deno run -A
/**
 * The tasks as one program that needs no checkout: `deno run -A https://example.org/flow/cli.ts TASK`. It writes to the
 * current folder.
 */
import project from "./deno.json" with { type: "json" };
import { print, say, textTable } from "./experiments/cli/output.ts";
import { startCommand } from "./experiments/run/program_files.ts";
import { describeError, main } from "./experiments/cli/task.ts";
import { ConfigError } from "./experiments/cli/setting.ts";
import { nearest } from "./models/names.ts";

/** A program that takes command-line arguments and returns the exit code. */
interface Program {
  run(argv: readonly string[]): Promise<number>;
}

/** The programs of tasks that need no checkout, by their paths in `deno.json`. Each is loaded when it runs. */
const programs: Readonly<Record<string, () => Promise<Program>>> = {
  "experiments/animate.ts": async () => (await import("./experiments/animate.ts")).animateTask,
  "experiments/compare.ts": async () => (await import("./experiments/compare.ts")).compareTask,
  "experiments/distill.ts": async () => (await import("./experiments/distill.ts")).distillTask,
  "experiments/doctor.ts": async () => (await import("./experiments/doctor.ts")).doctorTask,
  "experiments/evaluate.ts": async () => (await import("./experiments/evaluate.ts")).evaluateTask,
  "experiments/export.ts": async () => (await import("./experiments/export.ts")).exportTask,
  "experiments/judge.ts": async () => (await import("./experiments/judge.ts")).judgeTask,
  "experiments/mlflow.ts": async () => (await import("./experiments/mlflow.ts")).mlflowTask,
  "experiments/morph.ts": async () => (await import("./experiments/morph.ts")).morphTask,
  "experiments/playground.ts": async () => (await import("./experiments/playground.ts")).playgroundTask,
  "experiments/build_playground.ts": async () =>
    (await import("./experiments/build_playground.ts")).buildPlaygroundTask,
  "experiments/report.ts": async () => (await import("./experiments/report.ts")).reportTask,
  "experiments/runs.ts": async () => (await import("./experiments/runs.ts")).runsTask,
  "experiments/sample.ts": async () => (await import("./experiments/sample.ts")).sampleTask,
  "experiments/site.ts": async () => (await import("./experiments/site.ts")).siteTask,
  "experiments/solvers.ts": async () => (await import("./experiments/solvers.ts")).solversTask,
  "experiments/study.ts": async () => (await import("./experiments/study.ts")).studyTask,
  "experiments/sync.ts": async () => (await import("./experiments/sync.ts")).syncTask,
  "experiments/train.ts": async () => (await import("./experiments/train.ts")).trainTask,
};

/** Worker modules. Nothing else imports them, so they are listed here to be cached and packed with the program. */
export const workers: readonly (() => Promise<unknown>)[] = [
  () => import("./experiments/data/read_ahead_worker.ts"),
  () => import("./experiments/training/pair_worker.ts"),
];

/** A task of `deno.json`. */
interface CliTask {
  readonly about: string;
  readonly program: () => Promise<Program>;
  /** The arguments that its command in `deno.json` begins with. */
  readonly firstArguments: readonly string[];
}

/** The tasks by name. */
export const tasks: ReadonlyMap<string, CliTask> = new Map(
  Object.entries(project.tasks).flatMap(([name, { description, command }]) => {
    const [, path = "", text = ""] = / (experiments\/\w+\.ts)(.*)/.exec(command) ?? [];
    if (!Object.hasOwn(programs, path)) return [];
    const firstArguments = text.split(" ").filter(Boolean);
    return [[name, { about: description, program: programs[path], firstArguments }]];
  }),
);

/** Runs a task, or lists all. @returns the exit code */
export async function run([name, ...argv]: readonly string[]): Promise<number> {
  if (name === undefined || name === "--help" || name === "-h") {
    print(`Usage: ${startCommand("TASK")} [flags]\n`);
    print(textTable(Array.from(tasks, ([name, { about }]) => [name, about])));
    print(`\n${startCommand("TASK")} --help lists the flags of a task.`);
    return 0;
  }
  const task = tasks.get(name);
  if (task) return await (await task.program()).run([...task.firstArguments, ...argv]);
  const suggestion = nearest(name.replace(":", " "), tasks.keys()); // a colon would begin settings
  const question = suggestion === undefined ? "" : `: did you mean ${suggestion}?`;
  say(describeError(new ConfigError(`Unknown task "${name}"${question} (--help lists all tasks)`)));
  return 1;
}

if (import.meta.main) await main({ run });
