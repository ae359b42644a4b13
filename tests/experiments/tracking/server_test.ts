/** Which server a run is sent to, with which credentials, and how requests are repeated and refused. */

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { training } from "../../../experiments/settings/training.ts";
import { shownAddress, shownWords, taskCommand } from "../../../experiments/run/program_files.ts";
import { listing } from "../../../experiments/runs.ts";
import { syncing } from "../../../experiments/sync.ts";
import { chooseTracking, parseAddress } from "../../../experiments/tracking/choose_tracking.ts";
import { backoffMs, type MlflowClient } from "../../../experiments/tracking/mlflow_client.ts";
import { type Answer, FakeMlflow, pause, testOnFake } from "./fake_mlflow.ts";
import { clientAt } from "./sessions.ts";

const secret = "s3cret";
const withPassword = { MLFLOW_TRACKING_USERNAME: "me", MLFLOW_TRACKING_PASSWORD: secret };

Deno.test("parseAddress() prefers credentials in the address, and hides them", () => {
  const basic = (text: string) => ({ authorization: `Basic ${btoa(text)}` });
  const cases: [string, Parameters<typeof parseAddress>[2], string, Record<string, string>][] = [
    ["http://127.0.0.1:5000", {}, "http://127.0.0.1:5000", {}],
    ["HTTPS://Host:443/mlflow//", {}, "https://host/mlflow", {}],
    ["http://you:pass%20word@host", withPassword, "http://host", basic("you:pass word")],
    ["http://host", { ...withPassword, MLFLOW_TRACKING_TOKEN: "x" }, "http://host", basic(`me:${secret}`)],
    ["http://host", { MLFLOW_TRACKING_USERNAME: "me" }, "http://host", basic("me:")],
    ["http://host", { MLFLOW_TRACKING_TOKEN: "token" }, "http://host", { authorization: "Bearer token" }],
  ];
  for (const [uri, credentials, url, headers] of cases) {
    const address = parseAddress(uri, "the address", credentials);
    assert.deepEqual([address.url, address.headers], [url, headers], uri);
    const shown = [inspect(address, { depth: 9, showHidden: true }), Deno.inspect(address)].join() +
      JSON.stringify(address);
    for (const hidden of [secret, "pass", "oken", btoa(`me:${secret}`)]) assert.ok(!shown.includes(hidden));
  }
});

const uri = `http://me:${secret}@host/x`;
const expected = "expected the address of a server";
const parse = (uri: string, environment = {}) => () => parseAddress(uri, "--mlflow", environment);
const other = 'Cannot use --mlflow "http://host/x": other users';
/** What is refused, and the line that says why, without the secret. */
const refused: [work: () => unknown, begin: string][] = [
  [parse("./mlruns"), `Cannot use --mlflow: ${expected}`],
  [parse(`postgresql://me:${secret}@db/mlflow`), `Cannot use --mlflow: ${expected}`],
  [parse(`http://me:${secret}@host:port`), `Cannot use --mlflow: ${expected}`],
  [parse(`http://me:${secret}@host/?token=1`), `Cannot use --mlflow "http://host": ${expected}`],
  [parse(`http://host/#${secret}`), `Cannot use --mlflow "http://host": ${expected}`],
  [parse(`http://me:%E0${secret}@host`), 'Cannot use --mlflow "http://host": the user or password before @ '],
  [parse("http://host", { MLFLOW_TRACKING_TOKEN: `${secret}\n` }), "Cannot use MLFLOW_TRACKING_TOKEN: it "],
  // A command line shows the password to other users, and `deno task` prints it.
  [() => training.parse(["--mlflow", uri]), other],
  [() => syncing.parse(["--mlflow", `http://${secret}@host/x`]), other],
  [() => syncing.parse(["--mlflow", `http:/:${secret}@host/x`]), other],
  [() => syncing.parse(["--mlflow", uri, "--mlflow", uri]), ""],
  [() => syncing.parse(["--mlfow", uri]), "Unknown flag --mlfow"],
  [() => syncing.parse([uri]), ""],
  [() => listing.parse(["--json", uri]), ""],
  [() => training.read({ mlflow: `${uri}\n` }, "config.json"), ""],
  [
    () => chooseTracking({}, { MLFLOW_HTTP_REQUEST_TIMEOUT: "soon" }),
    'Cannot use MLFLOW_HTTP_REQUEST_TIMEOUT "soon": expected a number of at least 0',
  ],
];

