import assert from "node:assert/strict";
import { inspect } from "node:util";
import { shownAddress, shownWord, shownWords, taskCommand } from "../../../experiments/run/program_files.ts";
import { chooseTracking, parseAddress } from "../../../experiments/tracking/choose_tracking.ts";
import { listing } from "../../../experiments/runs.ts";
import { syncing } from "../../../experiments/sync.ts";
import { training } from "../../../experiments/cli/training.ts";

const secret = "s3cret";
const withPassword = { MLFLOW_TRACKING_USERNAME: "me", MLFLOW_TRACKING_PASSWORD: secret };

Deno.test("parseAddress() prefers credentials in the address to those in the environment, and hides them", () => {
  const environment = { ...withPassword, MLFLOW_TRACKING_TOKEN: "token" };
  const basic = (text: string) => ({ authorization: `Basic ${btoa(text)}` });
  const cases: [string, Parameters<typeof parseAddress>[2], string, Record<string, string>][] = [
    ["http://127.0.0.1:5000", {}, "http://127.0.0.1:5000", {}],
    ["https://host/mlflow//", {}, "https://host/mlflow", {}],
    ["HTTP://Host:80/", {}, "http://host", {}],
    ["http://you:pass%20word@host", environment, "http://host", basic("you:pass word")],
    ["http://host", environment, "http://host", basic(`me:${secret}`)],
    ["http://host", { MLFLOW_TRACKING_USERNAME: "me" }, "http://host", basic("me:")],
    ["http://host", { MLFLOW_TRACKING_TOKEN: "token" }, "http://host", { authorization: "Bearer token" }],
  ];
  for (const [uri, credentials, url, headers] of cases) {
    const address = parseAddress(uri, "the address", credentials);
    assert.deepEqual([address.url, address.headers], [url, headers], uri);
  }
  const address = parseAddress("http://host", "--mlflow", {
    ...withPassword,
    MLFLOW_TRACKING_PASSWORD: "ä<w",
  });
  const shown = inspect(address, { depth: 9, showHidden: true }) + Deno.inspect(address) +
    JSON.stringify(address);
  assert.ok(!shown.includes("ä<w") && !shown.includes(new TextEncoder().encode("me:ä<w").toBase64()), shown);
});

Deno.test("parseAddress() rejects what is not a server's address, without showing credentials", () => {
  const expected =
    "expected the address of a server, such as http://127.0.0.1:5000 (mlflow server starts one)";
  const cases: Record<string, string> = {
    "./mlruns": `: ${expected}`,
    [`postgresql://me:${secret}@db/mlflow`]: `: ${expected}`,
    [`http://me:${secret}@host:port`]: `: ${expected}`,
    [`http://me:${secret}/x@host`]: `: ${expected}`,
    [`http://me:${secret}@host/?token=1`]: ` "http://host": ${expected}`,
    [`http://host/#${secret}`]: ` "http://host": ${expected}`,
    [`http://me:%E0${secret}@host`]: ' "http://host": the user or password before @ is not percent-encoded',
  };
  for (const [uri, why] of Object.entries(cases)) {
    const refusal = { name: "ConfigError", message: `Cannot use --mlflow${why}` };
    assert.throws(() => parseAddress(uri, "--mlflow"), refusal, uri);
  }
  assert.throws(() => parseAddress("http://host", "--mlflow", { MLFLOW_TRACKING_TOKEN: `${secret}\n` }), {
    message: "Cannot use MLFLOW_TRACKING_TOKEN: it contains characters that tokens cannot have",
  });
});

Deno.test("what is shown of addresses and command lines has no credentials", () => {
  const cases: Record<string, string> = {
    "http://host:5000/mlflow/": "http://host:5000/mlflow",
    "http:\\\\user:s3cret@host": "http://host",
    "HTTPS:user:s3cret@Host/x": "https://host/x",
    "http://host/x?token=s3cret#s3cret": "http://host/x",
    ...Object.fromEntries(
      [
        "user:s3cret@host:5000",
        "s3cret",
        "http://user:12/s3cret@host",
        "http://user:1/s3cret%40host",
        "sqlite:///s@b",
      ]
        .map((text) => [text, ""]),
    ),
  };
  for (const [text, shown] of Object.entries(cases)) assert.equal(shownAddress(text), shown, text);
  const plain = ["--data", "C:\\data", "--out=runs/a@b", "--times", "logit-normal:mean=0,scale=1", "-h"];
  assert.deepEqual(shownWords(plain), plain);
  const typed = ["--mlflow", secret, `--mlflow=me:${secret}@host`, `--mlflow=http://me:${secret}@host/x`];
  assert.deepEqual(shownWords(typed), ["--mlflow", "***", "--mlflow=***", "--mlflow=http://host/x"]);
  const words = [`http:/me:${secret}@host`, `me:${secret}@host`, `x?token=${secret}`];
  assert.deepEqual(words.map(shownWord), ["http://host", "***", "***"]);
  const argv = ["x", "--grid", "model=base|residual", "--out=it's", "--mlflow", `http://me:${secret}@host`];
  const command = `deno task study x --grid 'model=base|residual' '--out=it'\\''s' --mlflow http://host`;
  assert.equal(taskCommand("study", argv), command, "it cannot be pasted into a shell");
});

