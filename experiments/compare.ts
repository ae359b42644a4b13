import { basename, dirname, join, resolve } from "node:path";
import { animating, animatingHeadings, resolveAnimation } from "./animate.ts";
import { loadTrajectories } from "./draw/stored_trajectories.ts";
import { drawTrajectories, pictureName, trajectoryRows } from "./draw/trajectory_picture.ts";
import { qualityNoteOf } from "./evaluation/evaluation_table.ts";
import { print, say } from "./cli/output.ts";
import { main, task } from "./cli/task.ts";
import {
  checkFolderOf,
  createRunFolder,
  findContained,
  reasonOf,
  RunError,
  writeAtomic,
} from "./run/run_folder.ts";
import { runFile, runFolder } from "./run/files.ts";
import { toggle } from "./cli/kinds.ts";
import { ConfigError, type Values } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";
import { summarizeRun } from "./tracking/find_run.ts";
import { newRecord, requireRecord, writeRecord } from "./tracking/record.ts";
import { runFiles } from "./tracking/run_files.ts";
import { compareTable } from "./tracking/run_tables.ts";

const comparing = defineSettings({
  ...animating.rows,
  all: toggle({ doc: "print all metrics, not just the ten figures that differ most", default: false }),
  out: {
    ...animating.rows.out,
    doc: "file to write (default: flow_<field>_<pacing>.gif or .png in a new folder below --root)",
  },
}, animatingHeadings);

/** Compares runs: their metrics as a table, their flows from the same noise as a picture. */
export const compareTask = task({
  name: "compare",
  about: "Compare runs: a table of metrics, and an animation of trajectories from the same noise",
  words: "RUN RUN...",
  settings: comparing,
  resolve: ({ all = false, ...values }: Partial<Values<typeof comparing.rows>>, runs) => ({
    ...resolveAnimation(values, runs),
    all,
  }),
  async run(config) {
    const startedAt = new Date();
    if (config.out !== null) await checkFolderOf(config.out);
    const flows = await loadTrajectories(config.runs, config);
    if (flows.length < 2) throw new ConfigError(`Cannot compare ${flows.length} run: expected two or more`);
    const { warning, ...picture } = trajectoryRows(flows, config.samples ?? []);
    const summaries = await Promise.all(flows.map(({ summary, key }) => summary ?? summarizeRun(key)));
    print(compareTable(summaries, config.all));
    const folders = flows.flatMap(({ summary, key }) => summary ? [] : [key]);
    const note = await qualityNoteOf(folders);
    if (note) print(note);
    if (warning) say(warning);
    const { bytes, holds } = await drawTrajectories(picture, config);
    // A comparison of run folders is recorded as a run; one of runs found by experiment is not.
    const isRecorded = folders.length === flows.length;
    const folder = async () =>
      isRecorded ? await recordComparison(folders, { root: config.root, startedAt }) : ".";
    const out = config.out ?? join(await folder(), pictureName(config));
    await writeAtomic(out, bytes);
    say(`${holds}, ${(bytes.length / 1e6).toFixed(2)} MB: ${out}`);
  },
});

/** Files of each run that a comparison copies, so that a server shows the models side by side. */
const copied = new Set<string>([runFile.config, runFile.environment, runFile.metrics, runFile.samples]);

/**
 * Records a comparison of runs as a run folder with a nested run for each model. Files added later, such as animations,
 * belong to it; `sendRun` mirrors it as a parent run with children.
 *
 * @param runs folders of the runs; their base names, made unique, name the nested runs
 * @returns the comparison's folder
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

if (import.meta.main) await main(compareTask);
