import { mostThreads } from "../../../../kernels/devices/cpu/most_threads.ts";
import { graceSeconds, type JobSettings } from "../../../settings/tasks/slurm.ts";
import { tryAgain } from "../try_again.ts";
import { directive, sbatchPath, shellCommand, shellWord } from "./shell.ts";

/**
 * How a task hears signals. Slurm sends USR1 to this shell alone before the time limit, but TERM to all programs of a
 * task that is cancelled.
 */
const traps = `near_limit=
trap 'near_limit=yes; kill -TERM $! || :' USR1
trap : TERM`;

/** What a task does once its cell runs. */
const awaitCell = `# A signal ends a wait early; the last one gives the exit code.
while kill -0 $! 2>/dev/null; do wait $! || :; done
code=0
wait $! || code=$?
# 143: stopped by TERM, and saved. ${tryAgain}: another program, which may have died, holds the cell.
if [ -n "$near_limit" ] && [ "$code" = 143 ] || [ "$code" = ${tryAgain} ]; then
  scontrol requeue "\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"`;

/** What the scripts of a study depend on besides the settings of the jobs. */
export interface Submission {
  /** Name of the jobs. */
  readonly name: string;
  /** For what the jobs print, an absolute path. */
  readonly logs: string;
  /** Where the jobs run, an absolute path. */
  readonly directory: string;
  /** The command of the study task with its folder. */
  readonly command: readonly string[];
  /** Where cells compute. */
  readonly device: string;
  /** Threads of the CPU device; null for as many as Slurm gives a job processors. */
  readonly threads: number | null;
}

/**
 * The script of a job array, one cell a task: a cell that comes near the time limit is saved and queued again, one whose
 * job is cancelled is saved.
 *
 * @param cells their ids
 * @throws {ConfigError} if sbatch cannot be told the path of the logs
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
 * The script of the job that collects what the cells measured, and writes table and report.
 *
 * @param after id of the array that it waits for
 * @throws {ConfigError} if sbatch cannot be told the path of the logs
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
    // It asks for no GPU.
    `exec ${task(submission, "cpu")} --collect`,
  );
}

/** What both kinds of jobs ask for. */
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
