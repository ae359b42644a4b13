/** What a run records, and how it is mirrored while it is in progress. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { type Metrics, readMetrics } from "../../../experiments/run/metrics_log.ts";
import { lockRun } from "../../../experiments/run/run_folder.ts";
import { parseAddress } from "../../../experiments/tracking/choose_tracking.ts";
import { readRecord } from "../../../experiments/tracking/record.ts";
import { trySendingRun, type Waiting } from "../../../experiments/tracking/live_mirror.ts";
import { RunTracker } from "../../../experiments/tracking/run_tracker.ts";
import { testInFolder } from "../../folder.ts";
import { replacing } from "../../replacing.ts";
import { until } from "../cli.ts";
import { type FakeMlflow, type Fault, pause } from "./fake_mlflow.ts";
import { assertMirrored, valuesOf } from "./mirrored.ts";
import { send, session, testSending, usualStart } from "./sessions.ts";

testInFolder("RunTracker records lines with their time, gauges at intervals, and the end", async (run) => {
  const [before, { now }, ms] = [Date.now(), Date, performance.now()];
  let measured = 0;
  const gauges = () => ({ "system/process_memory_megabytes": ++measured });
  using lock = await lockRun(run);
  const tracker = await RunTracker.start(lock, { ...usualStart, gauges });
  assert.equal((await readRecord(run))?.status, "RUNNING");
  const logged: Metrics[] = [{ step: 0, loss: 2 }, { step: 1, train_loss: NaN }, { step: 2, train_loss: 1 }];
  for (const line of logged) tracker.log(line);
  const lines = await readMetrics(join(run, "metrics.jsonl"));
  assert.ok(before <= Number(lines[1].time) && Number(lines[1].time) <= now());
  const expected = logged.with(1, { ...logged[1], ...{ "system/process_memory_megabytes": 1 } });
  assert.deepEqual(lines.map(({ time: _, ...line }) => line), expected);
  for (const [step, days] of [[3, -1], [4, 1], [5, -1]]) { // the clock is set
    using _ = replacing([performance, { now: () => ms + 99_000 }], [Date, {
      now: () => now() + days * 864e5,
    }]);
    tracker.log({ step, train_loss: 1 });
    assert.equal(measured, 2);
  }
  await tracker.end("FINISHED");
  await tracker.end("KILLED");
  const { status, startedAt, endedAt } = (await readRecord(run))!;
  assert.deepEqual([status, startedAt], ["FINISHED", usualStart.startedAt.getTime()]);
  assert.ok(endedAt! >= before);
  const message = /^Cannot start a run in .*: another program just started one there/;
  await assert.rejects(RunTracker.start(lock, usualStart), { name: "RunError", message });
  assert.equal((await readRecord(run))?.status, "FINISHED");

  // A failure, after the clock was set back.
  await Deno.remove(join(run, "run.json"));
  await using failing = await RunTracker.start(lock, { ...usualStart, startedAt: new Date() });
  using _ = replacing([Date, { now: () => 864e5 }]);
  await assert.rejects(failing.during(() => Promise.reject(new Error("the loss is NaN"))), /is NaN/);
  const failed = (await readRecord(run))!;
  const ended = { endedAt: failed.startedAt, status: "FAILED", reason: "the loss is NaN" };
  assert.deepEqual({ ...failed, ...ended }, failed);
});

const patience = { maxRetries: 4, backoffFactor: 0.02, timeoutMs: 5_000 };
const waits: Waiting = { lookMs: 20, outageMs: 50, patienceMs: 3_000 };

/** Chooses a server and gives up on it soon. */
const choiceOf = ({ url }: FakeMlflow, change: Partial<typeof patience> = {}) => ({
  target: { address: parseAddress(url, "the address"), patience: { ...patience, ...change } },
  experiment: "x",
});

/** The points that were sent, by request. */
const batchesTo = (server: FakeMlflow): { value: unknown; model_id?: string }[][] =>
  server.sent("runs/log-batch").flatMap(({ metrics = [] }) => metrics.length > 0 ? [metrics] : []);

