import { maxThreads } from "../../kernels/devices/cpu/thread_team.ts";
import { ConfigError } from "../cli/setting.ts";
import { graceSeconds, type JobSettings, tryAgain } from "./launcher.ts";

/** Inputs of a study's batch scripts. */
export interface Submission {
  readonly name: string;
  /** Absolute path of the folder for the output of the jobs. */
  readonly logs: string;
  /** Absolute path of the jobs' working folder. */
  readonly directory: string;
  /** The command of the study task with its folder. */
  readonly command: readonly string[];
  readonly device: string;
  /** Threads of the CPU device; null for one per processor of the job. */
  readonly threads: number | null;
  readonly job: JobSettings;
}

/**
 * The script of a job array, with one task per cell. Near the time limit, a cell is saved and requeued; if its job is
 * cancelled, it is only saved.
 *
 * @param cells the ids of the cells
 * @throws {ConfigError} if sbatch cannot take the path of the logs
 */
export function arrayScript(submission: Submission, cells: readonly string[]): string {
  const { name, logs, device, job } = submission;
  const tasks = `0-${cells.length - 1}`;
  return `#!/bin/bash
${
    directives({
      "job-name": name,
      array: job.maxTasks === null ? tasks : `${tasks}%${job.maxTasks}`,
      output: `${sbatchPath(logs)}/%A_%a.log`,
      "open-mode": "append",
      requeue: "",
      signal: `B:USR1@${graceSeconds}`,
      ...resources(job),
      gpus: job.gpus,
      constraint: job.constraint,
    })
  }

${start(submission)}
# Before the time limit, Slurm sends USR1 to this shell only; when a task is cancelled, it sends TERM to all its programs.
near_limit=
trap 'near_limit=yes; kill -TERM $! || :' USR1
trap : TERM
cells=(${shellCommand(cells)})
${task(submission, device)} --only "\${cells[SLURM_ARRAY_TASK_ID]}" &
# A signal ends a wait early; the last wait returns the exit code.
while kill -0 $! 2>/dev/null; do wait $! || :; done
code=0
wait $! || code=$?
# 143: stopped by TERM, and saved. ${tryAgain}: another program, possibly a dead one, holds the cell.
if [ -n "$near_limit" ] && [ "$code" = 143 ] || [ "$code" = ${tryAgain} ]; then
  scontrol requeue "\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
`;
}

/**
 * The script of the job that writes table and report from the results of the cells. It needs no GPU.
 *
 * @param after the id of the array to wait for
 * @throws {ConfigError} if sbatch cannot take the path of the logs
 */
export function collectScript(submission: Submission, after: string): string {
  const { name, logs, job } = submission;
  return `#!/bin/bash
${
    directives({
      "job-name": `${name}-collect`,
      dependency: `afterany:${after},singleton`,
      output: `${sbatchPath(logs)}/%j-collect.log`,
      ...resources(job),
    })
  }

${start(submission)}
exec ${task(submission, "cpu")} --collect
`;
}

/** Options of sbatch by name: omitted if null, a switch if empty. Values must not contain quotes or control characters. */
type Directives = Readonly<Record<string, string | number | null>>;

function directives(options: Directives): string {
  const present = Object.entries(options).filter(([, value]) => value !== null);
  return present.map(([option, value]) => {
    const text = /^[\w@%+=:,./-]*$/.test(`${value}`) ? `${value}` : `"${value}"`;
    return `#SBATCH --${option}${text && "="}${text}`;
  }).join("\n");
}

function resources({ partition, account, qos, time, cpus, memory }: JobSettings): Directives {
  return { partition, account, qos, time, "cpus-per-task": cpus, mem: memory };
}

function start({ directory, threads, job }: Submission): string {
  const cpus = "SLURM_CPUS_ON_NODE";
  return [
    "set -e",
    ...job.setup,
    `cd -- ${shellWord(directory)}`,
    `threads=${threads ?? `$((${cpus} < ${maxThreads} ? ${cpus} : ${maxThreads}))`}`,
  ].join("\n");
}

function task({ command }: Submission, device: string): string {
  return `${shellCommand([...command, "--device", device])} --threads "$threads"`;
}

/** Quotes text as one word of bash. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function shellCommand(words: readonly string[]): string {
  return words.map(shellWord).join(" ");
}

/**
 * Escapes a path for an option of sbatch, where `%` is special.
 *
 * @throws {ConfigError} if sbatch cannot take the path
 */
function sbatchPath(path: string): string {
  if (!/["\\\p{Cc}]/u.test(path)) return path.replaceAll("%", "%%");
  throw new ConfigError(
    `Cannot submit the study in ${
      JSON.stringify(path)
    }: sbatch does not accept quotes, backslashes or control characters in a path`,
  );
}
