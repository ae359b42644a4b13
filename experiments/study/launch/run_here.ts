import { join } from "node:path";
import { describeError } from "../../program/command.ts";
import { runFile } from "../../run/layout.ts";
import { lastStep, readMetrics } from "../../run/metrics_log.ts";
import type { LaunchFlags } from "../../settings/tasks/launching.ts";
import { type Cell, cellFolder, type Study } from "../study.ts";
import { StudyProgress } from "../study_progress.ts";
import { CellLog } from "./cell_log.ts";
import type { CellAnswer, CellOrder } from "./cell_worker.ts";
import type { LaunchOptions } from "./launcher.ts";

/** Milliseconds between looks at the progress of the cells that run. */
const lookMs = 1000;

/** How a cell ended in its worker. */
type Ended = Extract<CellAnswer, { ended: unknown }>;

/**
 * Runs cells on this machine, each in a worker with a device of its own, as many at once as there are jobs. A cell that
 * fails keeps no other from running.
 *
 * @returns ids of the cells that failed
 */
export async function runHere(
  study: Study,
  unfinished: readonly Cell[],
  { flags, signal, say, terminal }: LaunchOptions,
): Promise<readonly string[]> {
  using progress = new StudyProgress(study.cells, unfinished, terminal);
  for (const cell of unfinished) progress.found(cell, await stepOf(study, cell));
  const tell = (line: string) => {
    progress.clear();
    say(line);
  };
  const left = [...unfinished];
  const failed: string[] = [];
  const jobs = Math.min(flags.jobs, left.length);
  const threads = threadsOf({ threads: flags.threads, jobs });
  const { device, mlflow, experiment } = flags;
  const run = async (cell: Cell): Promise<Ended> => {
    const order = { folder: study.folder, id: cell.id, device, threads, mlflow, experiment };
    try {
      const log = await CellLog.open(study, cell);
      const add = (text: string) => log.add(text);
      const look = async () => progress.trained(cell, await stepOf(study, cell));
      const ended = await within(order, signal, add, look);
      if (ended.ended !== "failed") return ended;
      return { ended: "failed", why: `${ended.why.split("\n")[0]}; ${noted(ended.why, log)}` };
    } catch (error) {
      return { ended: "failed", why: describeError(error) };
    }
  };
  const work = async () => {
    for (let cell = left.shift(); cell && !signal.aborted; cell = left.shift()) {
      const ended = await run(cell);
      if (ended.ended === "failed") {
        failed.push(cell.id);
        tell(`${cell.id}: ${ended.why}`);
      }
      if (ended.ended === "busy") tell(`${cell.id} is run by another program`);
      progress.ended(cell, ended.ended);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return failed;
}

/** Keeps why a cell failed in its log; gives where to find it, or why not there. */
function noted(why: string, log: CellLog): string {
  try {
    log.add(why);
    return `more in ${log.path}`;
  } catch (error) {
    return describeError(error);
  }
}

/** Threads of the CPU device for each of some jobs at once: those that were asked for, else its share of the cores. */
export function threadsOf({ threads, jobs }: Pick<LaunchFlags, "threads" | "jobs">): number {
  return threads ?? Math.max(1, Math.floor(navigator.hardwareConcurrency / jobs));
}

/** Runs a cell in a worker to its end, whatever that is. @throws what `onLine` does */
async function within(
  order: CellOrder,
  signal: AbortSignal,
  onLine: (line: string) => void,
  look: () => Promise<void>,
): Promise<Ended> {
  const worker = new Worker(new URL("./cell_worker.ts", import.meta.url), { type: "module" });
  const stop = () => worker.postMessage("stop");
  const timer = setInterval(look, lookMs);
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<CellAnswer>) => {
        if (!("said" in data)) return resolve(data);
        try {
          onLine(data.said);
        } catch (error) {
          reject(error);
        }
      };
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

/** The step that the training of a cell has come to; 0 where that cannot be read. */
async function stepOf(study: Study, cell: Cell): Promise<number> {
  return lastStep(await readMetrics(join(cellFolder(study, cell), runFile.metrics)).catch(() => []));
}
