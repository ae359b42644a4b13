/** What a server holds after passes over a run folder, wherever these were interrupted, and what is sent to it. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { lockRun } from "../../../experiments/run/run_folder.ts";
import { Mirror, openFile } from "../../../experiments/tracking/mirror.ts";
import { readRecord } from "../../../experiments/tracking/record.ts";
import { testInFolder } from "../../folder.ts";
import { upTo } from "../../refusing.ts";
import { FakeMlflow, pause } from "./fake_mlflow.ts";
import { assertMirrored, valuesOf } from "./mirrored.ts";
import { clientAt, newsOf, nothing, putFiles, send, session, testSending, writeRun } from "./sessions.ts";

/** Lines of losses from a step on. */
const losses = (first: number, ...losses: number[]) => losses.map((loss, i) => ({ step: first + i, loss }));

const write = (run: string, name: string, content: unknown) =>
  Deno.writeTextFile(join(run, name), typeof content === "string" ? content : JSON.stringify(content));
const forget = (run: string) => Deno.remove(join(run, "mlflow.json"));
const responding = (status: number) => new Response("", { status });

testSending("a resumed run replaces what killed sessions have sent, each point once", async (run, server) => {
  const configure = (lr: number) => write(run, "config.json", { lr });
  await configure(1);
  await session(run, losses(1, 0.1, NaN, 0.3), { ending: "FAILED", reason: "the memory is full" });
  const first = await newsOf(run, server);
  assert.equal(valuesOf(first.tags)["flow.failure"], "the memory is full");
  await pause(2); // so that the next session has other times
  await configure(2);
  await session(run, losses(2, NaN, 0.35, 0.45), { resumedAt: 1, ending: "KILLED" });
  await forget(run); // the server knows what it has
  const { points, ends, deleted, tags } = await newsOf(run, server);
  const values = points.map(({ step, value }) => [step, value]);
  assert.deepEqual(values, [[1, 0.1], [2, "NaN"], [3, 0.35], [4, 0.45]]);
  assert.deepEqual(points.slice(0, 2), first.points.slice(0, 2), "so the server stores them once");
  const { endedAt } = (await readRecord(run))!;
  assert.deepEqual(ends, [{ run_id: "r1", status: "KILLED", end_time: endedAt }]);
  assert.ok(endedAt! > first.ends[0].end_time, "the server keeps the end of the first session");
  assert.deepEqual([deleted, valuesOf(tags)["resumed.lr"]], [["flow.failure"], "2"]);
  assert.deepEqual(await newsOf(run, server), nothing);
  // A third session has the settings of the first, and measures the same.
  await configure(1);
  await session(run, losses(2, NaN, 0.3, 0.4, 0.5), { resumedAt: 1 });
  const third = await newsOf(run, server);
  assert.deepEqual([third.points.slice(0, 3), third.deleted], [first.points, ["resumed.lr"]]);
  assert.equal(valuesOf((await server.runs("x"))[0].data.params).lr, "1");
});

testSending("a run is found by its id, whatever server and folder have lost", async (run, server) => {
  await session(run, losses(1, 0.1, 0.2));
  await send(run, server);
  // Another program has created it, too; searches may return runs of others.
  const { experiment_id, tags } = server.sent("runs/create")[0];
  for (const own of [tags, []]) await server.post("runs/create", { experiment_id, tags: own });
  await forget(run);
  server.answer = ({ path, body }) =>
    path.endsWith("runs/search") && body.includes("filter")
      ? server.post("runs/search", { ...JSON.parse(body), filter: "" }).then((found) => Response.json(found))
      : undefined;
  await send(run, server);
  const ids = (await server.runs("x")).map(({ info }) => info.run_id);
  assert.deepEqual([ids, server.sent("runs/create").length], [["r1", "r3"], 1]);
  // The experiment was renamed.
  const none = { error_code: "RESOURCE_DOES_NOT_EXIST" };
  server.answer = ({ path }) =>
    path.includes("get-by-name") ? Response.json(none, { status: 404 }) : undefined;
  assert.deepEqual(await newsOf(run, server), nothing);
  // Another server has nothing of it, and this one all.
  await using other = await FakeMlflow.start();
  assert.equal((await newsOf(run, other)).points.length, 2);
  server.answer = () => undefined;
  assert.deepEqual((await newsOf(run, server)).points, []);
  // A server has lost its data between two passes of a program.
  const mirror = new Mirror(run, clientAt(other.url));
  await mirror.pass();
  await write(run, "notes.txt", "new");
  other.answer = () => responding(500);
  await assert.rejects(mirror.pass(), /responded with 500/);
  other.forget();
  other.answer = () => undefined;
  assert.equal((await mirror.pass()).points, 2);
  await assertMirrored(other, "x", run);
});

