import assert from "node:assert/strict";
import { parseAddress } from "../../../experiments/tracking/choose_tracking.ts";
import { backoffMs, HttpServer, Pauses, ServerError } from "../../../experiments/tracking/http_server.ts";
import { freePort } from "../../free_port.ts";
import { endless, type FakeMlflow, testOnFake } from "./fake_mlflow.ts";

/** A busy machine may take seconds for an answer. */
const patience = { maxRetries: 1, backoffFactor: 0.01, timeoutMs: 60_000 };

function serverAt(url: string, change: Partial<typeof patience> = {}, signal?: AbortSignal): HttpServer {
  return new HttpServer(parseAddress(url, "--mlflow"), { ...patience, ...change }, signal);
}

/** Asserts that a promise is rejected with a ServerError of one line. */
async function assertEnds(promise: Promise<unknown>, says: RegExp): Promise<void> {
  await assert.rejects(promise, (error: Error) => {
    assert.ok(error instanceof ServerError, `${error.stack}`);
    assert.match(error.message, says);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}

Deno.test("backoffMs() doubles from the second retry on, with jitter and a limit", () => {
  assert.deepEqual([1, 2, 3, 4].map((retry) => backoffMs(retry, 2, 0)), [0, 4_000, 8_000, 16_000]);
  assert.equal(backoffMs(1, 2, 0.5), 500);
  assert.equal(backoffMs(20, 2, 0.5), 120_000);
});

Deno.test("Pauses.wake() ends the current pause or the next one, and an aborted signal ends all", async () => {
  const pauses = new Pauses();
  const present = pauses.pause(1e6);
  pauses.wake();
  await present;
  pauses.wake();
  await pauses.pause(1e6);
  const stop = new AbortController();
  const aborted = pauses.pause(1e6, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  await assert.rejects(pauses.pause(1e6, stop.signal), /enough/);
});

testOnFake("HttpServer.request() retries as MLflow's client does", () => undefined, async (server) => {
  const retries = { maxRetries: 3, backoffFactor: 0 };
  // The answer, and the number of attempts of a request and of one that must not run twice.
  const cases: [ReturnType<FakeMlflow["answer"]>, number, number][] = [
    ...[408, 429].map((status) => [new Response("", { status }), 4, 4] as [Response, number, number]),
    ...[500, 502, 503, 504].map((status) =>
      [new Response("", { status }), 4, 1] as [Response, number, number]
    ),
    ...[400, 401, 403, 404, 301].map((status) =>
      [new Response("", { status }), 1, 1] as [Response, number, number]
    ),
    ["refuse", 4, 1],
    ["cut", 4, 1],
  ];
  for (const [answer, attempts, attemptsOnce] of cases) {
    server.answer = () => answer instanceof Response ? answer.clone() : answer;
    for (const [once, most] of [[false, attempts], [true, attemptsOnce]] as const) {
      server.seen.length = 0;
      await assertEnds(serverAt(server.url, retries).request("POST", "/x", { once }), /^http:/);
      const what = answer instanceof Response ? answer.status : answer;
      assert.equal(server.seen.length, most, `${what}${once ? ", once" : ""}`);
    }
  }
  server.answer = (_, count) => count < 2 ? new Response("", { status: 503 }) : new Response("there");
  server.seen.length = 0;
  const errors: string[] = [];
  const http = serverAt(server.url, retries);
  http.onRetry = ({ message }) => errors.push(message);
  assert.equal(new TextDecoder().decode(await http.request("GET", "/x")), "there");
  assert.deepEqual(errors, [`${server.url} answered 503`, `${server.url} answered 503`]);
  // Nobody listens there, so the request had no effect.
  let tries = 0;
  const nobody = serverAt(`http://127.0.0.1:${freePort()}`, retries);
  nobody.onRetry = () => tries++;
  await assertEnds(nobody.request("POST", "/x", { once: true }), /cannot be reached/);
  assert.equal(tries, 3);
});

testOnFake(
  "HttpServer waits as long as a server asks, but no longer than an attempt may take",
  () => undefined,
  async (server) => {
    for (const [asked, waited] of [["0.1", 100], ["1e9", 200]] as const) {
      server.answer = () => new Response("later", { status: 429, headers: { "retry-after": asked } });
      const http = serverAt(server.url, { timeoutMs: 200 });
      const waits: number[] = [];
      http.pauses.pause = (ms) => Promise.resolve(void waits.push(ms));
      await assertEnds(http.request("GET", "/x"), /answered 429: later/);
      assert.deepEqual(waits, [waited]);
    }
  },
);

Deno.test("HttpServer stops reading an answer of gigabytes, and cuts the text of an error", async () => {
  const { fetch } = globalThis;
  using _ = { [Symbol.dispose]: () => void (globalThis.fetch = fetch) };
  let answer = endless("[".repeat(1 << 24), { bytes: 5e9 });
  globalThis.fetch = () => Promise.resolve(answer);
  const server = serverAt("http://127.0.0.1:9");
  await assertEnds(server.request("GET", "/x"), /answers with more than 64 MiB/);
  answer = endless("[".repeat(1 << 24), { bytes: 5e9 });
  await assertEnds(server.request("GET", "/x", { download: true }), /answers with more than 512 MiB/);
  answer = new Response(endless("no ", { bytes: 5e9 }).body, { status: 400 });
  await assertEnds(server.request("GET", "/x"), /answered 400: no no .{200,300}$/);
});

testOnFake(
  "HttpServer waits for a slow download, but not for one that trickles",
  ({ path }) =>
    path.endsWith("slow")
      ? endless("x".repeat(2048), { bytes: 20 * 2048, ms: 100 })
      : endless("x", { bytes: 1e9, ms: 100 }),
  async ({ url }) => {
    const quick = { maxRetries: 0, timeoutMs: 1_000 };
    await Promise.all([
      serverAt(url, quick).request("GET", "/slow", { download: true }) // takes 2 s
        .then(({ length }) => assert.equal(length, 20 * 2048)),
      assertEnds(serverAt(url, quick).request("GET", "/x", { download: true }), /did not answer within 1 s/),
      assertEnds(serverAt(url, quick).request("GET", "/x"), /did not answer within 1 s/),
    ]);
  },
);

testOnFake("HttpServer reports progress of an upload before the server answers", () => {
  return Response.json({});
}, async ({ url }) => {
  const http = serverAt(url);
  let pieces = 0;
  http.onProgress = () => pieces++;
  const body = () => ReadableStream.from([1, 2, 3].map((byte) => Uint8Array.of(byte)));
  await http.request("PUT", "/x", { content: { type: "application/octet-stream", body } });
  assert.equal(pieces, 3 + 1);
});

testOnFake(
  "HttpServer stops at once when it is aborted",
  () => endless("x", { bytes: 1e9, ms: 20 }),
  async ({ url }) => {
    const stop = new AbortController();
    const download = serverAt(url, { timeoutMs: 600_000 }, stop.signal).request("GET", "/x", {
      download: true,
    });
    const refused = assert.rejects(download, { message: "stopped" });
    setTimeout(() => stop.abort(new Error("stopped")), 100);
    await refused;
  },
);

testOnFake("HttpServer names the new address of a server that has moved, and a login page", ({ path }) => {
  const location =
    { "/there": "https://host.example/base/there?x", "/near": "/base/near" }[path.split("?")[0]];
  return new Response(null, { status: 301, headers: { location: location ?? "/login?next=x" } });
}, async ({ url }) => {
  const cases = {
    "/there?x": "is elsewhere (301); give the address https://host.example/base",
    "/near": `is elsewhere (301); give the address ${url}/base`,
    "/x": `leads to ${url}/login (301), which is no MLflow server; it may ask for credentials`,
  };
  for (const [path, says] of Object.entries(cases)) {
    await assertEnds(serverAt(url).request("GET", path), new RegExp(`${RegExp.escape(says)}$`));
  }
});

testOnFake("HttpServer hides credentials that a server repeats", () => undefined, async (server) => {
  const secret = "s3cret/";
  const http = serverAt(server.url.replace("//", `//me:${encodeURIComponent(secret)}@`));
  const texts = [secret, "s3cret%2f", "s3cret\\u002F", btoa(`me:${secret}`)];
  for (const text of texts) {
    const answers = [
      new Response(`no ${text}`, { status: 400 }),
      Response.json({ message: `no ${text}` }, { status: 400 }),
      new Response("", { status: 301, headers: { location: `/${text}` } }),
    ];
    for (const answer of answers) {
      server.answer = () => answer;
      await assertEnds(http.request("GET", "/x"), /\*\*\*/);
      await assert.rejects(http.request("GET", "/x"), ({ message }: Error) => !/s3cret|bWU6/.test(message));
    }
  }
});
