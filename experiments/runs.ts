import { runTask } from "./program/command.ts";
import { finite } from "./run/metrics_log.ts";
import { listing } from "./settings/tasks/runs.ts";
import { ConfigError, didYouMean } from "./settings/setting.ts";
import { FolderStore, summarize } from "./tracking/folder_store.ts";
import { openStore } from "./tracking/open_store.ts";
import { compareTable, listTable, showTable } from "./tracking/run_tables.ts";
import type { RunStore, RunSummary } from "./tracking/store.ts";
import { splitWords } from "./settings/words.ts";

const usage = "deno task runs [list | show RUN | compare RUN RUN ...]";
const actions = ["list", "show", "compare"];

await runTask(async () => {
  const { words: [action = "list", ...names], flags } = splitWords(Deno.args);
  const { help, values } = listing.parse(flags);
  if (help) {
    console.log(listing.help(usage));
    return;
  }
  check(action, names);
  const settings = listing.resolve(values);
  const store = openStore(settings);
  const experiment = settings.experiment ?? undefined;
  if (action === "list") {
    const runs = await store.list(experiment);
    if (settings.json) printJson(runs);
    else console.log(runs.length === 0 ? `No runs in ${store.description}` : listTable(runs));
    return;
  }
  const all = await store.list(experiment);
  const runs: RunSummary[] = [];
  for (const name of names) runs.push(await find(store, all, name));
  if (action === "compare") {
    if (settings.json) printJson(runs);
    else console.log(compareTable(runs));
    return;
  }
  const files = await store.files(runs[0]);
  if (settings.json) printJson({ ...runs[0], files });
  else console.log(showTable(runs[0], files));
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

/** Finds a run by its folder, its id on the server, or its name: the latest run with that name. */
async function find(store: RunStore, runs: readonly RunSummary[], name: string): Promise<RunSummary> {
  const found = runs.find(({ key }) => key === name) ?? runs.findLast((run) => run.name === name);
  if (found !== undefined) return found;
  if (store instanceof FolderStore) return await summarize(name);
  throw new ConfigError(
    `Cannot find the run ${JSON.stringify(name)} in ${store.description}${
      didYouMean(name, runs.map((run) => run.name))
    }`,
  );
}

/** Prints JSON, with NaN, Infinity and -Infinity as strings. */
function printJson(value: unknown): void {
  console.log(JSON.stringify(value, finite, 2));
}
