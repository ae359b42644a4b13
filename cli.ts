#!/usr/bin/env -S deno run -A
/**
 * The tasks as one program that needs no checkout: `deno run -A https://example.org/flow/cli.ts TASK`. It writes to the
 * current folder.
 */
import { main } from "./experiments/cli/task.ts";
import { listTasks, scriptOf, tasks } from "./experiments/tasks.ts";

/** Worker modules. Nothing else imports them, so they are listed here to be cached and packed with the program. */
export const workers: readonly (() => Promise<unknown>)[] = [
  () => import("./experiments/training/pair_worker.ts"),
];

/** Runs a task, or lists all. @returns the exit code */
export async function run([name, ...argv]: readonly string[]): Promise<number> {
  const rows = tasks.filter(({ load }) => load);
  const task = rows.find((task) => task.name === name);
  if (task?.load) {
    const [, ...first] = scriptOf(task);
    return await (await task.load()).run([...first, ...argv]);
  }
  return listTasks(rows, name === "--help" || name === "-h" ? undefined : name);
}

if (import.meta.main) await main({ run });
