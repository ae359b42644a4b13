import assert from "node:assert/strict";
import { join } from "node:path";
import { readMetrics } from "../../../experiments/run/metrics_log.ts";
import { currentRecord } from "../../../experiments/tracking/current_record.ts";
import { OpenFile, runFiles } from "../../../experiments/tracking/files.ts";
import { FolderTracker, type RunStart } from "../../../experiments/tracking/folder_tracker.ts";
import { linesFrom } from "../../../experiments/tracking/lines.ts";
import { readRecord } from "../../../experiments/tracking/record.ts";
import { isLocked, lockRun, tryLockRun } from "../../../experiments/run/run_lock.ts";
import { tracked } from "../../../experiments/tracking/tracker.ts";
import { testInFolder } from "../../folder.ts";

const startedAt = new Date(2024, 0, 2);
const about: RunStart["about"] = {
  name: "a run",
  experiment: "UNet_FM",
  user: null,
  source: "a test",
  gitBranch: null,
  parameterCount: null,
  dataset: null,
  standsFor: null,
};

testInFolder(
  "FolderTracker tells lines with their time, the machine now and then, and the end",
  async (folder) => {
    const gauges = () => ({ "system/process_memory_megabytes": 5 });
    const before = Date.now();
    using lock = await lockRun(folder);
    await using tracker = await FolderTracker.start(lock, { about, startedAt, gauges });
    assert.equal((await readRecord(folder))?.status, "RUNNING");
    tracker.log({ step: 0, loss: 2 });
    tracker.log({ step: 1, train_loss: NaN });
    tracker.log({ step: 2, train_loss: 1 });
    await tracker.end("FINISHED");
    await tracker.end("KILLED");
    const [untrained, first, second] = await readMetrics(join(folder, "metrics.jsonl"));
    assert.deepEqual(Object.keys(untrained), ["step", "loss", "time"]);
    assert.ok(before <= (first.time as number) && (first.time as number) <= Date.now());
    assert.deepEqual(first, {
      step: 1,
      train_loss: NaN,
      time: first.time,
      "system/process_memory_megabytes": 5,
    });
    assert.deepEqual(second, { step: 2, train_loss: 1, time: second.time });
    const record = await readRecord(folder);
    assert.equal(record?.status, "FINISHED");
    assert.ok(record!.endedAt! >= before);
  },
);

testInFolder("FolderTracker measures and ends as before where the clock goes back a day", async (folder) => {
  const now = Date.now;
  using _ = { [Symbol.dispose]: () => void (Date.now = now) };
  let measured = 0;
  const gauges = () => ({ "system/process_memory_megabytes": ++measured });
  using lock = await lockRun(folder);
  await using tracker = await FolderTracker.start(lock, { about, startedAt: new Date(), gauges });
  tracker.log({ step: 1, train_loss: 1 });
  const before = performance.now();
  Date.now = () => now() - 24 * 3600e3;
  const monotonic = performance.now;
  using __ = { [Symbol.dispose]: () => void (performance.now = monotonic) };
  performance.now = () => before + 11_000;
  tracker.log({ step: 2, train_loss: 1 });
  assert.equal(measured, 2);
  Date.now = () => now() + 24 * 3600e3;
  tracker.log({ step: 3, train_loss: 1 });
  assert.equal(measured, 2);
  Date.now = () => now() - 24 * 3600e3;
  await tracker.end("FINISHED");
  const { startedAt, endedAt } = (await readRecord(folder))!;
  assert.equal(endedAt, startedAt);
});

testInFolder("lockRun() gives a run to one program at a time", async (folder) => {
  assert.equal(await isLocked(folder), false);
  {
    using lock = await lockRun(folder);
    assert.equal(await isLocked(folder), true);
    assert.equal(await tryLockRun(folder), undefined);
    await assert.rejects(lockRun(folder), {
      name: "RunError",
      message: `Cannot write ${folder}: another program trains or sends this run; wait until it ends`,
    });
    lock[Symbol.dispose](); // and once more at the end of this block
  }
  assert.equal(await isLocked(folder), false);
});

testInFolder("tracked() tells an error as the reason of a failure", async (folder) => {
  {
    using lock = await lockRun(folder);
    await using tracker = await FolderTracker.start(lock, { about, startedAt });
    const work = tracked(tracker, () => Promise.reject(new Error("the loss is NaN")));
    await assert.rejects(work, /the loss is NaN/);
  }
  const { status, reason } = (await readRecord(folder))!;
  assert.deepEqual([status, reason], ["FAILED", "the loss is NaN"]);
});

testInFolder(
  "currentRecord() tells a run that nobody works on as killed, and old folders by their files",
  async (folder) => {
    assert.equal(await currentRecord(folder), undefined);
    {
      using lock = await lockRun(folder);
      await using tracker = await FolderTracker.start(lock, { about, startedAt });
      tracker.log({ step: 1, loss: 1 });
      assert.equal((await currentRecord(folder))?.status, "RUNNING");
      await tracker.end("FINISHED");
    }
    const record = (await readRecord(folder))!;
    const crashed = JSON.stringify({ ...record, status: "RUNNING", endedAt: null });
    await Deno.writeTextFile(join(folder, "run.json"), crashed);
    const [{ time }] = await readMetrics(join(folder, "metrics.jsonl"));
    assert.deepEqual(await currentRecord(folder), { ...record, status: "KILLED", endedAt: time });

    const old = join(folder, "20240102-030405-base");
    await Deno.mkdir(old);
    await Deno.writeTextFile(join(old, "config.json"), '{"model":"base"}');
    await Deno.writeTextFile(join(old, "environment.json"), `{"startedAt":"${startedAt.toISOString()}"}`);
    await Deno.writeTextFile(
      join(old, "metrics.jsonl"),
      '{"step":3,"elapsed_seconds":2}\n{"step":3,"test_loss":1}\n',
    );
    const { name, status, endedAt, source } = (await currentRecord(old))!;
    assert.deepEqual(
      [name, status, endedAt, source],
      ["20240102-030405-base", "FINISHED", startedAt.getTime() + 2000, "deno task train:base"],
    );
  },
);

