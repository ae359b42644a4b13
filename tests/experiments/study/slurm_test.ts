import assert from "node:assert/strict";
import type { Workplace } from "../cli.ts";
import { type SlurmCluster, testOnSlurm, until } from "./slurm_cluster.ts";
import { makeTinyPlan, recordOf, tinyCells } from "./tiny_study.ts";

const resources = "--partition tests --account lab --time 10 --cpus 1 --gpus 1 --memory 100M " +
  "--constraint small|quiet --max-tasks 2";
const submit = `--launcher slurm --device cpu ${resources}`;

/** Gives or takes away the cluster's partition: what is submitted meanwhile waits. */
const setPartition = (cluster: SlurmCluster, state: "UP" | "DOWN") =>
  cluster.command("scontrol", "update", "PartitionName=tests", `State=${state}`);

/** The process that works on a cell, once it trains. */
async function processOf(place: Workplace, study: string, cell: string): Promise<number> {
  await until(() => exists(place, study, "cells", cell, "metrics.jsonl"));
  const { pid } = JSON.parse(await Deno.readTextFile(place.file(study, ".locks", `${cell}.1`)));
  return pid;
}

const exists = (place: Workplace, ...names: string[]) =>
  Deno.stat(place.file(...names)).then(() => true, () => false);

testOnSlurm(
  "a study on Slurm survives kill -9, and measures what it does on one machine",
  async (place, cluster) => {
    await makeTinyPlan(place);
    await setPartition(cluster, "DOWN");
    const first = await place.succeed("study", `tiny.json --out far ${submit}`, cluster.env);
    assert.match(first.stderr, /^Submitted 4 cells as job 1; what they print goes to .*\/far\/slurm$/m);
    assert.match(first.stderr, /^Submitted the collection of the results as job 2; see squeue --jobs=1,2$/m);
    const queued = await cluster.queue();
    assert.deepEqual(queued.map(({ index }) => index), [0, 1, 2, 3, undefined]);
    const again = await place.succeed("study", `far ${submit}`, cluster.env);
    assert.match(again.stderr, /^All 4 unfinished cells are queued \(see squeue --name=far\)$/m);
    assert.deepEqual(await cluster.queue(), queued);

    await setPartition(cluster, "UP");
    Deno.kill(await processOf(place, "far", "residual-s1"), "SIGKILL");
    await cluster.idle();
    console.log(await cluster.command("scontrol", "show", "job", "1_1"));
    for (const n of await place.names("far", "slurm")) {
      console.log(
        n,
        await Deno.readTextFile(place.file("far", "slurm", n)),
      );
    }
    assert.equal(await exists(place, "far", "cells", "residual-s1", "cell.json"), false);
    const resubmitted = await place.succeed("study", `far ${submit}`, cluster.env);
    console.log(resubmitted.stderr);
    await cluster.idle();
    await place.succeed("study", "tiny.json --out near --device cpu --threads 1");
    for (const cell of tinyCells) {
      assert.deepEqual(await recordOf(place, "far", cell), await recordOf(place, "near", cell));
      assert.deepEqual(await place.metrics(`far/cells/${cell}`), await place.metrics(`near/cells/${cell}`));
    }
  },
);
