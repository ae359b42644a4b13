import assert from "node:assert/strict";
import { serving } from "../../../experiments/mlflow.ts";
import { listing } from "../../../experiments/runs.ts";
import { flagOf } from "../../../experiments/settings/setting.ts";
import { syncing } from "../../../experiments/sync.ts";
import { freePort } from "../../free_port.ts";
import { type TaskName, testTask, tinyNetwork } from "../cli.ts";

testTask("sync, runs and mlflow --help list every flag", async (place) => {
  const tasks = { sync: syncing, runs: listing, mlflow: serving };
  await Promise.all(
    Object.entries(tasks).map(async ([task, { rows }]) => {
      const { stdout } = await place.succeed(task as TaskName, "--help");
      assert.match(stdout, new RegExp(`^Usage: deno task ${task}.* \\[flags\\]\n`));
      for (const name of Object.keys(rows)) {
        assert.ok(stdout.includes(`  ${flagOf(name)}`), `${task} ${name}`);
      }
    }),
  );
});

testTask("sync, runs and mlflow say what they cannot do, in one line", async (place) => {
  await Deno.mkdir(place.file("runs", "one"), { recursive: true });
  await Deno.writeTextFile(place.file("runs", "one", "config.json"), '{"model":"base"}');
  const cases: [TaskName, string, string][] = [
    [
      "sync",
      "--root runs",
      "ConfigError: Cannot send: no server given, and no run was sent to one before " +
      "(expected --mlflow URI or MLFLOW_TRACKING_URI)",
    ],
    [
      "sync",
      "nowhere --mlflow http://127.0.0.1:9",
      "ConfigError: Cannot find the run nowhere: there is no such folder (there are runs/one)",
    ],
    ["sync", "runs/one --mlflow mlruns", "ConfigError: Cannot use --mlflow: it names a folder, "],
    [
      "mlflow",
      `--data elsewhere --port ${freePort()}`,
      "RunError: Cannot keep the data of a server in elsewhere: requires write access to ",
    ],
    ["runs", "lst", 'ConfigError: Unknown action "lst" (did you mean list?)'],
    ["runs", "show", "ConfigError: Cannot show 0 runs: expected deno task runs "],
    ["runs", "compare runs/one", "ConfigError: Cannot compare 1 runs: expected deno task runs "],
    [
      "runs",
      "show nowhere",
      "ConfigError: Cannot find the run nowhere: there is no such folder (there are runs/one)",
    ],
    ["runs", "list --from server", "ConfigError: Cannot look on a server: none is named "],
    [
      "train:base",
      `${tinyNetwork} --out run --mlflow sqlite:///me:secret@db`,
      'ConfigError: Cannot use --mlflow "sqlite:": it names a sqlite store, ',
    ],
  ];
  for (const [task, flags, start] of cases) {
    const { code, stderr, stdout } = await place.run(task, flags);
    assert.deepEqual([code, stdout], [1, ""], flags);
    assert.ok(stderr.startsWith(start) && stderr.trim().split("\n").length === 1, `${flags}: ${stderr}`);
  }
  assert.deepEqual(await place.names(), ["data", "runs"]);
});

testTask("runs lists, shows and compares runs of folders, also such as have no run.json", async (place) => {
  assert.equal((await place.succeed("runs", "list")).stdout, "No runs in runs\n");
  for (const [name, loss] of [["a", 0.25], ["b", NaN]] as const) {
    await Deno.mkdir(place.file("runs", name), { recursive: true });
    await Deno.writeTextFile(place.file("runs", name, "config.json"), `{"model":"base","lr":${loss || 1}}`);
    await Deno.writeTextFile(
      place.file("runs", name, "metrics.jsonl"),
      `{"step":1,"train_loss":9}\n{"step":2,"train_loss":${loss || '"NaN"'},"elapsed_seconds":90}\n`,
    );
  }
  const { stdout: list } = await place.succeed("runs", "list");
  assert.match(
    list,
    /^ {2}run +status .*\n {2}runs\/a +KILLED .* 1\.5 +base +0\.25\n {2}runs\/b +KILLED .* NaN\n$/,
  );
  const { stdout: shown } = await place.succeed("runs", "show runs/a");
  assert.match(shown, /\n {2}train_loss +0\.25\n[\s\S]*\n {2}lr +0\.25\n[\s\S]*\nFiles\n {2}config.json\n/);
  const { stdout: compared } = await place.succeed("runs", "compare a b");
  assert.match(compared, /^ +a +b\n[\s\S]*\n {2}train_loss +0\.25 +NaN\n[\s\S]*\n {2}lr +0\.25 +1\n$/);
  const [, b] = JSON.parse((await place.succeed("runs", "list --json")).stdout);
  assert.deepEqual([b.name, b.metrics.train_loss, b.params.model], ["b", "NaN", "base"]);
});

testTask("runs and sync say that a server does not answer before they ask it again", async (place) => {
  await Deno.mkdir(place.file("runs", "one"), { recursive: true });
  await Deno.writeTextFile(place.file("runs", "one", "config.json"), '{"model":"base"}');
  const url = `http://127.0.0.1:${freePort()}`; // nobody listens there
  const env = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "2", MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR: "0.01" };
  for (const task of ["runs", "sync"] as const) {
    const { code, stderr } = await place.run(task, `--mlflow ${url}`, env);
    assert.equal(code, 1);
    const lines = stderr.trim().split("\n");
    assert.equal(lines.length, 2, stderr);
    assert.match(
      lines[0],
      /cannot be reached \(.*\): retrying up to 2 times \(MLFLOW_HTTP_REQUEST_MAX/,
    );
    assert.match(lines[1], /^ServerError: http:.* cannot be reached/);
  }
});
