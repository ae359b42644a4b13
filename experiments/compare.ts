import { join } from "node:path";
import { comparing, parseAnimation } from "./settings/tasks/animate.ts";
import { runTask } from "./program/command.ts";
import { drawTrajectories, pictureName, trajectoryRows } from "./draw/trajectory_picture.ts";
import { loadTrajectories, type RunTrajectories } from "./draw/stored_trajectories.ts";
import { qualityWarningOf } from "./evaluation/comparable.ts";
import { checkFolderOf, writeAtomic } from "./run/atomic_write.ts";
import { ConfigError } from "./settings/setting.ts";
import { recordComparison } from "./tracking/comparison.ts";
import { summarize } from "./tracking/folder_store.ts";
import { compareTable } from "./tracking/run_tables.ts";
import { print, say } from "./terminal/output.ts";

await runTask(async () => {
  const config = parseAnimation(Deno.args);
  if (config.help) {
    print(comparing.help("deno task compare RUN RUN..."));
    return;
  }
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
