import assert from "node:assert/strict";
import type { Workplace } from "../cli.ts";
import { type SlurmCluster, testOnSlurm, until } from "./slurm_cluster.ts";
import { longerPlan, makePlan } from "./tiny_study.ts";

const resources = "--partition tests --account lab --time 10 --cpus 1 --gpus 1 --memory 100M " +
  "--constraint small|quiet --max-tasks 2";
const submit = `--launcher slurm --device cpu ${resources}`;

/** Gives or takes away the cluster's partition: what is submitted meanwhile waits. */
const setPartition = (cluster: SlurmCluster, state: "UP" | "DOWN") =>
  cluster.command("scontrol", "update", "PartitionName=tests", `State=${state}`);

const exists = (place: Workplace, ...names: string[]) =>
  Deno.stat(place.file(...names)).then(() => true, () => false);

/** Ends the process that trains a cell, once there is a checkpoint, as a machine that runs out of memory does. */
async function killTraining(place: Workplace, study: string, cell: string): Promise<void> {
  await until(() => exists(place, study, "cells", cell, "state.safetensors"));
  const { pid } = JSON.parse(await Deno.readTextFile(place.file(study, ".locks", `${cell}.1`)));
  Deno.kill(pid, "SIGKILL");
}

/** Paths in a folder that are new, changed or gone. */
async function changedIn(
  place: Workplace,
  folder: string,
  change: () => Promise<void>,
): Promise<readonly string[]> {
  const [before, , after] = [
    await place.listing(place.file(folder)),
    await change(),
    await place.listing(place.file(folder)),
  ];
  const all = new Set([...before.keys(), ...after.keys()]);
  return [...all].filter((path) => before.get(path) !== after.get(path))
    .map((path) => path.slice(place.file(folder).length + 1));
}

/** All numbers of a study, but for seconds. */
async function resultsOf(place: Workplace, study: string): Promise<Record<string, unknown>> {
  const text = await Deno.readTextFile(place.file(study, "results.json"));
  const results = JSON.parse(text, (name, value) => name === "seconds" ? undefined : value);
  assert.equal(results.setups.length, 2);
  assert.deepEqual([results.unfinished, results.problems], [[], []]);
  return results;
}

/** The runs that a study's report shows, and how they compare. */
async function reportOf(place: Workplace, study: string): Promise<Record<string, unknown>> {
  const page = await Deno.readTextFile(place.file(study, "report.html"));
  const payload = JSON.parse(/<script type="application\/json" id="payload">(.*?)<\/script>/s.exec(page)![1]);
  assert.equal(payload.runs.length, 4);
  return payload;
}

testOnSlurm(
  "a study on Slurm survives kill -9, and measures what it does on one machine",
  async (place, cluster) => {
    await makePlan(place, longerPlan);
    await setPartition(cluster, "DOWN");
    const first = await place.succeed("study", `plan.json --out far ${submit}`, cluster.env);
    assert.match(first.stderr, /^Submitted 4 cells as job 1; their output goes to .*\/far\/slurm$/m);
    assert.match(first.stderr, /^Submitted the collection of the results as job 2; see squeue --jobs=1,2$/m);
    const queued = await cluster.queue();
    assert.deepEqual(queued.map(({ job, index }) => [job, index]).sort(), [
      ["1", 0],
      ["1", 1],
      ["1", 2],
      ["1", 3],
      ["2", undefined],
    ]);
    const again = await place.succeed("study", `far ${submit}`, cluster.env);
    assert.match(again.stderr, /^All 4 unfinished cells are queued \(see squeue --name=far\)$/m);
    assert.deepEqual(await cluster.queue(), queued);

    await setPartition(cluster, "UP");
    await killTraining(place, "far", "residual-s1");
    await cluster.idle();
    assert.match(
      await cluster.command("scontrol", "show", "job", "1_1"),
      /JobState=FAILED .* ExitCode=137:0/s,
    );
    assert.match(
      await Deno.readTextFile(place.file("far/slurm/2-collect.log")),
      /^3 of 4 cells are finished in /m,
    );

    await setPartition(cluster, "DOWN");
    const resubmitted = await place.succeed("study", `far ${submit}`, cluster.env);
    assert.match(resubmitted.stderr, /^Submitted 1 cell as job (\d+); /m);
    const [array, collection] = await cluster.queue();
    assert.equal(array.index, 0);
    await cluster.command("scontrol", "hold", collection.job);
    const changed = await changedIn(place, "far", async () => {
      await setPartition(cluster, "UP");
      await until(async () => (await cluster.queue()).length === 1);
    });
    const own = ["cells/residual-s1/", ".locks", `slurm/${array.job}_0.log`];
    assert.deepEqual(changed.filter((path) => !own.some((start) => path.startsWith(start))), []);
    await cluster.command("scontrol", "release", collection.job);
    await cluster.idle();
    assert.match(
      await Deno.readTextFile(place.file(`far/slurm/${collection.job}-collect.log`)),
      /^4 of 4 cells are finished in /m,
    );

    const done = await place.succeed("study", `far ${submit} --dry-run`);
    assert.doesNotMatch(done.stdout, /#SBATCH/);
    await place.succeed("study", "plan.json --out near --device cpu --threads 1");
    for (const cell of ["base-s1", "residual-s1", "base-s2", "residual-s2"]) {
      assert.deepEqual(await place.metrics(`far/cells/${cell}`), await place.metrics(`near/cells/${cell}`));
    }
    assert.deepEqual(await resultsOf(place, "far"), await resultsOf(place, "near"));
    assert.deepEqual(await reportOf(place, "far"), await reportOf(place, "near"));
    assert.deepEqual(await place.read("far/comparison.gif"), await place.read("near/comparison.gif"));
  },
);
