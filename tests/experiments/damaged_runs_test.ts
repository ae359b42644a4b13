import assert from "node:assert/strict";
import { join } from "node:path";
import { loadTrajectories, writeTrajectories } from "../../experiments/draw/trajectories.ts";
import { listRuns } from "../../experiments/tracking/find_run.ts";
import { testInFolder } from "../folder.ts";
import { madeUpFlow } from "../viz/flow/made_up_flow.ts";
import { type TaskName, testTask } from "./cli.ts";
import { smallRun } from "./refusals.ts";
import { FakeMlflow } from "./tracking/fake_mlflow.ts";

/** Damaged run folders next to good ones: the good ones are still listed, sent and drawn. */

const record = {
  id: "an id",
  name: "whole",
  experiment: "UNet_FM",
  status: "FINISHED",
  startedAt: Date.UTC(2024, 0, 2),
  endedAt: Date.UTC(2024, 0, 2, 1),
  source: "a test",
};

async function writeRun(
  root: string,
  name: string,
  files: Readonly<Record<string, unknown>>,
): Promise<string> {
  const folder = join(root, name);
  await Deno.mkdir(folder, { recursive: true });
  for (const [file, content] of Object.entries(files)) {
    await Deno.writeTextFile(
      join(folder, file),
      typeof content === "string" ? content : JSON.stringify(content),
    );
  }
  return folder;
}

/** Runs with each kind of damage, and the expected messages. */
const damaged: Readonly<Record<string, readonly [files: Record<string, unknown>, says: string]>> = {
  a_text: [{ "run.json": "text" }, "run.json: it is not a JSON object; restore the file from a backup"],
  b_name: [
    { "run.json": { ...record, name: 5 } },
    "run.json: name is 5 (expected text); correct it, or restore",
  ],
  c_time: [{ "run.json": { ...record, startedAt: 1e300 } }, "run.json: startedAt is 1e+300 (expected milli"],
  d_status: [{ "run.json": { ...record, status: "DONE" } }, 'run.json: status is "DONE" (expected RUNNING, '],
  e_dataset: [
    { "run.json": { ...record, dataset: { name: "x" } } },
    'run.json: dataset is {"name":"x"} (expected',
  ],
  f_metrics: [
    { "run.json": record, "metrics.jsonl": "{}\n{}\n" },
    "metrics.jsonl: line 1 is not an object with a step",
  ],
  g_config: [{ "run.json": record, "config.json": "[]" }, "config.json: it is not a JSON object"],
};

testInFolder("listRuns() skips damaged runs, says why, and lists the others", async (root) => {
  for (const [name, [files]] of Object.entries(damaged)) await writeRun(root, name, files);
  await Deno.mkdir(join(root, "h_link"));
  await Deno.symlink("run.json", join(root, "h_link", "run.json"));
  const whole = await writeRun(root, "whole", { "run.json": record });
  await writeRun(join(whole, "cells"), "broken", { "run.json": "[]" });
  const nested = await writeRun(join(whole, "cells"), "nested", { "run.json": record });
  const said: string[] = [];
  const runs = await listRuns(root, null, (line) => said.push(line));
  assert.deepEqual(runs.map(({ key }) => key), [whole, nested]);
  for (const [name, [, says]] of Object.entries(damaged)) {
    const line = said.find((line) => line.startsWith(`Skipped: Cannot read ${join(root, name)}`)) ?? "";
    assert.ok(line.includes(says), `${name}: ${said.join("\n")}`);
  }
  assert.equal(said.length, Object.keys(damaged).length + 2, said.join("\n"));
});

testInFolder(
  "loadTrajectories() skips runs with damaged trajectories, and says so",
  async (root) => {
    const source = { modelType: "UNet_FM", seed: 7, solver: "euler", steps: 4 } as const;
    const folders = await Promise.all(["a", "b"].map((name) => writeRun(root, name, { "run.json": record })));
    for (const folder of folders) await writeTrajectories(folder, [madeUpFlow(1, 5, [4, 4])], source);
    await Deno.truncate(join(folders[0], "flow", "sample_1.safetensors"), 100);
    const said: string[] = [];
    const flows = await loadTrajectories([], { root, experiment: "UNet_FM" }, (line) => said.push(line));
    assert.deepEqual(flows.map(({ key }) => key), [folders[1]]);
    assert.equal(said.length, 1);
    assert.match(said[0], /^Skipped: Cannot read .*a\/flow\/sample_1.safetensors: /);
  },
);

testTask("runs and sync continue past damaged runs", async (place) => {
  await writeRun(place.file("runs"), "a", { "run.json": { ...record, startedAt: null } });
  await writeRun(place.file("runs"), "b", { "run.json": record, "mlflow.json": "[]" });
  await writeRun(place.file("runs"), "c", { "run.json": record, "mlflow.json": { server: 5, sent: [1] } });
  await writeRun(place.file("runs"), "d", { "run.json": record });
  const { stdout, stderr } = await place.succeed("runs", "--root runs");
  assert.match(stdout, /\n +b .*\n +c .*\n +d /);
  assert.match(stderr, /^Skipped: Cannot read runs\/a\/run.json: startedAt is null [^\n]+\n$/);
  // No server listens there; only the good run gets that far.
  const quick = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0" };
  const sent = await place.run("sync", "--mlflow http://127.0.0.1:9", quick);
  assert.match(
    sent.stderr,
    /^runs\/a: Cannot read runs\/a\/run.json: [^\n]+\nruns\/b: Cannot read runs\/b\/mlflow.json: it is not a JSON object; [^\n]+\n/,
  );
  assert.match(sent.stderr, /\nServerError: http:\/\/127.0.0.1:9 cannot be reached [^\n]+\n$/);
  assert.equal(sent.code, 1);
});

const source = { modelType: "UNet_FM", seed: 1, solver: "euler", steps: 10 } as const;

testTask("report, sync, runs and --resume find runs by the same names as animate", async (place) => {
  await using server = await FakeMlflow.start();
  await place.succeed("train:base", `${smallRun} --name a`);
  const [folder] = await place.names("runs");
  await Deno.rename(place.file("runs", folder), place.file("runs", "a"));
  const record = JSON.parse(await Deno.readTextFile(place.file("runs", "a", "run.json")));
  await Deno.writeTextFile(place.file("runs", "a", "run.json"), JSON.stringify({ ...record, name: "given" }));
  await writeTrajectories(place.file("runs", "a"), [madeUpFlow(0, 11, [8, 8])], source);
  for (const name of ["a", "runs/a", "given"]) {
    await place.succeed("animate", `${name} --frames 2 --field none`);
    await place.succeed("report", name);
    assert.match((await place.succeed("runs", name)).stdout, /\n {2}name +given\n/);
    assert.match((await place.succeed("sync", `${name} --mlflow ${server.url}`)).stdout, /^runs\/a: /);
  }
  await place.succeed("train:base", "--resume given --max-steps 3");
  await place.succeed("train:base", "--resume a --max-steps 4");
  const others = { report: "b", sync: "b", animate: "b", runs: "b", "train:base": "--resume b" };
  for (const [task, flags] of Object.entries(others)) {
    const { code, stderr } = await place.run(task as TaskName, flags);
    assert.equal(code, 1);
    assert.equal(stderr, "ConfigError: Cannot find the run b: there is no such folder (there are runs/a)\n");
  }
});
