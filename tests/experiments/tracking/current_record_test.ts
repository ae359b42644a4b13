import assert from "node:assert/strict";
import { join } from "node:path";
import { lockRun } from "../../../experiments/run/run_lock.ts";
import { currentRecord, settleRecord } from "../../../experiments/tracking/current_record.ts";
import { testInFolder } from "../../folder.ts";

testInFolder(
  "currentRecord() and settleRecord() tell a study as running as long as a program works on a cell of it",
  async (study) => {
    const cell = join(study, "cells", "base-0");
    await Deno.mkdir(cell, { recursive: true });
    const record = { name: "a study", experiment: "x", source: "a test", status: "RUNNING", startedAt: 1 };
    for (const folder of [study, cell]) {
      await Deno.writeTextFile(join(folder, "run.json"), JSON.stringify({ ...record, id: folder }));
    }
    {
      using _ = await lockRun(cell);
      assert.equal((await currentRecord(study))?.status, "RUNNING");
      using __ = await lockRun(study);
      assert.equal((await settleRecord(study)).status, "RUNNING");
    }
    assert.equal((await currentRecord(study))?.status, "KILLED");
    assert.equal((await settleRecord(study)).status, "KILLED");
  },
);
