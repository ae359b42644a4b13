import assert from "node:assert/strict";
import { writeTrajectories } from "../../experiments/draw/trajectories.ts";
import { madeUpFlow } from "../viz/flow/made_up_flow.ts";
import { type TaskName, testTask } from "./cli.ts";
import { smallRun } from "./refusals.ts";
import { FakeMlflow } from "./tracking/fake_mlflow.ts";

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
