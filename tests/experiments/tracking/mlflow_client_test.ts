import assert from "node:assert/strict";
import { batches, MlflowClient } from "../../../experiments/tracking/mlflow_client.ts";
import { replacing } from "../../replacing.ts";
import { FakeMlflow, testOnFake } from "./fake_mlflow.ts";
import { assertEnds, serverAt } from "./sessions.ts";

const clientOf = ({ url }: FakeMlflow) => new MlflowClient(serverAt(url));

testOnFake(
  "MlflowClient.searchRuns() reads all pages, but rejects endless lists",
  async (server) => {
    const { now } = performance;
    let skippedMs = 0; // added to the clock, so that nobody has to wait
    using _ = replacing([performance, { now: () => now.call(performance) + skippedMs }]);
    for (const [pageMs, most] of [[0, 200], [20_000, 8]]) {
      server.answer = (_, page) => {
        skippedMs += pageMs;
        return Response.json({ next_page_token: `${page}` });
      };
      server.seen.length = 0;
      await assertEnds(clientOf(server).searchRuns("1"), /returns an endless list/);
      assert.ok(server.seen.length <= most, `${server.seen.length} requests`);
    }
    const pages = ["r1", "r2"].map((run_id) => ({ runs: [FakeMlflow.run({ run_id })] }));
    server.answer = ({ body }) =>
      Response.json(JSON.parse(body).page_token === "2" ? pages[1] : { ...pages[0], next_page_token: "2" });
    assert.deepEqual((await clientOf(server).searchRuns("1")).map(({ info }) => info.run_id), ["r1", "r2"]);
  },
);

testOnFake("MlflowClient.points() returns the id of each point, and rejects other lists", async (server) => {
  const metrics = [{ timestamp: 4 }, { step: 1, timestamp: 5, value: "NaN" }];
  server.answer = ({ path }) =>
    Response.json({ metrics: path.includes("metric_key=a+b") ? metrics : [{ step: {} }] });
  assert.deepEqual([...await clientOf(server).points("r1", "a b")], ["0 4", "1 5"]);
  await assertEnds(clientOf(server).points("r1", "bad"), /does not respond with an object with metrics/);
});

testOnFake(
  "MlflowClient.artifacts() terminates for any lists from a server",
  async (server) => {
    const folder = (path: string) => ({ path, is_dir: true });
    const cases: [(path: string) => unknown, RegExp, number][] = [
      [() => [folder("a")], /is not an MLflow server: it lists "a" in the folder "a"/, 2],
      [(path) => [folder(path === "" ? "a" : "..")], /lists ".." in the folder "a"/, 2],
      [(path) => [folder(path === "" ? "a" : "ab/c")], /lists "ab\/c" in the folder "a"/, 2],
      [() => [{ path: "../secret" }], /lists "..\/secret" in the folder ""/, 1],
      [() => [folder("..")], /lists ".." in the folder ""/, 1],
      [(path) => [folder(path === "" ? "a" : `${path}/a`)], /an endless list/, 25],
      [
        (path) => Array.from({ length: 9 }, (_, i) => folder(`${path && `${path}/`}${i}`)),
        /an endless list/,
        500,
      ],
    ];
    for (const [list, says, most] of cases) {
      server.seen.length = 0;
      server.answer = ({ path }) =>
        Response.json({ files: list(new URLSearchParams(path.split("?")[1]).get("path") ?? "") });
      await assertEnds(clientOf(server).artifacts("r1"), says);
      assert.ok(server.seen.length <= most, `${says}: ${server.seen.length} requests`);
    }
  },
);

testOnFake(
  "MlflowClient.artifact() never leaves the artifacts API, regardless of the path from a server",
  async (server) => {
    server.answer = () => new Response("file");
    const client = clientOf(server);
    for (
      const uri of ["mlflow-artifacts:/../../../secret", "mlflow-artifacts:/1/./x", "mlflow-artifacts:/.."]
    ) {
      await assertEnds(client.artifact(uri, "x"), /names an artifact outside its artifacts/);
      await assertEnds(client.putArtifact(uri, "x", () => "body"), /names an artifact outside its artifacts/);
    }
    await assertEnds(client.artifact("mlflow-artifacts:/1", "a/../../x"), /outside its artifacts/);
    assert.equal(server.seen.length, 0);
    await client.artifact("mlflow-artifacts:/1", "a%2e%2e/\ud800 \\..\\ b?c#d\n");
    assert.ok(server.seen[0].path.startsWith("/api/2.0/mlflow-artifacts/artifacts/1/a%252e%252e/"));
    await assertEnds(client.artifact("s3://\x1b[2J/x", "x"), /stores artifacts elsewhere \(s3:\)/);
  },
);

