import assert from "node:assert/strict";
import { join } from "node:path";
import { lockRun } from "../../../experiments/run/run_folder.ts";
import {
  currentRecord,
  newRecord,
  readRecord,
  settleRecord,
  writeRecord,
} from "../../../experiments/tracking/record.ts";
import { testInFolder } from "../../folder.ts";

const record = newRecord({ name: "a run", experiment: "x", source: "a test", startedAt: 1 });

testInFolder(
  "currentRecord() and settleRecord() mark a run as killed if no program is working on it",
  async (run) => {
    assert.equal(await currentRecord(run), undefined);
    await writeRecord(run, record);
    await Deno.writeTextFile(join(run, "metrics.jsonl"), '{"step":1,"time":7}\n{"step":2,"time":5}\n');
    {
      using _ = await lockRun(run);
      assert.deepEqual(await currentRecord(run), record);
    }
    const killed = { ...record, status: "KILLED", endedAt: 7 };
    assert.deepEqual(await currentRecord(run), killed);
    assert.deepEqual(await readRecord(run), record, "only the holder of the lock writes");
    assert.deepEqual(await settleRecord(run), killed);
    assert.deepEqual(await readRecord(run), killed);
  },
);

testInFolder(
  "currentRecord() and settleRecord() treat a study as running while a cell is",
  async (study) => {
    const cell = join(study, "cells", "base-0");
    await Deno.mkdir(cell, { recursive: true });
    for (const folder of [study, cell]) await writeRecord(folder, record);
    {
      using _ = await lockRun(cell);
      assert.equal((await currentRecord(study))?.status, "RUNNING");
      using __ = await lockRun(study);
      assert.equal((await settleRecord(study))?.status, "RUNNING");
    }
    assert.equal((await currentRecord(study))?.status, "KILLED");
    assert.equal((await settleRecord(study))?.status, "KILLED");
  },
);
