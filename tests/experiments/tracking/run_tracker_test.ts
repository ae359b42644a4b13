import assert from "node:assert/strict";
import { join } from "node:path";
import { readMetrics } from "../../../experiments/run/metrics_log.ts";
import { lockRun } from "../../../experiments/run/run_folder.ts";
import { parseAddress } from "../../../experiments/tracking/choose_tracking.ts";
import { readRecord } from "../../../experiments/tracking/record.ts";
import {
  RunTracker,
  type TrackingStart,
  trySendingRun,
  type Waiting,
} from "../../../experiments/tracking/run_tracker.ts";
import { testInFolder } from "../../folder.ts";
import { replacing } from "../../replacing.ts";
import { type FakeMlflow, type Fault, pause, type Seen } from "./fake_mlflow.ts";
import { assertMirrored, valuesOf } from "./mirrored.ts";
import { send, session, testSending, usualStart } from "./sessions.ts";

testInFolder("RunTracker records lines with their time, gauges at intervals, and the end", async (run) => {
  const gauges = () => ({ "system/process_memory_megabytes": 5 });
  const before = Date.now();
  using lock = await lockRun(run);
  const tracker = await RunTracker.start(lock, { ...usualStart, gauges });
  assert.equal((await readRecord(run))?.status, "RUNNING");
  tracker.log({ step: 0, loss: 2 });
  tracker.log({ step: 1, train_loss: NaN });
  tracker.log({ step: 2, train_loss: 1 });
  await tracker.end("FINISHED");
  await tracker.end("KILLED");
  const [untrained, first, second] = await readMetrics(join(run, "metrics.jsonl"));
  assert.deepEqual(Object.keys(untrained), ["step", "loss", "time"]);
  assert.ok(before <= Number(first.time) && Number(first.time) <= Date.now());
  assert.deepEqual(first, { step: 1, train_loss: NaN, time: first.time, ...gauges() });
  assert.deepEqual(second, { step: 2, train_loss: 1, time: second.time });
  const record = (await readRecord(run))!;
  assert.deepEqual([record.status, record.startedAt], ["FINISHED", usualStart.startedAt.getTime()]);
  assert.ok(record.endedAt! >= before);
  const message = /^Cannot start a run in .*: another program just started one there/;
  await assert.rejects(RunTracker.start(lock, usualStart), { name: "RunError", message });
  assert.equal((await readRecord(run))?.status, "FINISHED");
});

testInFolder(
  "RunTracker measures and ends runs even if the clock is set back, and records failures",
  async (run) => {
    const { now } = Date;
    let measured = 0;
    const gauges = () => ({ "system/process_memory_megabytes": ++measured });
    using lock = await lockRun(run);
    await using tracker = await RunTracker.start(lock, { ...usualStart, startedAt: new Date(), gauges });
    tracker.log({ step: 1, train_loss: 1 });
    const before = performance.now();
    for (const [step, days] of [[2, -1], [3, 1], [4, -1]]) {
      using _ = replacing(
        [performance, { now: () => before + 11_000 }],
        [Date, { now: () => now() + days * 24 * 3600e3 }],
      );
      tracker.log({ step, train_loss: 1 });
      assert.equal(measured, 2);
    }
    using _ = replacing([Date, { now: () => now() - 24 * 3600e3 }]);
    await assert.rejects(
      tracker.during(() => Promise.reject(new Error("the loss is NaN"))),
      /the loss is NaN/,
    );
    const { startedAt, endedAt, status, reason } = (await readRecord(run))!;
    assert.deepEqual([endedAt, status, reason], [startedAt, "FAILED", "the loss is NaN"]);
  },
);

testInFolder(
  "RunTracker repeats a line exactly if a resumed session measures the same values",
  async (run) => {
    const linesOf = async () => (await Deno.readTextFile(join(run, "metrics.jsonl"))).split("\n");
    const losses = [1, NaN, 3, 4].map((loss, i) => ({ step: i + 1, loss, elapsed_seconds: i }));
    await session(run, losses, { ending: "KILLED" });
    const before = await linesOf();
    const { id } = (await readRecord(run))!;
    await pause(5); // so that the times differ
    const again = [NaN, 3, 5].map((loss, i) => ({ step: i + 2, loss, elapsed_seconds: 20 + 10 * i }));
    await session(run, again, { startedAt: new Date(), resumedAt: 1 });
    const after = await linesOf();
    assert.deepEqual(after.slice(0, 3), before.slice(0, 3));
    assert.match(after[3], /"loss":5,"elapsed_seconds":40/);
    const record = (await readRecord(run))!;
    const kept = [id, usualStart.startedAt.getTime(), "FINISHED"];
    assert.deepEqual([record.id, record.startedAt, record.status], kept);
    const names = (await Array.fromAsync(Deno.readDir(run))).map(({ name }) => name);
    const replaced = names.find((name) => name.startsWith("metrics-replaced-"))!;
    assert.equal(await Deno.readTextFile(join(run, replaced)), before.slice(1).join("\n"));
  },
);

