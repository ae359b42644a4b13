import { basename, join, resolve } from "node:path";
import project from "../../deno.json" with { type: "json" };
import { UserError } from "../../kernels/mod.ts";
import { checkout, startCommand } from "../run/program_files.ts";
import { readFields, readJson, reasonOf, RunError, writeJson } from "../run/run_folder.ts";
import { listOf, textField } from "../run/field_checks.ts";
import { makeStudyFolder, type Study, studyFolder } from "./study.ts";
import { arrayScript, collectScript, type Submission } from "./batch_script.ts";
import { type JobSettings, type Launcher, type LaunchFlags, slurmFlags, slurmProfile } from "./launcher.ts";

/** Slurm is missing or rejects a command. */
export class SlurmError extends UserError {
  override readonly name = "SlurmError";
}

/**
 * Submits cells to a Slurm cluster as a job array, and a job that collects the results once all have ended. Cells of an
 * earlier array that are still in the queue are not submitted again.
 */
export const slurm: Launcher = {
  doc: "submits the cells to a Slurm cluster as a job array, and a job that collects the results",
  flags: Object.keys(slurmFlags) as (keyof typeof slurmFlags)[],
  collects: false,
  async check({ flags }) {
    await jobSettings(flags);
    await askSlurm("sbatch", ["--version"]);
  },
  async describe(study, unfinished, { flags }) {
    const submission = await submissionOf(study, flags);
    const array = arrayScript(submission, unfinished.map(({ id }) => id));
    return `${array}\n${collectScript(submission, "ID_OF_THE_ARRAY")}`;
  },
  async launch(study, unfinished, { flags, say }) {
    const submission = await submissionOf(study, flags);
    const folder = await makeSlurmFolder(study);
    const queued = await queuedCells(folder, submission.name);
    const cells = unfinished.map(({ id }) => id).filter((id) => !queued.has(id));
    if (cells.length === 0) {
      say(
        `All ${unfinished.length} unfinished cells are already queued (see squeue --name=${submission.name})`,
      );
      return [];
    }
    // Not on the command line, where all users of a node could read a password.
    const env = flags.mlflow === null ? {} : { MLFLOW_TRACKING_URI: flags.mlflow };
    const array = await submit(arrayScript(submission, cells), env);
    const note = { job: array, cells, submittedAt: new Date().toISOString() };
    await writeJson(join(folder, `submission-${array}.json`), note);
    const number = `${cells.length} cell${cells.length === 1 ? "" : "s"}`;
    const more = queued.size > 0 ? ` (${queued.size} more are already queued)` : "";
    say(`Submitted ${number} as job ${array}${more}; their output goes to ${submission.logs}`);
    const collect = await submit(collectScript(submission, array), env);
    say(`Submitted job ${collect} to collect the results; see squeue --jobs=${array},${collect}`);
    return [];
  },
};

async function submissionOf(study: Study, flags: LaunchFlags): Promise<Submission> {
  const folder = resolve(study.folder);
  const experiment = flags.experiment === null ? [] : ["--experiment", flags.experiment];
  return {
    name: basename(folder).replaceAll(/[^\w.-]/g, "_"),
    logs: join(folder, studyFolder.slurm),
    directory: Deno.cwd(),
    command: [...studyCommand(folder), ...experiment],
    device: flags.device,
    threads: flags.threads,
    job: await jobSettings(flags),
  };
}

/** The study task's command in `deno.json`, for any working folder. */
function studyCommand(folder: string): string[] {
  if (checkout === undefined) {
    const [, ...words] = startCommand("study").split(" ");
    return [Deno.execPath(), ...words, folder];
  }
  const [, ...words]: string[] = project.tasks.study.command.split(" ");
  const absolute = words.map((word) =>
    word.replace(
      /^(--lock=)?(.+\.(?:ts|lock))$/,
      (_, flag = "", path) => flag + join(checkout!, path),
    )
  );
  return [Deno.execPath(), ...absolute, folder];
}

/**
 * The settings of the jobs, from the flags or else from the profile.
 *
 * @throws {RunError} if the profile cannot be read
 * @throws {ConfigError} if it contains an invalid value
 */