testSending("a run is created once, even by a slow server or a lost response", async (run, server) => {
  // What happens to the first request to create the run, and how many such requests are sent.
  const cases = [["cut", 1], ["refuse", 2], [503, 2], [504, 2]] as const;
  for (const [fault, requests] of cases) {
    const experiment = `${fault}`;
    await writeRun(run, { id: experiment, experiment });
    await forget(run).catch(() => {});
    server.seen.length = 0;
    server.answer = async ({ path, body }) => {
      if (!path.endsWith("runs/create")) return undefined;
      const isFirst = server.sent("runs/create").length === 1;
      if (isFirst) return typeof fault === "number" ? responding(fault) : fault;
      if (fault === 504) await server.post("runs/create", JSON.parse(body)); // late, after the second search
      return undefined;
    };
    await send(run, server);
    const statuses = (await server.runs(experiment)).map(({ info }) => info.status);
    assert.deepEqual([server.sent("runs/create").length, statuses], [requests, ["FINISHED"]], experiment);
  }
});

testSending("whole lines of a run in progress are sent, also after a failed pass", async (run, server) => {
  await writeRun(run, { status: "RUNNING", endedAt: null });
  const mirror = new Mirror(run, clientAt(server.url));
  const pass = async () => {
    server.seen.length = 0;
    await mirror.pass();
    return server.sent("runs/log-batch").flatMap(({ metrics = [] }) => metrics).map(({ step }) => step);
  };
  const many = upTo(1500);
  const whole = many.map((step) => `{"step":${step},"ü":1}\n\n`).join("");
  await write(run, "metrics.jsonl", `${whole}{"step":2000`);
  server.answer = ({ body }) => body.includes('"step":1200') ? responding(413) : undefined;
  await assert.rejects(pass(), /413/);
  server.answer = () => undefined;
  assert.deepEqual(await pass(), many, "an interrupted pass starts again");
  await write(run, "metrics.jsonl", `${whole}{"step":2000,"ü":1}`);
  assert.deepEqual(await pass(), []);
  await writeRun(run); // it has ended
  assert.deepEqual([await pass(), await pass()], [[2000], []]);
  // A shorter file is read from its start; lines of one millisecond may repeat a point.
  await write(run, "metrics.jsonl", `${'{"step":3000,"time":5,"ü":1}\n'.repeat(2)}{"step":3001,"tr`);
  assert.deepEqual(await pass(), [3000]);
  appendMetrics(join(run, "metrics.jsonl"), { step: 3001, loss: 2 }); // in place of the truncated line
  assert.deepEqual((await newsOf(run, server)).points.map(({ step }) => step), [3000, 3001]);
});

