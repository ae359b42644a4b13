import assert from "node:assert/strict";
import { join } from "node:path";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { parseAddress } from "../../../experiments/tracking/address.ts";
import { idTag } from "../../../experiments/tracking/description.ts";
import { sendRun } from "../../../experiments/tracking/send.ts";
import { withFolder } from "../../folder.ts";
import { HostileServer, testHostile } from "./hostile_server.ts";

const patience = { maxRetries: 1, backoffFactor: 0.01, timeoutMs: 60_000 };

/** A run folder with a record, settings, metrics and what else a test puts in it. */
async function withRun(use: (run: string) => Promise<void>, metrics = ""): Promise<void> {
  await withFolder(async (folder) => {
    const run = join(folder, "run");
    await Deno.mkdir(run);
    const record = {
      id: "an id",
      name: "run",
      experiment: "x",
      status: "FINISHED",
      startedAt: 1,
      endedAt: 2,
    };
    const nulls = { reason: null, user: null, source: "a test", gitBranch: null, dataset: null };
    await Deno.writeTextFile(
      join(run, "run.json"),
      JSON.stringify({ ...record, ...nulls, parameterCount: null, standsFor: null }),
    );
    await Deno.writeTextFile(join(run, "config.json"), '{"model":"base"}');
    await Deno.writeTextFile(join(run, "metrics.jsonl"), metrics);
    await use(run);
  });
}

const send = (run: string, { url }: HostileServer) =>
  Array.fromAsync(sendRun(run, { address: parseAddress(url, "--mlflow"), patience }));

testHostile(
  "sendRun() writes to and deletes no run that has not its id, whatever a search finds",
  ({ path }) =>
    path.endsWith("runs/search")
      ? Response.json({ runs: [HostileServer.run(), HostileServer.run({ run_id: "r2" })] })
      : undefined,
  (server) =>
    withRun(async (run) => {
      await send(run, server);
      assert.ok(server.seen.some(({ path }) => path.endsWith("runs/create")));
      assert.ok(!server.seen.some(({ path }) => path.endsWith("runs/delete")));
    }),
);

const pictures = [
  "../secret.txt",
  "../run/../secret.txt",
  "link.png",
  "linked/secret.txt",
  "pipe",
  "mlflow.json",
  ".hidden",
];
const lines = pictures.map((path, step) => `${JSON.stringify({ step, "image/x": path })}\n`).join("");
testHostile(
  "sendRun() sends no file from outside the run folder, and waits for no pipe",
  () => undefined,
  (server) =>
    withRun(async (run) => {
      await Deno.writeTextFile(join(run, "..", "secret.txt"), "s3cret");
      await Deno.writeTextFile(join(run, ".hidden"), "s3cret");
      await Deno.symlink("../secret.txt", join(run, "link.png"));
      await Deno.symlink("..", join(run, "linked"));
      await makePipe(join(run, "pipe"));
      const [{ refused }] = await send(run, server);
      assert.deepEqual(Object.keys(refused).sort(), pictures.map((path) => `images/${path}`).sort());
      const bodies = server.seen.map(({ body }) => body);
      assert.ok(!bodies.some((body) => body.includes("s3cret")), `${bodies}`);
      const sent = server.seen.filter(({ method }) => method === "PUT").map(({ path }) =>
        path.split("/").at(-1)
      );
      assert.deepEqual(sent.sort(), ["config.json", "metrics.jsonl", "run.json"]);
    }, lines),
);

testHostile(
  "sendRun() sends what is added to a run whose last line was cut, also if it sent the run before",
  () => undefined,
  (server) =>
    withRun(async (run) => {
      await send(run, server);
      appendMetrics(join(run, "metrics.jsonl"), { step: 7, "eval/frechet": 3 });
      await send(run, server);
      assert.deepEqual(pointsSentTo(server), [["train_loss", 6], ["eval/frechet", 7]]);
    }, '{"step":6,"train_loss":0.5}\n{"step":7,"train_lo'),
);

const half = '{"step":6,"train_loss":0.5}\n{"step":7,"train_lo';
testHostile(
  "sendRun() sends what took the place of a cut line that version 0.4.1 counted as sent",
  ({ path }) => path.endsWith("runs/search") ? Response.json({ runs: [ours] }) : undefined,
  (server) =>
    withRun(async (run) => {
      const cursor = { server: server.url, experimentId: "1", runId: "r1", metricsBytes: half.length };
      await Deno.writeTextFile(join(run, "mlflow.json"), JSON.stringify(cursor));
      appendMetrics(join(run, "metrics.jsonl"), { step: 7, "eval/frechet": 3 });
      await send(run, server);
      assert.deepEqual(pointsSentTo(server), [["eval/frechet", 7]]);
    }, half),
);

/** The run as a server lists it that has it already. */
const ours = HostileServer.run({}, { tags: [{ key: idTag, value: "an id" }] });

/** Names and steps of the points that a server got. */
function pointsSentTo({ seen }: HostileServer): [string, number][] {
  return seen.filter(({ path }) => path.endsWith("runs/log-batch")).flatMap(({ body }) =>
    (JSON.parse(body).metrics ?? []).map(({ key, step }: { key: string; step: number }) => [key, step])
  );
}

testHostile(
  "sendRun() sends all but a file that is too large for the server, and how the run ended",
  ({ path }) => path.endsWith("config.json") ? new Response("<html>413</html>", { status: 413 }) : undefined,
  (server) =>
    withRun(async (run) => {
      const [{ refused }] = await send(run, server);
      assert.deepEqual(Object.keys(refused), ["artifacts/config.json"]);
      assert.match(refused["artifacts/config.json"], /answered 413/);
      assert.ok(server.seen.some(({ method, path }) => method === "PUT" && path.endsWith("run.json")));
      assert.ok(server.seen.some(({ path }) => path.endsWith("runs/update")), "the run never ends");
    }),
);

/** Makes a pipe, where programs may be run; a test without one still tests the rest. */
async function makePipe(path: string): Promise<void> {
  const may = (await Deno.permissions.query({ name: "run", command: "mkfifo" })).state === "granted";
  if (may) await new Deno.Command("mkfifo", { args: [path] }).output();
}
