import { main, task } from "./cli/task.ts";
import { path } from "./cli/kinds.ts";
import { ConfigError } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";
import { shared } from "./cli/shared.ts";
import { print, printable, say } from "./cli/output.ts";
import { trackingOf } from "./tracking/choose_tracking.ts";
import { findRuns } from "./tracking/find_run.ts";
import { awaitedServer, ServerError } from "./tracking/http_server.ts";
import { runFolders } from "./tracking/run_files.ts";
import { isOfRun, sendRun, sentLines } from "./tracking/send_run.ts";

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
    let [targets, failures] = [0, 0];
    /** Errors of servers that accept no runs, by address. */
    const away = new Map<string, ServerError>();
    const failed = (run: string, { message }: Error) => {
      failures++;
      say(printable(`${run}: ${message}`)); // names and files may hold line breaks
    };
    for (const run of runs) {
      let url = "";
      try {
        const { target } = await trackingOf({ mlflow }, run);
        if (target === undefined) continue;
        targets++;
        url = target.address.url;
        if (away.has(url)) continue;
        for await (const sent of sendRun(run, awaitedServer(target))) {
          if (sent.error) failed(sent.run, sent.error);
          else print(sentLines(sent).join("\n"));
        }
      } catch (error) {
        // Continue with other runs even if a server is unreachable: they may have another server.
        if (isOfRun(error)) failed(run, error);
        else if (error instanceof ServerError) away.set(url, error);
        else throw error;
      }
    }
    if (runs.length > 0 && targets + failures === 0) {
      throw new ConfigError(
        "Cannot send: there is no server, and no run was sent to one before (expected --mlflow URI or MLFLOW_TRACKING_URI)",
      );
    }
    if (runs.length === 0) print(`No runs in ${root}`);
    const [first, ...rest] = away.values();
    for (const { message } of rest) say(message);
    if (first) throw first;
    if (failures > 0) return 1;
  },
});

if (import.meta.main) await main(syncTask);