testSending("a killed run is marked, a busy one skipped, and a cell has its study", async (run, server) => {
  const cells = ["a", "b"].map((name) => join(run, "cells", name));
  await writeRun(run, { id: "study", name: "study", status: "RUNNING", endedAt: null });
  for (const cell of cells) await writeRun(cell, { id: cell, name: cell });
  {
    using _ = await lockRun(run);
    assert.match((await send(run, server)).join(), /run: nothing sent, because another program /);
    assert.deepEqual(server.seen, []);
  }
  await send(cells[1], server);
  const [sent] = await send(run, server);
  assert.match(sent, /^\S+: 0 points and 2 files sent, http:\S+\/runs\/r2\?workflow/);
  assert.match((await send(run, server))[0], /^\S+: already complete, http/);
  const [first, study, second] = await server.runs("x");
  const parents = [first, second].map(({ data }) => valuesOf(data.tags)["mlflow.parentRunId"]);
  assert.deepEqual([study.info.status, ...parents], ["KILLED", study.info.run_id, study.info.run_id]);
  const message = /^Cannot send .*: it is not a run folder /;
  await assert.rejects(send(join(run, ".."), server), { name: "RunError", message });
});

testSending("only results in the run's folder are sent", async (run, server) => {
  await writeRun(run);
  const pictures = ["../secret.txt", "link.png", "linked/secret.txt", "mlflow.json", ".hidden"];
  const lines = pictures.map((path, step) => `{"step":${step},"image/x":"${path}"}\n`);
  const kept = ["a b#.txt", "flow/sample_1.safetensors", "samples/1.png"];
  const own = ["../secret.txt", ".hidden", "a.json.tmp", "cells/a/notes.txt", "pairs/part_0000.safetensors"];
  for (const path of [...kept, ...own]) {
    await Deno.mkdir(join(run, path, ".."), { recursive: true });
    await write(run, path, kept.includes(path) ? path : "s3cret");
  }
  await write(run, "metrics.jsonl", lines.join(""));
  await Deno.symlink("../secret.txt", join(run, "link.png"));
  await Deno.symlink("..", join(run, "linked"));
  const rejected = (await send(run, server)).slice(1).map((line) => /^ {2}rejected: (.*?):/.exec(line)?.[1]);
  assert.deepEqual(rejected, pictures);
  assert.ok(!server.seen.some(({ body }) => body.includes("s3cret")));
  const paths = [...kept, "config.json", "metrics.jsonl", "run.json"];
  assert.deepEqual(await server.artifacts("r1"), paths.sort());
});

testSending("a file that a server rejects is skipped; a page is no answer", async (run, server) => {
  await writeRun(run);
  server.answer = ({ path }) => path.endsWith("config.json") ? responding(413) : undefined;
  const [sent, rejected] = await send(run, server);
  assert.match(sent, /: 0 points and 1 files sent, http/);
  assert.match(rejected, /^ {2}rejected: config\.json: http\S+ responded with 413/);
  assert.equal((await server.runs("x"))[0].info.status, "FINISHED");
  server.answer = ({ method }) => method === "PUT" ? new Response("<html>") : undefined;
  await writeRun(run, { status: "KILLED" });
  await assert.rejects(send(run, server), /is not an MLflow server: it does not accept files/);
  assert.equal((await server.runs("x"))[0].info.status, "FINISHED", "the run looks complete");
  server.answer = () => undefined;
  await send(run, server);
  await assertMirrored(server, "x", run);
});