Deno.test("what is shown of addresses and commands has no credentials", () => {
  for (const [work, begin] of refused) {
    assert.throws(work, ({ name, message }: Error) => {
      assert.ok(message.startsWith(begin) && !message.includes(secret), message);
      return name === "ConfigError";
    }, `${work}`);
  }
  assert.ok(syncing.parse(["--mlflow", "http://host/x"]));
  const shown: Record<string, string> = {
    "http://host:5000/mlflow/": "http://host:5000/mlflow",
    "HTTPS:user:s3cret@Host/x": "https://host/x",
    "http://host/x?token=s3cret#s3cret": "http://host/x",
    ...{ "user:s3cret@host:5000": "", s3cret: "", "http://user:12/s3cret@host": "", "sqlite:///s@b": "" },
  };
  for (const [text, safe] of Object.entries(shown)) assert.equal(shownAddress(text), safe, text);
  const plain = ["--data", "C:\\data", "--out=runs/a@b", "--times", "logit-normal:mean=0,scale=1", "-h"];
  const typed = ["--mlflow", secret, `--mlflow=me:${secret}@host`, `--mlflow=${uri}`, `x?token=${secret}`];
  const safe = ["--mlflow", "***", "--mlflow=***", "--mlflow=http://host/x", "***"];
  assert.deepEqual(shownWords([...plain, ...typed]), [...plain, ...safe]);
  const command = taskCommand("study", ["x", "model=base|residual", "--out=it's", "--mlflow", uri]);
  const pasted = `./denow task study x 'model=base|residual' '--out=it'\\''s' --mlflow http://host/x`;
  assert.equal(command, pasted, "it cannot be pasted into a shell");
});

Deno.test("chooseTracking() prefers flags to MLflow's environment to the run's server", () => {
  const environment = {
    MLFLOW_TRACKING_URI: "http://127.0.0.1:1",
    ...{ MLFLOW_EXPERIMENT_NAME: "theirs", MLFLOW_RUN_NAME: "theirs too", MLFLOW_TRACKING_TOKEN: "token" },
    ...{ MLFLOW_HTTP_REQUEST_MAX_RETRIES: "3", MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR: "0.5" },
    MLFLOW_HTTP_REQUEST_TIMEOUT: "1e9",
  };
  const { MLFLOW_TRACKING_URI: uri, ...unnamed } = environment;
  const flags = { mlflow: "http://127.0.0.1:2", experiment: "mine", runName: "mine too" };
  const known = "http://127.0.0.1:3";
  const bearer = { authorization: "Bearer token" };
  // A run folder may name any server, so that server gets no credentials.
  const cases: [typeof flags | object, object, string | undefined, unknown[]][] = [
    [flags, environment, known, [flags.mlflow, bearer, "mine", "mine too"]],
    [{}, environment, known, [uri, bearer, "theirs", "theirs too"]],
    [{}, unnamed, known, [known, {}, "theirs", "theirs too"]],
    [{}, {}, undefined, [undefined, undefined, "UNet_FM", undefined]],
  ];
  for (const [given, set, server, expected] of cases) {
    const { target, experiment, runName } = chooseTracking(given, set, server);
    assert.deepEqual([target?.address.url, target?.address.headers, experiment, runName], expected);
  }
  // A longer timer would fire immediately.
  const patience = { maxRetries: 3, backoffFactor: 0.5, timeoutMs: 2 ** 31 - 1 };
  assert.deepEqual(chooseTracking({}, environment).target?.patience, patience);
});

const get = (client: MlflowClient) => client.call("runs/get", { run_id: "r1" });
const responding = (status: number) => () => new Response("", { status });

testOnFake("MlflowClient retries as MLflow's client does, and work as a whole", async (server) => {
  const backoffs = [1, 2, 3, 20].flatMap((retry) => [0, 0.5].map((random) => backoffMs(retry, 2, random)));
  assert.deepEqual(backoffs, [0, 500, 4_000, 4_500, 8_000, 8_500, 120_000, 120_000]);
  const client = clientAt(server.url, { maxRetries: 3, backoffFactor: 0 });
  const again: Answer[] = [...[408, 429, 500, 502, 503, 504].map(responding), () => "refuse", () => "cut"];
  const final: Answer[] = [400, 401, 403, 404, 301].map(responding);
  for (const answer of [...again, ...final]) {
    server.answer = answer;
    server.seen.length = 0;
    await assert.rejects(get(client), { name: "ServerError" });
    assert.equal(server.seen.length, final.includes(answer) ? 1 : 4);
  }
  server.answer = (_, count) => count < 2 ? responding(503)() : Response.json({ a: 1 });
  server.seen.length = 0;
  const seen: unknown[] = [];
  client.onRetry = ({ details }, retry) => seen.push([details.status, retry]);
  assert.deepEqual([await get(client), ...seen], [{ a: 1 }, [503, 1], [503, 2]]);
  // Two calls, of which the second always fails.
  server.seen.length = 0;
  server.answer = ({ path }) => path.includes("get") ? Response.json({}) : responding(503)();
  await assert.rejects(client.retry(async () => [await get(client), await client.call("runs/create", {})]));
  assert.deepEqual(server.seen.map(({ method }) => method).join(), "GET,POST,GET,POST,GET,POST,GET,POST");
  // A server may ask for a pause, but not for longer than an attempt may take.
  for (const [asked, waited] of [["0.1", 100], ["1000000000", 9_000], ["soon", 0]] as const) {
    server.answer = () => new Response("later", { status: 429, headers: { "retry-after": asked } });
    const client = clientAt(server.url, { timeoutMs: 9_000, backoffFactor: 0 });
    const waits: number[] = [];
    client.pause = (ms) => Promise.resolve(void waits.push(ms));
    await assert.rejects(get(client), /responded with 429/);
    assert.deepEqual(waits, [waited], asked);
  }
});