async function jobSettings(flags: LaunchFlags): Promise<JobSettings> {
  const { profile: path } = flags;
  const overrides = Object.entries(flags).filter(([name, value]) =>
    name in slurmProfile.rows && value !== null
  );
  // Unlike the files of a run, it may be a link.
  const json = path === null ? {} : await readJson(await Deno.realPath(path).catch(() => path));
  if (json === undefined) throw new RunError(`Cannot read the profile ${path}: no such file`);
  return { ...slurmProfile.read(json, `${path}`), ...Object.fromEntries(overrides) };
}

/**
 * Creates the folder for the output of jobs if it is missing. Slurm would write through links in it.
 *
 * @throws {RunError} if it cannot be created, or contains a link
 */
export async function makeSlurmFolder(study: Pick<Study, "folder">): Promise<string> {
  const folder = await makeStudyFolder(study, "slurm");
  for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
    if (isFile || isDirectory) continue;
    throw new RunError(`Cannot write to ${folder}: ${name} in it is not a file; remove it`);
  }
  return folder;
}

const submissionFields = { job: textField, cells: listOf(textField), submittedAt: textField };

/** Ids of the cells that are queued or running, from the records of earlier submissions in a folder. */
async function queuedCells(folder: string, name: string): Promise<Set<string>> {
  const submissions = new Map<string, readonly string[]>();
  for await (const { name } of Deno.readDir(folder)) {
    if (!/^submission-\d+\.json$/.test(name)) continue;
    const advice = "delete the file once its job has ended";
    const { job, cells } = (await readFields(join(folder, name), submissionFields, advice))!;
    submissions.set(job, cells);
  }
  if (submissions.size === 0) return new Set();
  const queue = await askSlurm("squeue", ["--noheader", "--array", `--name=${name}`, "--format=%F %K %t"]);
  const cells = queue.split("\n").map((line) => {
    const [job, index, state] = line.trim().split(" ");
    // A completing job (CG) no longer works; a job outside an array has no index.
    return /^\d+$/.test(index ?? "") && state !== "CG" ? submissions.get(job)?.[Number(index)] : undefined;
  });
  return new Set(cells.filter((cell) => cell !== undefined));
}

/**
 * Submits a batch script.
 *
 * @param env environment variables for the job, in addition to this program's
 * @returns its id
 * @throws {SlurmError} if there is no sbatch, or it rejects the script
 */
export async function submit(script: string, env: Record<string, string>): Promise<string> {
  const answer = await askSlurm("sbatch", ["--parsable"], script, env);
  const [, id] = /^(\d+)(?:;\S+)?$/.exec(answer) ?? [];
  if (id !== undefined) return id;
  throw new SlurmError(
    `Cannot submit the study: sbatch printed ${JSON.stringify(answer)} (expected the id of a job)`,
  );
}

/** The output of a Slurm program. @throws {SlurmError} if there is no such program, or it fails */
async function askSlurm(
  program: string,
  args: string[],
  input = "",
  env: Record<string, string> = {},
): Promise<string> {
  const options = { args, env, stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  let output: Deno.CommandOutput;
  try {
    const process = new Deno.Command(program, options).spawn();
    // A program may exit before it has read everything.
    const written = new Blob([input]).stream().pipeTo(process.stdin).catch(() => {});
    [output] = await Promise.all([process.output(), written]);
  } catch (error) {
    throw new SlurmError(`Cannot submit the study: ${whyNotStarted(program, error)}`);
  }
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (output.success) return text(output.stdout);
  const lines = text(output.stderr).split("\n").map((line) => line.replace(/^\w+: (error|fatal): /, ""));
  throw new SlurmError(`Cannot submit the study: ${program} failed: ${lines.join("; ")}`);
}

function whyNotStarted(program: string, error: unknown): string {
  if (error instanceof Deno.errors.NotFound) {
    return `there is no ${program} here (expected the login node of a Slurm cluster; --launcher local runs the study on ` +
      "this machine, --dry-run prints the batch script)";
  }
  if (error instanceof Deno.errors.NotCapable && error.message.includes("environment variable")) {
    return `Deno cannot start ${program} while variables such as LD_LIBRARY_PATH are set (put "env -u LD_LIBRARY_PATH" ` +
      'before the command, and set it in "setup" of the profile where jobs need it)';
  }
  return `${program} cannot be started: ${reasonOf(error)}`;
}
