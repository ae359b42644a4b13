import assert from "node:assert/strict";
import { quick, testMirrored } from "../tracking/fake_mlflow.ts";
import { makePlan } from "./tiny_study.ts";

testMirrored(
  "study is a parent run on a server, its cells are its children, and each is sent once",
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
    assert.deepEqual(again.map(({ info }) => info.run_id).sort(), runs.map(({ info }) => info.run_id).sort());
  },
);
