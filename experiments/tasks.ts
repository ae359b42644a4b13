/**
 * The list of tasks. `deno task build tasks` writes it to `deno.json`, the README and docs/security.md; `cli.ts` and
 * `./denow task` print it. The modules are loaded when they run.
 */

import { nearest } from "../models/names.ts";
import { print, say, textTable } from "./cli/output.ts";
import { describeError } from "./cli/task.ts";
import { ConfigError } from "./cli/settings.ts";
import { startCommand } from "./run/program_files.ts";

/** A program that takes command-line arguments and returns the exit code. */
interface Program {
  run(argv: readonly string[]): Promise<number>;
}

/** A task of `deno.json`. */
export interface TaskRow {
  readonly name: string;
  /** What it does, in at most 60 characters. */
  readonly about: string;
  /** The page that explains it. */
  readonly page: string;
  /** Permissions of its program, as Deno's flags. */
  readonly rights?: string;
  /** The program, with the arguments that it begins with; by default `experiments/NAME.ts`. */
  readonly script?: string;
  /** Its command in `deno.json`, if it is not one program. */
  readonly command?: string;
  /** Loads the program of a task that needs no checkout. */
  readonly load?: () => Promise<Program>;
}

// MLflow's variables, and the network for its server, are the set `tracking` in deno.json.
const reads = "--allow-read";
const writes = "--allow-read --allow-write";
// The name of the machine goes into the lock of a run.
const tracked = `-P=tracking ${writes} --allow-sys=hostname`;
const trains = `${tracked},systemMemoryInfo,cpus,userInfo,uid,gid`;
const page = (name: string) => `docs/${name}.md`;

/** All tasks, in the order of `--help`. */
export const tasks: readonly TaskRow[] = [
  {
    name: "train",
    about: "Train a network of your own, --model FILE, or a U-Net",
    page: page("own_networks"),
    rights: trains,
    load: async () => (await import("./train.ts")).trainTask,
  },
  {
    name: "train:residual",
    about: "Train the residual U-Net",
    page: page("training"),
    rights: trains,
    script: "experiments/train.ts --model residual",
    load: async () => (await import("./train.ts")).trainTask,
  },
  {
    name: "train:base",
    about: "Train the base U-Net",
    page: page("training"),
    rights: trains,
    script: "experiments/train.ts --model base",
    load: async () => (await import("./train.ts")).trainTask,
  },
  {
    name: "distill",
    about: "Train a network that draws images in few evaluations",
    page: page("few_steps"),
    rights: trains,
    load: async () => (await import("./distill.ts")).distillTask,
  },
  {
    name: "sample",
    about: "Draw images from weights or a run",
    page: page("solvers"),
    rights: writes,
    load: async () => (await import("./sample.ts")).sampleTask,
  },
  {
    name: "animate",
    about: "Draw flows of runs as GIF, APNG or stills",
    page: page("reports"),
    rights: writes,
    load: async () => (await import("./animate.ts")).animateTask,
  },
  {
    name: "evaluate",
    about: "Measure sample quality, with confidence intervals",
    page: page("evaluation"),
    rights: tracked,
    load: async () => (await import("./evaluate.ts")).evaluateTask,
  },
  {
    name: "study",
    about: "Train and evaluate the cells of a plan, and compare them",
    page: page("study"),
    rights: trains,
    load: async () => (await import("./study.ts")).studyTask,
  },
  {
    name: "report",
    about: "Write an HTML report of one run, or of several",
    page: page("reports"),
    rights: writes,
    load: async () => (await import("./report.ts")).reportTask,
  },
  {
    name: "runs",
    about: "List run folders, show one, or compare several",
    page: page("tracking"),
    rights: reads,
    load: async () => (await import("./runs.ts")).runsTask,
  },
  {
    name: "sync",
    about: "Upload run folders to an MLflow server, without duplicates",
    page: page("tracking"),
    rights: tracked,
    load: async () => (await import("./sync.ts")).syncTask,
  },
  {
    name: "export",
    about: "Write a U-Net as a PyTorch module, with its weights",
    page: page("training"),
    rights: writes,
    load: async () => (await import("./export.ts")).exportTask,
  },
  {
    name: "serve",
    about: "Serve the playground, reports and the library",
    page: page("playground"),
    rights: "--allow-read --allow-net=127.0.0.1",
    load: async () => (await import("./serve.ts")).serveTask,
  },
  {
    name: "doctor",
    about: "Check this machine, and why training uses no GPU",
    page: page("gpu"),
    rights: "--allow-read --allow-run=experiments/doctor.sh --allow-sys=systemMemoryInfo",
    load: async () => (await import("./doctor.ts")).doctorTask,
  },
  {
    name: "bench",
    about: "Time ops and networks",
    page: page("performance"),
    rights: reads,
    script: "tests/bench/bench.ts",
  },
  {
    name: "build",
    about: "Write generated files, or the npm package",
    page: "CONTRIBUTING.md",
    rights: `${writes} --allow-run --allow-env`,
    script: "tools/build.ts",
  },
  {
    name: "test",
    about: "Run the tests and the examples in the docs",
    page: "CONTRIBUTING.md",
    rights: "--allow-read --allow-run --allow-env=DENO_V8_FLAGS",
    script: "tests/run_all.ts",
  },
  {
    name: "ok",
    about: "Check format, lint, types and docs, then run the tests",
    page: "CONTRIBUTING.md",
    command: "deno fmt --check && " +
      "deno lint && deno check --doc --lock=tests/deno.lock . *.md */*.md && " +
      "deno doc --lint mod.ts kernels/mod.ts models/mod.ts viz/mod.ts viz/report/mod.ts web/mod.ts && deno task test --all",
  },
];

/** The program of a task, and the arguments that it begins with. */
export function scriptOf({ name, script }: TaskRow): string[] {
  return (script ?? `experiments/${name}.ts`).split(" ");
}

/** The command of a task in `deno.json`. */
export function commandOf(task: TaskRow): string {
  const [script, ...args] = scriptOf(task);
  const lock = script.startsWith("experiments/") ? "deno.lock" : "tests/deno.lock";
  return task.command ?? ["deno run -q", task.rights, `--lock=${lock}`, script, ...args].join(" ");
}

/**
 * Prints a list of tasks, after an error if there is none with a name.
 *
 * @param command what starts a task
 * @returns the exit code
 */
export function listTasks(
  rows: readonly TaskRow[],
  unknown?: string,
  command = startCommand("TASK"),
): number {
  if (unknown !== undefined) {
    const meant = nearest(unknown.replace(":", " "), rows.map(({ name }) => name)); // a colon would begin settings
    const question = meant === undefined ? "" : `: did you mean ${meant}?`;
    say(describeError(new ConfigError(`Unknown task ${JSON.stringify(unknown)}${question}`)));
  }
  const lines = textTable(rows.map(({ name, about }) => [name, about]));
  const text = `Usage: ${command} [flags]\n\n${lines}\n\n${command} --help lists the flags of a task.`;
  if (unknown === undefined) print(text);
  else say(text);
  return unknown === undefined ? 0 : 1;
}

// For `./denow task` without a task, or with an unknown one.
if (import.meta.main) Deno.exit(listTasks(tasks, Deno.args[0], "./denow task TASK"));
