/** Run folders that are damaged, from somebody else, or on a full disk: the others are still listed, sent and drawn. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { loadTrajectories, writeTrajectories } from "../../experiments/draw/trajectories.ts";
import { listRuns } from "../../experiments/tracking/find_run.ts";
import { testInFolder } from "../folder.ts";
import { granted } from "../permissions.ts";
import { madeUpFlow } from "../viz/flow/made_up_flow.ts";
import { ended, type TaskName, testTask } from "./cli.ts";
import { storeRun } from "./evaluated_run.ts";
import { assertRefused, smallRun } from "./refusals.ts";
import { FakeMlflow } from "./tracking/fake_mlflow.ts";

const record = {
  ...{ id: "an id", name: "whole", experiment: "UNet_FM", status: "FINISHED", source: "a test" },
  ...{ startedAt: Date.UTC(2024, 0, 2), endedAt: Date.UTC(2024, 0, 2, 1) },
};

/** Writes the files of a run. */
async function writeRun(
  root: string,
  name: string,
  files: Readonly<Record<string, unknown>>,
): Promise<string> {
  const folder = join(root, name);
  for (const [file, content] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, file)), { recursive: true });
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
  c_newer: [{ "run.json": { ...record, version: 2 } }, "run.json: version is 2 (expected 1; a newer version"],
  c_time: [{ "run.json": { ...record, startedAt: 1e300 } }, "run.json: startedAt is 1e+300 (expected milli"],
  d_status: [{ "run.json": { ...record, status: "DONE" } }, 'run.json: status is "DONE" (expected RUNNING, '],
  e_dataset: [
    { "run.json": { ...record, dataset: { name: "x" } } },
    'run.json: dataset is {"name":"x"} (expected',
  ],
  f_metrics: [
    { "run.json": record, "metrics.jsonl": "{}\n{}\n" },
    "metrics.jsonl: line 1 is not an object with",
  ],
  g_config: [{ "run.json": record, "config.json": "[]" }, "config.json: it is not a JSON object"],
};

testInFolder("listRuns() skips damaged runs, says why, and lists the others", async (root) => {
  for (const [name, [files]] of Object.entries(damaged)) await writeRun(root, name, files);
  await Deno.mkdir(join(root, "h_link"));
  await Deno.symlink("run.json", join(root, "h_link", "run.json"));
  const whole = await writeRun(root, "whole", { "run.json": record, "cells/broken/run.json": "[]" });
  const nested = await writeRun(whole, "cells/nested", { "run.json": record });
  const said: string[] = [];
  const runs = await listRuns(root, null, (line) => said.push(line));
  assert.deepEqual(runs.map(({ key }) => key), [whole, nested]);
  for (const [name, [, says]] of Object.entries(damaged)) {
    const line = said.find((line) => line.startsWith(`Skipped: Cannot read ${join(root, name)}`)) ?? "";
    assert.ok(line.includes(says), `${name}: ${said.join("\n")}`);
  }
  assert.equal(said.length, Object.keys(damaged).length + 2, said.join("\n"));

  const source = { modelType: "UNet_FM", seed: 7, solver: "euler", steps: 4 } as const;
  const flows = join(root, "flows");
  const [cut, kept] = await Promise.all(
    ["a", "b"].map((name) => writeRun(flows, name, { "run.json": record })),
  );
  for (const folder of [cut, kept]) await writeTrajectories(folder, [madeUpFlow(1, 5, [4, 4])], source);
  await Deno.truncate(join(cut, "flow", "sample_1.safetensors"), 100);
  const skipped: string[] = [];
  const where = { root: flows, experiment: "UNet_FM" };
  const loaded = await loadTrajectories([], where, (line) => skipped.push(line));
  assert.deepEqual(loaded.map(({ key }) => key), [kept]);
  assert.match(skipped.join("\n"), /^Skipped: Cannot read \S+flow\/sample_1.safetensors: [^\n]+$/);
});

