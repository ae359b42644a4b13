import assert from "node:assert/strict";
import { join } from "node:path";
import { lockRun } from "../../../experiments/run/run_folder.ts";
import { metricsFrom, openFile } from "../../../experiments/tracking/mirror.ts";
import {
  currentRecord,
  newRecord,
  readRecord,
  runFiles,
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

testInFolder("runFiles() lists the files to send", async (folder) => {
  for (const path of ["flow", "samples", "empty", "pairs"]) await Deno.mkdir(join(folder, path));
  const kept = ["a b#.txt", "flow/sample_1.safetensors", "run.json", "samples/1.png"];
  for (
    const path of [
      ...kept,
      ".lock",
      "mlflow.json",
      "state.safetensors.tmp",
      "pairs/part_0000.safetensors",
    ]
  ) {
    await Deno.writeTextFile(join(folder, path), path);
  }
  assert.deepEqual((await runFiles(folder)).map(({ path }) => path), kept);
});

testInFolder("metricsFrom() reads complete lines in pieces while the file is being written", async (run) => {
  const path = join(run, "metrics.jsonl");
  const read = async (offset: number, isOver: boolean) => {
    const pieces = await Array.fromAsync(metricsFrom(run, offset, isOver));
    return { steps: pieces.flatMap(({ lines }) => lines).map(({ step }) => step), end: pieces.at(-1)?.end };
  };
  assert.deepEqual(await read(0, true), { steps: [], end: undefined });
  const long = JSON.stringify({ step: 2, text: "ü".repeat(400_000) });
  const whole = `{"step":1}\n${long}\n\nno metrics\n{"step":3}\n`;
  await Deno.writeTextFile(path, `${whole}{"step":4`);
  const end = new TextEncoder().encode(whole).length;
  for (const isOver of [false, true]) assert.deepEqual(await read(0, isOver), { steps: [1, 2, 3], end });
  assert.deepEqual(await read(end, true), { steps: [], end: undefined });
  await Deno.writeTextFile(path, "}", { append: true });
  assert.deepEqual(await read(end, false), { steps: [], end: undefined });
  assert.deepEqual(await read(end, true), { steps: [4], end: end + 10 });
  await Deno.writeTextFile(path, '\n{"step":5}\n', { append: true });
  assert.deepEqual(await read(end + 10, true), { steps: [5], end: end + 22 });
  await Deno.writeTextFile(path, '{"step":6}\n');
  assert.deepEqual(await read(end, true), { steps: [6], end: 11 }, "a shorter file is read from its start");
});

testInFolder("openFile() sends the file it opened, even after it was replaced", async (folder) => {
  const path = join(folder, "weights");
  for (const size of [1000, (1 << 20) + 1000]) {
    const bytes = new Uint8Array(size).map((_, i) => i * 7);
    await Deno.writeFile(path, bytes);
    using file = (await openFile(folder, "weights"))!;
    await Deno.writeFile(`${path}.tmp`, new Uint8Array(10));
    await Deno.rename(`${path}.tmp`, path);
    for (let tries = 0; tries < 2; tries++) {
      const body = await new Response(file.body()).bytes();
      assert.equal(body.length, size);
      assert.ok(body.every((byte, i) => byte === bytes[i]));
    }
  }
  assert.equal(await openFile(folder, "none"), undefined);
});
