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

testInFolder("a running run counts as killed if no program is working on it or on a cell", async (run) => {
  assert.equal(await currentRecord(run), undefined);
  await writeRecord(run, record);
  await Deno.writeTextFile(join(run, "metrics.jsonl"), '{"step":1,"time":7}\n{"step":2,"time":5}\n');
  const cell = join(run, "cells", "base-0");
  await Deno.mkdir(cell, { recursive: true });
  await writeRecord(cell, record);
  for (const folder of [run, cell]) {
    using _ = await lockRun(folder);
    assert.deepEqual(await currentRecord(run), record);
    if (folder === cell) assert.deepEqual(await settleRecord(run), record);
  }
  const killed = { ...record, status: "KILLED", endedAt: 7 };
  assert.deepEqual(await currentRecord(run), killed);
  assert.deepEqual(await readRecord(run), record, "only the holder of the lock writes");
  assert.deepEqual(await settleRecord(run), killed);
  assert.deepEqual(await readRecord(run), killed);
});

testInFolder("runFiles() lists the files to send", async (folder) => {
  for (const path of ["flow", "samples", "cells/a", "empty", "pairs"]) {
    await Deno.mkdir(join(folder, path), { recursive: true });
  }
  const kept = ["a b#.txt", "flow/sample_1.safetensors", "run.json", "samples/1.png"];
  const own = [".lock", "mlflow.json", "a.json.tmp", "cells/a/run.json", "pairs/part_0000.safetensors"];
  for (const path of [...kept, ...own]) await Deno.writeTextFile(join(folder, path), path);
  assert.deepEqual((await runFiles(folder)).map(({ path }) => path), kept);
});

testInFolder("metricsFrom() reads complete lines while the file is being written", async (run) => {
  const path = join(run, "metrics.jsonl");
  const read = async (offset: number, isOver: boolean) => {
    const pieces = await Array.fromAsync(metricsFrom(run, offset, isOver));
    return { steps: pieces.flatMap(({ lines }) => lines).map(({ step }) => step), end: pieces.at(-1)?.end };
  };
  const nothing = { steps: [], end: undefined };
  assert.deepEqual(await read(0, true), nothing);
  const many = Array.from({ length: 1500 }, (_, step) => step);
  const whole = many.map((step) => `{"step":${step},"ü":1}\n\nno metrics\n`).join("");
  await Deno.writeTextFile(path, `${whole}{"step":4`);
  const end = new TextEncoder().encode(whole).length;
  for (const isOver of [false, true]) assert.deepEqual(await read(0, isOver), { steps: many, end });
  const [first] = await Array.fromAsync(metricsFrom(run, 0, true));
  assert.deepEqual([first.lines.length, first.end], [1000, 0], "an interrupted reader starts again");
  assert.deepEqual(await read(end, true), nothing);
  await Deno.writeTextFile(path, "}", { append: true });
  assert.deepEqual(await read(end, false), nothing);
  assert.deepEqual(await read(end, true), { steps: [4], end: end + 10 });
  await Deno.writeTextFile(path, '\n{"step":5}\n', { append: true });
  assert.deepEqual(await read(end + 10, true), { steps: [5], end: end + 22 });
  await Deno.writeTextFile(path, '{"step":6}\n');
  assert.deepEqual(await read(end, true), { steps: [6], end: 11 }, "a shorter file is read from its start");
});

testInFolder("openFile() sends the file it opened, each time, even after it was replaced", async (folder) => {
  const bytes = new Uint8Array((1 << 20) + 1000).map((_, i) => i * 7);
  await Deno.writeFile(join(folder, "weights"), bytes);
  using file = (await openFile(folder, "weights"))!;
  await Deno.writeTextFile(join(folder, "other"), "short");
  await Deno.rename(join(folder, "other"), join(folder, "weights"));
  for (let tries = 0; tries < 2; tries++) {
    const body = await new Response(file.body()).bytes();
    assert.ok(body.length === bytes.length && body.every((byte, i) => byte === bytes[i]));
  }
  assert.equal(await openFile(folder, "none"), undefined);
});
