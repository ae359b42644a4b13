import { qualityNoteOf } from "./evaluation/evaluation_table.ts";
import { startCommand } from "./run/program_files.ts";
import { main, task } from "./cli/task.ts";
import { finite } from "./run/metrics_log.ts";
import { toggle } from "./cli/kinds.ts";
import { ConfigError, didYouMean } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";
import { runSource, shared } from "./cli/shared.ts";
import { print, say } from "./cli/output.ts";
import {
  findListed,
  findRun,
  listRuns,
  nearestOf,
  type RunSummary,
  summarizeRun,
} from "./tracking/find_run.ts";
import { runFiles } from "./tracking/run_files.ts";
import { compareTable, listTable, showTable } from "./tracking/run_tables.ts";

const words = "[list | RUN | compare RUN RUN ...]";
const actions = ["list", "show", "compare"];

/** Settings of `deno task runs`. */
export const listing = defineSettings({
  root: runSource.root,
  experiment: { ...shared.experiment, doc: "list only the runs of this experiment" },
  all: toggle({ doc: "compare all metrics, not just the ten figures that differ most", default: false }),
  json: toggle({ doc: "print JSON, not a table", default: false }),
});

/** Lists, shows and compares run folders. */
export const runsTask = task({
  name: "runs",
  about: "List, show and compare runs from their folders",
  words,
  settings: listing,
  resolve(values, words) {
    const { action, names } = actionOf(words);
    if ("all" in values && (action !== "compare" || values.json)) {
      throw new ConfigError(
        "Cannot use --all here: it only applies to the table of compare (leave it out)",
      );
    }
    return { ...listing.resolve(values), action, names };
  },
  async run({ root, experiment, all: isAll, json, action, names }) {
    const all = await listRuns(root, experiment);
    if (action === "list") {
      if (json) printJson(all);
      else if (all.length > 0) print(listTable(all));
      if (all.length === 0) (json ? say : print)(await nothingIn(root, experiment));
      return;
    }
    const runs: RunSummary[] = [];
    for (const name of names) {
      runs.push(findListed(all, name, root) ?? await summarizeRun(await findRun(name, root)));
    }
    if (action === "show") {
      const files = (await runFiles(runs[0].key)).map(({ path }) => path);
      if (json) printJson({ ...runs[0], files });
      else print(showTable(runs[0], files));
    } else if (json) printJson(runs);
    else {
      print(compareTable(runs, isAll));
      const note = await qualityNoteOf(runs.map(({ key }) => key));
      if (note) print(note);
    }
  },
});

/**
 * The action that a command line requests, with its runs; without an action, one run is shown, and several are
 * compared.
 *
 * @throws {ConfigError} if the first word resembles an action, or the action takes another number of runs
 */
function actionOf([first = "list", ...rest]: readonly string[]): {
  readonly action: string;
  readonly names: readonly string[];
} {
  const isAction = actions.includes(first);
  const meant = didYouMean(first, actions);
  if (!isAction && meant !== "") throw new ConfigError(`Unknown action ${JSON.stringify(first)}${meant}`);
  const implied = rest.length === 0 ? "show" : "compare";
  const [action, names] = isAction ? [first, rest] : [implied, [first, ...rest]];
  const [least, most] = action === "list" ? [0, 0] : action === "show" ? [1, 1] : [2, Infinity];
  if (names.length >= least && names.length <= most) return { action, names };
  throw new ConfigError(`Cannot ${action} ${names.length} runs: expected ${startCommand("runs")} ${words}`);
}

async function nothingIn(root: string, experiment: string | null): Promise<string> {
  if (experiment === null) return `No runs in ${root}`;
  const experiments = new Set((await listRuns(root)).map((run) => run.experiment));
  return `No runs of experiment ${experiment} in ${root}${nearestOf(experiment, [...experiments])}`;
}

/** Prints JSON, with NaN, Infinity and -Infinity as strings. */
function printJson(value: unknown): void {
  print(JSON.stringify(value, finite, 2));
}

if (import.meta.main) await main(runsTask);
