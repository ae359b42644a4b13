import assert from "node:assert/strict";
import { writeTrajectories } from "../../experiments/draw/trajectories.ts";
import { madeUpFlow } from "../viz/flow/made_up_flow.ts";
import { type TaskName, testTask } from "./cli.ts";
import { smallRun } from "./refusals.ts";
import { storeRun } from "./stored_run.ts";
import { HostileServer } from "./tracking/hostile_server.ts";

const source = { modelType: "UNet_FM", seed: 1, solver: "euler", steps: 10 } as const;

testTask("report, sync, runs and --resume find a run by the names that animate knows", async (place) => {
  await using server = new HostileServer();
  await place.succeed("train:base", `${smallRun} --name a`);
  const [folder] = await place.names("runs");
  await Deno.rename(place.file("runs", folder), place.file("runs", "a"));
  const record = JSON.parse(await Deno.readTextFile(place.file("runs", "a", "run.json")));
  await Deno.writeTextFile(place.file("runs", "a", "run.json"), JSON.stringify({ ...record, name: "given" }));
  await writeTrajectories(place.file("runs", "a"), [madeUpFlow(0, 11, [8, 8])], source);
  for (const name of ["a", "runs/a", "given"]) {
    await place.succeed("animate", `${name} --frames 2 --field none`);
    await place.succeed("report", name);
    assert.match((await place.succeed("runs", `show ${name}`)).stdout, /\n {2}name +given\n/);
    assert.match((await place.succeed("sync", `${name} --mlflow ${server.url}`)).stdout, /^runs\/a: /);
  }
  await place.succeed("train:base", "--resume given --max-steps 3");
  await place.succeed("train:base", "--resume a --max-steps 4");
  const others = { report: "b", sync: "b", animate: "b", runs: "show b", "train:base": "--resume b" };
  for (const [task, flags] of Object.entries(others)) {
    const { code, stderr } = await place.run(task as TaskName, flags);
    assert.equal(code, 1);
    assert.equal(stderr, "ConfigError: Cannot find the run b: there is no such folder (there are runs/a)\n");
  }
});

testTask(
  "runs shows the names of a server's runs, numbers as numbers, and what a filter leaves",
  async (place) => {
    const params = {
      lr: "0.001",
      filters: "[16,32]",
      attn: "true",
      model: "base",
      digest: "0012",
      id: `${10n ** 20n + 1n}`,
    };
    const entries = Object.entries(params).map(([key, value]) => ({ key, value }));
    await using server = new HostileServer(({ path }) =>
      path.endsWith("runs/search")
        ? Response.json({
          runs: [HostileServer.run({ run_name: "theirs" }, { params: entries })],
        })
        : undefined
    );
    const { stdout } = await place.succeed("runs", `list --mlflow ${server.url}`);
    assert.match(stdout, /^ {2}run +name +status .*\n {2}r1 +theirs +RUNNING /);
    const [{ params: read }] = JSON.parse(
      (await place.succeed("runs", `list --json --mlflow ${server.url}`)).stdout,
    );
    assert.deepEqual(read, { ...params, lr: 0.001, filters: [16, 32], attn: true });

    await storeRun(place, "runs/a");
    assert.equal(
      (await place.succeed("runs", "list --experiment UNet_Fm")).stdout,
      "No runs of experiment UNet_Fm in runs (did you mean UNet_FM?)\n",
    );
    const none = await place.succeed("runs", "list --experiment other --json");
    assert.deepEqual([none.stdout, none.stderr], [
      "[]\n",
      "No runs of experiment other in runs (there are UNet_FM)\n",
    ]);
    const [own] = JSON.parse((await place.succeed("runs", "list --json")).stdout);
    assert.deepEqual([own.params.lr, own.params.filters], [0.5, [8, 16]]);
  },
);
