import { qualityNoteOf } from "./evaluation/evaluation.ts";
import { main, task } from "./cli/task.ts";
import { finite } from "./run/metrics_log.ts";
import { toggle } from "./cli/kinds.ts";
import { ConfigError, defineSettings } from "./cli/settings.ts";
import { runSource, shared } from "./settings/run.ts";
import { print, say } from "./cli/output.ts";
import { findRuns, listRuns, nearestOf, summarizeRun } from "./tracking/find_run.ts";
import { compareTable, listTable, showTable } from "./tracking/run_tables.ts";
import { runFiles } from "./tracking/record.ts";

/** Settings of `deno task runs`. */
export const listing = defineSettings({
  root: runSource.root,
  experiment: { ...shared.experiment, doc: "list only the runs of this experiment" },
  all: toggle({ doc: "compare all metrics, not just the ten figures that differ most", default: false }),
  json: toggle({ doc: "print JSON, not a table", default: false }),
});

/** Lists run folders, shows one, or compares several. */
export const runsTask = task({
  name: "runs",
  about: "List run folders, show one (runs A), or compare several (runs A B)",
  words: "[RUN ...]",
  settings: listing,
  resolve(values, names) {
    const idle = "all" in values && (names.length < 2 || values.json)
      ? "--all: it only applies to the table of several runs"
      : "experiment" in values && names.length > 0
      ? "--experiment: it only applies to the list of runs"
      : undefined;
    if (idle) throw new ConfigError(`Cannot use ${idle} (leave it out)`);
    return { ...listing.resolve(values), names };
  },
  async run({ root, experiment, all: isAll, json: isJson, names }) {
    const printJson = (value: unknown) => print(JSON.stringify(value, finite, 2)); // NaN as a string
    if (names.length === 0) {
      const runs = await listRuns(root, experiment);
      if (isJson) printJson(runs);
      else if (runs.length > 0) print(listTable(runs));
      if (runs.length === 0) (isJson ? say : print)(await nothingIn(root, experiment));
      return;
    }
    const runs = await Promise.all((await findRuns(names, root)).map(summarizeRun));
    if (runs.length > 1) {
      if (isJson) return printJson(runs);
      print(compareTable(runs, isAll));
      const note = await qualityNoteOf(runs.map(({ key }) => key));
      if (note) print(note);
      return;
    }
    const files = (await runFiles(runs[0].key)).map(({ path }) => path);
    if (isJson) printJson({ ...runs[0], files });
    else print(showTable(runs[0], files));
  },
});

async function nothingIn(root: string, experiment: string | null): Promise<string> {
  if (experiment === null) return `No runs in ${root}`;
  const experiments = new Set((await listRuns(root)).map((run) => run.experiment));
  return `No runs of experiment ${experiment} in ${root}${nearestOf(experiment, [...experiments])}`;
}

if (import.meta.main) await main(runsTask);
