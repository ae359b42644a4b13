import { main, task } from "./cli/task.ts";
import { path } from "./cli/kinds.ts";
import { ConfigError, defineSettings } from "./cli/settings.ts";
import { shared } from "./settings/run.ts";
import { print, printable, say } from "./cli/output.ts";
import { trackingOf } from "./tracking/choose_tracking.ts";
import { findRuns } from "./tracking/find_run.ts";
import { awaitedClient, ServerError } from "./tracking/mlflow_client.ts";
import { runFolders } from "./tracking/record.ts";
import { isOfRun, sendRun } from "./tracking/live_mirror.ts";

/** Settings of `deno task sync`. */
export const syncing = defineSettings({
  mlflow: { ...shared.mlflow, doc: "MLflow server (default: MLFLOW_TRACKING_URI, else each run's own)" },
  root: { ...path("DIR", "folder whose runs are sent if none are named"), default: "runs" },
});

/** Sends run folders to a server. */
export const syncTask = task({
  name: "sync",
  about: "Upload run folders to an MLflow server, sending only what it lacks",
  words: "[RUN ...]",
  settings: syncing,
  resolve: (values, words) => ({ ...syncing.resolve(values), words }),
  async run({ mlflow, root, words }) {
    const runs = words.length > 0 ? await findRuns(words, root) : await runFolders(root);
    if (runs.length === 0) print(`No runs in ${root}`);
    let hasServer = false;
    const failures: string[] = [];
    /** Errors of servers that accept no runs, by address. */
    const away = new Map<string, ServerError>();
    for (const run of runs) {
      let url = "";
      const before = failures.length;
      try {
        const { target } = await trackingOf({ mlflow }, run);
        if (target === undefined) continue;
        hasServer = true;
        url = target.address.url;
        if (!away.has(url)) failures.push(...await sendRun(run, awaitedClient(target), print));
      } catch (error) {
        // Continue with other runs even if a server is unreachable: they may have another server.
        if (isOfRun(error)) failures.push(`${run}: ${error.message}`);
        else if (error instanceof ServerError) away.set(url, error);
        else throw error;
      }
      failures.slice(before).forEach((line) => say(printable(line))); // names and files may hold line breaks
    }
    if (runs.length > 0 && !hasServer && failures.length === 0) {
      throw new ConfigError(
        "Cannot send: there is no server, and no run was sent to one before (expected --mlflow URI or MLFLOW_TRACKING_URI)",
      );
    }
    const [first, ...rest] = away.values();
    for (const { message } of rest) say(message);
    if (first) throw first;
    if (failures.length > 0) return 1;
  },
});

if (import.meta.main) await main(syncTask);
