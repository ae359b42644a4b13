import { basename, dirname, join, resolve } from "node:path";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { findContained } from "../run/contained.ts";
import { createRunFolder } from "../run/run_folder.ts";
import { requireRecord } from "./current_record.ts";
import { runFiles } from "./files.ts";
import { writeRecord } from "./record.ts";
import { userName } from "./start.ts";
import { runFile, runFolder } from "../run/layout.ts";

/** Files of each run that a comparison copies, so that a server shows the models side by side. */
const copied = new Set<string>([runFile.config, runFile.environment, runFile.metrics, runFile.samples]);

/**
 * Records a comparison of runs: a run folder with a nested run per model. Files added later (animations, a report) belong
 * to it; `sendRun` mirrors it as a parent run with children.
 *
 * @param runs folders of the runs; their base names, made unique, name the nested runs
 * @returns the comparison's folder
 * @throws {RunError} if one holds no run, or the folder cannot be created
 */
export async function recordComparison(
  runs: readonly string[],
  { out, root, name = "comparison", startedAt }: {
    readonly out?: string | null;
    readonly root?: string;
    readonly name?: string;
    readonly startedAt: Date;
  },
): Promise<string> {
  const records = await Promise.all(
    runs.map(async (run) => ({ run, record: await requireRecord(run, "compare") })),
  );
  const folder = await createRunFolder({ name, startedAt, ...out && { out }, ...root && { root } });
  const about = {
    status: "FINISHED",
    startedAt: startedAt.getTime(),
    endedAt: Date.now(),
    reason: null,
    user: userName(),
    source: "deno task compare",
    experiment: records[0]?.record.experiment ?? "",
    gitBranch: null,
  } as const;
  await writeRecord(folder, {
    ...about,
    id: crypto.randomUUID(),
    name: basename(resolve(folder)),
    parameterCount: null,
    dataset: null,
    standsFor: null,
  });
  const names = new Set<string>();
  for (const { run, record } of records) {
    let child = basename(resolve(run));
    for (let count = 2; names.has(child); count++) child = `${basename(resolve(run))}-${count}`;
    names.add(child);
    const nested = join(folder, child);
    await Deno.mkdir(nested);
    for (const { path } of await runFiles(run)) {
      if (copied.has(path) || path.startsWith(`${runFolder.samples}/`)) {
        await copy(run, path, nested);
      }
    }
    const { parameterCount, dataset, id: standsFor } = record;
    await writeRecord(nested, {
      ...about,
      id: crypto.randomUUID(),
      name: record.name,
      parameterCount,
      dataset,
      standsFor,
    });
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
