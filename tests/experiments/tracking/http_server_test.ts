import assert from "node:assert/strict";
import { backoffMs } from "../../../experiments/tracking/http_server.ts";
import { freePort } from "../../free_port.ts";
import { pause, testOnFake } from "./fake_mlflow.ts";
import { assertEnds, serverAt } from "./sessions.ts";

/** A body of any length, generated as it is read. */
function endless(piece: string, { bytes, ms = 0 }: { bytes: number; ms?: number }): Response {
  const part = new TextEncoder().encode(piece);
  async function* parts() {
    for (let sent = 0; sent < bytes; sent += part.length) {
      if (ms > 0) await pause(ms);
      yield part;
    }
  }
  return new Response(ReadableStream.from(parts()));
}

Deno.test("backoffMs() doubles from the second retry on, with jitter and a limit", () => {
  assert.deepEqual([1, 2, 3, 4].map((retry) => backoffMs(retry, 2, 0)), [0, 4_000, 8_000, 16_000]);
  assert.equal(backoffMs(1, 2, 0.5), 500);
  assert.equal(backoffMs(20, 2, 0.5), 120_000);
});

testOnFake("HttpServer.request() retries as MLflow's client does", async (server) => {
  const retries = { maxRetries: 3, backoffFactor: 0 };
  const answering = (...statuses: number[]) => statuses.map((status) => new Response("", { status }));
  // Answers, and the number of attempts of a request and of one that must not run twice.
  const cases: [(Response | "refuse" | "cut")[], number, number][] = [
    [answering(408, 429), 4, 4],
    [answering(500, 502, 503, 504), 4, 1],
    [answering(400, 401, 403, 404, 301), 1, 1],
    [["refuse", "cut"], 4, 1],
  ];
  for (const [answers, attempts, attemptsOnce] of cases) {
    for (const answer of answers) {
      server.answer = () => answer instanceof Response ? answer.clone() : answer;
      for (const [once, most] of [[false, attempts], [true, attemptsOnce]] as const) {
        server.seen.length = 0;
        await assertEnds(serverAt(server.url, retries).request("POST", "/x", { once }), /^http:/);
        const what = answer instanceof Response ? answer.status : answer;
        assert.equal(server.seen.length, most, `${what}${once ? ", once" : ""}`);
      }
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
  async (server) => {
    const { now } = Date;
    using _ = { [Symbol.dispose]: () => void (Date.now = now) };
    Date.now = () => 1_800_000_000_000;
    const inSeconds = (seconds: number) => new Date(Date.now() + 1000 * seconds).toUTCString();
    const cases: [asked: string, waited: number][] = [
      ["0.1", 100],
      ["1000000000", 9_000],
      [inSeconds(7), 7_000],
      [inSeconds(1e6), 9_000],
      [inSeconds(-7), 0],
      ["soon", 0],
    ];
    for (const [asked, waited] of cases) {
      server.answer = () => new Response("later", { status: 429, headers: { "retry-after": asked } });
      const http = serverAt(server.url, { timeoutMs: 9_000, backoffFactor: 0 });
      const waits: number[] = [];
      http.pause = (ms) => Promise.resolve(void waits.push(ms));
      await assertEnds(http.request("GET", "/x"), /answered 429: later/);
      assert.deepEqual(waits, [waited], asked);
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
  async (server) => {
    server.answer = ({ path }) =>
      path.endsWith("slow")
        ? endless("x".repeat(2048), { bytes: 20 * 2048, ms: 100 })
        : endless("x", { bytes: 1e9, ms: 100 });
    const { url } = server;
    const quick = { maxRetries: 0, timeoutMs: 1_000 };
    await Promise.all([
      serverAt(url, quick).request("GET", "/slow", { download: true }) // takes 2 s
        .then(({ length }) => assert.equal(length, 20 * 2048)),
      assertEnds(serverAt(url, quick).request("GET", "/x", { download: true }), /did not answer within 1 s/),
      assertEnds(serverAt(url, quick).request("GET", "/x"), /did not answer within 1 s/),
    ]);
  },
);

testOnFake(
  "HttpServer.giveUpAfter() ends a pause and what makes no progress, but no upload that does",
  async (server) => {
    server.answer = ({ path }) =>
      path === "/upload" ? Response.json({}) : path === "/x" ? new Response("", { status: 503 }) : "hang";
    const { url } = server;
    const http = serverAt(url, { maxRetries: 9, backoffFactor: 1e6 });
    const retried = Promise.withResolvers<void>();
    let retries = 0;
    http.onRetry = () => ++retries === 2 && retried.resolve(); // the second pause takes minutes
    const paused = assertEnds(http.request("GET", "/x"), /^http:\S+ no longer accepts anything$/);
    await retried.promise;
    await pause(50);
    using _ = http.giveUpAfter(2_000);
    async function* slowly() {
      for (let byte = 0; byte < 25; byte++) {
        await pause(100);
        yield Uint8Array.of(byte);
      }
    }
    const body = () => ReadableStream.from(slowly());
    await http.request("PUT", "/upload", { content: { type: "application/octet-stream", body } });
    assert.equal(retries, 3, "the pause did not end");
    await assertEnds(http.request("GET", "/hang"), /no longer accepts anything$/);
    await paused;
  },
);

testOnFake(
  "HttpServer shows why a server refuses, in a short line without HTML",
  async (server) => {
    const advice =
      "; if it wants credentials, set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or " +
      "MLFLOW_TRACKING_TOKEN (they go only to a server that --mlflow or MLFLOW_TRACKING_URI names)";
    const json = { error_code: "PERMISSION_DENIED", message: "Quota\n  exceeded" };
    const page =
      "<html><head><title>413 Too\nLarge</title><style>p {}</style></head><body>nginx</body></html>";
    const cases: [number, BodyInit, string][] = [
      [401, "You are not authenticated", ": You are not authenticated" + advice],
      [403, JSON.stringify(json), ": Quota exceeded" + advice],
      [403, "", advice],
      [413, "quota exceeded", ": quota exceeded"],
      [413, page, ": 413 Too Large"],
      [500, "<b>no</b> <i>disk</i>", ": no disk"],
      [400, "<".repeat(60_000), ": " + "<".repeat(300)],
      [400, "no ".repeat(100_000), ": " + "no ".repeat(100)],
    ];
    for (const [status, body, says] of cases) {
      server.answer = () => new Response(body, { status });
      await assert.rejects(serverAt(server.url, { maxRetries: 0 }).request("GET", "/x"), {
        message: `${server.url} answered ${status}${says}`.trimEnd(),
      });
    }
  },
);

testOnFake("HttpServer says where a server has moved, and names a login page", async (server) => {
  server.answer = ({ path }) => {
    const moved = { "/there?x": "https://host.example/base/there?x", "/near": "/base/near" }[path];
    return new Response(null, { status: 301, headers: { location: moved ?? "/login?next=x" } });
  };
  const { url } = server;
  const cases = { "/there?x": "https://host.example/base", "/near": `${url}/base`, "/x": `${url}/login` };
  for (const [path, target] of Object.entries(cases)) {
    const says = new RegExp(`^${url} leads to ${RegExp.escape(target)} \\(301\\); give the address of`);
    await assertEnds(serverAt(url).request("GET", path), says);
  }
});

testOnFake(
  "HttpServer shows nothing that a server answers to credentials but MLflow's code",
  async (server) => {
    const http = serverAt(server.url.replace("//", "//me:s3cret@"));
    const location = `${server.url}/s3cret`;
    const cases: [Response, string][] = [
      [new Response("no s3cret", { status: 400 }), "answered 400"],
      [
        Response.json({ error_code: "BAD_REQUEST", message: "no s3cret" }, { status: 400 }),
        "answered 400: BAD_REQUEST",
      ],
      [Response.json({ error_code: "no s3cret" }, { status: 400 }), "answered 400"],
      [new Response("", { status: 301, headers: { location } }), `leads to ${server.url} (301)`],
    ];
    for (const [answer, says] of cases) {
      server.answer = () => answer;
      await assert.rejects(http.request("GET", "/x"), ({ message }: Error) => {
        assert.ok(message.startsWith(`${server.url} ${says}`) && !message.includes("s3cret"), message);
        return true;
      });
    }
  },
);
