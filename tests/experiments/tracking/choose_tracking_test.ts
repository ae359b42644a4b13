import assert from "node:assert/strict";
import { inspect } from "node:util";
import { shownAddress, shownWord, shownWords } from "../../../experiments/run/server_url.ts";
import { chooseTracking, parseAddress } from "../../../experiments/tracking/choose_tracking.ts";
import { animating } from "../../../experiments/animate.ts";
import { listing } from "../../../experiments/runs.ts";
import { training } from "../../../experiments/settings/training.ts";
import { granted, testUnless } from "../../permissions.ts";

const secret = "s3cret";

Deno.test("parseAddress() prefers credentials in the address to those of the environment", () => {
  const environment = {
    MLFLOW_TRACKING_USERNAME: "me",
    MLFLOW_TRACKING_PASSWORD: secret,
    MLFLOW_TRACKING_TOKEN: "token",
  };
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
    const address = parseAddress(uri, "--mlflow", credentials);
    assert.deepEqual([address.url, address.headers], [url, headers], uri);
  }
});

Deno.test("parseAddress() refuses folders and other stores, and shows no credentials", () => {
  const start = "start a server, with deno task mlflow or mlflow server, and give its http:// address";
  const folder =
    "it names a folder, but runs are sent only to servers (the run folder itself needs no setting)";
  const cases: [string, string, string][] = [
    ["./mlruns", "./mlruns", `${folder}; ${start}`],
    ["file:///data/mlruns", "file:///data/mlruns", `${folder}; ${start}`],
    ["C:\\mlruns", "C:\\\\mlruns", `${folder}; ${start}`],
    [
      `postgresql://me:${secret}@db/mlflow`,
      "postgresql:",
      `it names a postgresql store, but runs are sent only over HTTP; ${start}`,
    ],
    [
      `http://me:${secret}@host:port`,
      "",
      "expected an address such as http://127.0.0.1:5000",
    ],
    ["mlruns", "", `${folder}; ${start}`],
    [`http://me:${secret}/x@host`, "", "expected an address such as http://127.0.0.1:5000"],
    [
      `http://me:${secret}@host/?token=1`,
      "http://host",
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
      message: `Cannot use --mlflow${shown && ` "${shown}"`}: ${why}`,
    });
  }
  assert.throws(
    () => parseAddress("http://host", "--mlflow", { MLFLOW_TRACKING_TOKEN: `${secret}\n` }),
    (error: Error) => {
      assert.match(error.message, /^Cannot use MLFLOW_TRACKING_TOKEN: /);
      return !error.message.includes(secret);
    },
  );
});

Deno.test("ServerAddress keeps its secrets out of logs, JSON and answers that repeat them", () => {
  for (const uri of [`http://me:${secret}@host`, "http://host"]) {
    const address = parseAddress(uri, "--mlflow", {
      MLFLOW_TRACKING_USERNAME: "me",
      MLFLOW_TRACKING_PASSWORD: secret,
    });
    const encoded = btoa(`me:${secret}`);
    const text = [
      inspect(address, { depth: 9, showHidden: true }),
      Deno.inspect(address),
      JSON.stringify(address),
      address.hide(`you sent Basic ${encoded}, that is ${secret}`),
    ].join("\n");
    assert.ok(!text.includes(secret) && !text.includes(encoded), text);
  }
});

Deno.test("ServerAddress.hide() hides secrets in every encoding", () => {
  const password = "p/ä<w 'd&\"";
  const { hide } = parseAddress("http://host", "--mlflow", {
    MLFLOW_TRACKING_USERNAME: "me",
    MLFLOW_TRACKING_PASSWORD: password,
  });
  const json = JSON.stringify(password).slice(1, -1);
  const spellings = {
    plain: password,
    encoded: encodeURIComponent(password),
    "encoded in small letters": encodeURIComponent(password).replace(/%../g, (code) => code.toLowerCase()),
    "encoded twice": encodeURIComponent(encodeURIComponent(password)),
    "encoded, every letter": new TextEncoder().encode(password).reduce(
      (s, b) => `${s}%${b.toString(16)}`,
      "",
    ),
    form: new URLSearchParams({ "": password }).toString().slice(1),
    JSON: json,
    "JSON in JSON": JSON.stringify(json).slice(1, -1),
    "JSON in ASCII": json.replace("ä", "\\u00e4"),
    HTML: password.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#39;").replace('"', "&quot;"),
    base64: btoa(`me:${unescape(encodeURIComponent(password))}`),
  };
  for (const [name, spelled] of Object.entries(spellings)) {
    assert.equal(hide(`you sent ${spelled}!`).replace(/=*!$/, "!"), "you sent ***!", name);
  }
  // Some servers take a token as the user.
  assert.equal(parseAddress(`http://${secret}@host`, "--mlflow").hide(`no ${secret}`), "no ***");
});

