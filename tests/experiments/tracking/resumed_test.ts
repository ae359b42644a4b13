import assert from "node:assert/strict";
import { join } from "node:path";
import { lockRun } from "../../../experiments/run/run_lock.ts";
import { parseAddress } from "../../../experiments/tracking/address.ts";
import { idTag } from "../../../experiments/tracking/description.ts";
import { FolderTracker } from "../../../experiments/tracking/folder_tracker.ts";
import { readRecord } from "../../../experiments/tracking/record.ts";
import { sendRun } from "../../../experiments/tracking/send.ts";
import { withFolder } from "../../folder.ts";
import { HostileServer, testHostile } from "./hostile_server.ts";

const patience = { maxRetries: 0, backoffFactor: 0, timeoutMs: 60_000 };
const about = {
  ...{ name: "a run", experiment: "x", user: null, source: "a test", gitBranch: null },
  ...{ parameterCount: null, dataset: null, standsFor: null },
};

/** Losses by step, and how the session ended. */
interface Session {
  readonly resumedAt?: number;
  readonly losses: readonly (readonly [step: number, loss: number])[];
  readonly ending: "FINISHED" | "FAILED" | "KILLED";
  readonly reason?: string;
}

/** A session of a run that no server hears of. */
async function session(run: string, { resumedAt, losses, ending, reason }: Session): Promise<void> {
  using lock = await lockRun(run);
  await using tracker = await FolderTracker.start(lock, {
    ...{ about, startedAt: new Date() },
    ...resumedAt !== undefined && { resumedAt },
  });
  for (const [step, loss] of losses) tracker.log({ step, loss });
  await new Promise((resolve) => setTimeout(resolve, 2)); // the next session has other times
  await tracker.end(ending, reason);
}

/** Sends what a server lacks; the requests that it took. */
async function sent(run: string, server: HostileServer) {
  const before = server.seen.length;
  for await (const _ of sendRun(run, { address: parseAddress(server.url, "--mlflow"), patience }));
  const posts = server.seen.slice(before).filter(({ method }) => method === "POST");
  return posts.map(({ path, body }) => ({ path, json: JSON.parse(body) }));
}

/** The points, tags and changes of status in some requests. */
function newsOf(requests: Awaited<ReturnType<typeof sent>>) {
  const logged = requests.filter(({ path }) => path.endsWith("runs/log-batch"));
  return {
    points: logged.flatMap(({ json }) => json.metrics ?? []),
    tags: logged.flatMap(({ json }) => json.tags ?? []) as { key: string; value: string }[],
    deleted: requests.filter(({ path }) => path.endsWith("delete-tag")).map(({ json }) => json.key),
    ends: requests.filter(({ path }) => path.endsWith("runs/update")).map(({ json }) => json),
  };
}

/** A server that finds the run that it has created. */
function testResumed(name: string, test: (run: string, server: HostileServer) => Promise<void>): void {
  let id: string | undefined;
  testHostile(name, ({ path, body }) => {
    if (path.endsWith("runs/create")) id = JSON.parse(body).tags[0].value;
    if (!path.endsWith("runs/search") || id === undefined) return undefined;
    return Response.json({ runs: [HostileServer.run({}, { tags: [{ key: idTag, value: id }] })] });
  }, (server) => withFolder((run) => test(run, server)));
}

testResumed(
  "sendRun() sends all that a resumed session measured of which no server heard",
  async (run, server) => {
    await session(run, { losses: [[1, 0.1], [2, 0.2], [3, 0.3]], ending: "KILLED" });
    const earlier = newsOf(await sent(run, server));
    await session(run, { resumedAt: 1, losses: [[2, 0.2], [3, 0.35], [4, 0.45]], ending: "KILLED" });
    const { points, ends } = newsOf(await sent(run, server));
    assert.deepEqual(points.map(({ step, value }) => [step, value]), [
      [1, 0.1],
      [2, 0.2],
      [3, 0.35],
      [4, 0.45],
    ]);
    // A server stores an identical point once.
    assert.deepEqual(points.slice(0, 2), earlier.points.slice(0, 2));
    const { endedAt } = (await readRecord(run))!;
    assert.deepEqual(ends, [{ run_id: "r1", status: "KILLED", end_time: endedAt }]);
    assert.ok(
      endedAt! > earlier.ends[0].end_time,
      "the server takes the end of the first session for that of the run",
    );
    assert.deepEqual(newsOf(await sent(run, server)), { points: [], tags: [], deleted: [], ends: [] });
  },
);

testResumed(
  "sendRun() sends a point once that a session measures anew after one that came less far",
  async (run, server) => {
    const losses = [[1, 0.1], [2, 0.2], [3, 0.3]] as const;
    await session(run, { losses, ending: "KILLED" });
    const { points } = newsOf(await sent(run, server));
    await session(run, { resumedAt: 1, losses: losses.slice(1, 2), ending: "KILLED" });
    await session(run, { resumedAt: 1, losses: losses.slice(1), ending: "FINISHED" });
    assert.deepEqual(newsOf(await sent(run, server)).points, points);
  },
);

testResumed(
  "sendRun() takes back what a run no longer is: failed, or resumed with another setting",
  async (run, server) => {
    const configure = (lr: number) => Deno.writeTextFile(join(run, "config.json"), JSON.stringify({ lr }));
    await configure(1);
    await session(run, { losses: [[1, 0.1]], ending: "FAILED", reason: "the memory is full" });
    const { tags } = newsOf(await sent(run, server));
    assert.equal(tags.find(({ key }) => key === "flow.failure")?.value, "the memory is full");
    await configure(2);
    await session(run, { resumedAt: 1, losses: [[2, 0.2]], ending: "KILLED" });
    const second = newsOf(await sent(run, server));
    assert.deepEqual(second.deleted, ["flow.failure"]);
    assert.equal(second.tags.find(({ key }) => key === "resumed.lr")?.value, "2");
    await configure(1);
    await session(run, { resumedAt: 2, losses: [[3, 0.3]], ending: "FINISHED" });
    assert.deepEqual(newsOf(await sent(run, server)).deleted, ["resumed.lr"]);
  },
);

let renamed = false;
testHostile(
  "sendRun() goes on with a run whose experiment has another name now",
  ({ path }) => {
    if (path.includes("runs/get?")) return Response.json({ run: ours });
    if (!renamed || !path.includes("get-by-name")) return undefined;
    return Response.json({ error_code: "RESOURCE_DOES_NOT_EXIST", message: "no" }, { status: 404 });
  },
  (server) =>
    withFolder(async (run) => {
      await session(run, { losses: [[1, 0.1]], ending: "KILLED" });
      await Deno.writeTextFile(
        join(run, "run.json"),
        JSON.stringify({ ...await readRecord(run), id: "an id" }),
      );
      await sent(run, server);
      renamed = true;
      await session(run, { resumedAt: 1, losses: [[2, 0.2]], ending: "FINISHED" });
      const requests = await sent(run, server);
      assert.deepEqual(requests.filter(({ path }) => path.endsWith("/create")), []);
      assert.equal(newsOf(requests).ends.at(-1).status, "FINISHED");
    }),
);

/** The run of that id as a server has it. */
const ours = HostileServer.run({}, { tags: [{ key: idTag, value: "an id" }] });
