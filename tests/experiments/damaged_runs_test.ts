/** Run folders that are damaged, from somebody else, or on a full disk: the others are still listed, sent and drawn. */

import assert from "node:assert/strict";
import { loadTrajectories, writeTrajectories } from "../../experiments/draw/trajectories.ts";
import { listRuns } from "../../experiments/tracking/find_run.ts";
import { granted } from "../permissions.ts";
import { madeUpFlow } from "../viz/flow/made_up_flow.ts";
import { ended, type TaskName, testTask } from "./cli.ts";
import { storeRun } from "./evaluated_run.ts";
import { assertMistakes, smallRun } from "./refusals.ts";
import { FakeMlflow } from "./tracking/fake_mlflow.ts";

const source = { modelType: "UNet_FM", seed: 1, solver: "euler", steps: 10 } as const;
const record = {
  ...{ id: "an id", name: "whole", experiment: "UNet_FM", status: "FINISHED", source: "a test" },
  ...{ startedAt: Date.UTC(2024, 0, 2), endedAt: Date.UTC(2024, 0, 2, 1) },
};

const expected = "(expected";

/** Runs with each kind of damage to a file, and the expected messages. */
const damaged: Readonly<Record<string, readonly [content: unknown, says: string, file?: string]>> = {
  a_text: ["text", "run.json: it is not a JSON object; restore the file from a backup"],
  b_name: [{ ...record, name: 5 }, `run.json: name is 5 ${expected} text); correct it, or restore`],
  c_newer: [{ ...record, version: 2 }, `run.json: version is 2 ${expected} 1; a newer version`],
  c_time: [{ ...record, startedAt: 1e300 }, `run.json: startedAt is 1e+300 ${expected} milli`],
  d_status: [{ ...record, status: "DONE" }, `run.json: status is "DONE" ${expected} RUNNING, `],
  e_dataset: [{ ...record, dataset: { name: "x" } }, `run.json: dataset is {"name":"x"} ${expected}`],
  f_metrics: ["{}\n{}\n", "metrics.jsonl: line 1 is not an object with", "metrics.jsonl"],
  g_config: ["[]", "config.json: it is not a JSON object", "config.json"],
};

testTask("listRuns() skips damaged runs, says why, and lists the others", async (place) => {
  for (const [run, [content, , file = "run.json"]] of Object.entries(damaged)) {
    await place.write(`runs/${run}/run.json`, record);
    await place.write(`runs/${run}/${file}`, content);
  }
  await Deno.mkdir(place.file("runs/h_link"));
  await Deno.symlink("run.json", place.file("runs/h_link/run.json"));
  for (const run of ["whole", "whole/cells/nested"]) await place.write(`runs/${run}/run.json`, record);
  await place.write("runs/whole/cells/broken/run.json", "[]");
  const said: string[] = [];
  const runs = await listRuns(place.file("runs"), null, (line) => said.push(line));
  const whole = ["whole", "whole/cells/nested"].map((run) => place.file("runs", run));
  assert.deepEqual(runs.map(({ key }) => key), whole);
  for (const [name, [, says]] of Object.entries(damaged)) {
    const line = said.find((line) => line.startsWith(`Skipped: Cannot read ${place.file("runs", name)}`)) ??
      "";
    assert.ok(line.includes(says), `${name}: ${said.join("\n")}`);
  }
  assert.equal(said.length, Object.keys(damaged).length + 2, said.join("\n"));

  for (const run of ["cut", "kept"]) {
    await place.write(`flows/${run}/run.json`, record);
    await writeTrajectories(place.file("flows", run), [madeUpFlow(1, 5, [4, 4])], { ...source, steps: 4 });
  }
  await Deno.truncate(place.file("flows/cut/flow/sample_1.safetensors"), 100);
  const skipped: string[] = [];
  const where = { root: place.file("flows"), experiment: "UNet_FM" };
  const loaded = await loadTrajectories([], where, (line) => skipped.push(line));
  assert.deepEqual(loaded.map(({ key }) => key), [place.file("flows/kept")]);
  assert.match(skipped.join("\n"), /^Skipped: Cannot read \S+flow\/sample_1.safetensors: [^\n]+$/);
});

testTask("sync continues past damaged runs", async (place) => {
  await place.write("runs/a/run.json", { ...record, startedAt: null });
  for (const run of ["b", "d"]) await place.write(`runs/${run}/run.json`, record);
  await place.write("runs/b/mlflow.json", "[]");
  // No server listens there; only the good run gets that far.
  const quick = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0" };
  const { code, stderr } = await place.run("sync", "--mlflow http://127.0.0.1:9", quick);
  const [a, b, d] = stderr.split("\n");
  assert.match(a, /^runs\/a: Cannot read runs\/a\/run.json: /);
  assert.match(b, /^runs\/b: Cannot read runs\/b\/mlflow.json: it is not a JSON object; /);
  assert.match(d, /^ServerError: http:\/\/127.0.0.1:9 cannot be reached /);
  assert.equal(code, 1);
});

testTask("report, sync, runs and --resume find runs by the same names as animate", async (place) => {
  await using server = await FakeMlflow.start();
  await place.succeed("train:base", `${smallRun} --out runs/a`);
  await place.write("runs/a/run.json", { ...await place.json("runs/a/run.json"), name: "given" });
  await writeTrajectories(place.file("runs", "a"), [madeUpFlow(0, 11, [8, 8])], source);
  await place.succeed("animate", "given --frames 2 --field none");
  await place.succeed("report", "a");
  assert.match((await place.succeed("runs", "runs/a")).stdout, /\n {2}name +given\n/);
  assert.match((await place.succeed("sync", `given --mlflow ${server.url}`)).stdout, /^runs\/a: /);
  await place.succeed("train:base", "--resume given --max-steps 3");
  const others = { report: "b", sync: "b", animate: "b", runs: "b", "train:base": "--resume b" };
  const says = "ConfigError: Cannot find the run b: there is no such folder (there are runs/a)\n";
  for (const [task, flags] of Object.entries(others) as [TaskName, string][]) {
    await assertMistakes(place, task, { [flags]: says });
  }
});