testOnFake(
  "MlflowClient rejects responses without required fields",
  async (server) => {
    const client = clientOf(server);
    const says = /^http:\S+ is not an MLflow server: it does not respond with (JSON|an object with \w+)/;
    const calls = {
      experiment: () => client.experiment("x"),
      ensureExperiment: () => client.ensureExperiment("x"),
      getRun: () => client.callIfThere("runs/get", { run_id: "r1" }),
      createRun: () => client.call("runs/create", { experiment_id: "1" }),
      searchRuns: () => client.searchRuns("1"),
      artifacts: async () => [...await client.artifacts("r1")],
    };
    const badRuns = [
      ...[null, [], {}],
      ...[{ run_id: 7 }, { run_id: "" }, { run_id: "\ud800" }, { start_time: "soon" }, { status: [] }]
        .map((info) => FakeMlflow.run(info)),
      ...[{ metrics: {} }, { params: [null] }, { tags: [{ key: 1 }] }].map((data) =>
        FakeMlflow.run({}, data)
      ),
    ].map((run) => JSON.stringify({ run, runs: [run], files: [run] }));
    const bad = ["null", "[]", '"text"', "7", "<html>", "", "{}"];
    for (const text of [...bad, ...badRuns]) {
      server.answer = () => new Response(text);
      for (const [name, call] of Object.entries(calls)) {
        if (text === "{}" && ["searchRuns", "artifacts"].includes(name)) assert.deepEqual(await call(), []);
        else await assertEnds(call(), says).catch((error) => assert.fail(`${name}, ${text}: ${error}`));
      }
    }
  },
);

testOnFake(
  "MlflowClient.ensureExperiment() uses one that another program just created, but not a deleted one",
  async (server) => {
    server.answer = (_, count) =>
      count > 0 ? undefined : Response.json({ error_code: "RESOURCE_DOES_NOT_EXIST" }, { status: 404 });
    await server.post("experiments/create", { name: "x" });
    assert.equal(await clientOf(server).ensureExperiment("x"), "1");
    server.answer = () => Response.json({ experiment: { experiment_id: "1", lifecycle_stage: "deleted" } });
    await assertEnds(
      clientOf(server).ensureExperiment("x"),
      /has deleted the experiment x; restore it there/,
    );
  },
);

testOnFake(
  "MlflowClient.logAll() skips rejected entries, and soon gives up if everything is rejected",
  async (server) => {
    server.answer = () =>
      Response.json({ error_code: "INVALID_PARAMETER_VALUE", message: "no" }, { status: 400 });
    const entries = Array.from({ length: 1000 }, (_, step) => ({ key: "x", value: 1, timestamp: 1, step }));
    const refused = new Set<unknown>();
    await clientOf(server).logAll("r1", "metrics", entries, (entry) => refused.add(entry));
    assert.equal(refused.size, 1000);
    assert.ok(server.seen.length < 100, `${server.seen.length} requests`);

    refused.clear();
    const answer = server.answer;
    server.answer = (seen, count) =>
      JSON.parse(seen.body).metrics.includes(7) ? answer(seen, count) : Response.json({});
    await clientOf(server).logAll("r1", "metrics", [5, 6, 7, 8] as never[], (entry) => refused.add(entry));
    assert.deepEqual([...refused], [7]);
    const batches = server.sent("runs/log-batch").slice(-3).map(({ metrics }) => metrics);
    assert.deepEqual(batches, [[7, 8], [7], [8]]);
  },
);

testOnFake(
  "MlflowClient.logAll() distinguishes a deleted run from a rejected entry named active",
  async (server) => {
    const refused: string[] = [];
    const log = (runId: string, message: string) => {
      server.answer = () =>
        Response.json({ error_code: "INVALID_PARAMETER_VALUE", message }, { status: 400 });
      const entry = { key: "active", value: "1" };
      return clientOf(server).logAll(runId, "params", [entry], ({ key }) => refused.push(key));
    };
    await log("r1", "Changing param values is not allowed. Param with key='active' was already logged");
    assert.deepEqual(refused, ["active"]);
    const deleted = "The run r1 must be in the 'active' state. Current state is deleted.";
    await assertEnds(log("r1", deleted), /must be in the 'active' state/);
  },
);

Deno.test("batches() preserves the order and respects both limits", () => {
  const entries = Array.from({ length: 2500 }, (_, i) => ({ key: `k${i}`, value: "v" }));
  const all = batches(entries, 1000);
  assert.deepEqual(all.map(({ length }) => length), [1000, 1000, 500]);
  assert.deepEqual(all.flat(), entries);
  const long = Array.from({ length: 10 }, (_, i) => ({ key: `k${i}`, value: "ü".repeat(200) }));
  const short = batches(long, 100, 1000);
  assert.deepEqual(short.flat(), long);
  for (const batch of short) {
    assert.ok(new TextEncoder().encode(JSON.stringify(batch)).length <= 1000 + 2);
  }
  assert.deepEqual(batches([], 100), []);
  assert.deepEqual(batches(["too long for any request"], 100, 5), [["too long for any request"]]);
});
