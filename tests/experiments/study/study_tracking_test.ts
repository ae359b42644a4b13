import assert from "node:assert/strict";
import { lockRun } from "../../../experiments/run/run_folder.ts";
import { cellFolder, type Study } from "../../../experiments/study/study.ts";
import { collectStudy, recordStudy } from "../../../experiments/study/study_tracking.ts";
import { newRecord, readRecord, type RunRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { type FakeMlflow, testOnFake } from "../tracking/fake_mlflow.ts";
import { makeStudy } from "./tiny_study.ts";

testInFolder(
  "recordStudy() waits to record the end of a study that another program is sending",
  async (folder) => {
    const study = { folder, plan: { name: "a plan" }, cells: [] } as unknown as Study;
    const tracking = { mlflow: null, experiment: null, say: () => {} };
    await recordStudy(study, "RUNNING", tracking);
    const lock = await lockRun(folder); // like sync
    const recorded = recordStudy(study, "FINISHED", tracking);
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // longer than a brief lock lasts
    lock[Symbol.dispose]();
    await recorded;
    assert.equal((await readRecord(folder))?.status, "FINISHED");
  },
);

const ended = (status: RunRecord["status"], reason: string | null = null) =>
  newRecord({ name: "a run", experiment: "x", source: "a test", startedAt: 1, endedAt: 2, status, reason });

/** Calls back with an unfinished study of two cells, and a function that collects it and returns its status. */
async function withStudy(
  server: FakeMlflow,
  use: (study: Study, standing: () => Promise<unknown[]>) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const study = await makeStudy(`${folder}/study`, { grid: { model: ["base", "residual"] }, seeds: [1] });
    const tracking = { mlflow: server.url, experiment: null, say: () => {} };
    await use(study, async () => {
      await collectStudy(study, { device: "cpu", threads: 1, ...tracking });
      const { status, reason } = (await readRecord(study.folder))!;
      return [status, reason];
    });
  });
}

testOnFake(
  "collectStudy() marks a study as failed if cells failed elsewhere",
  (server) =>
    withStudy(server, async (study, standing) => {
      const [base, residual] = study.cells.map((cell) => cellFolder(study, cell));
      for (const folder of [base, residual]) await Deno.mkdir(folder);
      await writeRecord(base, ended("KILLED"));
      assert.deepEqual(await standing(), ["KILLED", null]);
      await Deno.writeTextFile(`${base}/run.json`, "damaged");
      await writeRecord(residual, ended("FAILED", "the loss is NaN"));
      assert.deepEqual(await standing(), ["FAILED", "1 of 2 cells failed: residual-s1"]);
      await writeRecord(study.folder, ended("FAILED", "another reason"));
      assert.deepEqual(await standing(), ["FAILED", "another reason"], "an earlier reason stays");
    }),
);
