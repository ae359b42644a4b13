import assert from "node:assert/strict";
import { awaitedClient, backoffMs, type MlflowClient } from "../../../experiments/tracking/mlflow_client.ts";
import { parseAddress } from "../../../experiments/tracking/choose_tracking.ts";
import { freePort } from "../../free_port.ts";
import { replacing } from "../../replacing.ts";
import { FakeMlflow, pause, testOnFake } from "./fake_mlflow.ts";
import { clientAt } from "./sessions.ts";

const get = (client: MlflowClient) => client.call("runs/get", { run_id: "r1" });

Deno.test("backoffMs() doubles after the second retry, with jitter and a limit", () => {
  assert.deepEqual([1, 2, 3, 4].map((retry) => backoffMs(retry, 2, 0)), [0, 4_000, 8_000, 16_000]);
  assert.deepEqual([backoffMs(1, 2, 0.5), backoffMs(20, 2, 0.5)], [500, 120_000]);
});

testOnFake("MlflowClient retries as MLflow's client does, and work as a whole", async (server) => {
  const retries = { maxRetries: 3, backoffFactor: 0 };
  const answering = (...statuses: number[]) => statuses.map((status) => () => new Response("", { status }));
  // Responses, and the number of attempts.
  for (
    const [answers, attempts] of [
      [[...answering(408, 429, 500, 502, 503, 504), () => "refuse", () => "cut"], 4],
      [answering(400, 401, 403, 404, 301), 1],
    ] as const
  ) {
    for (const answer of answers) {
      server.answer = answer as () => Response;
      server.seen.length = 0;
      await assert.rejects(get(clientAt(server.url, retries)), { name: "ServerError" });
      assert.equal(server.seen.length, attempts, `${answer}`);
    }
  }
  server.answer = (_, count) => count < 2 ? new Response("", { status: 503 }) : Response.json({ a: 1 });
  server.seen.length = 0;
  const client = clientAt(server.url, retries);
  const seen: unknown[] = [];
  client.onRetry = ({ details }, retry) => seen.push([details.status, retry]);
  assert.deepEqual(await get(client), { a: 1 });
  assert.deepEqual(seen, [[503, 1], [503, 2]]);
  // Two calls, of which the second always fails.
  server.seen.length = 0;
  server.answer = ({ path }) => path.includes("get") ? Response.json({}) : new Response("", { status: 503 });
  await assert.rejects(client.retry(async () => [await get(client), await client.call("runs/create", {})]));
  assert.deepEqual(server.seen.map(({ method }) => method).join(), "GET,POST,GET,POST,GET,POST,GET,POST");
});

testOnFake(
  "MlflowClient waits as long as a server asks, but not longer than an attempt may take",
  async (server) => {
    for (const [asked, waited] of [["0.1", 100], ["1000000000", 9_000], ["soon", 0]] as const) {
      server.answer = () => new Response("later", { status: 429, headers: { "retry-after": asked } });
      const client = clientAt(server.url, { timeoutMs: 9_000, backoffFactor: 0 });
      const waits: number[] = [];
      client.pause = (ms) => Promise.resolve(void waits.push(ms));
      await assert.rejects(get(client), /responded with 429/);
      assert.deepEqual(waits, [waited], asked);
    }
  },
);

