import { animating, animatingHeadings, resolveAnimation } from "./animate.ts";
import { loadTrajectories } from "./draw/stored_trajectories.ts";
import { drawTrajectories, pictureName, trajectoryRows } from "./draw/trajectory_picture.ts";
import { qualityNoteOf } from "./evaluation/evaluation_table.ts";
import { print, say } from "./cli/output.ts";
import { main, task } from "./cli/task.ts";
import { checkFolderOf, writeAtomic } from "./run/run_folder.ts";
import { toggle } from "./cli/kinds.ts";
import { ConfigError, type Values } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";
import { summarizeRun } from "./tracking/find_run.ts";
import { compareTable } from "./tracking/find_run.ts";

const comparing = defineSettings({
  ...animating.rows,
  all: toggle({ doc: "print all metrics, not just the ten figures that differ most", default: false }),
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
    const out = config.out ?? pictureName(config);
    await checkFolderOf(out);
    const flows = await loadTrajectories(config.runs, config);
    if (flows.length < 2) throw new ConfigError(`Cannot compare ${flows.length} run: expected two or more`);
    const { warning, ...picture } = trajectoryRows(flows, config.samples ?? []);
    const summaries = await Promise.all(flows.map(({ key }) => summarizeRun(key)));
    print(compareTable(summaries, config.all));
    const note = await qualityNoteOf(flows.map(({ key }) => key));
    if (note) print(note);
    if (warning) say(warning);
    const { bytes, holds } = await drawTrajectories(picture, config);
    await writeAtomic(out, bytes);
    say(`${holds}, ${(bytes.length / 1e6).toFixed(2)} MB: ${out}`);
  },
});

if (import.meta.main) await main(compareTask);
