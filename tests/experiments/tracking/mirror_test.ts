import assert from "node:assert/strict";
import { join } from "node:path";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { lockRun } from "../../../experiments/run/run_folder.ts";
import { Mirror } from "../../../experiments/tracking/mirror.ts";
import { idTag } from "../../../experiments/tracking/describe_run.ts";
import { readRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { recordComparison } from "../../../experiments/compare.ts";
import { sentLines } from "../../../experiments/tracking/send_run.ts";
import { FakeMlflow, pause } from "./fake_mlflow.ts";
import { valuesOf } from "./mirrored.ts";
import { newsOf, nothing, send, serverAt, session, testSending, writeRun } from "./sessions.ts";

const losses = (...pairs: [step: number, loss: number][]) => pairs.map(([step, loss]) => ({ step, loss }));

testSending(
  "sendRun() sends the measurements of resumed sessions, even in place of points from killed ones",
  async (run, server) => {
    await session(run, losses([1, 0.1], [2, 0.2], [3, 0.3]), { ending: "KILLED" });
    const first = await newsOf(run, server);
    await pause(2); // so that the next session has other times
    await session(run, losses([2, 0.2], [3, 0.35], [4, 0.45]), { resumedAt: 1, ending: "KILLED" });
    const { points, ends } = await newsOf(run, server);
    const expected = [[1, 0.1], [2, 0.2], [3, 0.35], [4, 0.45]];
    assert.deepEqual(points.map(({ step, value }) => [step, value]), expected);
    // A server stores an identical point once.
    assert.deepEqual(points.slice(0, 2), first.points.slice(0, 2));
    const { endedAt } = (await readRecord(run))!;
    assert.deepEqual(ends, [{ run_id: "r1", status: "KILLED", end_time: endedAt }]);
    assert.ok(endedAt! > first.ends[0].end_time, "the server keeps the end of the first session");
    assert.deepEqual(await newsOf(run, server), nothing);
    // A third session measures the same as the first.
    await session(run, losses([2, 0.2]), { resumedAt: 1, ending: "KILLED" });
    await session(run, losses([2, 0.2], [3, 0.3]), { resumedAt: 1 });
    assert.deepEqual((await newsOf(run, server)).points, first.points);
  },
);

testSending(
  "sendRun() deletes the tags of an earlier failure and of a setting that was changed back",
  async (run, server) => {
    const configure = (lr: number) => Deno.writeTextFile(join(run, "config.json"), JSON.stringify({ lr }));
    await configure(1);
    await session(run, losses([1, 0.1]), { ending: "FAILED", reason: "the memory is full" });
    const { tags } = await newsOf(run, server);
    assert.equal(valuesOf(tags)["flow.failure"], "the memory is full");
    await configure(2);
    await session(run, losses([2, 0.2]), { resumedAt: 1, ending: "KILLED" });
    const second = await newsOf(run, server);
    assert.deepEqual(second.deleted, ["flow.failure"]);
    assert.equal(valuesOf(second.tags)["resumed.lr"], "2");
    await configure(1);
    await session(run, losses([3, 0.3]), { resumedAt: 2 });
    assert.deepEqual((await newsOf(run, server)).deleted, ["resumed.lr"]);
    const [{ data }] = await server.runs("x");
    assert.deepEqual([valuesOf(data.params).lr, valuesOf(data.tags)["resumed.lr"]], ["1", undefined]);
  },
);

testSending("sendRun() continues a run whose experiment was renamed", async (run, server) => {
  await session(run, losses([1, 0.1]), { ending: "KILLED" });
  await send(run, server);
  server.answer = ({ path }) =>
    path.includes("get-by-name")
      ? Response.json({ error_code: "RESOURCE_DOES_NOT_EXIST", message: "no" }, { status: 404 })
      : undefined;
  await session(run, losses([2, 0.2]), { resumedAt: 1 });
  const { ends } = await newsOf(run, server);
  assert.deepEqual([server.sent("runs/create"), ends.at(-1).status], [[], "FINISHED"]);
});

testSending("sendRun() sends everything to another server", async (run, server) => {
  await session(run, losses([1, 0.1], [2, 0.2]));
  await send(run, server);
  await using other = await FakeMlflow.start();
  assert.equal((await newsOf(run, other)).points.length, 2);
  assert.equal((await newsOf(run, server)).points.length, 2, "a cursor is for one server only");
});

testSending(
  "sendRun() looks for a run by its id before it creates one, and deletes duplicates",
  async (run, server) => {
    await writeRun(run);
    await send(run, server);
    await Deno.remove(join(run, "mlflow.json"));
    await send(run, server);
    assert.deepEqual(server.sent("runs/create").length, 1);
    await Deno.remove(join(run, "mlflow.json"));
    const { experiment_id } = server.sent("runs/create")[0];
    await server.post("runs/create", { experiment_id, tags: [{ key: idTag, value: "an id" }] });
    assert.equal((await server.runs("x")).length, 2);
    await send(run, server);
    assert.deepEqual((await server.runs("x")).map(({ info }) => info.run_id), ["r1"]);
  },
);

testSending("sendRun() creates a run once, even if the response is lost", async (run, server) => {
  await writeRun(run);
  // The fault of the first request to create the run, and how many such requests are sent.
  const cases = {
    cut: ["cut", 1],
    refused: ["refuse", 2],
    busy: [new Response("", { status: 503 }), 2],
  } as const;
  for (const [name, [fault, requests]] of Object.entries(cases)) {
    const record = (await readRecord(run))!;
    await writeRecord(run, { ...record, id: name, experiment: name });
    server.seen.length = 0;
    server.answer = ({ path }) =>
      path.endsWith("runs/create") && server.sent("runs/create").length === 1 ? fault : undefined;
    await send(run, server);
    assert.equal(server.sent("runs/create").length, requests, name);
    assert.deepEqual((await server.runs(name)).map(({ info }) => info.status), ["FINISHED"], name);
    await Deno.remove(join(run, "mlflow.json"));
  }
});

testSending(
  "sendRun() changes only runs with its id, regardless of search results",
  async (run, server) => {
    await writeRun(run);
    await send(run, server);
    assert.equal(server.sent("runs/create").length, 1);
    assert.deepEqual(server.sent("runs/delete"), []);
  },
  ({ path }) =>
    path.endsWith("runs/search")
      ? Response.json({ runs: [FakeMlflow.run(), FakeMlflow.run({ run_id: "r2" })] })
      : undefined,
);

testSending("sendRun() sends additions to a run whose last line was truncated", async (run, server) => {
  await writeRun(run);
  await Deno.writeTextFile(join(run, "metrics.jsonl"), '{"step":6,"train_loss":0.5}\n{"step":7,"train_lo');
  const keys = async () => (await newsOf(run, server)).points.map(({ key, step }) => [key, step]);
  assert.deepEqual(await keys(), [["train_loss", 6]]);
  appendMetrics(join(run, "metrics.jsonl"), { step: 7, "eval/frechet": 3 });
  assert.deepEqual(await keys(), [["eval/frechet", 7]]);
});

testSending("sendRun() sends values repeated within a millisecond only once", async (run, server) => {
  await writeRun(run);
  const lines = [{ train_loss: 1 }, { val_loss: 2 }].map((loss) => ({ step: 6, time: 5, epoch: 1, ...loss }));
  await Deno.writeTextFile(
    join(run, "metrics.jsonl"),
    lines.map((line) => `${JSON.stringify(line)}\n`).join(""),
  );
  const { points } = await newsOf(run, server);
  assert.deepEqual(points.map(({ key }) => key), ["epoch", "train_loss", "val_loss"]);
});

testSending("Mirror.pass() creates a run again on a server that has lost its data", async (run, server) => {
  await session(run, losses([1, 0.1], [2, 0.2]));
  const mirror = new Mirror(run, serverAt(server.url));
  await mirror.pass();
  await Deno.writeTextFile(join(run, "notes.txt"), "new");
  server.answer = () => new Response("", { status: 500 });
  await assert.rejects(mirror.pass(), /responded with 500/);
  server.forget();
  server.answer = () => undefined;
  assert.equal((await mirror.pass()).points, 2);
  assert.deepEqual((await server.runs("x")).map(({ info }) => info.status), ["FINISHED"]);
});

testSending("sendRun() skips rejected data, and sends the rest", async (run, server) => {
  await writeRun(run);
  await send(run, server);
  await Deno.remove(join(run, "mlflow.json")); // so that nothing is known about the server
  await Deno.writeTextFile(join(run, "config.json"), '{"seed":1,"model":"other","lr":2}');
  await Deno.writeTextFile(join(run, "metrics.jsonl"), '{"step":1,"good":1,"bad":2}\n');
  const invalid = { error_code: "INVALID_PARAMETER_VALUE", message: "no" };
  server.answer = ({ body }) =>
    body.includes('"key":"bad"') ? Response.json(invalid, { status: 400 }) : undefined;
  const [{ refused, points }] = await send(run, server);
  assert.deepEqual([Object.keys(refused), points], [["params/model", "metrics/bad"], 1]);
  const [{ data }] = await server.runs("x");
  assert.deepEqual(valuesOf(data.params), { model: "base", seed: "1", lr: "2" });
  assert.deepEqual(data.metrics?.map(({ key }) => key), ["good"]);
});

testSending("sendRun() sends nested runs as children, after their parent", async (run, server) => {
  for (const name of ["a", "b"]) {
    await writeRun(join(run, name), { id: name, name });
    await Deno.writeTextFile(join(run, name, "samples.png"), name);
    await Deno.writeTextFile(join(run, name, "last.safetensors"), "not copied");
  }
  const folders = ["a", "b", "a"].map((name) => join(run, name));
  const comparison = await recordComparison(folders, { root: run, startedAt: new Date() });
  await assert.rejects(
    send(join(comparison, "a"), server),
    /its parent run .* must be sent first$/,
  );
  assert.equal((await send(comparison, server)).filter(({ page }) => page).length, 4);
  const [parent, ...children] = await server.runs("x");
  assert.match(parent.info.run_name, /-comparison$/);
  assert.deepEqual(children.map(({ info }) => info.run_name), ["a", "a", "b"]);
  for (const { info, data } of children) {
    const tags = valuesOf(data.tags);
    assert.equal(tags["mlflow.parentRunId"], parent.info.run_id);
    assert.equal(tags["flow.stands_for"], info.run_name);
    assert.deepEqual(await server.artifacts(info.run_id), ["config.json", "run.json", "samples.png"]);
  }
});

testSending("sendRun() marks a killed run, and skips a busy one", async (run, server) => {
  await writeRun(run, { status: "RUNNING", endedAt: null });
  {
    using _ = await lockRun(run);
    const [sent] = await send(run, server);
    assert.deepEqual(sentLines(sent), [
      `${run}: nothing sent, because another program is working on it; sync again when it ends`,
    ]);
    assert.deepEqual(server.seen, []);
  }
  const [sent] = await send(run, server);
  assert.match(sentLines(sent).join("\n"), /^\S+: 0 points and 2 files sent, http:\S+\/runs\/r1\?workflow/);
  assert.equal((await server.runs("x"))[0].info.status, "KILLED");
  await assert.rejects(send(join(run, ".."), server), {
    name: "RunError",
    message: /^Cannot send .*: it is not a run folder \(expected run\.json in it\)$/,
  });
});