testSending("a run is completed on a server restored from an older backup", async (run, server) => {
  const size = { channels: 1, height: 2, width: 2, classes: 0, train: 3, validation: 2, test: 1 };
  await writeRun(run, { dataset: { name: "data", digest: "ab", source: "x", ...size } });
  const lines = [1, 2, 3].map((step) => `{"step":${step},"time":${step},"loss":1,"lr":"Infinity"}\n`);
  await write(run, "metrics.jsonl", lines.join("") + '{"step":3,"time":9,"image/x":"a.png"}\n');
  await write(run, "a.png", "a picture");
  await send(run, server);
  const images = (await server.artifacts("r1", "images")).map((path) => path.split("/").at(-1)!);
  const [small, large] = images.map((name) => name.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, "ID"));
  assert.deepEqual([small.split("ID"), large.slice(-4)], [
    ["x+step+3+timestamp+9+", "+compressed.webp"],
    ".png",
  ]);
  const points = [1, 2, 3].flatMap((step) => [["loss", step], ["lr", step]]);
  // What the server loses, and what is sent then: all points, since those that it has are stored once.
  type Lose = Parameters<FakeMlflow["change"]>[1];
  const cases: [Lose, Partial<Record<keyof typeof nothing, unknown>>][] = [
    [({ points }) => points.splice(3), { points }],
    [({ files }) => files.delete("config.json"), { files: ["config.json"] }],
    [({ files }) => files.set("config.json", new Uint8Array(3)), { files: ["config.json"] }],
    [({ files }) => images.forEach((name) => files.delete(`images/${name}`)), { files: images }],
    [({ info }) => info.status = "RUNNING", { ends: [{ run_id: "r1", status: "FINISHED", end_time: 2 }] }],
    [({ params }) => params.delete("model"), { params: ["model"] }],
    [(run) => run.inputs = [], { inputs: 1 }],
    [({ tags }) => tags.delete("mlflow.user"), { tags: ["mlflow.user"] }],
  ];
  for (const [lose, sent] of cases) {
    server.change("r1", lose);
    const { points, tags, ...others } = await newsOf(run, server);
    const news = { points: points.map(({ key, step }) => [key, step]), tags: tags.map(({ key }) => key) };
    assert.deepEqual({ ...others, ...news }, { ...nothing, ...sent }, `${lose}`);
    assert.deepEqual(await newsOf(run, server), nothing, `${lose}`);
  }
  await assertMirrored(server, "x", run);
});

testSending("a file is sent when it is final, and again if it has changed", async (run, server) => {
  await writeRun(run, { status: "RUNNING", endedAt: null });
  const mirror = new Mirror(run, clientAt(server.url));
  const names = ["last.safetensors", "metrics.jsonl", "notes.txt"];
  for (const name of names) await write(run, name, "");
  await mirror.pass();
  assert.deepEqual(putFiles(server), ["config.json", "notes.txt", "run.json"]);
  server.answer = ({ path, body }) =>
    path.endsWith("notes.txt") && body === "refuse" ? responding(413) : undefined;
  // The content, its time of change, and how often the next pass sends it.
  const cases = [["refuse", 1, 1], ["refuse", 1, 0], ["accept", 2, 1], ["accept", 3, 0], ["change", 3, 0]];
  const rewrite = async (content: string, changed: number) => {
    await write(run, "notes.txt", content);
    await Deno.utime(join(run, "notes.txt"), changed, changed);
  };
  for (const [content, changed, times] of cases as [string, number, number][]) {
    await rewrite(content, changed);
    server.seen.length = 0;
    await mirror.pass();
    assert.equal(putFiles(server).length, times, content);
  }
  await rewrite("longer than before", 3);
  await writeRun(run, { status: "KILLED" });
  const { files } = await newsOf(run, server); // by another program
  assert.deepEqual(names.filter((name) => !files.includes(name)), []);
});

/** Records a session of a run with weights and settings. */
async function trained(run: string, weights: string, lines: Parameters<typeof session>[1], options = {}) {
  await write(run, "ema.safetensors", weights);
  await write(run, "config.json", { model: "base", batchSize: 8 });
  await session(run, lines, options);
}