Deno.test("--mlflow rejects passwords, which deno task would print, and no error shows one", () => {
  const uri = `http://me:${secret}@host/x`;
  const message = 'Cannot use --mlflow "http://host/x": other users can see command lines; set ' +
    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead";
  for (const address of [uri, `http://${secret}@host/x`, `http:/:${secret}@host/x`]) {
    for (const settings of [syncing, training]) {
      assert.throws(() => settings.parse(["--mlflow", address]), { name: "ConfigError", message });
    }
  }
  assert.ok(syncing.parse(["--mlflow", "http://host/x"]));
  const refused = [
    ["--mlflow", uri, "--mlflow", uri],
    ["--mlflow", `${uri}\n`],
    ["--mlfow", uri],
    [uri],
    [`me:${secret}@host:5000`],
  ];
  const calls = [
    ...refused.map((argv) => () => syncing.parse(argv)),
    ...[["--json", uri], [`--json=${uri}`]].map((argv) => () => listing.parse(argv)),
    () => training.read({ mlflow: `${uri}\n` }, "config.json"),
  ];
  for (const call of calls) {
    assert.throws(call, ({ name, message }: Error) => name === "ConfigError" && !message.includes(secret));
  }
});

Deno.test("chooseTracking() prefers flags to MLflow's environment, and that to the run's own server", () => {
  const environment = {
    MLFLOW_TRACKING_URI: "http://127.0.0.1:1",
    MLFLOW_EXPERIMENT_NAME: "theirs",
    MLFLOW_RUN_NAME: "theirs too",
    MLFLOW_HTTP_REQUEST_MAX_RETRIES: "3",
    MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR: "0.5",
    MLFLOW_HTTP_REQUEST_TIMEOUT: "7",
    MLFLOW_TRACKING_TOKEN: "token",
  };
  const { MLFLOW_TRACKING_URI: uri, ...unnamed } = environment;
  const flags = { mlflow: "http://127.0.0.1:2", experiment: "mine", runName: "mine too" };
  const known = "http://127.0.0.1:3";
  const bearer = { authorization: "Bearer token" };
  // A run folder may name any server, so that server gets no credentials.
  const cases: [typeof flags | object, object, string | undefined, unknown[]][] = [
    [flags, environment, known, [flags.mlflow, bearer, "mine", "mine too"]],
    [flags, unnamed, known, [flags.mlflow, bearer, "mine", "mine too"]],
    [{}, environment, known, [uri, bearer, "theirs", "theirs too"]],
    [{}, unnamed, known, [known, {}, "theirs", "theirs too"]],
    [{}, {}, known, [known, {}, "UNet_FM", undefined]],
    [{}, {}, undefined, [undefined, undefined, "UNet_FM", undefined]],
  ];
  for (const [given, set, server, expected] of cases) {
    const { target, experiment, runName } = chooseTracking(given, set, server);
    assert.deepEqual([target?.address.url, target?.address.headers, experiment, runName], expected);
  }
  const patience = { maxRetries: 3, backoffFactor: 0.5, timeoutMs: 7_000 };
  assert.deepEqual(chooseTracking({}, environment).target?.patience, patience);
  const patient = chooseTracking(flags, { MLFLOW_HTTP_REQUEST_TIMEOUT: "1e9" });
  assert.equal(patient.target?.patience.timeoutMs, 2 ** 31 - 1, "a longer timer would fire immediately");
  assert.throws(() => chooseTracking({}, { MLFLOW_HTTP_REQUEST_TIMEOUT: "soon" }), {
    message: 'Cannot use MLFLOW_HTTP_REQUEST_TIMEOUT "soon": expected a number of at least 0',
  });
});