testTask("credentials stay out of files and of servers that a run folder names", async (place) => {
  await using server = await FakeMlflow.start();
  const [secret, plain] = ["s3cret", server.url];
  const { stderr } = await place.succeed("train:base", `${smallRun} --out run`, {
    MLFLOW_TRACKING_URI: plain.replace("//", `//me:${secret}%2F@`),
  });
  assert.ok(server.seen.length > 0 && server.seen.every(({ authorization }) => authorization));
  const paths = [...await place.listing(place.file("run"))].filter(([, entry]) => entry !== "folder");
  const files = await Promise.all(paths.map(([path]) => Deno.readTextFile(path)));
  for (const text of [stderr, ...files, ...server.seen.map(({ path, body }) => path + body)]) {
    assert.ok(!text.includes(secret) && !text.includes(btoa(`me:${secret}/`)), text);
  }
  const config = await place.json("run/config.json");
  assert.equal(config.mlflow, null);
  await place.write("run/config.json", { ...config, mlflow: plain });
  const sent = server.seen.length;
  const user = { MLFLOW_TRACKING_USERNAME: "me", MLFLOW_TRACKING_PASSWORD: secret };
  const env = { MLFLOW_TRACKING_TOKEN: secret, ...user };
  await place.succeed("sync", "run", env);
  await place.succeed("train:base", "--resume run --max-steps 4", env);
  const later = server.seen.slice(sent);
  assert.ok(later.length > 0 && later.every(({ authorization }) => authorization === undefined));
  await place.succeed("sync", `run --mlflow ${plain}`, env);
  assert.equal(server.seen.at(-1)?.authorization, `Basic ${btoa(`me:${secret}`)}`);
});

testTask("runs, sync and report escape control characters of files and servers", async (place) => {
  const nasty = "a\x1b[2J\x07\r\n\x9b31m\u202e";
  const data = { params: [{ key: nasty, value: nasty }], metrics: [{ key: nasty, value: 1 }] };
  const run = FakeMlflow.run({ run_name: nasty, run_id: nasty }, data);
  await using server = await FakeMlflow.start(({ path }) => {
    if (path.endsWith("runs/search")) return Response.json({ runs: [run] });
    if (path.includes("artifacts/list")) return Response.json({ files: [{ path: nasty }] });
    if (path.endsWith("runs/create")) return Response.json({ run });
    if (!path.endsWith("log-batch")) return undefined;
    return Response.json({ message: nasty, error_code: "BAD_REQUEST" }, { status: 400 });
  });
  await storeRun(place, "run");
  await place.write("run/metrics.jsonl", `${JSON.stringify({ step: 1, [nasty]: 2 })}\n`);
  await storeRun(place, nasty);
  await place.write(`${nasty}/config.json`, `${nasty}{`);
  const commands: [TaskName, string][] = [
    ...["--root .", "--root . --json", "run", "run --json"].map((
      flags,
    ): [TaskName, string] => ["runs", flags]),
    ...["run", nasty].map((run): [TaskName, string] => ["sync", `${run} --mlflow ${server.url}`]),
    ...[["report", nasty], ["animate", `x${nasty}`]] as [TaskName, string][],
  ];
  for (const [task, flags] of commands) {
    const { stdout, stderr } = await place.run(task, flags);
    assert.ok(stdout + stderr !== "", flags);
    assert.doesNotMatch(stdout + stderr, /[^\P{Cc}\n]|\u202e/u, `${task} ${flags}`);
    if (stdout === "") assert.equal(stderr.trim().split("\n").length, 1, stderr);
  }
});

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

/** Mounts a small disk in memory, if that is possible here. */
async function mountDisk(path: string): Promise<boolean> {
  await Deno.mkdir(path, { recursive: true });
  const args = ["-t", "tmpfs", "-o", "size=3m", "tmpfs", path];
  return await new Deno.Command("mount", { args, stderr: "null" }).output().then(
    (end) => end.success,
    () => false,
  );
}

const unmount = (path: string) => new Deno.Command("umount", { args: [path] }).output();

/** Why a full disk cannot be tested here; also undefined without the permissions to find out. */
async function whyNoDisk(): Promise<string | undefined> {
  if (!granted("run") || !granted("write")) return undefined;
  const path = await Deno.makeTempDir({ prefix: "flow-" });
  const isMounted = await mountDisk(path);
  if (isMounted) await unmount(path);
  await Deno.remove(path);
  return isMounted ? undefined : "no disk can be mounted";
}

testTask("train --resume and sample leave all files intact when the disk is full", async (place) => {
  await mountDisk(place.file("disk"));
  try {
    await place.succeed("train:base", `${smallRun} --out disk/run`);
    await place.write("disk/grid.png", "old");
    await Deno.writeFile(place.file("disk", "ballast"), new Uint8Array(2 ** 22)).catch(() => {}); // fills the disk
    const resumed = "RunError: Cannot lock .lock in disk/run: no space is left on the disk";
    await assertMistakes(place, "train:base", { "--resume disk/run --max-steps 3": resumed });
    const says =
      "RunError: Cannot write disk/grid.png: no space is left on the disk; the file is unchanged\n";
    const drawing = "disk/run/last.safetensors --device cpu --solver heun:steps=1 --out disk/grid.png";
    await assertMistakes(place, "sample", { [drawing]: says });
  } finally {
    await unmount(place.file("disk"));
  }
}, await whyNoDisk());
