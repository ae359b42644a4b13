import assert from "node:assert/strict";
import { idTag } from "../../../experiments/tracking/describe_run.ts";
import { freePort } from "../../free_port.ts";
import { type TaskName, testTask, tinyNetwork, type Workplace } from "../cli.ts";
import { type Answer, FakeMlflow } from "./fake_mlflow.ts";
import { writeRun } from "./sessions.ts";

const env = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0" };

/** Creates the folder of a finished run, with additional files. */
async function makeRun(place: Workplace, path: string, files: Record<string, unknown> = {}): Promise<void> {
  await writeRun(place.file(path), { id: path, name: path, endedAt: 60_001 });
  for (const [name, content] of Object.entries(files)) {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await Deno.writeTextFile(place.file(path, name), text);
  }
}

const createdOn = (server: FakeMlflow): string[] =>
  server.sent("runs/create").map(({ tags }) => tags[0].value);

testTask(
  "sync sends nested runs with their parent, and continues after a run that the server has deleted",
  async (place) => {
    const gone: Answer = ({ path, body }) => {
      const ids = ["runs/a", "runs/b/cells/1"];
      const id = path.endsWith("runs/search") &&
        ids.find((id) => JSON.parse(body).filter.includes(`'${id}'`));
      if (!id) return undefined;
      const run = FakeMlflow.run({ lifecycle_stage: "deleted" }, { tags: [{ key: idTag, value: id }] });
      return Response.json({ runs: [run] });
    };
    await using server = await FakeMlflow.start(gone);
    for (const path of ["a", "b", "b/cells/1", "b/cells/2", "c"]) await makeRun(place, `runs/${path}`);
    const { code, stdout, stderr } = await place.run("sync", `--mlflow ${server.url}`, env);
    assert.equal(code, 1);
    assert.deepEqual(createdOn(server), ["runs/b", "runs/b/cells/2", "runs/c"]);
    assert.equal(stdout.trim().split("\n").length, 3, stdout);
    assert.deepEqual(stderr.trim().split("\n"), [
      `runs/a: ${server.url} has deleted the run r1; restore it there`,
      `runs/b/cells/1: ${server.url} has deleted the run r1; restore it there`,
    ]);
  },
);

testTask(
  "sync reports that a server does not respond, and continues with runs of other servers",
  async (place) => {
    await using server = await FakeMlflow.start();
    const gone = `http://127.0.0.1:${freePort()}`; // nobody listens there
    for (const [name, url] of Object.entries({ a: gone, b: server.url, c: gone })) {
      await makeRun(place, `runs/${name}`, { "mlflow.json": { server: url } });
    }
    const retries = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "2", MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR: "0.01" };
    const { code, stderr } = await place.run("sync", "--root runs", retries);
    assert.equal(code, 1);
    assert.deepEqual(createdOn(server), ["runs/b"], stderr);
    const lines = stderr.trim().split("\n");
    assert.equal(lines.length, 2, stderr);
    assert.match(lines[0], /cannot be reached \(.*\); trying for another 1 seconds \(MLFLOW_HTTP_/);
    assert.match(lines[1], /^ServerError: http:\S+ cannot be reached/);
  },
);

testTask("sync, runs and mlflow report errors in one line", async (place) => {
  await makeRun(place, "runs/one");
  const nowhere = "ConfigError: Cannot find the run nowhere: there is no such folder (there are runs/one)";
  const address = "ConfigError: Cannot use --mlflow: expected the address of a server";
  const cases: [TaskName, string, string][] = [
    ["sync", "--root runs", "ConfigError: Cannot send: there is no server, and no run was sent to one "],
    ["sync", "nowhere --mlflow http://127.0.0.1:9", nowhere],
    ["sync", "runs/one --mlflow mlruns", address],
    ["runs", "nowhere", nowhere],
    ["runs", "one --all", "ConfigError: Cannot use --all: it only applies to the table of several runs ("],
    ["runs", "one --experiment x", "ConfigError: Cannot use --experiment: it only applies to the list "],
    ["train:base", `${tinyNetwork} --out run --mlflow sqlite:///me:secret@db`, address],
  ];
  for (const [task, flags, start] of cases) {
    const { code, stderr, stdout } = await place.run(task, flags);
    assert.deepEqual([code, stdout], [1, ""], flags);
    assert.ok(stderr.startsWith(start) && stderr.trim().split("\n").length === 1, `${flags}: ${stderr}`);
  }
  assert.deepEqual(await place.names(), ["data", "runs"]);
});

testTask("runs lists, shows and compares run folders, as tables and as JSON", async (place) => {
  assert.equal((await place.succeed("runs", "--root runs")).stdout, "No runs in runs\n");
  for (const [name, loss] of [["a", 0.25], ["b", NaN]] as const) {
    await makeRun(place, `runs/${name}`, {
      "config.json": { model: "base", lr: loss || 1, filters: [4, 8], name: "not a setting", data: null },
      "metrics.jsonl": `{"step":1,"train_loss":9}\n{"step":2,"train_loss":${
        loss || '"NaN"'
      },"elapsed_seconds":90}\n`,
    });
  }
  const { stdout: list } = await place.succeed("runs", "--root runs");
  assert.match(list, /^ {2}run +name +status .*\n {2}a +runs\/a +FINISHED .* 1\.5 +base +.* 0\.25\n/);
  assert.match(list, /\n {2}b +runs\/b .* NaN\n$/);
  const { stdout: shown } = await place.succeed("runs", "runs/a");
  assert.match(
    shown,
    /\n {2}train_loss +0\.25\n[\s\S]*\n {2}lr +0\.25\n[\s\S]*\nFiles\n {2}config\.json +all settings/,
  );
  for (const words of ["runs/a/config.json", "a"]) {
    assert.equal((await place.succeed("runs", words)).stdout, shown, words);
  }
  const { stdout: compared } = await place.succeed("runs", "a b");
  assert.match(
    compared,
    /^ +runs\/a +runs\/b\n[\s\S]*\n {2}train_loss +0\.25 +NaN\n[\s\S]*\n {2}lr +0\.25 +1\n/,
  );
  const listed = JSON.parse((await place.succeed("runs", "--json --experiment x")).stdout);
  const [a, b] = listed;
  assert.deepEqual([b.name, b.metrics.train_loss], ["runs/b", "NaN"]);
  assert.deepEqual(a.params, { model: "base", lr: 0.25, filters: [4, 8] });
  assert.deepEqual(JSON.parse((await place.succeed("runs", "runs/a b --json")).stdout), listed);
  const { files, ...summary } = JSON.parse((await place.succeed("runs", "a --json")).stdout);
  assert.deepEqual([summary, files], [a, ["config.json", "metrics.jsonl", "run.json"]]);
  const none = "No runs of experiment X in runs (did you mean x?)\n";
  assert.equal((await place.succeed("runs", "--experiment X")).stdout, none);
  const { stdout, stderr } = await place.succeed("runs", "--experiment X --json");
  assert.deepEqual([stdout, stderr], ["[]\n", none]);
});
