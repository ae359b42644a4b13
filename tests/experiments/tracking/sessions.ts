/** Sessions of runs, and clients of servers, for tests. */

import { join } from "node:path";
import type { Metrics } from "../../../experiments/run/metrics_log.ts";
import { lockRun } from "../../../experiments/run/run_folder.ts";
import { parseAddress, type RetryPolicy } from "../../../experiments/tracking/choose_tracking.ts";
import { MlflowClient } from "../../../experiments/tracking/mlflow_client.ts";
import { newRecord, type RunRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { withFolder } from "../../folder.ts";
import { type Answer, type FakeMlflow, testOnFake } from "./fake_mlflow.ts";
import { sendRun } from "../../../experiments/tracking/live_mirror.ts";
import { type Ending, RunTracker, type TrackingStart } from "../../../experiments/tracking/run_tracker.ts";

/** A client of a server that retries once; a busy machine may take seconds for a response. */
export function clientAt(url: string, change: Partial<RetryPolicy> = {}): MlflowClient {
  const patience = { maxRetries: 1, backoffFactor: 0.01, timeoutMs: 60_000, ...change };
  return new MlflowClient({ address: parseAddress(url, "the address"), patience });
}

/** The default options of a tracker in tests. */
export const usualStart: TrackingStart = {
  choice: { experiment: "x" },
  about: { source: "a test", parameterCount: null, dataset: null },
  startedAt: new Date(2024, 0, 2),
  say: () => {},
};

/** Records a session of a run. */
export async function session(
  run: string,
  lines: readonly Metrics[],
  { ending = "FINISHED", reason, ...options }: Partial<TrackingStart> & { ending?: Ending; reason?: string } =
    {},
): Promise<void> {
  using lock = await lockRun(run);
  await using tracker = await RunTracker.start(lock, { ...usualStart, ...options });
  for (const line of lines) tracker.log(line);
  await tracker.end(ending, reason);
}

/** Creates the folder of a finished run, with settings. */
export async function writeRun(run: string, about: Partial<RunRecord> = {}): Promise<void> {
  await Deno.mkdir(run, { recursive: true });
  const record = newRecord({ name: "run", experiment: "x", source: "a test", startedAt: 1 });
  await writeRecord(run, { ...record, id: "an id", status: "FINISHED", endedAt: 2, ...about });
  await Deno.writeTextFile(join(run, "config.json"), '{"model":"base"}');
}

/** Sends a run; returns the lines for the user, and the errors of cells. */
export async function send(run: string, { url }: FakeMlflow): Promise<string[]> {
  const lines: string[] = [];
  return [...await sendRun(run, clientAt(url), (line) => lines.push(line)), ...lines];
}

/** The names of the files that were sent, sorted. */
export function putFiles({ seen }: FakeMlflow): string[] {
  const paths = seen.filter(({ method }) => method === "PUT").map(({ path }) => decodeURIComponent(path));
  return paths.map((path) => path.split("/").at(-1)!).sort();
}

/** Sends the missing parts of a run; returns what was sent. */
export async function newsOf(run: string, server: FakeMlflow) {
  server.seen.length = 0;
  await send(run, server);
  const logged = server.sent("runs/log-batch");
  return {
    points: logged.flatMap(({ metrics = [] }) => metrics),
    tags: logged.flatMap(({ tags = [] }) => tags) as { key: string; value: string }[],
    deleted: server.sent("runs/delete-tag").map(({ key }) => key),
    ends: server.sent("runs/update"),
    params: logged.flatMap(({ params = [] }) => params).map(({ key }) => key) as string[],
    inputs: server.sent("runs/log-inputs").length,
    files: putFiles(server),
  };
}

/** What is sent of a run that is already complete. */
export const nothing = { points: [], tags: [], deleted: [], ends: [], params: [], inputs: 0, files: [] };

/** Defines a test with the folder of a run and a server. */
export function testSending(
  name: string,
  test: (run: string, server: FakeMlflow) => Promise<void>,
  answer: Answer = () => undefined,
): void {
  testOnFake(name, (server) =>
    withFolder(async (folder) => {
      server.answer = answer;
      const run = join(folder, "run");
      await Deno.mkdir(run);
      await test(run, server);
    }));
}
