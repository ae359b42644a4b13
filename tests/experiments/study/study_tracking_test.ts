import assert from "node:assert/strict";
import { readMetrics } from "../../../experiments/run/metrics_log.ts";
import { lockRun } from "../../../experiments/run/run_lock.ts";
import { cellFolder, type Study } from "../../../experiments/study/study.ts";
import { collectStudy, recordStudy } from "../../../experiments/study/study_tracking.ts";
import { newRecord, readRecord, type RunRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { type FakeMlflow, quick, testMirrored, testOnFake } from "../tracking/fake_mlflow.ts";
import { valuesOf } from "../tracking/mirrored.ts";
import { makePlan, makeStudy } from "./tiny_study.ts";

testMirrored(
  "study is a parent run on a server with its cells as children, and each is sent once",
  async (place, server) => {
    await makePlan(place, { seeds: [1] });
    const experiment = "nested";
    const flags =
      `plan.json --out study --device cpu --threads 1 --jobs 2 --experiment ${experiment} --mlflow ${server.url}`;
    const { stderr } = await place.succeed("study", flags, quick);
    assert.match(stderr, /MLflow shows the study at http/);
    const tagOf = (run: Awaited<ReturnType<typeof server.runs>>[number], key: string) =>
      run.data.tags?.find((tag) => tag.key === key)?.value;
    const runs = await server.runs(experiment);
    const parents = runs.filter((run) => tagOf(run, "mlflow.parentRunId") === undefined);
    assert.deepEqual(parents.map(({ info }) => [info.run_name, info.status]), [["study", "FINISHED"]]);
    const { params, metrics, tags } = parents[0].data;
    const values = valuesOf(params);
    const settings = [values.plan, values.seeds, values.cells, values.grid, values.steps];
    assert.deepEqual(settings, ["tiny", "1", "2", "model=base|residual", "6"]);
    assert.equal(valuesOf(tags)["mlflow.source.name"], `deno task study ${flags}`);
    const frechet = metrics!.flatMap(({ key }) => key.startsWith("eval/frechet/") ? [key] : []);
    assert.deepEqual(frechet.sort(), ["eval/frechet/base", "eval/frechet/residual"]);
    const children = runs.filter((run) => tagOf(run, "mlflow.parentRunId") === parents[0].info.run_id);
    assert.deepEqual(children.map(({ info }) => info.run_name).sort(), ["base-s1", "residual-s1"]);
    for (const { data, info } of children) {
      assert.equal(info.status, "FINISHED");
      assert.ok(data.metrics?.some(({ key }) => key === "eval/frechet"), info.run_name);
    }
    assert.ok((await Deno.stat(place.file("study", "cells", "base-s1", "mlflow.json"))).isFile);
    await place.succeed("study", flags, quick);
    const synced = await place.succeed("sync", `study --mlflow ${server.url}`, quick);
    assert.equal(synced.stdout.match(/already complete/g)?.length, 3, synced.stdout);
    const again = await server.runs(experiment);
    const pointsOf = (all: typeof runs) => all.map(({ data }) => data.metrics!.length);
    assert.deepEqual(pointsOf(again), pointsOf(runs));
    assert.equal((await readMetrics(place.file("study", "metrics.jsonl"))).length, 1);
    assert.deepEqual(again.map(({ info }) => info.run_id).sort(), runs.map(({ info }) => info.run_id).sort());
  },
);

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
