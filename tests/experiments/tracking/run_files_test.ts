import assert from "node:assert/strict";
import { join } from "node:path";
import { metricsFrom, openFile, runFiles } from "../../../experiments/tracking/run_files.ts";
import { testInFolder } from "../../folder.ts";

testInFolder("runFiles() lists the files to send", async (folder) => {
  for (const path of ["flow", "samples", "child", "empty", "pairs"]) await Deno.mkdir(join(folder, path));
  const kept = ["a b#.txt", "flow/sample_1.safetensors", "run.json", "samples/1.png"];
  for (
    const path of [
      ...kept,
      ".lock",
      "mlflow.json",
      "state.safetensors.tmp",
      "child/run.json",
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
  // Below and above the size that is read into memory.
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
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    assert.equal(file.sent.sha256, new Uint8Array(digest).toHex());
  }
  assert.equal(await openFile(folder, "none"), undefined);
});
