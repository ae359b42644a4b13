import assert from "node:assert/strict";
import { tryLockCell } from "../../../experiments/study/cell_lock.ts";
import { testTask } from "../cli.ts";
import { makeStudy } from "./tiny_study.ts";

testTask("study --only leaves a cell to who holds it, and exits so that it is tried again", async (place) => {
  const { folder, cells: [cell] } = await makeStudy(place.file("a"), {
    grid: { model: ["base"] },
    seeds: [1],
  });
  const lock = await tryLockCell({ folder }, cell);
  assert.ok("lost" in lock);
  using _ = lock;
  const { code, stderr } = await place.run("study", `a --only ${cell.id} --device cpu --threads 1`);
  assert.equal(code, 75, stderr);
  assert.match(stderr, new RegExp(`^Skipping ${cell.id}: process ${Deno.pid} .*runs it$`, "m"));
  assert.deepEqual(await place.names("a", "cells"), []);
});
