import { basename, dirname, join, resolve } from "node:path";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { findContained } from "../run/contained.ts";
import { runFile, runFolder } from "../run/layout.ts";
import { createRunFolder } from "../run/run_folder.ts";
import { newRecord, requireRecord, writeRecord } from "./record.ts";
import { runFiles } from "./run_files.ts";

/** Files of each run that a comparison copies, so that a server shows the models side by side. */
const copied = new Set<string>([runFile.config, runFile.environment, runFile.metrics, runFile.samples]);

/**
 * Records a comparison of runs as a run folder with a nested run for each model. Files added later, such as animations, belong to
 * it; `sendRun` mirrors it as a parent run with children.
 *
 * @param runs folders of the runs; their base names, made unique, name the nested runs
 * @returns the comparison's folder
 * @throws {RunError} if one holds no run, or the folder cannot be created
 */
export async function recordComparison(
  runs: readonly string[],
  { root, startedAt }: { readonly root: string; readonly startedAt: Date },
): Promise<string> {
  const records = await Promise.all(runs.map((run) => requireRecord(run, "compare")));
  const folder = await createRunFolder({ name: "comparison", root, startedAt });
  const about = {
    status: "FINISHED",
    startedAt: startedAt.getTime(),
    endedAt: Date.now(),
    source: "deno task compare",
    experiment: records[0]?.experiment ?? "",
  } as const;
  await writeRecord(folder, newRecord({ ...about, name: basename(resolve(folder)) }));
  const names = new Set<string>();
  for (const [i, run] of runs.entries()) {
    const base = basename(resolve(run));
    let name = base;
    for (let count = 2; names.has(name); count++) name = `${base}-${count}`;
    names.add(name);
    const nested = join(folder, name);
    await Deno.mkdir(nested);
    for (const { path } of await runFiles(run)) {
      if (copied.has(path) || path.startsWith(`${runFolder.samples}/`)) await copy(run, path, nested);
    }
    const { name: model, parameterCount, dataset, id: standsFor } = records[i];
    await writeRecord(nested, newRecord({ ...about, name: model, parameterCount, dataset, standsFor }));
  }
  return folder;
}

async function copy(run: string, path: string, nested: string): Promise<void> {
  const [from, to] = [join(run, path), join(nested, path)];
  if (findContained(from, run) === undefined) return; // deleted since it was listed
  try {
    await Deno.mkdir(dirname(to), { recursive: true });
    await Deno.copyFile(from, to);
  } catch (error) {
    throw new RunError(`Cannot copy ${from} to ${to}: ${reasonOf(error)}`);
  }
}