/** Mirrors a run of 40 lines and a few files like those of training. @returns the tracker's messages */
async function shortRun(
  run: string,
  choice: ReturnType<typeof choiceOf>,
  { waiting = waits, halfway = () => Promise.resolve() } = {},
): Promise<string[]> {
  const said: string[] = [];
  const sizes = { channels: 1, height: 2, width: 2, classes: 0, train: 3, validation: 2, test: 1 };
  const dataset = { name: "data", digest: "0123456789abcdef", source: "somewhere", ...sizes };
  const write = (name: string, size: number, value: number) =>
    Deno.writeFile(join(run, name), new Uint8Array(size).fill(value));
  using lock = await lockRun(run);
  const config = { model: "base", filters: [4, 8], lr: 1e-3, name: null, resume: null, mlflow: null };
  await Deno.writeTextFile(join(run, "config.json"), JSON.stringify(config));
  await using tracker = await RunTracker.start(lock, {
    ...{ startedAt: new Date(), choice, waiting, say: (message: string) => void said.push(message) },
    about: { source: "a test", parameterCount: 12, dataset },
  });
  await Deno.mkdir(join(run, "samples"));
  for (let step = 1; step <= 40; step++) {
    const train_loss = [NaN, Infinity, -Infinity][step - 7] ?? 1 / step;
    tracker.log({ step, train_loss, learning_rate: step === 10 ? 1e-40 : 1e-3 });
    if (step % 20 === 0) {
      await write(`samples/${step}.png`, 3, step);
      tracker.log({ step, "image/samples": `samples/${step}.png` });
      if (step === 20) await halfway();
    }
    if (step % 15 === 0) await write("last.safetensors", 20_000, step);
    await pause(4);
  }
  await write("a name with ümläut & spaces.bin", 300_000, 7);
  await tracker.end("FINISHED");
  return said;
}

testSending("RunTracker mirrors a run in progress, and the rest of it at its end", async (run, server) => {
  const choice = { ...choiceOf(server, { timeoutMs: 60_000 }), runName: "a name" };
  const halfway = async () => { // a busy machine takes a while until it first sends something
    await until(() => batchesTo(server).length > 0);
  };
  const said = await shortRun(run, choice, { waiting: { ...waits, patienceMs: 60_000 }, halfway });
  const { info, data } = await assertMirrored(server, "x", run);
  const page = `${server.url}/#/experiments/1/runs/r1?workflowType=machine_learning`;
  assert.deepEqual([info.run_name, ...said], ["a name", `MLflow shows the run at ${page}`]);
  const { "mlflow.note.content": note, ...tags } = valuesOf(data.tags);
  assert.match(note, /^\*\*base U-Net\*\*, channels 4, 8, 12 parameters, trained on 3 images of data/);
  assert.deepEqual([tags["mlflow.source.name"], tags["mlflow.loggedImages"]], ["a test", "True"]);
  const order = server.seen.map(({ path }) => path.split("/").at(-1)!.split("?")[0]);
  assert.equal(order.filter((name) => name === "create").length, 2, "an experiment and a run");
  assert.deepEqual(server.sent("runs/update").map(({ status }) => status), ["FINISHED"]);
  assert.equal(order.findLast((name) => name !== "get"), "update", "the end is not sent last");
  const points = batchesTo(server).flat().filter(({ model_id }) => model_id === undefined);
  assert.equal(points.length, 80, "a point is sent twice");
});

/** What a server does on some requests; but it always refuses all. */
const faults: Readonly<Record<string, () => Fault | Response>> = {
  "responds with 500": () => new Response("oops", { status: 500 }),
  "hangs": () => "hang",
  "refuses every connection": () => "refuse",
  "drops the connection after doing the work": () => "cut",
};
for (const [what, fault] of Object.entries(faults)) {
  testSending(`nothing is lost or doubled if a server ${what}`, async (run, server) => {
    const always = what.endsWith("every connection");
    server.answer = ({ path }, count) =>
      always || count % 3 === 1 || (path.endsWith("runs/create") && count < 8) ? fault() : undefined;
    const said = await shortRun(run, choiceOf(server, what === "hangs" ? { timeoutMs: 100 } : {}));
    if (always) {
      assert.match(said.at(-1)!, /^MLflow: .*; \.\/denow task sync .* --mlflow http:.* sends the rest$/);
      assert.equal(said.filter((line) => line.includes("training continues")).length, 1, said.join("\n"));
    }
    server.answer = () => undefined;
    await send(run, server);
    await assertMirrored(server, "x", run);
  });
}