const patience = { maxRetries: 4, backoffFactor: 0.02, timeoutMs: 5_000 };
const waits: Waiting = { lookMs: 20, outageMs: 50, patienceMs: 3_000 };

/** Chooses a server and gives up on it soon. */
const choiceOf = ({ url }: FakeMlflow, change: Partial<typeof patience> = {}) => ({
  target: { address: parseAddress(url, "the address"), patience: { ...patience, ...change } },
  experiment: "x",
});

/** Mirrors a run of 60 lines and a few files like those of training. @returns the tracker's messages */
async function shortRun(run: string, choice: TrackingStart["choice"], waiting = waits): Promise<string[]> {
  const said: string[] = [];
  const sizes = { channels: 1, height: 2, width: 2, classes: 0, train: 3, validation: 2, test: 1 };
  const dataset = { name: "data", digest: "0123456789abcdef", source: "somewhere", ...sizes };
  const about = { source: "a test", parameterCount: 12, dataset };
  const write = (name: string, size: number, value: number) =>
    Deno.writeFile(join(run, name), new Uint8Array(size).fill(value));
  using lock = await lockRun(run);
  const config = { model: "base", filters: [4, 8], lr: 1e-3, name: null, resume: null, mlflow: null };
  await Deno.writeTextFile(join(run, "config.json"), JSON.stringify(config));
  const say = (message: string) => said.push(message);
  await using tracker = await RunTracker.start(lock, { startedAt: new Date(), choice, about, say, waiting });
  await Deno.mkdir(join(run, "samples"));
  for (let step = 1; step <= 60; step++) {
    const odd = step === 7 ? NaN : step === 8 ? Infinity : step === 9 ? -Infinity : 1 / step;
    tracker.log({ step, train_loss: odd, learning_rate: step === 10 ? 1e-40 : 1e-3 });
    if (step % 20 === 0) {
      await write(`samples/${step}.png`, 3, step);
      tracker.log({ step, "image/samples": `samples/${step}.png` });
    }
    if (step % 15 === 0) await write("last.safetensors", 20_000, step);
    await pause(4);
  }
  await write("a name with ümläut & spaces.bin", 300_000, 7);
  await tracker.end("FINISHED");
  return said;
}

testSending("RunTracker mirrors a run in progress, and the rest of it at its end", async (run, server) => {
  const calm = { ...waits, patienceMs: 60_000 }; // on a busy machine
  const said = await shortRun(run, { ...choiceOf(server, { timeoutMs: 60_000 }), runName: "a name" }, calm);
  const { info, data } = await assertMirrored(server, "x", run);
  const page = `${server.url}/#/experiments/1/runs/r1?workflowType=machine_learning`;
  assert.deepEqual(said, [`MLflow shows the run at ${page}`]);
  assert.equal(info.run_name, "a name");
  const { "mlflow.note.content": note, ...tags } = valuesOf(data.tags);
  assert.match(note, /^\*\*base U-Net\*\*, channels 4, 8, 12 parameters, trained on 3 images of data/);
  assert.deepEqual([tags["mlflow.source.name"], tags["mlflow.loggedImages"]], ["a test", "True"]);
  const order = server.seen.map(({ path }) => path.split("/").at(-1)!.split("?")[0]);
  assert.equal(order.filter((name) => name === "create").length, 2, "an experiment and a run");
  assert.deepEqual(server.sent("runs/update").map(({ status }) => status), ["FINISHED"]);
  assert.equal(order.at(-1), "update", "the end is not sent last");
  const logged = server.sent("runs/log-batch").map(({ metrics = [] }) => metrics)
    .filter(([point]) => point && point.model_id === undefined);
  assert.ok(logged.length > 1, "nothing is sent before the end");
  assert.equal(logged.flat().length, 120, "a point is sent twice");
});

