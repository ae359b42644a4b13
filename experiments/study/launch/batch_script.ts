import { mostThreads } from "../../../kernels/devices/cpu/thread_team.ts";
import { graceSeconds, type JobSettings } from "./launch_flags.ts";
import { ConfigError } from "../../settings/setting.ts";
import { tryAgain } from "./launcher.ts";

/** Slurm sends USR1 to this shell alone before the time limit, but TERM to all programs of a task that is cancelled. */
const traps = `near_limit=
trap 'near_limit=yes; kill -TERM $! || :' USR1
trap : TERM`;

const awaitCell = `# A signal ends a wait early; the last one gives the exit code.
while kill -0 $! 2>/dev/null; do wait $! || :; done
code=0
wait $! || code=$?
# 143: stopped by TERM, and saved. ${tryAgain}: another program, which may have died, holds the cell.
if [ -n "$near_limit" ] && [ "$code" = 143 ] || [ "$code" = ${tryAgain} ]; then
  scontrol requeue "\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"`;

/** Inputs of a study's batch scripts, besides the settings of the jobs. */
export interface Submission {
  /** Name of the jobs. */
  readonly name: string;
  /** Folder for the output of the jobs, an absolute path. */
  readonly logs: string;
  /** Working folder of the jobs, an absolute path. */
  readonly directory: string;
  /** The command of the study task with its folder. */
  readonly command: readonly string[];
  /** Device of the cells. */
  readonly device: string;
  /** Threads of the CPU device; null for one per processor of the job. */
  readonly threads: number | null;
}

/**
 * The script of a job array, one task per cell. Near the time limit a cell is saved and queued again; if its job is
 * cancelled, it is only saved.
 *
 * @param cells their ids
 * @throws {ConfigError} if sbatch cannot take the path of the logs
 */
export function arrayScript(
  submission: Submission,
  cells: readonly string[],
  job: JobSettings,
): string {
  const last = cells.length - 1;
  return lines(
    "#!/bin/bash",
    directive("job-name", submission.name),
    directive("array", job.maxTasks === null ? `0-${last}` : `0-${last}%${job.maxTasks}`),
    directive("output", `${sbatchPath(submission.logs)}/%A_%a.log`),
    directive("open-mode", "append"),
    directive("requeue"),
    directive("signal", `B:USR1@${graceSeconds}`),
    resources(job),
    directive("gpus", job.gpus),
    directive("constraint", job.constraint),
    "",
    start(submission, job),
    traps,
    `cells=(${shellCommand(cells)})`,
    `${task(submission, submission.device)} --only "\${cells[SLURM_ARRAY_TASK_ID]}" &`,
    awaitCell,
  );
}

/**
 * The script of the job that writes table and report from the results of the cells.
 *
 * @param after id of the array that it waits for
 * @throws {ConfigError} if sbatch cannot take the path of the logs
 */
export function collectScript(
  submission: Submission,
  after: string,
  job: JobSettings,
): string {
  return lines(
    "#!/bin/bash",
    directive("job-name", `${submission.name}-collect`),
    directive("dependency", `afterany:${after},singleton`),
    directive("output", `${sbatchPath(submission.logs)}/%j-collect.log`),
    resources(job),
    "",
    start(submission, job),
    // It needs no GPU.
    `exec ${task(submission, "cpu")} --collect`,
  );
}

function resources({ partition, account, qos, time, cpus, memory }: JobSettings): string[] {
  return [
    directive("partition", partition),
    directive("account", account),
    directive("qos", qos),
    directive("time", time),
    directive("cpus-per-task", cpus),
    directive("mem", memory),
  ].flat();
}

function start({ directory, threads }: Submission, { setup }: JobSettings): string[] {
  const cpus = "SLURM_CPUS_ON_NODE";
  return [
    "set -e",
    ...setup,
    `cd -- ${shellWord(directory)}`,
    `threads=${threads ?? `$((${cpus} < ${mostThreads} ? ${cpus} : ${mostThreads}))`}`,
  ];
}

function task({ command }: Submission, device: string): string {
  return `${shellCommand([...command, "--device", device])} --threads "$threads"`;
}

function lines(...parts: readonly (string | readonly string[])[]): string {
  return parts.flat().join("\n") + "\n";
}

/** A text quoted as one word of bash. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function shellCommand(words: readonly string[]): string {
  return words.map(shellWord).join(" ");
}

/**
 * An option of sbatch: a switch without `value`, nothing if it is null. `value` must hold no quote or control
 * character.
 */
function directive(option: string, value?: string | number | null): string[] {
  if (value === null) return [];
  if (value === undefined) return [`#SBATCH --${option}`];
  const text = String(value);
  return [`#SBATCH --${option}=${/^[\w@%+=:,./-]+$/.test(text) ? text : `"${text}"`}`];
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
    }: its path contains a quote, a backslash or a control character, ` +
      "which sbatch does not take (expected a path without them)",
  );
}
