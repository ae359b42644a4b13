/** What run folders and servers of somebody else must not do: get credentials, control a terminal, hold a task up. */

import assert from "node:assert/strict";
import { ended, type TaskName, testTask } from "./cli.ts";
import { smallRun, trained } from "./refusals.ts";
import { storeRun } from "./evaluated_run.ts";
import { FakeMlflow } from "./tracking/fake_mlflow.ts";

const secret = "s3cret";

testTask(
  "sync and train never send credentials to a server that a run folder names",
  async (place) => {
    await using server = await FakeMlflow.start();
    await trained(place);
    await Deno.writeTextFile(place.file("run", "mlflow.json"), JSON.stringify({ server: server.url }));
    const config = JSON.parse(await Deno.readTextFile(place.file("run", "config.json")));
    await Deno.writeTextFile(
      place.file("run", "config.json"),
      JSON.stringify({ ...config, mlflow: server.url }),
    );
    const env = {
      MLFLOW_TRACKING_TOKEN: secret,
      MLFLOW_TRACKING_USERNAME: "me",
      MLFLOW_TRACKING_PASSWORD: secret,
    };
    await place.succeed("sync", "run", env);
    await place.succeed("train:base", "--resume run --max-steps 4", env);
    assert.ok(server.seen.length > 0);
    assert.deepEqual(server.seen.filter(({ authorization }) => authorization !== undefined), []);
    await place.succeed("sync", `run --mlflow ${server.url}`, env);
    assert.equal(server.seen.at(-1)?.authorization, `Basic ${btoa(`me:${secret}`)}`);
  },
);

testTask("train keeps the credentials of an address out of files, messages and requests", async (place) => {
  await using server = await FakeMlflow.start(({ authorization }, count) => {
    // Servers echo what they receive, in their own spelling.
    const spelled = `${encodeURIComponent("s3cret/")} s3cret%2f ${authorization} http://me:s3cret%2F@host`;
    return count % 2 === 0 ? new Response(spelled, { status: 403 }) : undefined;
  });
  const uri = server.url.replace("//", "/me:s3cret%2F@");
  const { stderr } = await place.succeed("train:base", `${smallRun} --out run`, {
    MLFLOW_TRACKING_URI: uri,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0",
  });
  assert.ok(server.seen.length > 0 && server.seen.every(({ authorization }) => authorization));
  const paths = [...await place.listing(place.file("run"))].filter(([, entry]) => entry !== "folder");
  const files = await Promise.all(paths.map(([path]) => Deno.readTextFile(path)));
  for (const text of [stderr, ...files, ...server.seen.map(({ path, body }) => path + body)]) {
    assert.ok(!text.includes(secret) && !text.includes(btoa(`me:${secret}/`)), text);
  }
});

testTask(
  "runs, sync and report escape control characters from files and servers",
  async (place) => {
    const nasty = "a\x1b[2J\x07\r\n\x9b31m\u202e";
    const run = FakeMlflow.run({ run_name: nasty, run_id: nasty }, {
      params: [{ key: nasty, value: nasty }],
      metrics: [{ key: nasty, value: 1 }],
    });
    await using server = await FakeMlflow.start(({ path }) => {
      if (path.endsWith("runs/search")) return Response.json({ runs: [run] });
      if (path.includes("artifacts/list")) return Response.json({ files: [{ path: nasty }] });
      if (path.endsWith("runs/create")) return Response.json({ run });
      return path.endsWith("log-batch")
        ? Response.json({ message: nasty, error_code: "BAD_REQUEST" }, { status: 400 })
        : undefined;
    });
    await storeRun(place, "run");
    await Deno.writeTextFile(
      place.file("run", "metrics.jsonl"),
      `${JSON.stringify({ step: 1, [nasty]: 2 })}\n`,
    );
    await storeRun(place, nasty);
    await Deno.writeTextFile(place.file(nasty, "config.json"), `${nasty}{`);
    const commands: [TaskName, string][] = [
      ["runs", "--root ."],
      ["runs", "--root . --json"],
      ["runs", "run"],
      ["runs", "run --json"],
      ["sync", `run --mlflow ${server.url}`],
      ["sync", `${nasty} --mlflow ${server.url}`],
      ["report", nasty],
      ["animate", `x${nasty}`],
    ];
    for (const [task, flags] of commands) {
      const { stdout, stderr } = await place.run(task, flags);
      assert.ok(stdout + stderr !== "", flags);
      assert.doesNotMatch(stdout + stderr, /[^\P{Cc}\n]|\u202e/u, `${task} ${flags}`);
      if (stdout === "") assert.equal(stderr.trim().split("\n").length, 1, stderr);
    }
  },
);

testTask("sync stops immediately on Ctrl-C, no matter what the server does", async (place) => {
  const asked = Promise.withResolvers<void>();
  await using server = await FakeMlflow.start(() => {
    asked.resolve();
    return "hang";
  });
  await storeRun(place, "run");
  const process = place.start("sync", `run --mlflow ${server.url}`);
  await asked.promise;
  process.kill("SIGINT");
  assert.notEqual((await ended(process)).code, 0);
});
