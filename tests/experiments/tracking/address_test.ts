import assert from "node:assert/strict";
import { inspect } from "node:util";
import { withoutCredentials } from "../../../experiments/run/without_credentials.ts";
import { parseAddress } from "../../../experiments/tracking/address.ts";
import { chooseTracking } from "../../../experiments/tracking/settings.ts";
import { granted, testUnless } from "../../permissions.ts";

const secret = "s3cret";

Deno.test("parseAddress() takes servers, and credentials from the address before the environment's", () => {
  const environment = { username: "me", password: secret, token: "token" };
  const basic = (text: string) => ({ authorization: `Basic ${btoa(text)}` });
  const cases: [string, Parameters<typeof parseAddress>[2], string, Record<string, string>][] = [
    ["http://127.0.0.1:5000", {}, "http://127.0.0.1:5000", {}],
    ["https://host/mlflow//", {}, "https://host/mlflow", {}],
    ["HTTP://Host:80/", {}, "http://host", {}],
    ["http://you:pass%20word@host", environment, "http://host", basic("you:pass word")],
    ["http://host", environment, "http://host", basic(`me:${secret}`)],
    ["http://host", { username: "me" }, "http://host", basic("me:")],
    ["http://host", { token: "token" }, "http://host", { authorization: "Bearer token" }],
  ];
  for (const [uri, credentials, url, headers] of cases) {
    const address = parseAddress(uri, "--mlflow", credentials);
    assert.deepEqual([address.url, address.headers], [url, headers], uri);
  }
});

Deno.test("parseAddress() tells folders and other stores apart, and shows no credentials", () => {
  const start = "start a server, with deno task mlflow or mlflow server, and give its http:// address";
  const folder =
    "it names a folder, but runs are sent only to servers (the run folder itself needs no setting)";
  const cases: [string, string, string][] = [
    ["./mlruns", "./mlruns", `${folder}; ${start}`],
    ["file:///data/mlruns", "file:///data/mlruns", `${folder}; ${start}`],
    ["C:\\mlruns", "C:\\\\mlruns", `${folder}; ${start}`],
    [
      `postgresql://me:${secret}@db/mlflow`,
      "postgresql://db/mlflow",
      `it names a postgresql store, but runs are sent only over HTTP; ${start}`,
    ],
    [
      `http://me:${secret}@host:port`,
      "http://host:port",
      "expected an address such as http://127.0.0.1:5000",
    ],
    [`http://me:${secret}/x@host`, "http://host", "expected an address such as http://127.0.0.1:5000"],
    [
      `http://me:${secret}@host/?token=1`,
      "http://host/?token=1",
      "expected an address such as http://127.0.0.1:5000",
    ],
    [
      `http://me:%E0${secret}@host`,
      "http://host",
      "the user or password before @ is not percent-encoded",
    ],
  ];
  for (const [uri, shown, why] of cases) {
    assert.throws(() => parseAddress(uri, "--mlflow"), {
      name: "ConfigError",
      message: `Cannot use --mlflow "${shown}": ${why}`,
    });
  }
  assert.throws(() => parseAddress("http://host", "--mlflow", { token: `${secret}\n` }), (error: Error) => {
    assert.match(error.message, /^Cannot use MLFLOW_TRACKING_TOKEN: /);
    return !error.message.includes(secret);
  });
});

Deno.test("ServerAddress keeps its secrets out of logs, JSON and answers that repeat them", () => {
  for (const uri of [`http://me:${secret}@host`, "http://host"]) {
    const address = parseAddress(uri, "--mlflow", { username: "me", password: secret });
    const encoded = btoa(`me:${secret}`);
    const text = [
      inspect(address, { depth: 9, showHidden: true }),
      Deno.inspect(address),
      JSON.stringify(address),
      address.hide(`you sent Basic ${encoded}, that is ${secret}`),
    ].join("\n");
    assert.ok(!text.includes(secret) && !text.includes(encoded), text);
  }
  assert.equal(
    withoutCredentials(`--mlflow=http://me:${secret}@host/path`),
    "--mlflow=http://host/path",
  );
});

testUnless(
  granted("net") ? undefined : "needs --allow-net",
  "chooseTracking() takes flags before MLflow's environment, and that before the run's own server",
  () => {
    const environment = {
      MLFLOW_TRACKING_URI: "http://127.0.0.1:1",
      MLFLOW_EXPERIMENT_NAME: "theirs",
      MLFLOW_RUN_NAME: "theirs too",
      MLFLOW_HTTP_REQUEST_MAX_RETRIES: "3",
      MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR: "0.5",
      MLFLOW_HTTP_REQUEST_TIMEOUT: "7",
    };
    const flags = { mlflow: "http://127.0.0.1:2", experiment: "mine", runName: "mine too" };
    const known = "http://127.0.0.1:3";
    const told = (choice: ReturnType<typeof chooseTracking>) => [
      choice.address?.url,
      choice.experiment,
      choice.runName,
    ];
    assert.deepEqual(told(chooseTracking(flags, environment, known)), [flags.mlflow, "mine", "mine too"]);
    const none = { mlflow: null, experiment: null, runName: null };
    const { MLFLOW_TRACKING_URI: uri } = environment;
    assert.deepEqual(told(chooseTracking(none, environment, known)), [uri, "theirs", "theirs too"]);
    assert.deepEqual(told(chooseTracking(none, {}, known)), [known, "UNet_FM", undefined]);
    assert.deepEqual(told(chooseTracking(none, {})), [undefined, "UNet_FM", undefined]);
    assert.deepEqual(chooseTracking(none, environment).patience, {
      maxRetries: 3,
      backoffFactor: 0.5,
      timeoutMs: 7_000,
    });
    assert.throws(() => chooseTracking(none, { MLFLOW_HTTP_REQUEST_TIMEOUT: "soon" }), {
      message: 'Cannot use MLFLOW_HTTP_REQUEST_TIMEOUT "soon": expected a number of at least 0',
    });
  },
);

Deno.test({
  name: "chooseTracking() says at once where the program may not use the network",
  permissions: { net: false },
  fn: () => {
    assert.throws(() => chooseTracking({ mlflow: "http://me:pw@127.0.0.1:5000" }, {}), {
      name: "ConfigError",
      message:
        "Cannot send runs to http://127.0.0.1:5000: the program may not use the network (--allow-net=127.0.0.1:5000)",
    });
  },
});