testInFolder(
  "FolderTracker repeats the words of a line that is measured anew with the same result",
  async (folder) => {
    const path = join(folder, "metrics.jsonl");
    {
      using lock = await lockRun(folder);
      await using tracker = await FolderTracker.start(lock, { about, startedAt });
      for (const step of [1, 2, 3, 4]) {
        tracker.log({
          step,
          loss: step === 2 ? NaN : step,
          elapsed_seconds: step,
        });
      }
      await tracker.end("KILLED");
    }
    const before = (await Deno.readTextFile(path)).split("\n");
    const { id } = (await readRecord(folder))!;
    await new Promise((resolve) => setTimeout(resolve, 5));
    {
      using lock = await lockRun(folder);
      await using tracker = await FolderTracker.start(lock, { about, startedAt: new Date(), resumedAt: 1 });
      tracker.log({ step: 2, loss: NaN, elapsed_seconds: 20 });
      tracker.log({ step: 3, loss: 3, elapsed_seconds: 30 });
      tracker.log({ step: 4, loss: 5, elapsed_seconds: 40 });
      await tracker.end("FINISHED");
    }
    const after = (await Deno.readTextFile(path)).split("\n");
    assert.deepEqual(after.slice(0, 3), before.slice(0, 3));
    assert.match(after[3], /"loss":5,"elapsed_seconds":40/);
    const record = (await readRecord(folder))!;
    assert.deepEqual([record.id, record.startedAt, record.status], [id, startedAt.getTime(), "FINISHED"]);
    const files = (await runFiles(folder)).map(({ path }) => path);
    const replaced = files.find((file) => file.startsWith("metrics-replaced-"))!;
    assert.equal(await Deno.readTextFile(join(folder, replaced)), before.slice(1).join("\n"));
  },
);

testInFolder("runFiles() lists what belongs to the record", async (folder) => {
  for (const path of ["flow", "samples", "child", "empty"]) await Deno.mkdir(join(folder, path));
  const kept = ["a b#.txt", "flow/sample_1.safetensors", "run.json", "samples/1.png"];
  for (const path of [...kept, ".lock", "mlflow.json", "state.safetensors.tmp", "child/run.json"]) {
    await Deno.writeTextFile(join(folder, path), path);
  }
  assert.deepEqual((await runFiles(folder)).map(({ path }) => path), kept);
});

testInFolder("linesFrom() reads whole lines in pieces, wherever the writer is", async (folder) => {
  const path = join(folder, "lines");
  const [none, all] = [() => false, () => true];
  assert.deepEqual(await Array.fromAsync(linesFrom(path, 0, all)), []);
  const long = "ü".repeat(400_000);
  await Deno.writeTextFile(path, `a\n${long}\n\nb\nhalf`);
  const open = await Array.fromAsync(linesFrom(path, 0, none));
  assert.deepEqual(open.flatMap(({ lines }) => lines), ["a", long, "b"]);
  const { end } = open.at(-1)!;
  assert.deepEqual(await Array.fromAsync(linesFrom(path, end, none)), []);
  assert.deepEqual((await Array.fromAsync(linesFrom(path, end, all))).flatMap(({ lines }) => lines), [
    "half",
  ]);
  await Deno.writeTextFile(path, " and half\n", { append: true });
  assert.deepEqual((await Array.fromAsync(linesFrom(path, end, none))).flatMap(({ lines }) => lines), [
    "half and half",
  ]);
});

testInFolder("linesFrom() begins with the line that has replaced a cut one it had read", async (folder) => {
  const path = join(folder, "lines");
  const from = async (text: string, offset: number) => {
    await Deno.writeTextFile(path, text);
    const pieces = await Array.fromAsync(linesFrom(path, offset, () => false));
    assert.equal(pieces.at(-1)?.end ?? offset, text.length);
    return pieces.flatMap(({ lines }) => lines);
  };
  const long = "b".repeat(10_000);
  assert.deepEqual(await from("a\nbcdef\ng\n", 4), ["bcdef", "g"]);
  assert.deepEqual(await from(`a\n${long}\n`, 9_000), [long]);
  assert.deepEqual(await from("bcdef\n", 3), ["bcdef"], "the first line");
  assert.deepEqual(await from("a\nb\nc\n", 9), ["a", "b", "c"], "a shorter file");
  assert.deepEqual(await from("a\nbc", 4), [], "a line that is still as it was read");
});

testInFolder("OpenFile sends the file it opened, also after another took its place", async (folder) => {
  const path = join(folder, "weights");
  // Above the size that is read at once.
  for (const size of [1000, (32 << 20) + 1000]) {
    const bytes = new Uint8Array(size).map((_, i) => i * 7);
    await Deno.writeFile(path, bytes);
    using file = (await OpenFile.open(folder, "weights"))!;
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
  assert.equal(await OpenFile.open(folder, "none"), undefined);
});

testInFolder(
  "FolderTracker begins no second run in a folder, also where the first is over",
  async (folder) => {
    {
      using lock = await lockRun(folder);
      await using first = await FolderTracker.start(lock, { about, startedAt });
      await first.end("FINISHED");
    }
    using lock = await lockRun(folder);
    await assert.rejects(FolderTracker.start(lock, { about, startedAt }), {
      name: "RunError",
      message: /^Cannot start a run in .*: another program has just started one there/,
    });
    assert.equal((await readRecord(folder))?.status, "FINISHED");
  },
);
