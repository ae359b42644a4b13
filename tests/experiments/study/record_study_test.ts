import assert from "node:assert/strict";
import { lockRun } from "../../../experiments/run/run_lock.ts";
import { recordStudy } from "../../../experiments/study/study_tracking.ts";
import type { Study } from "../../../experiments/study/study.ts";
import { readRecord } from "../../../experiments/tracking/record.ts";
import { testInFolder } from "../../folder.ts";
import { testTask } from "../cli.ts";
import { makePlan } from "./tiny_study.ts";

testInFolder("recordStudy() records the end of a study that another program is sending", async (folder) => {
  const study = { folder, plan: { name: "a plan" }, cells: [] } as unknown as Study;
  const tracking = { mlflow: null, experiment: null, say: () => {} };
  await recordStudy(study, "RUNNING", tracking);
  const lock = await lockRun(folder); // as sync does
  const recorded = recordStudy(study, "FINISHED", tracking);
  await new Promise((resolve) => setTimeout(resolve, 1_000)); // longer than somebody who only looks takes
  lock[Symbol.dispose]();
  await recorded;
  assert.equal((await readRecord(folder))?.status, "FINISHED");
});

testTask("study calls its cells by their ids, also where MLFLOW_RUN_NAME names a run", async (place) => {
  await makePlan(place, { seeds: [1], grid: { model: ["base", "residual"] } });
  const flags = "plan.json --out study --device cpu --threads 1";
  await place.succeed("study", flags, { MLFLOW_RUN_NAME: "mine" });
  const cells = ["base-s1", "residual-s1"];
  const records = await Promise.all(cells.map((id) => readRecord(place.file("study", "cells", id))));
  assert.deepEqual(records.map((record) => record?.name), cells);
});
