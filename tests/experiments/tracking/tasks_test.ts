/** `sync` and `runs` as users run them, and training that is killed. */

import assert from "node:assert/strict";
import { readMetrics } from "../../../experiments/run/metrics_log.ts";
import { idTag } from "../../../experiments/tracking/describe_run.ts";
import { freePort } from "../../free_port.ts";
import { ended, testTask, tinyNetwork, type Workplace } from "../cli.ts";
import { assertMistakes } from "../refusals.ts";
import { FakeMlflow, mirroredRun, pause, quick } from "./fake_mlflow.ts";
import { assertMirrored } from "./mirrored.ts";
import { writeRun } from "./sessions.ts";

/** Creates the folder of a finished run, with additional files. */
async function makeRun(place: Workplace, path: string, files: Record<string, unknown> = {}): Promise<void> {
  await writeRun(place.file(path), { id: path, name: path, endedAt: 60_001 });
  for (const [name, content] of Object.entries(files)) await place.write(`${path}/${name}`, content);
}

const createdOn = (server: FakeMlflow) => server.sent("runs/create").map(({ tags }) => tags[0].value);

testTask("sync sends nested runs, past those that a server has deleted or cannot get", async (place) => {
  await using server = await FakeMlflow.start();
  await server.post("experiments/create", { name: "x" });
  for (const [i, value] of ["runs/a", "runs/b/cells/1"].entries()) {
    await server.post("runs/create", { experiment_id: "1", tags: [{ key: idTag, value }] });
    await server.post("runs/delete", { run_id: `r${i + 1}` });
  }
  for (const path of ["a", "b", "b/cells/1", "b/cells/2", "c"]) await makeRun(place, `runs/${path}`);
  const env = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0" };
  const { code, stdout, stderr } = await place.run("sync", `--mlflow ${server.url}`, env);
  assert.deepEqual([code, createdOn(server)], [1, ["runs/b", "runs/b/cells/2", "runs/c"]]);
  assert.equal(stdout.trim().split("\n").length, 3, stdout);
  const deleted = ["runs/a", "runs/b/cells/1"].map((run, i) =>
    `${run}: ${server.url} has deleted the run r${i + 1}; restore it there\n`
  );
  assert.equal(stderr, deleted.join(""));

  const gone = `http://127.0.0.1:${freePort()}`; // nobody listens there
  for (const [name, url] of Object.entries({ a: gone, b: server.url, c: gone })) {
    await makeRun(place, `more/${name}`, { "mlflow.json": { server: url } });
  }
  const retries = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "2", MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR: "0.01" };
  const others = await place.run("sync", "--root more", retries);
  assert.deepEqual([others.code, createdOn(server).slice(3)], [1, ["more/b"]]);
  const says = /^\S+ cannot be reached .*; trying for another .*\nServerError: \S+ cannot be .*\n$/;
  assert.match(others.stderr, says);
});

testTask("sync, runs and train refuse invalid commands in one line", async (place) => {
  await makeRun(place, "runs/one");
  await assertMistakes(place, "sync", {
    "--root runs": "ConfigError: Cannot send: there is no server",
  });
  await assertMistakes(place, "runs", {
    "one --all": "ConfigError: Cannot use --all: ",
    "one --experiment x": "ConfigError: Cannot use --experiment: ",
  });
  const other = `${tinyNetwork} --out run --mlflow sqlite:///me:secret@db`;
  await assertMistakes(place, "train:base", { [other]: "ConfigError: Cannot use --mlflow: " });
});

