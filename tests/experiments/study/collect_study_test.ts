import assert from "node:assert/strict";
import { collectStudy } from "../../../experiments/study/collect_study.ts";
import { cellFolder, type Study } from "../../../experiments/study/study.ts";
import { readRecord, type RunRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { withFolder } from "../../folder.ts";
import { type FakeMlflow, testOnFake } from "../tracking/fake_mlflow.ts";
import { makeStudy } from "./tiny_study.ts";

/** The record of a run that ended. */
const ended = (status: RunRecord["status"], reason: string | null = null): RunRecord => ({
  ...{ id: "an id", name: "a run", experiment: "x", status, startedAt: 1, endedAt: 2, reason, user: null },
  ...{ source: "a test", gitBranch: null, parameterCount: null, dataset: null, standsFor: null },
});

/** A study of two cells, neither of which is finished, and how it stands once it is collected. */
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
  "collectStudy() marks a study as failed where cells are that ran elsewhere",
  () => undefined,
  (server) =>
    withStudy(server, async (study, standing) => {
      const [base, residual] = study.cells.map((cell) => cellFolder(study, cell));
      for (const folder of [base, residual]) await Deno.mkdir(folder);
      await writeRecord(base, ended("KILLED"));
      assert.deepEqual(await standing(), ["KILLED", null]);
      await Deno.writeTextFile(`${base}/run.json`, "damaged");
      await writeRecord(residual, ended("FAILED", "the loss is NaN"));
      assert.deepEqual(await standing(), ["FAILED", "1 of 2 cells failed: residual-s1"]);
    }),
);

testOnFake(
  "collectStudy() leaves a study failed that has failed before",
  () => undefined,
  (server) =>
    withStudy(server, async (study, standing) => {
      await writeRecord(study.folder, ended("FAILED", "1 of 2 cells failed: base-s1"));
      assert.deepEqual(await standing(), ["FAILED", "1 of 2 cells failed: base-s1"]);
    }),
);