Deno.test("awaitedClient() says once how long it goes on trying", async () => {
  const said: string[] = [];
  using _ = replacing([console, { error: (line: string) => said.push(line) }]);
  const address = parseAddress(`http://127.0.0.1:${freePort()}`, "the address"); // nobody listens there
  const client = awaitedClient({
    address,
    patience: { maxRetries: 7, backoffFactor: 2, timeoutMs: 120_000 },
  });
  client.pause = () => Promise.resolve();
  await assert.rejects(get(client), /cannot be reached/);
  assert.equal(said.length, 1);
  // 0 + 4 + 8 + ... + 64 + 120 s
  assert.match(
    said[0],
    /^http:\S+ cannot be reached \(.+\); trying for another 4\.1 minutes \(MLFLOW_HTTP_REQ/,
  );
});

testOnFake(
  "giveUpAfter() ends pauses and stalled requests, but not an upload that makes progress",
  async (server) => {
    let state: "busy" | "hang" = "busy";
    server.answer = ({ method }) =>
      method === "PUT" ? undefined : state === "busy" ? new Response("", { status: 503 }) : "hang";
    const client = clientAt(server.url, { maxRetries: 9, backoffFactor: 1e6 });
    const retried = Promise.withResolvers<void>();
    client.onRetry = (_, retry) => retry === 2 && retried.resolve(); // the second pause takes minutes
    const paused = assert.rejects(get(client), /^ServerError: http:\S+ responded with 503/);
    await retried.promise;
    await pause(50);
    using _ = client.giveUpAfter(1_000);
    await paused;
    assert.equal(server.seen.length, 3, "the pause did not end");
    state = "hang";
    const other = clientAt(server.url, { timeoutMs: 60_000 });
    using __ = other.giveUpAfter(1_000);
    async function* slowly(onPiece: () => void) {
      for (let byte = 0; byte < 15; byte++) {
        await pause(100);
        onPiece();
        yield Uint8Array.of(byte);
      }
    }
    await other.putArtifact(
      "mlflow-artifacts:/1/r1/artifacts",
      "a",
      (onPiece) => ReadableStream.from(slowly(onPiece)),
    );
    await assert.rejects(get(other), /no longer accepts data$/);
  },
);

testOnFake(
  "MlflowClient says in one line why a server rejects a request, without secrets",
  async (server) => {
    const json = (message: string, error_code = "BAD_REQUEST") => JSON.stringify({ error_code, message });
    const advice = "; if it needs credentials, set ";
    const moved = "redirects elsewhere (301); use the address of the MLflow server itself";
    // The status, the body, and the messages without and with credentials.
    const cases: [status: number, body: string, plain: string, secret: string][] = [
      [401, "Not authenticated", `responded with 401: Unauthorized${advice}`, `responded with 401${advice}`],
      [
        403,
        json("No\n  quota"),
        `responded with 403: No quota${advice}`,
        `responded with 403: BAD_REQUEST${advice}`,
      ],
      [413, "<html><title>s3cret</title>", "responded with 413: Payload Too Large", "responded with 413"],
      [400, json("s3cret", "no s3cret"), "responded with 400: s3cret", "responded with 400"],
      [
        400,
        json("no ".repeat(200)),
        `responded with 400: ${"no ".repeat(100).trim()}`,
        "responded with 400: BAD_REQUEST",
      ],
      [301, "https://host.example/s3cret", moved, moved],
      [200, "<html>", "is not an MLflow server: it does not respond with JSON", "is not an MLflow server"],
      [200, '{"a":1}', 'is not an MLflow server: it does not respond with "run"', "is not an MLflow server"],
    ];
    for (const [status, body, plain, secret] of cases) {
      server.answer = () =>
        new Response(status === 301 ? null : body, { status, headers: { location: body } });
      for (
        const [address, says] of [[server.url, plain], [server.url.replace("//", "//me:s3cret@"), secret]]
      ) {
        const request = clientAt(address, { maxRetries: 0 }).get("run", "runs/get", {});
        await assert.rejects(request, ({ message }: Error) => {
          assert.ok(message.startsWith(`${server.url} ${says}`) && !message.includes("\n"), message);
          return !message.includes("s3cret") || address === server.url;
        });
      }
    }
  },
);

testOnFake("MlflowClient sends credentials only to its server", async (server) => {
  await using other = await FakeMlflow.start(() => Response.json({ a: 1 }));
  server.answer = () => new Response(null, { status: 307, headers: { location: `${other.url}/x` } });
  await assert.rejects(get(clientAt(server.url.replace("//", "//me:s3cret@"))), /redirects elsewhere/);
  assert.equal(server.seen[0].authorization, `Basic ${btoa("me:s3cret")}`);
  assert.deepEqual(other.seen, []);
});

testOnFake(
  "MlflowClient finds experiments and artifacts, and puts files where they belong",
  async (server) => {
    const client = clientAt(server.url);
    server.answer = (_, count) =>
      // another program creates it in the meantime
      count > 0 ? undefined : Response.json({ error_code: "RESOURCE_DOES_NOT_EXIST" }, { status: 404 });
    await server.post("experiments/create", { name: "x" });
    assert.equal(await client.ensureExperiment("x"), "1");
    server.answer = () => Response.json({ experiment: { experiment_id: "1", lifecycle_stage: "deleted" } });
    await assert.rejects(client.ensureExperiment("x"), /has deleted the experiment x; restore it there/);
    server.answer = () => undefined;
    const { info } = await client.get<
      { info: { run_id: string; experiment_id: string; artifact_uri: string } }
    >(
      "run",
      "runs/create",
      { experiment_id: "1", tags: [] },
    );
    for (const path of ["a b#.txt", "c/d%/e"]) await client.putArtifact(info.artifact_uri, path, () => path);
    assert.deepEqual([...await client.artifacts(info)], [["a b#.txt", 8], ["c/d%/e", 6]]);
    const elsewhere = { ...info, artifact_uri: "s3://x" };
    assert.equal((await client.artifacts(elsewhere)).size, 0);
    await assert.rejects(
      client.putArtifact("s3://x", "a", () => ""),
      /stores artifacts elsewhere .* --serve-artifacts$/,
    );
    const entries = Array.from({ length: 1001 }, (_, step) => ({ key: "x", value: 1, timestamp: 1, step }));
    await client.log(info.run_id, "metrics", entries);
    assert.deepEqual(server.sent("runs/log-batch").map(({ metrics }) => metrics.length), [1000, 1]);
  },
);
