import assert from "node:assert/strict";
import { backoffMs } from "../../../experiments/tracking/http_server.ts";
import { freePort } from "../../free_port.ts";
import { replacing } from "../../replacing.ts";
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

Deno.test("backoffMs() doubles after the second retry, with jitter and a limit", () => {
  assert.deepEqual([1, 2, 3, 4].map((retry) => backoffMs(retry, 2, 0)), [0, 4_000, 8_000, 16_000]);
  assert.equal(backoffMs(1, 2, 0.5), 500);
  assert.equal(backoffMs(20, 2, 0.5), 120_000);
});

testOnFake("HttpServer.request() retries as MLflow's client does", async (server) => {
  const retries = { maxRetries: 3, backoffFactor: 0 };
  const answering = (...statuses: number[]) => statuses.map((status) => new Response("", { status }));
  // Responses, and the number of attempts of a request and of one that must not run twice.
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
  const errors: (number | undefined)[] = [];
  const http = serverAt(server.url, retries);
  http.onRetry = ({ details }) => errors.push(details.status);
  assert.equal(new TextDecoder().decode(await http.request("GET", "/x")), "there");
  assert.deepEqual(errors, [503, 503]);
  // Nobody listens there, so the request had no effect.
  let tries = 0;
  const nobody = serverAt(`http://127.0.0.1:${freePort()}`, retries);
  nobody.onRetry = () => tries++;
  await assertEnds(nobody.request("POST", "/x", { once: true }), /cannot be reached/);
  assert.equal(tries, 3);
});

testOnFake(
  "HttpServer waits as long as a server asks, but not longer than an attempt may take",
  async (server) => {
    using _ = replacing([Date, { now: () => 1_800_000_000_000 }]);
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
      await assertEnds(http.request("GET", "/x"), /responded with 429/);
      assert.deepEqual(waits, [waited], asked);
    }
  },
);

Deno.test("HttpServer stops reading a response of gigabytes, and truncates the text of an error", async () => {
  const server = serverAt("http://127.0.0.1:9");
  const cases: [status: number, download: boolean, says: RegExp][] = [
    [200, false, /responded with more than 64 MiB/],
    [200, true, /responded with more than 512 MiB/],
    [400, false, /responded with 400$/],
  ];
  for (const [status, download, says] of cases) {
    const { body } = endless("[".repeat(1 << 24), { bytes: 5e9 });
    using _ = replacing([globalThis, { fetch: () => Promise.resolve(new Response(body, { status })) }]);
    await assertEnds(server.request("GET", "/x", { download }), says);
  }
});

testOnFake("HttpServer waits for a slow download, but not for other slow responses", async (server) => {
  server.answer = () => endless("x", { bytes: 20, ms: 50 }); // takes a second
  const quick = serverAt(server.url, { maxRetries: 0, timeoutMs: 500 });
  const [file] = await Promise.all([
    quick.request("GET", "/x", { download: true }),
    assertEnds(quick.request("GET", "/x"), /did not respond within 0\.5 s/),
  ]);
  assert.equal(file.length, 20);
});

testOnFake(
  "HttpServer.giveUpAfter() ends pauses and stalled requests, but not an upload that makes progress",
  async (server) => {
    server.answer = ({ path }) =>
      path === "/upload" ? Response.json({}) : path === "/x" ? new Response("", { status: 503 }) : "hang";
    const { url } = server;
    const http = serverAt(url, { maxRetries: 9, backoffFactor: 1e6 });
    const retried = Promise.withResolvers<void>();
    let retries = 0;
    http.onRetry = () => ++retries === 2 && retried.resolve(); // the second pause takes minutes
    const paused = assertEnds(http.request("GET", "/x"), /^http:\S+ no longer accepts data$/);
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
    await assertEnds(http.request("GET", "/hang"), /no longer accepts data$/);
    await paused;
  },
);

testOnFake(
  "HttpServer reports in a short line why a server rejects a request, without secrets",
  async (server) => {
    const { url } = server;
    const json = (message: string, error_code = "BAD_REQUEST") => JSON.stringify({ error_code, message });
    const advice = "; if it needs credentials, set ";
    const moved = "https://host.example/s3cret/x";
    // The status, the body or the address of a redirect, and the messages without and with credentials.
    const cases: [status: number, body: string, plain: string, secret: string][] = [
      [
        401,
        "You are not authenticated",
        `responded with 401: Unauthorized${advice}`,
        `responded with 401${advice}`,
      ],
      [
        403,
        json("Quota\n  exceeded"),
        `responded with 403: Quota exceeded${advice}`,
        `responded with 403: BAD_REQUEST${advice}`,
      ],
      [413, "<html><title>s3cret</title>", "responded with 413: Payload Too Large", "responded with 413"],
      [400, json("s3cret", "no s3cret"), "responded with 400: s3cret", "responded with 400"],
      [
        400,
        json("no ".repeat(10_000)),
        `responded with 400: ${"no ".repeat(100).trim()}`,
        "responded with 400: BAD_REQUEST",
      ],
      [
        301,
        moved,
        "redirects to https://host.example/s3cret (301); use",
        "redirects to https://host.example (301); use",
      ],
      [301, "/base/x", `redirects to ${url}/base (301); use`, `redirects to ${url} (301); use`],
      [301, "/login?next=x", `redirects to ${url}/login (301); use`, `redirects to ${url} (301); use`],
      [301, "", `redirects to ${url} (301); use`, `redirects to ${url} (301); use`],
    ];
    const withPassword = url.replace("//", "//me:s3cret@");
    for (const [status, body, plain, secret] of cases) {
      server.answer = () =>
        new Response(status === 301 ? null : body, { status, headers: { location: body } });
      for (const [address, says] of [[url, plain], [withPassword, secret]]) {
        const request = serverAt(address, { maxRetries: 0 }).request("GET", "/x");
        await assert.rejects(request, ({ message }: Error) => {
          assert.ok(message.startsWith(`${url} ${says}`), message);
          assert.ok(says.endsWith(advice) || says.endsWith("use") || message === `${url} ${says}`, message);
          return !message.includes("s3cret") || address === url;
        });
      }
    }
  },
);
