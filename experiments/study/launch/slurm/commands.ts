import { SlurmError } from "../../../program/slurm_error.ts";
import { reasonOf } from "../../../run/atomic_write.ts";

/** A task of a job array that waits or runs. */
export interface QueuedTask {
  readonly job: string;
  readonly index: number;
}

/**
 * Submits a batch script.
 *
 * @param env variables that the job gets besides those of this program
 * @returns id of the job
 * @throws {SlurmError} if there is no sbatch, or it refuses
 */
export async function submit(script: string, env: Record<string, string>): Promise<string> {
  const answer = await ask("sbatch", ["--parsable"], script, env);
  const [, id] = /^(\d+)(?:;\S+)?$/.exec(answer) ?? [];
  if (id !== undefined) return id;
  throw new SlurmError(
    `Cannot submit the study: sbatch answers ${JSON.stringify(answer)} (expected the id of a job)`,
  );
}

/** @throws {SlurmError} if there is no sbatch */
export async function checkSbatch(): Promise<void> {
  await ask("sbatch", ["--version"]);
}

/**
 * The tasks of arrays that wait or run.
 *
 * @param name of the arrays
 * @throws {SlurmError} if there is no squeue, or it fails
 */
export async function queuedTasks(name: string): Promise<QueuedTask[]> {
  const args = ["--noheader", "--array", `--name=${name}`, "--format=%F %K %t"];
  const answer = await ask("squeue", args);
  return answer.split("\n").flatMap((line) => {
    const [job, index, state] = line.trim().split(" ");
    // What is completing (CG) does no more work.
    return /^\d+$/.test(index ?? "") && state !== "CG" ? [{ job, index: Number(index) }] : [];
  });
}

async function ask(
  program: string,
  args: string[],
  input = "",
  env: Record<string, string> = {},
): Promise<string> {
  const options = { args, env, stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  let output: Deno.CommandOutput;
  try {
    const process = new Deno.Command(program, options).spawn();
    // A program that refuses need not have read all.
    const given = new Blob([input]).stream().pipeTo(process.stdin).catch(() => {});
    [output] = await Promise.all([process.output(), given]);
  } catch (error) {
    throw new SlurmError(`Cannot submit the study: ${whyNotStarted(program, error)}`);
  }
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (output.success) return text(output.stdout);
  const lines = text(output.stderr).split("\n").map((line) => line.replace(/^\w+: (error|fatal): /, ""));
  throw new SlurmError(`Cannot submit the study: ${program} refuses: ${lines.join("; ")}`);
}

function whyNotStarted(program: string, error: unknown): string {
  if (error instanceof Deno.errors.NotFound) {
    return `there is no ${program} here (expected the login node of a Slurm cluster; --launcher local runs the study on ` +
      "this machine, --dry-run prints the batch script)";
  }
  if (error instanceof Deno.errors.NotCapable && error.message.includes("environment variable")) {
    return `Deno starts no ${program} while variables such as LD_LIBRARY_PATH are set (put "env -u LD_LIBRARY_PATH" ` +
      'before the command, and set it in "setup" of the profile where jobs need it)';
  }
  return `${program} does not start: ${reasonOf(error)}`;
}