// The fault, and whether every request has it, or only the creation of the run and then every third request.
const faults: [what: string, fault: () => Fault | Response, always: boolean][] = [
  ["sometimes responds with 500", () => new Response("oops", { status: 500 }), false],
  [
    "always responds with 429",
    () => new Response("", { status: 429, headers: { "retry-after": "0.05" } }),
    true,
  ],
  ["sometimes hangs", () => "hang", false],
  ["always drops the connection", () => "refuse", true],
  ["sometimes drops the connection after doing the work", () => "cut", false],
];
for (const [what, fault, always] of faults) {
  const isHit = ({ path }: Seen, count: number) =>
    always || count % 3 === 1 || (path.endsWith("runs/create") && count < 8);
  testSending(
    `nothing is lost or doubled if a server ${what}, in the run or in sync after it`,
    async (run, server) => {
      const said = await shortRun(run, choiceOf(server, what.endsWith("hangs") ? { timeoutMs: 100 } : {}));
      if (always) {
        assert.match(said.at(-1)!, /^MLflow: .*; deno task sync .* --mlflow http:.* sends the rest$/);
        assert.equal(said.filter((line) => line.includes("training continues")).length, 1, said.join("\n"));
      }
      server.answer = () => undefined;
      await send(run, server);
      await assertMirrored(server, "x", run);
    },
    (seen, count) => isHit(seen, count) ? fault() : undefined,
  );
}

testSending("RunTracker asks a server less and less often while it is down", async (run, server) => {
  const waiting = { lookMs: 10, outageMs: 60_000, patienceMs: 1_000 };
  await shortRun(run, choiceOf(server, { maxRetries: 0 }), waiting);
  const attempts = server.seen.length; // without longer pauses, there would be more than 20
  assert.ok(attempts >= 4 && attempts <= 15, `${attempts} attempts`);
}, () => new Response("", { status: 503 }));

const unreachable = "cannot be reached \\(.+\\)";
for (
  const [answer, why, atEnd] of [
    ["refuse", unreachable, unreachable],
    ["hang", "does not respond", "no longer accepts data"],
  ] as const
) {
  testSending(
    `RunTracker reports at the start that a server fails (${answer}), and at the end`,
    async (run, server) => {
      const said: string[] = [];
      const first = Promise.withResolvers<void>();
      using lock = await lockRun(run);
      await using tracker = await RunTracker.start(lock, {
        ...usualStart,
        choice: choiceOf(server, { maxRetries: 7, backoffFactor: 1e6 }), // the second retry is minutes away
        waiting: { ...waits, patienceMs: 100 },
        say: (line) => said.push(line) === 1 && first.resolve(),
      });
      await first.promise;
      await tracker.end("FINISHED");
      const sync = RegExp.escape(`deno task sync ${run} --mlflow ${server.url}`);
      assert.equal(said.length, 2);
      assert.match(said[0], new RegExp(`^MLflow: ${server.url} ${why}; training continues, .*${sync}$`));
      assert.match(said[1], new RegExp(`^MLflow: ${server.url} ${atEnd}; ${sync} sends the rest$`));
    },
    () => answer,
  );
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
  while (server.sent("runs/log-batch").every(({ metrics }) => !metrics)) await pause(5);
  await tracker.end("FINISHED");
  const points = server.sent("runs/log-batch").flatMap(({ metrics = [] }) => metrics);
  assert.deepEqual(points.map(({ value }) => value), [1, 12, 13, 14, 15]);
  assert.deepEqual(server.sent("runs/update").map(({ status }) => status), ["RUNNING", "FINISHED"]);
});

testSending("a dead server delays the end of a task by 10 seconds", async (run, server) => {
  const { setTimeout } = globalThis;
  let longest = 0; // duration of the longest timer that fired, in milliseconds
  const faster = (call: () => void, ms = 0) =>
    // a hundred times as fast
    setTimeout(() => (longest = Math.max(longest, ms), call()), ms / 100);
  using _ = replacing([globalThis, { setTimeout: faster }]);
  const choice = choiceOf(server, { maxRetries: 7, backoffFactor: 2, timeoutMs: 120_000 });
  const lines: string[] = [];
  const say = (line: string) => lines.push(line);
  for (const answer of ["hang", new Response("", { status: 503 })] as const) {
    server.answer = () => answer;
    await Deno.remove(run, { recursive: true });
    await Deno.mkdir(run);
    await session(run, [{ step: 1, loss: 1 }], { choice, say });
    await trySendingRun(run, choice.target, say);
  }
  assert.ok(longest <= 10_000, `${longest}`);
  const rest = `; deno task sync ${run} --mlflow ${server.url} sends the rest`;
  for (const why of ["no longer accepts data", "responded with 503"]) {
    const told = lines.filter((line) => line.includes(`${server.url} ${why}`) && line.endsWith(rest));
    assert.equal(told.length, 2, lines.join("\n"));
  }
});
