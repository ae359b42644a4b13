import { basename, resolve } from "node:path";
import { slurmFlags } from "../../settings/tasks/slurm.ts";
import type { Study } from "../study.ts";
import type { Launcher, LaunchOptions } from "./launcher.ts";
import { arrayScript, collectScript, type Submission } from "./slurm/batch_script.ts";
import { checkSbatch, queuedTasks, submit } from "./slurm/commands.ts";
import { jobSettings } from "./slurm/profile.ts";
import { studyCommand } from "./slurm/study_command.ts";
import { makeSlurmFolder, noteSubmission, readSubmissions, slurmFolder } from "./slurm/submissions.ts";

/**
 * Submits cells to a Slurm cluster as a job array, and a job that collects what they measured once all have ended. Cells
 * that an earlier array still has in the queue are left to it.
 */
export const slurm: Launcher = {
  name: "slurm",
  doc: "submits the cells to a Slurm cluster as a job array, and a job that collects",
  flags: Object.keys(slurmFlags) as (keyof typeof slurmFlags)[],
  collects: false,
  async check({ flags }) {
    jobSettings(flags);
    await checkSbatch();
  },
  describe(study, unfinished, { flags }) {
    const job = jobSettings(flags);
    const submission = submissionOf(study, flags);
    return [
      arrayScript(submission, unfinished.map(({ id }) => id), job),
      collectScript(submission, "ID_OF_THE_ARRAY", job),
    ].join("\n");
  },
  async launch(study, unfinished, { flags, say }) {
    const job = jobSettings(flags);
    const submission = submissionOf(study, flags);
    const queued = await queuedCells(study, submission.name);
    const cells = unfinished.map(({ id }) => id).filter((id) => !queued.has(id));
    if (cells.length === 0) {
      say(`All ${unfinished.length} unfinished cells are queued (see squeue --name=${submission.name})`);
      return [];
    }
    // Not on the command line, where all users of a node could read a password in it.
    const env = flags.mlflow === null ? {} : { MLFLOW_TRACKING_URI: flags.mlflow };
    await makeSlurmFolder(study);
    const array = await submit(arrayScript(submission, cells, job), env);
    await noteSubmission(study.folder, { job: array, cells, submittedAt: new Date().toISOString() });
    const number = `${cells.length} cell${cells.length === 1 ? "" : "s"}`;
    const others = queued.size > 0 ? ` (${queued.size} more are queued already)` : "";
    say(`Submitted ${number} as job ${array}${others}; what they print goes to ${submission.logs}`);
    const collect = await submit(collectScript(submission, array, job), env);
    say(`Submitted the collection of the results as job ${collect}; see squeue --jobs=${array},${collect}`);
    return [];
  },
};

function submissionOf(study: Study, flags: LaunchOptions["flags"]): Submission {
  const folder = resolve(study.folder);
  return {
    name: basename(folder).replaceAll(/[^\w.-]/g, "_"),
    logs: slurmFolder(folder),
    directory: Deno.cwd(),
    command: [
      ...studyCommand(folder),
      ...flags.experiment === null ? [] : ["--experiment", flags.experiment],
    ],
    device: flags.device,
    threads: flags.threads,
  };
}

/** Ids of the cells that wait or run. */
async function queuedCells(study: Pick<Study, "folder">, name: string): Promise<Set<string>> {
  const submissions = await readSubmissions(study.folder);
  const tasks = submissions.length > 0 ? await queuedTasks(name) : [];
  const cells = tasks.map(({ job, index }) => submissions.find((array) => array.job === job)?.cells[index]);
  return new Set(cells.filter((cell) => cell !== undefined));
}
