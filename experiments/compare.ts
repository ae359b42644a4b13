import { join } from "node:path";
import { animating, animatingHeadings, resolveAnimation } from "./animate.ts";
import { loadTrajectories, type RunTrajectories } from "./draw/stored_trajectories.ts";
import { drawTrajectories, pictureName, trajectoryRows } from "./draw/trajectory_picture.ts";
import { qualityWarningOf } from "./evaluation/evaluation_table.ts";
import { print, say } from "./program/output.ts";
import { main, task } from "./program/task.ts";
import { checkFolderOf, writeAtomic } from "./run/atomic_write.ts";
import { ConfigError } from "./settings/setting.ts";
import { defineSettings } from "./settings/settings.ts";
import { summarize } from "./tracking/find_run.ts";
import { recordComparison } from "./tracking/record_comparison.ts";
import { compareTable } from "./tracking/run_tables.ts";

/** The settings of `animate`, with another place for the picture. */
const comparing = defineSettings({
  ...animating.rows,
  out: {
    ...animating.rows.out,
    doc: "the picture (else flow_<field>_<pacing>.gif or .png in a new folder below --root)",
  },
}, animatingHeadings);

/** Compares runs: their metrics as a table, their flows from the same noise as a picture. */
export const compareTask = task({
  name: "compare",
  about: "Compare runs: their metrics as a table, their flows from the same noise as an animation",
  words: "RUN RUN...",
  settings: comparing,
  resolve: resolveAnimation,
  async run(config) {
    const startedAt = new Date();
    if (config.out !== null) await checkFolderOf(config.out);
    const flows = await loadTrajectories(config.runs, config);
    if (flows.length < 2) throw new ConfigError(`Cannot compare ${flows.length} run: expected two or more`);
    const { warning, ...picture } = trajectoryRows(flows, config.samples ?? []);
    print(compareTable(await Promise.all(flows.map(summaryOf))));
    const folders = flows.flatMap(({ summary, key }) => summary ? [] : [key]);
    const unlike = await qualityWarningOf(folders);
    if (unlike) print(unlike);
    if (warning) say(warning);
    const { bytes, holds } = await drawTrajectories(picture, config);
    const out = config.out ?? join(await recordedFolder(flows, config.root, startedAt), pictureName(config));
    await writeAtomic(out, bytes);
    say(`${holds}, ${(bytes.length / 1e6).toFixed(2)} MB: ${out}`);
  },
});

async function summaryOf({ summary, key }: RunTrajectories) {
  return summary ?? await summarize(key);
}

/** The folder of the picture: a comparison of run folders is itself a run, one of runs on a server is not. */
async function recordedFolder(
  flows: readonly RunTrajectories[],
  root: string,
  startedAt: Date,
): Promise<string> {
  if (flows.some(({ summary }) => summary !== undefined)) return ".";
  return await recordComparison(flows.map(({ key }) => key), { root, startedAt });
}

if (import.meta.main) await main(compareTask);