Deno.test("shownAddress() shows no credentials, and nothing of what it cannot parse", () => {
  const cases: Record<string, string> = {
    "http://host:5000/mlflow/": "http://host:5000/mlflow",
    "http:/user:s3cret@host": "http://host",
    "http:\\\\user:s3cret@host": "http://host",
    "HTTPS:user:s3cret@Host/x": "https://host/x",
    " http://user:s3cret@host": "http://host",
    "http://host?token=s3cret": "http://host",
    "http://host/x#s3cret": "http://host/x",
    "user:s3cret@host:5000": "",
    "s3cret:@host": "",
    "s3cret@host": "",
    "s3cret": "",
    "//user:s3cret@host": "",
    "http://user:12/s3cret@host": "",
    "http://user:1?s3cret@host": "",
    "http://user:1#s3cret@host": "",
    "http://user:1/s3cret%40host": "",
    "http://user:s3cret@host:port": "",
    "sqlite:///user:s3cret@db": "sqlite:",
    "mysql+pymysql://user:s3cret@db/x": "mysql:",
    "./folder": "./folder",
    "file:///folder": "file:///folder",
    "C:\\folder": "C:\\folder",
  };
  for (const [text, shown] of Object.entries(cases)) assert.equal(shownAddress(text), shown, text);
});

Deno.test("shownWords() keeps ordinary words, and hides addresses wherever they are", () => {
  const plain = ["--data", "C:\\data", "--out=runs/a@b", "--times", "logit-normal:mean=0,scale=1", "-h"];
  assert.deepEqual(shownWords(plain), plain);
  const typed = ["--mlflow", secret, `--mlflow=me:${secret}@host`, `--mlflow=http://me:${secret}@host/x`];
  assert.deepEqual(shownWords(typed), ["--mlflow", "***", "--mlflow=***", "--mlflow=http://host/x"]);
  assert.deepEqual(
    [`http:/me:${secret}@host`, `me:${secret}@host`, `x?token=${secret}`].map(shownWord),
    ["http://host", "***", "***"],
  );
});

Deno.test("errors about addresses show no credentials", () => {
  const uri = `http://me:${secret}@host`;
  const refused = [
    ["--mlflow", uri, "--mlflow", uri],
    ["--mlflow", `${uri}\n`],
    ["--mlflow", `me:${secret}@host\n`],
    ["--mlfow", uri],
    [uri],
    [`me:${secret}@host:5000`],
    ["--from", uri],
  ];
  const assertHidden = ({ name, message }: Error) => {
    assert.ok(name === "ConfigError" && !message.includes(secret), message);
    return true;
  };
  for (const argv of refused) assert.throws(() => animating.parse(argv), assertHidden);
  for (const argv of [["--json", uri], [`--json=${uri}`]]) {
    assert.throws(() => listing.parse(argv), assertHidden);
  }
  assert.throws(() => training.read({ mlflow: `${uri}\n` }, "config.json"), ({ message }: Error) => {
    return !message.includes(secret);
  });
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
    // A run folder may name anyone's server.
    const credentials = { MLFLOW_TRACKING_TOKEN: "token" };
    const sent = (choice: ReturnType<typeof chooseTracking>) => choice.address?.headers;
    assert.deepEqual(sent(chooseTracking(none, credentials, known)), {});
    assert.deepEqual(sent(chooseTracking(flags, credentials, known)), { authorization: "Bearer token" });
    assert.deepEqual(sent(chooseTracking(none, { ...environment, ...credentials }, known)), {
      authorization: "Bearer token",
    });
    // A longer timer would fire at once.
    const patient = chooseTracking(none, { MLFLOW_HTTP_REQUEST_TIMEOUT: "1e9" }).patience;
    assert.equal(patient.timeoutMs, 2 ** 31 - 1);
    assert.throws(() => chooseTracking(none, { MLFLOW_HTTP_REQUEST_TIMEOUT: "soon" }), {
      message: 'Cannot use MLFLOW_HTTP_REQUEST_TIMEOUT "soon": expected a number of at least 0',
    });
  },
);

Deno.test({
  name: "chooseTracking() refuses a server that the program may not reach",
  permissions: { net: false },
  fn: () => {
    assert.throws(() => chooseTracking({ mlflow: "http://me:pw@127.0.0.1:5000" }, {}), {
      name: "ConfigError",
      message:
        "Cannot send runs to http://127.0.0.1:5000: the program may not use the network (--allow-net=127.0.0.1:5000)",
    });
  },
});