testTask("runs lists, shows and compares run folders, as tables and as JSON", async (place) => {
  const runs = async (flags: string) => (await place.succeed("runs", flags)).stdout;
  assert.equal(await runs("--root runs"), "No runs in runs\n");
  for (const [name, loss] of [["a", 0.25], ["b", NaN]] as const) {
    const numbers = { constructor: 2345.6, images: -1_234_567, small: 1.23456e-7, third: 1 / 3 };
    const last = JSON.stringify({ step: 2, train_loss: loss || "NaN", elapsed_seconds: 90, ...numbers });
    await makeRun(place, `runs/${name}`, {
      "config.json": { model: "base", lr: loss || 1, filters: [4, 8], name: "not a setting", data: null },
      "metrics.jsonl": `{"step":1,"train_loss":9}\n${last}\n`,
    });
  }
  const list = await runs("--root runs");
  assert.match(list, /^ {2}run +name +status .*\n {2}a +runs\/a +FINISHED .* 1\.5 +base +.* 0\.25\n/);
  assert.match(list, /\n {2}b +runs\/b .* NaN\n$/);
  const shown = await runs("runs/a");
  const metrics = [
    ...["train_loss 0.25", "constructor 2346", "images -1234567", "small 1.235e-7", "third 0.3333"],
    "elapsed_seconds 90",
  ];
  const settings = ["model base", "lr 0.25", "filters [4,8]"];
  const parts = shown.split(/\n\n\w[\w ]*\n/).map((part) => part.split("\n").map((row) => row.trim()));
  const [, ...tables] = parts.map((rows) => rows.map((row) => row.replaceAll(/ +/g, " ")));
  assert.deepEqual(tables.slice(0, 2), [metrics, settings]);
  assert.match(
    tables[2].join(),
    /^config\.json all settings, for --config report\.html#settings,metrics\.jsonl /,
  );
  for (const words of ["runs/a/config.json", "a"]) assert.equal(await runs(words), shown, words);
  const compared = await runs("a b");
  assert.match(compared, /^ +runs\/a +runs\/b\n[^]*\n {2}train_loss +0\.25 +NaN\n[^]* {2}lr +0\.25 +1\n/);
  const listed = JSON.parse(await runs("--json --experiment x"));
  const [a, b] = listed;
  assert.deepEqual([b.name, b.metrics.train_loss], ["runs/b", "NaN"]);
  assert.deepEqual(a.params, { model: "base", lr: 0.25, filters: [4, 8] });
  assert.deepEqual(JSON.parse(await runs("runs/a b --json")), listed);
  const { files, ...summary } = JSON.parse(await runs("a --json"));
  assert.deepEqual([summary, files], [a, ["config.json", "metrics.jsonl", "run.json"]]);
  const none = "No runs of experiment X in runs (did you mean x?)\n";
  assert.equal(await runs("--experiment X"), none);
  const { stdout, stderr } = await place.succeed("runs", "--experiment X --json");
  assert.deepEqual([stdout, stderr], ["[]\n", none]);
});

testTask("train --resume after a kill and a sync leaves every point once", async (place) => {
  await using server = await FakeMlflow.start();
  const env = { ...quick, MLFLOW_TRACKING_URI: server.url, MLFLOW_EXPERIMENT_NAME: "crash" };
  const lines = () => readMetrics(place.file("run", "metrics.jsonl"));
  // Steps after the last checkpoint are measured again.
  const longer = `${mirroredRun} --checkpoint-minutes 0.003`.replace("--epochs 3", "--epochs 20")
    .replace("--log-every 3", "--log-every 1").replace("--sample-epochs 2", "--sample-epochs 20");
  const isPast = async () => {
    const saved = await place.stepOf("run").catch(() => -1); // while it is being saved
    return saved >= 0 && ((await lines()).at(-1)?.step ?? 0) > saved;
  };
  const process = place.start("train:base", longer, env);
  const end = ended(process);
  for (;;) { // until it is caught after a checkpoint; a run that has ended cannot be stopped
    await pause(50);
    process.kill("SIGSTOP"); // so that it does not move on
    await pause(20); // until all its threads have stopped
    if (await isPast()) break;
    process.kill("SIGCONT");
  }
  process.kill("SIGKILL");
  await end;
  await place.succeed("sync", "run", env);
  const { info } = await assertMirrored(server, "crash", place.file("run"));
  assert.equal(info.status, "KILLED");
  const cut = await lines();
  assert.ok(await isPast());

  // The run folder names the server.
  await place.succeed("train:base", "--resume run", quick);
  const again = await assertMirrored(server, "crash", place.file("run"));
  assert.deepEqual([again.info.run_id, again.info.status], [info.run_id, "FINISHED"]);
  const replaced = (await place.names("run")).filter((name) => name.startsWith("metrics-replaced-"));
  assert.equal(replaced.length, 1, "nothing was measured again");
  assert.deepEqual((await lines()).slice(0, cut.length), cut);
});
