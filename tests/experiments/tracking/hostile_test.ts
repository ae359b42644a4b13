import assert from "node:assert/strict";
import { MlflowClient } from "../../../experiments/tracking/client.ts";
import { HttpServer, ServerError } from "../../../experiments/tracking/http.ts";
import { parseAddress } from "../../../experiments/tracking/address.ts";
import { type Answer, endless, HostileServer, testHostile } from "./hostile_server.ts";

/** A busy machine may take seconds for an answer. */
const patience = { maxRetries: 1, backoffFactor: 0.01, timeoutMs: 60_000 };

function clientOf(
  { url }: HostileServer,
  timeoutMs = patience.timeoutMs,
  signal?: AbortSignal,
): MlflowClient {
  return new MlflowClient(new HttpServer(parseAddress(url, "--mlflow"), { ...patience, timeoutMs }), signal);
}

/** Asserts that something is refused as an error of the server, in one line. */
async function assertEnds(promise: Promise<unknown>, says: RegExp): Promise<void> {
  await assert.rejects(promise, (error: Error) => {
    assert.ok(error instanceof ServerError, `${error.stack}`);
    assert.match(error.message, says);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}

let pages = 0;
/** Milliseconds by which the clock goes ahead: nobody waits for them. */
let skippedMs = 0;
const lists: Record<string, [Answer, RegExp, most: number]> = {
  "repeats a page": [() => Response.json({ runs: [], next_page_token: "again" }), /a page comes twice/, 2],
  "never ends its pages": [
    () => Response.json({ runs: [], next_page_token: `${pages++}` }),
    /more than 200 pages/,
    200,
  ],
  "ends its pages late": [
    () => {
      skippedMs += 20_000;
      return Response.json({ runs: [], next_page_token: `${pages++}` });
    },
    /take too long/,
    8,
  ],
};
for (const [what, [answer, says, most]] of Object.entries(lists)) {
  testHostile(`MlflowClient.searchRuns() ends where a server ${what}`, answer, async (server) => {
    const { now } = performance;
    using _ = { [Symbol.dispose]: () => void (performance.now = now) };
    performance.now = () => now.call(performance) + skippedMs;
    await assertEnds(clientOf(server).searchRuns("1"), says);
    assert.ok(server.seen.length <= most, `${server.seen.length} requests`);
  });
}

const folder = (path: string) => ({ path, is_dir: true });
const asked = (path: string) => new URLSearchParams(path.split("?")[1]).get("path") ?? "";
const artifactLists: Record<string, [(path: string) => unknown, RegExp, most: number]> = {
  "contain themselves": [() => [folder("a")], /is not an MLflow server: it lists "a" in the folder "a"/, 2],
  "contain the folder above": [
    (path) => [folder(path === "" ? "a" : "..")],
    /lists ".." in the folder "a"/,
    2,
  ],
  "lead out": [() => [{ path: "../secret" }], /lists "..\/secret" in the folder ""/, 1],
  "lead to the top": [() => [folder("..")], /lists ".." in the folder ""/, 1],
  "grow deeper without end": [(path) => [folder(path === "" ? "a" : `${path}/a`)], /without end/, 25],
  "grow wider without end": [
    (path) => Array.from({ length: 9 }, (_, i) => folder(`${path && `${path}/`}${i}`)),
    /without end/,
    500,
  ],
};
for (const [what, [list, says, most]] of Object.entries(artifactLists)) {
  testHostile(
    `MlflowClient.artifacts() ends where lists ${what}`,
    ({ path }) => Response.json({ files: list(asked(path)) }),
    async (server) => {
      await assertEnds(clientOf(server).artifacts("r1"), says);
      assert.ok(server.seen.length <= most, `${server.seen.length} requests`);
    },
  );
}

testHostile(
  "MlflowClient.artifact() stays below the API of artifacts, wherever the server says they are",
  () => new Response("file"),
  async (server) => {
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
    await assertEnds(client.artifact("s3://\x1b[2J/x", "x"), /keeps artifacts elsewhere \(s3:\)/);
  },
);

testHostile(
  "HttpServer stops reading an answer of gigabytes",
  ({ path }) => endless("[".repeat(1 << 20), { bytes: path.endsWith("error") ? 1e12 : 5e9 }),
  async (server) => {
    const client = clientOf(server);
    await assertEnds(client.searchRuns("1"), /answers with more than 64 MiB/);
    await assertEnds(client.artifact("mlflow-artifacts:/1", "x"), /answers with more than 512 MiB/);
  },
);

testHostile(
  "HttpServer cuts the text of an error",
  () => new Response(endless("no ", { bytes: 5e9 }).body, { status: 400 }),
  (server) => assertEnds(clientOf(server).searchRuns("1"), /answered 400: no no .{200,300}$/),
);

testHostile(
  "HttpServer waits for a download that goes on, and not for one that drips",
  ({ path }) =>
    path.endsWith("slow")
      ? endless("x".repeat(2048), { bytes: 40 * 2048, ms: 100 })
      : endless("x", { bytes: 1e4, ms: 50 }),
  async (server) => {
    const client = clientOf(server, 3_000);
    const slow = async () =>
      assert.equal((await client.artifact("mlflow-artifacts:/1", "slow")).length, 40 * 2048);
    await Promise.all([
      slow(), // takes 4 s
      assertEnds(client.artifact("mlflow-artifacts:/1", "drips"), /did not answer within 3 s/),
      assertEnds(client.searchRuns("1"), /did not answer within 3 s/),
    ]);
  },
);

testHostile(
  "HttpServer tells of the pieces of a file that a server accepts, before it answers",
  () => undefined,
  async (server) => {
    const http = new HttpServer(parseAddress(server.url, "--mlflow"), patience);
    let told = 0;
    http.onProgress = () => told++;
    const body = () => ReadableStream.from([1, 2, 3].map((byte) => Uint8Array.of(byte)));
    await http.request("PUT", "/x", { content: { type: "application/octet-stream", body } });
    assert.equal(told, 3 + 1);
  },
);

testHostile(
  "HttpServer does not wait longer than an attempt may take, whatever the server asks for",
  () => new Response("later", { status: 429, headers: { "retry-after": "1e9" } }),
  async (server) => {
    const client = clientOf(server, 200);
    const waits: number[] = [];
    client.http.pauses.pause = (ms) => Promise.resolve(void waits.push(ms));
    await assertEnds(client.searchRuns("1"), /answered 429: later/);
    assert.deepEqual(waits, [200]);
  },
);

testHostile(
  "HttpServer hears at once that it is to stop",
  () => endless("x".repeat(2048), { bytes: 1e9, ms: 20 }),
  async (server) => {
    const stop = new AbortController();
    const download = clientOf(server, 600_000, stop.signal).artifact("mlflow-artifacts:/1", "x");
    const refused = assert.rejects(download, { message: "stopped" });
    setTimeout(() => stop.abort(new Error("stopped")), 100);
    await refused;
  },
);

const wrong = ["null", "[]", "{}", '"text"', "7", "<html>", ""];
for (const text of wrong) {
  testHostile(
    `MlflowClient takes ${text || "nothing"} for no answer`,
    () => new Response(text),
    async (server) => {
      const client = clientOf(server);
      const calls = [client.experiment("x"), client.ensureExperiment("x"), client.run("r1")];
      calls.push(client.createRun({ experiment_id: "1", run_name: "x", start_time: 1, tags: [] }));
      if (text !== "{}") {
        calls.push(client.searchRuns("1") as Promise<never>, client.artifacts("r1") as Promise<never>);
      }
      for (const call of await Promise.allSettled(calls)) {
        assert.ok(call.status === "rejected");
        await assertEnds(
          Promise.reject(call.reason),
          /is not an MLflow server: its answer (lacks|is not JSON)/,
        );
      }
    },
  );
}

testHostile(
  "MlflowClient checks the fields of runs",
  ({ body }) => Response.json({ runs: [JSON.parse(JSON.parse(body).filter)] }),
  async (server) => {
    const client = clientOf(server);
    const bad = [
      null,
      [],
      {},
      HostileServer.run({ run_id: 7 }),
      HostileServer.run({ run_id: null }),
      HostileServer.run({}, { metrics: {} }),
      HostileServer.run({}, { params: [null] }),
      HostileServer.run({}, { tags: [{ key: 1 }] }),
    ];
    for (const run of bad) {
      await assertEnds(
        client.searchRuns("1", JSON.stringify(run)),
        /is not an MLflow server: its answer lacks/,
      );
    }
    const odd = { status: [], start_time: "soon", end_time: 1e300, run_name: {}, artifact_uri: 5 };
    const [{ info }] = await client.searchRuns("1", JSON.stringify(HostileServer.run(odd)));
    assert.deepEqual(info, {
      run_id: "r1",
      run_name: undefined,
      status: "RUNNING",
      start_time: undefined,
      end_time: undefined,
      artifact_uri: "",
      lifecycle_stage: "active",
    });
  },
);

testHostile(
  "MlflowClient.logAll() does not ask for ever where a server rejects everything",
  () => Response.json({ error_code: "INVALID_PARAMETER_VALUE", message: "no" }, { status: 400 }),
  async (server) => {
    const entries = Array.from({ length: 1000 }, (_, step) => ({ key: "x", value: 1, timestamp: 1, step }));
    const refused = new Set<unknown>();
    await clientOf(server).logAll("r1", "metrics", entries, (entry) => refused.add(entry));
    assert.equal(refused.size, 1000);
    assert.ok(server.seen.length < 100, `${server.seen.length} requests`);
  },
);

const moved = "https://mlflow.example.com/base";
testHostile(
  "HttpServer tells the address of a server that has moved, and a page to log in from one",
  ({ path }) => {
    const location = path.includes("=relative")
      ? `/base${path}`
      : path.includes("=log")
      ? "/login?next=x"
      : moved + path;
    return new Response(null, { status: 301, headers: { location } });
  },
  async (server) => {
    const says = (text: string) => new RegExp(`${RegExp.escape(text)}$`);
    const client = clientOf(server);
    await assertEnds(client.experiment("x"), says(`is elsewhere (301); give the address ${moved}`));
    await assertEnds(client.experiment("relative"), says(`give the address ${server.url}/base`));
    await assertEnds(
      client.experiment("log"),
      says(`leads to ${server.url}/login (301), which is no MLflow server; it may ask for credentials`),
    );
  },
);
