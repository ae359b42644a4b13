import assert from "node:assert/strict";
import { newExperiment, noServer, quick, theServer } from "../tracking/shared_server.ts";
import { assertMirrored } from "../tracking/mirrored.ts";
import { valuesOf } from "../tracking/mlflow_server.ts";
import { testOnSlurm, until } from "./slurm_cluster.ts";
import { longerPlan, makePlan } from "./tiny_study.ts";

testOnSlurm(
  "a cell on Slurm that comes near its time limit goes back to the queue, and MLflow hears of each cell once",
  async (place, cluster) => {
    // So many steps that the signal finds the cell at work, on a busy machine too.
    await makePlan(place, { ...longerPlan, seeds: [1], budget: { steps: 240 } });
    const server = theServer();
    const experiment = newExperiment();
    const env = { ...cluster.env, ...quick };
    const flags = `--launcher slurm --device cpu --mlflow ${server.url} --experiment ${experiment}`;
    const { stderr } = await place.succeed("study", `plan.json --out far ${flags}`, env);
    // A task that starts before the collection is submitted takes the next number for itself.
    const [, collection] = /^Submitted the collection of the results as job (\d+);/m.exec(stderr) ??
      assert.fail(stderr);
    const state = place.file("far/cells/residual-s1/state.safetensors");
    await until(() => Deno.stat(state).then(() => true, () => false));
    await cluster.command("scancel", "--batch", "--signal=USR1", "1_1"); // as Slurm does near the limit
    const waiting = async () => (await cluster.queue()).find(({ job, index }) => job === "1" && index === 1);
    await until(async () => (await waiting())?.state !== "RUNNING");
    await until(async () => (await waiting())?.state !== "COMPLETING");
    assert.equal((await waiting())?.state, "PENDING");
    assert.equal(await Deno.stat(place.file("far/cells/residual-s1/cell.json")).catch(() => null), null);
    await cluster.command("scontrol", "update", "JobId=1_1", "StartTime=now+5seconds"); // else it waits two minutes
    await cluster.idle();

    assert.match(
      await Deno.readTextFile(place.file(`far/slurm/${collection}-collect.log`)),
      /^2 of 2 cells are finished in /m,
    );
    const cells = [
      await assertMirrored(server, experiment, place.file("far/cells/base-s1")),
      await assertMirrored(server, experiment, place.file("far/cells/residual-s1")),
    ];
    const runs = await server.runs(experiment);
    const [study, ...others] = runs.filter(({ info }) =>
      !cells.some((cell) => cell.info.run_id === info.run_id)
    );
    assert.deepEqual([study.info.run_name, study.info.status, others], ["far", "FINISHED", []]);
    for (const { data } of cells) assert.equal(valuesOf(data.tags)["mlflow.parentRunId"], study.info.run_id);
  },
  noServer,
);