testSending("weights of a finished run are logged once as a model, with results", async (run, server) => {
  const linkedTo = (model: number) =>
    server.models[model].points.map(({ key, value, step }) => [key, value, step]);
  await trained(run, "tensors", [
    { step: 1, train_loss: 0.9, val_loss: 0.8 },
    { step: 2, train_loss: 0.7, learning_rate: 0.1, test_loss: 0.6 },
  ], { ending: "KILLED" });
  await send(run, server);
  assert.equal(server.models.length, 0, "a stopped run has a model");
  const last = { step: 3, test_loss: 0.5, train_loss: 0.4, "system/images_per_second": 5 };
  await session(run, [last], { resumedAt: 2 });
  await send(run, server);
  const [{ info, params, files }] = server.models;
  assert.deepEqual([info.name, info.status, info.source_run_id], ["run", "LOGGED_MODEL_READY", "r1"]);
  const digest = createHash("sha256").update("tensors").digest("hex");
  assert.deepEqual(info.tags, [{ key: "flow.weights_sha256", value: digest }]);
  assert.deepEqual([...params], [["model", "base"], ["batch-size", "8"]]);
  assert.deepEqual(linkedTo(0), [["train_loss", 0.4, 3], ["test_loss", 0.5, 3]]);
  const text = (name: string) => new TextDecoder().decode(files.get(name));
  assert.deepEqual([...files.keys()].sort(), ["MLmodel", "README.md", "ema.safetensors"]);
  assert.equal(text("ema.safetensors"), "tensors");
  assert.deepEqual(JSON.parse(text("MLmodel")).flavors, { flow_matching: { data: "ema.safetensors" } });
  assert.deepEqual(server.sent("runs/outputs"), [{ run_id: "r1", models: [{ model_id: "m1", step: 3 }] }]);
  assert.deepEqual(await newsOf(run, server), nothing, "a model is sent twice");
  // An evaluation of these weights, and another network after more training.
  appendMetrics(join(run, "metrics.jsonl"), { step: 3, "eval/frechet": 3, "eval/frechet_low": 2 });
  await send(run, server);
  assert.deepEqual(linkedTo(0).slice(2), [["eval/frechet", 3, 3]]);
  await trained(run, "more", [{ step: 4, test_loss: 0.5 }], { resumedAt: 3 });
  await send(run, server);
  assert.deepEqual(linkedTo(1), [["test_loss", 0.5, 4]]);
  assert.deepEqual([server.models.length, linkedTo(0).length], [2, 3]);
});

testSending("a run and its model are completed after any lost response", async (run, server) => {
  await trained(run, "tensors", [{ step: 1, test_loss: 0.6 }, { step: 1, "image/x": "a.png" }]);
  await write(run, "a.png", "a picture");
  let working = 0; // requests before the server fails
  for (let isDone = false; !isDone; working++) {
    let count = 0;
    server.answer = () => count++ >= working ? "cut" : undefined;
    isDone = await send(run, server).then(() => true, () => false);
  }
  assert.ok(working >= 10, `${working} requests`);
  await assertMirrored(server, "x", run);
  const [{ info, points, files }] = server.models;
  assert.deepEqual([server.models.length, info.status], [1, "LOGGED_MODEL_READY"]);
  assert.deepEqual([points.length, files.size], [1, 3]);
  // Servers without models, or with a limit for their files, get the rest.
  server.forget();
  server.answer = ({ path }) => path.includes("logged-models") ? responding(404) : undefined;
  assert.equal((await send(run, server)).length, 1);
  server.answer = ({ method }) => method === "PUT" ? responding(413) : undefined;
  await write(run, "ema.safetensors", "too large");
  assert.match((await send(run, server)).join("\n"), /rejected: ema\.safetensors/);
  assert.equal(server.models.length, 0);
});

testInFolder("openFile() sends the file it opened, each time, even after it was replaced", async (folder) => {
  const bytes = new Uint8Array((1 << 20) + 1000).map((_, i) => i * 7);
  await Deno.writeFile(join(folder, "weights"), bytes);
  using file = (await openFile(folder, "weights"))!;
  await write(folder, "other", "short");
  await Deno.rename(join(folder, "other"), join(folder, "weights"));
  for (let tries = 0; tries < 2; tries++) {
    const body = await new Response(file.body()).bytes();
    assert.ok(body.length === bytes.length && body.every((byte, i) => byte === bytes[i]));
  }
});