testOnFake("giveUpAfter() ends stalled requests, but no upload that goes on", async (server) => {
  const client = clientAt(server.url);
  using _ = client.giveUpAfter(1_000);
  async function* slowly(onPiece: () => void) {
    for (let byte = 0; byte < 15; byte++) {
      await pause(100);
      onPiece();
      yield Uint8Array.of(byte);
    }
  }
  const body = (onPiece: () => void) => ReadableStream.from(slowly(onPiece));
  await client.putArtifact("mlflow-artifacts:/1/r1/artifacts", "a", body);
  server.answer = () => "hang";
  await assert.rejects(get(client), /no longer accepts data$/);
});

testOnFake("MlflowClient says in a line why a server rejects a request, without secrets", async (server) => {
  const json = (message: string, error_code = "BAD_REQUEST") => JSON.stringify({ error_code, message });
  const moved = "redirects elsewhere (301)";
  const advice = "; if it needs credentials, set ";
  // The status, the body, and the messages without and with credentials.
  const cases: [status: number, body: string, plain: string, hidden: string][] = [
    [401, "Not authenticated", `responded with 401: Unauthorized${advice}`, `responded with 401${advice}`],
    [403, json("No\n  quota"), `responded with 403: No quota${advice}`, "responded with 403: BAD_REQUEST"],
    [413, "<html><title>s3cret</title>", "responded with 413: Payload Too Large", "responded with 413"],
    [400, json("s3cret", "no s3cret"), "responded with 400: s3cret", "responded with 400"],
    [400, json("no ".repeat(200)), `responded with 400: ${"no ".repeat(100).trim()}`, "responded with 400"],
    [301, "https://host.example/s3cret", moved, moved],
    [200, "<html>", "is not an MLflow server: it does not respond with JSON", "is not an MLflow server"],
    [200, '{"a":1}', 'is not an MLflow server: it does not respond with "run"', "is not an MLflow server"],
  ];
  const withSecret = server.url.replace("//", `//me:${secret}@`);
  for (const [status, body, plain, hidden] of cases) {
    const content = status === 301 ? null : body;
    server.answer = () => new Response(content, { status, headers: { location: body } });
    for (const [address, says] of [[server.url, plain], [withSecret, hidden]]) {
      const request = clientAt(address, { maxRetries: 0 }).get("run", "runs/get", {});
      await assert.rejects(request, ({ message }: Error) => {
        assert.ok(message.startsWith(`${server.url} ${says}`) && !message.includes("\n"), message);
        return !message.includes(secret) || address === server.url;
      });
    }
  }
  // Credentials go only to the server itself.
  await using other = await FakeMlflow.start(() => Response.json({ a: 1 }));
  server.answer = () => new Response(null, { status: 307, headers: { location: `${other.url}/x` } });
  await assert.rejects(get(clientAt(withSecret)), /redirects elsewhere/);
  assert.equal(server.seen.at(-1)!.authorization, `Basic ${btoa(`me:${secret}`)}`);
  assert.deepEqual(other.seen, []);
});

testOnFake("MlflowClient finds experiments and artifacts, and puts files in place", async (server) => {
  const client = clientAt(server.url);
  const none = { error_code: "RESOURCE_DOES_NOT_EXIST" };
  // Another program creates it in the meantime.
  server.answer = (_, count) => count > 0 ? undefined : Response.json(none, { status: 404 });
  await server.post("experiments/create", { name: "x" });
  assert.equal(await client.ensureExperiment("x"), "1");
  server.answer = () => Response.json({ experiment: { experiment_id: "1", lifecycle_stage: "deleted" } });
  await assert.rejects(client.ensureExperiment("x"), /has deleted the experiment x; restore it there/);
  server.answer = () => undefined;
  type Run = { info: Record<"run_id" | "experiment_id" | "artifact_uri", string> };
  const { info } = await client.get<Run>("run", "runs/create", { experiment_id: "1", tags: [] });
  for (const path of ["a b#.txt", "c/d%/e"]) await client.putArtifact(info.artifact_uri, path, () => path);
  assert.deepEqual([...await client.artifacts(info)], [["a b#.txt", 8], ["c/d%/e", 6]]);
  assert.equal((await client.artifacts({ ...info, artifact_uri: "s3://x" })).size, 0);
  const put = client.putArtifact("s3://x", "a", () => "");
  await assert.rejects(put, /stores artifacts elsewhere .* --serve-/);
});
