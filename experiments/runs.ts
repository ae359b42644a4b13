import { qualityWarningOf } from "./evaluation/evaluation_table.ts";
import { main, task } from "./program/task.ts";
import { finite } from "./run/metrics_log.ts";
import { shownWord } from "./run/server_url.ts";
import { toggle } from "./settings/kinds.ts";
import { ConfigError, didYouMean } from "./settings/setting.ts";
import { defineSettings } from "./settings/settings.ts";
import { runSource, shared } from "./settings/shared.ts";
import { print, say } from "./program/output.ts";
import { findListed, findRun, nearestOf } from "./tracking/find_run.ts";
import { FolderStore, summarize } from "./tracking/folder_store.ts";
import { openStore } from "./tracking/open_store.ts";
import { runJson } from "./tracking/run_json.ts";
import { compareTable, listTable, showTable } from "./tracking/run_tables.ts";
import type { RunStore, RunSummary } from "./tracking/store.ts";

const usage = "deno task runs [list | show RUN | compare RUN RUN ...]";
const actions = ["list", "show", "compare"];

/** The settings of the task that lists, shows and compares runs. */
export const listing = defineSettings({
  ...runSource,
  experiment: {
    ...shared.experiment,
    doc: "only its runs (else all folders; on a server MLFLOW_EXPERIMENT_NAME, UNet_FM)",
  },
  json: toggle({ doc: "print JSON, not a table", default: false }),
});

export const runsTask = task({
  name: "runs",
  about: "List, show and compare runs, from their folders or a server",
  words: "[list | show RUN | compare RUN RUN ...]",
  settings: listing,
  resolve: (given, words) => ({ given, words }),
  async run({ given, words: [action = "list", ...names] }) {
    check(action, names);
    const settings = listing.resolve(given);
    const store = openStore(settings);
    const experiment = settings.experiment ?? undefined;
    if (action === "list") {
      const runs = await store.list(experiment);
      if (settings.json) printJson(runs.map(runJson));
      else if (runs.length > 0) print(listTable(runs));
      if (runs.length === 0) (settings.json ? say : print)(await nothingIn(store, experiment));
      return;
    }
    const all = await store.list(experiment);
    const runs: RunSummary[] = [];
    for (const name of names) runs.push(await find(store, all, name, settings.root));
    if (action === "compare") {
      if (settings.json) printJson(runs.map(runJson));
      else {
        print(compareTable(runs));
        const warning = store instanceof FolderStore && await qualityWarningOf(runs.map(({ key }) => key));
        if (warning) print(warning);
      }
      return;
    }
    const files = await store.files(runs[0]);
    if (settings.json) printJson({ ...runJson(runs[0]), files });
    else print(showTable(runs[0], files));
  },
});

function check(action: string, names: readonly string[]): void {
  if (!actions.includes(action)) {
    const hint = didYouMean(action, actions) || " (expected list, show or compare)";
    throw new ConfigError(`Unknown action ${JSON.stringify(action)}${hint}`);
  }
  const [least, most] = action === "list" ? [0, 0] : action === "show" ? [1, 1] : [2, Infinity];
  if (names.length >= least && names.length <= most) return;
  throw new ConfigError(`Cannot ${action} ${names.length} runs: expected ${usage}`);
}

/** Says that there are no runs, and what kept them out. */
async function nothingIn(store: RunStore, experiment: string | undefined): Promise<string> {
  if (experiment === undefined || !(store instanceof FolderStore)) return `No runs in ${store.description}`;
  const known = new Set((await store.list()).map((run) => run.experiment));
  return `No runs of experiment ${experiment} in ${store.description}${nearestOf(experiment, [...known])}`;
}

async function find(
  store: RunStore,
  runs: readonly RunSummary[],
  name: string,
  root: string,
): Promise<RunSummary> {
  const found = findListed(runs, name, root);
  if (found !== undefined) return found;
  if (store instanceof FolderStore) return await summarize(await findRun(name, root));
  const known = runs.map((run) => run.name);
  throw new ConfigError(
    `Cannot find the run ${shownWord(name)} in ${store.description}${nearestOf(name, known)}`,
  );
}

/** Prints JSON, with NaN, Infinity and -Infinity as strings. */
function printJson(value: unknown): void {
  print(JSON.stringify(value, finite, 2));
}

if (import.meta.main) await main(runsTask);