testTask("sync continues past damaged runs", async (place) => {
  await writeRun(place.file("runs"), "a", { "run.json": { ...record, startedAt: null } });
  await writeRun(place.file("runs"), "b", { "run.json": record, "mlflow.json": "[]" });
  await writeRun(place.file("runs"), "d", { "run.json": record });
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
  const path = place.file("runs/a/run.json");
  await Deno.writeTextFile(
    path,
    JSON.stringify({ ...JSON.parse(await Deno.readTextFile(path)), name: "given" }),
  );
  const source = { modelType: "UNet_FM", seed: 1, solver: "euler", steps: 10 } as const;
  await writeTrajectories(place.file("runs", "a"), [madeUpFlow(0, 11, [8, 8])], source);
  await place.succeed("animate", "given --frames 2 --field none");
  await place.succeed("report", "a");
  assert.match((await place.succeed("runs", "runs/a")).stdout, /\n {2}name +given\n/);
  assert.match((await place.succeed("sync", `given --mlflow ${server.url}`)).stdout, /^runs\/a: /);
  await place.succeed("train:base", "--resume given --max-steps 3");
  const others = { report: "b", sync: "b", animate: "b", runs: "b", "train:base": "--resume b" };
  const says = ["ConfigError: Cannot find the run b: there is no such folder (there are runs/a)\n"] as const;
  for (const [task, flags] of Object.entries(others) as [TaskName, string][]) {
    await assertRefused(place, { task, flags, says });
  }
});

const secret = "s3cret";

testTask(
  "sync and train never send credentials to a server that a run folder names",
  async (place) => {
    await using server = await FakeMlflow.start();
    await place.succeed("train:base", `${smallRun} --mlflow ${server.url} --out run`);
    const path = place.file("run", "config.json");
    const config = JSON.parse(await Deno.readTextFile(path));
    assert.equal(config.mlflow, null);
    await Deno.writeTextFile(path, JSON.stringify({ ...config, mlflow: server.url }));
    const user = { MLFLOW_TRACKING_USERNAME: "me", MLFLOW_TRACKING_PASSWORD: secret };
    const env = { MLFLOW_TRACKING_TOKEN: secret, ...user };
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

/** Mounts a small disk in memory. @returns the function that removes it */
async function mountDisk(path: string): Promise<() => Promise<unknown>> {
  await Deno.mkdir(path, { recursive: true });
  const command = (name: string, ...args: string[]) =>
    new Deno.Command(name, { args, stderr: "piped" }).output();
  const { success, stderr } = await command("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", path);
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim().split("\n")[0]);
  return () => command("umount", path);
}

/** Why a full disk cannot be tested here; also undefined without the permissions to find out. */
async function whyNoDisk(): Promise<string | undefined> {
  if (!granted("run") || !granted("write")) return undefined;
  const path = await Deno.makeTempDir({ prefix: "flow-" });
  try {
    const unmount = await mountDisk(path);
    await unmount();
  } catch (error) {
    return `no disk can be mounted: ${(error as Error).message}`;
  } finally {
    await Deno.remove(path);
  }
}

testTask("train --resume and sample leave all files intact when the disk is full", async (place) => {
  const unmount = await mountDisk(place.file("disk"));
  try {
    await place.succeed("train:base", `${smallRun} --out disk/run`);
    await Deno.writeTextFile(place.file("disk", "grid.png"), "old");
    await Deno.writeFile(place.file("disk", "ballast"), new Uint8Array(2 ** 22)).catch(() => {}); // fills the disk
    await assertRefused(place, {
      flags: "--resume disk/run --max-steps 3",
      says: ["RunError: Cannot lock .lock in disk/run: no space is left on the disk"],
    });
    await assertRefused(place, {
      task: "sample",
      flags: "--checkpoint disk/run/last.safetensors --device cpu --solver heun:steps=1 --out disk/grid.png",
      says: ["RunError: Cannot write disk/grid.png: no space is left on the disk; the file is unchanged\n"],
    });
  } finally {
    await unmount();
  }
}, await whyNoDisk());
