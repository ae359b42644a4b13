import { join } from "node:path";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { readMetrics } from "../run/metrics_log.ts";
import { readFile, readJson } from "../run/contained.ts";
import { printable, say as tellUser } from "../program/output.ts";
import { currentRecord, requireRecord } from "./current_record.ts";
import { paramsOf } from "./description.ts";
import { nestedRuns, runFiles } from "./files.ts";
import type { RunStore, RunSummary } from "./store.ts";
import { runFile } from "../run/layout.ts";

/**
 * The run folders in a folder, sorted by name, and so by time; none if the folder does not exist. Damaged ones are among
 * them: whoever reads them tells what is wrong.
 *
 * @throws {RunError} if it cannot be read
 */
export async function runFolders(root: string): Promise<string[]> {
  let names: string[];
  try {
    const folders = await Array.fromAsync(Deno.readDir(root));
    names = folders.filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new RunError(`Cannot read ${root}: ${reasonOf(error)}`);
  }
  const folders = names.map((name) => join(root, name));
  const are = await Promise.all(folders.map(isRun));
  return folders.filter((_, i) => are[i]);
}

async function isRun(folder: string): Promise<boolean> {
  try {
    return await currentRecord(folder) !== undefined;
  } catch (error) {
    if (error instanceof RunError) return true;
    throw error;
  }
}

/** Runs in folders. */
export class FolderStore implements RunStore {
  /**
   * @param root the folder of the runs
   * @param say called with a line for each run that is left out because it is damaged
   */
  constructor(readonly root: string, readonly say: (message: string) => void = tellUser) {}

  get description(): string {
    return this.root;
  }

  async list(experiment?: string): Promise<RunSummary[]> {
    const top = await runFolders(this.root);
    const runs = (await Promise.all(top.map((run) => this.#withNested(run)))).flat();
    return runs.filter((run) => experiment === undefined || run.experiment === experiment);
  }

  /** A run and those nested in it, without damaged ones. */
  async #withNested(run: string): Promise<RunSummary[]> {
    const [self, nested] = await Promise.all([
      this.#unlessDamaged(async () => [await summarize(run)]),
      this.#unlessDamaged(() => nestedRuns(run)),
    ]);
    const inside = nested.map((folder) => this.#unlessDamaged(async () => [await summarize(folder)]));
    return [...self, ...(await Promise.all(inside)).flat()];
  }

  async #unlessDamaged<T>(read: () => Promise<T[]>): Promise<T[]> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      this.say(printable(`Left out: ${error.message}`));
      return [];
    }
  }

  async files({ key }: RunSummary): Promise<string[]> {
    return (await runFiles(key)).map(({ path }) => path);
  }

  async read({ key }: RunSummary, path: string): Promise<Uint8Array> {
    return await readFile(join(key, path), key);
  }
}

/**
 * Summarises a run from its folder.
 *
 * @throws {RunError} if the folder holds no run, or cannot be read
 */
export async function summarize(folder: string): Promise<RunSummary> {
  const record = await requireRecord(folder, "read");
  const params = paramsOf(record, await readJson(join(folder, runFile.config)) ?? {});
  const metrics: Record<string, number> = {};
  for (const { step: _, time: __, ...values } of await readMetrics(join(folder, runFile.metrics))) {
    for (const [key, value] of Object.entries(values)) if (typeof value === "number") metrics[key] = value;
  }
  const { name, experiment, status, standsFor, startedAt, endedAt } = record;
  return {
    key: folder,
    name,
    experiment,
    status,
    ...standsFor !== null && { standsFor },
    startedAt,
    endedAt,
    params: Object.fromEntries(params.map(({ key, value }) => [key, value])),
    metrics,
  };
}