testSending("RunTracker continues a killed run on the server when it is resumed", async (run, server) => {
  const choice = choiceOf(server);
  const lossesOf = (...losses: number[]) => losses.map((loss, i) => ({ step: i + 1, loss }));
  await session(run, lossesOf(1, 2, 3), { choice, ending: "KILLED" });
  using lock = await lockRun(run);
  server.answer = () => "refuse"; // until the log is longer than before
  const tracker = await RunTracker.start(lock, { ...usualStart, choice, resumedAt: 1, waiting: waits });
  for (const { step, loss } of lossesOf(1, 12, 13, 14, 15).slice(1)) tracker.log({ step, loss });
  server.seen.length = 0;
  server.answer = () => undefined;
  await until(() => batchesTo(server).length > 0);
  await tracker.end("FINISHED");
  assert.deepEqual(batchesTo(server).flat().map(({ value }) => value), [1, 12, 13, 14, 15]);
  assert.deepEqual(server.sent("runs/update").map(({ status }) => status), ["RUNNING", "FINISHED"]);
  // The server has all of it when the run goes on after its last step.
  const last = await RunTracker.start(lock, { ...usualStart, choice, resumedAt: 5, waiting: waits });
  await until(() => server.sent("runs/update").length === 3);
  last.log({ step: 6, loss: 16 });
  await last.end("FINISHED");
  assert.equal(batchesTo(server).flat().at(-1)?.value, 16);
});

testSending("a dead server is asked less often, and delays the end by 10 s", async (run, server) => {
  const { setTimeout } = globalThis;
  const fired = new Set<number>(); // durations of timers, in milliseconds
  const faster = (call: () => void, ms = 0) => setTimeout(() => (fired.add(ms), call()), ms / 100);
  using _ = replacing([globalThis, { setTimeout: faster }]);
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  const answers: [why: string, answer: () => Fault | Response][] = [
    ["no longer accepts data", () => "hang"],
    ["responded with 503", () => new Response("", { status: 503 })],
  ];
  for (const [why, answer] of answers) {
    server.answer = answer;
    const choice = choiceOf(server, { maxRetries: 7, backoffFactor: 2, timeoutMs: 120_000 });
    await Deno.remove(run, { recursive: true });
    await Deno.mkdir(run);
    lines.length = 0;
    await session(run, [{ step: 1, loss: 1 }], { choice, say });
    await trySendingRun(run, choice.target, say);
    const rest = `; ./denow task sync ${run} --mlflow ${server.url} sends the rest`;
    const told = lines.filter((line) => line.includes(`${server.url} ${why}`) && line.endsWith(rest));
    assert.equal(told.length, 2, lines.join("\n"));
  }
  assert.ok(Math.max(...fired) <= 10_000, `${[...fired]}`);
  using lock = await lockRun(run);
  const choice = choiceOf(server, { maxRetries: 0, timeoutMs: 120_000 });
  for (const [, answer] of answers) {
    server.answer = answer;
    lines.length = 0;
    await using tracker = await RunTracker.start(lock, { ...usualStart, choice, resumedAt: 1, say });
    const isOver = () => answer() === "hang" ? lines.length > 0 : fired.has(30_000);
    await until(isOver);
    assert.match(lines[0], /^MLflow: http:\S+ .*; training continues, .*denow task sync .* --mlflow http/);
    await tracker.end("FINISHED");
  }
  assert.ok([4_000, 8_000, 16_000].every((ms) => fired.has(ms)), `${[...fired]}`);
});
