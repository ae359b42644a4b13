import { join } from "node:path";
import { UserError } from "../../kernels/mod.ts";
import { describeError } from "../cli/task.ts";
import { reasonOf, RunError } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { lastStep, readMetrics } from "../run/metrics_log.ts";
import { printable } from "../cli/output.ts";
import type { CellEnd } from "./run_cell.ts";
import { type Cell, cellFolder, makeStudyFolder, type Study } from "./study.ts";
import { StudyProgress } from "./study_progress.ts";
import type { Launcher, LaunchFlags, LaunchOptions } from "./launcher.ts";

/** The cell for a worker to run, and its options. */
export interface CellOrder {
  readonly folder: string;
  readonly id: string;
  readonly device: "auto" | "webgpu" | "cpu";
  readonly threads: number;
  readonly mlflow: string | null;
  readonly experiment: string | null;
}

/** A worker's answer: how its cell ended, and if it failed, the reason in one line. */
export type CellAnswer = { readonly ended: CellEnd } | { readonly ended: "failed"; readonly why: string };

/** Milliseconds between checks of the progress of running cells. */
const lookMs = 1000;

/**
 * Runs cells on this machine, `jobs` at a time, each in a worker with its own device. If one fails, the others continue.
 */
export const local: Launcher = {
  doc: "runs the cells on this machine",
  flags: ["jobs"],
  collects: true,
  async launch(study, unfinished, { flags, signal, say, terminal }) {
    const reached = await Array.fromAsync(
      unfinished,
      async (cell) => [cell, await stepOf(study, cell)] as const,
    );
    using progress = new StudyProgress(study.cells, reached, terminal);
    const failed: string[] = [];
    const jobs = Math.min(flags.jobs, unfinished.length);
    const { device, mlflow, experiment } = flags;
    const threads = threadsOf({ ...flags, jobs });
    const orders = { folder: study.folder, device, threads, mlflow, experiment };
    const left = unfinished.values();
    const work = async () => {
      for (const cell of left) {
        if (signal.aborted) return;
        const { id } = cell;
        const look = async () => progress.trained(cell, await stepOf(study, cell));
        const answer = await runInWorker({ ...orders, id }, signal, look);
        const line = answer.ended === "failed"
          ? `${id}: ${answer.why}`
          : answer.ended === "busy" && `Skipping ${id}: another program is running it`;
        if (line) {
          progress.clear();
          say(line);
        }
        if (answer.ended === "failed") failed.push(id);
        progress.ended(cell, answer.ended);
      }
    };
    await Promise.all(Array.from({ length: jobs }, work));
    return failed;
  },
};

/** Threads of the CPU device per job: the setting, or by default a job's share of the cores. */
export function threadsOf({ threads, jobs }: Pick<LaunchFlags, "threads" | "jobs">): number {
  return threads ?? Math.max(1, Math.floor(navigator.hardwareConcurrency / jobs));
}

/** Runs a cell in a worker until it ends. */
async function runInWorker(
  order: CellOrder,
  signal: AbortSignal,
  look: () => Promise<void>,
): Promise<CellAnswer> {
  const worker = new Worker(new URL("./cell_worker.ts", import.meta.url), { type: "module" });
  const stop = () => worker.postMessage("stop");
  const timer = setInterval(look, lookMs);
  try {
    return await new Promise((resolve) => {
      worker.onmessage = ({ data }: MessageEvent<CellAnswer>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        resolve({ ended: "failed", why: event.message });
      };
      worker.postMessage(order);
      signal.addEventListener("abort", stop);
      if (signal.aborted) stop();
    });
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", stop);
    worker.terminate();
  }
}

/** The last logged step of a cell's training; 0 if it cannot be read. */
async function stepOf(study: Study, cell: Cell): Promise<number> {
  return lastStep(await readMetrics(join(cellFolder(study, cell), runFile.metrics)).catch(() => []));
}

/**
 * Opens the log of a cell, and creates it if missing.
 *
 * @returns its path, and a function that appends each line of a text with the time, control characters escaped; it
 *   throws a {@linkcode RunError} if it cannot write
 * @throws {RunError} if its folder cannot be created
 */
export async function openCellLog(
  study: Pick<Study, "folder">,
  { id }: Pick<Cell, "id">,
): Promise<{ path: string; add: (text: string) => void }> {
  const path = join(await makeStudyFolder(study, "logs"), `${id}.log`);
  const add = (text: string) => {
    const time = new Date().toISOString();
    const lines = text.split("\n").map((line) => `${time} ${printable(line)}\n`);
    try {
      Deno.writeTextFileSync(path, lines.join(""), { append: true });
    } catch (error) {
      throw new RunError(`Cannot write ${path}: ${reasonOf(error)}`);
    }
  };
  return { path, add };
}

/**
 * Runs cells one after another, as a task of a scheduler does. If one of several fails with a {@linkcode UserError},
 * the others continue; all other errors of `run` are thrown.
 *
 * @returns ids of the cells that failed, and of those that another program runs
 */
export async function runInTurn(
  cells: readonly Cell[],
  run: (cell: Cell) => Promise<CellEnd>,
  { signal, say }: Pick<LaunchOptions, "signal" | "say">,
): Promise<{ failed: string[]; busy: string[] }> {
  const failed: string[] = [];
  const busy: string[] = [];
  for (const cell of cells) {
    if (signal.aborted) break;
    try {
      const end = await run(cell);
      if (end === "finished") say(`${cell.id} is finished`);
      if (end === "busy") busy.push(cell.id);
    } catch (error) {
      if (cells.length === 1 || !(error instanceof UserError)) throw error;
      say(`${cell.id}: ${describeError(error)}`);
      failed.push(cell.id);
    }
  }
  return { failed, busy };
}
