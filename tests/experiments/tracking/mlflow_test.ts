import assert from "node:assert/strict";
import { join } from "node:path";
import { readMetrics } from "../../../experiments/metrics_log.ts";
import { recordComparison } from "../../../experiments/tracking/comparison.ts";
import { FolderStore } from "../../../experiments/tracking/folder_store.ts";
import { sendRun } from "../../../experiments/tracking/send.ts";
import { ServerStore } from "../../../experiments/tracking/server_store.ts";
import { chooseTracking } from "../../../experiments/tracking/settings.ts";
import { loadSnapshots } from "../../../experiments/tracking/snapshots.ts";
import { testUnless } from "../../permissions.ts";
import { ended, testTask, tinyRun, type Workplace } from "../cli.ts";
import { imageSize } from "../tiny_idx.ts";
import { type Fault, FaultyProxy, type Seen } from "./faulty_proxy.ts";
import { assertMirrored } from "./mirrored.ts";
import { mlflowPython, TestServer, valuesOf } from "./mlflow_server.ts";
import { shortRun } from "./short_run.ts";

/** How often a trainer is killed; the issue's own test is 20 times. */
const kills = Number(
  Deno.permissions.querySync({ name: "env", variable: "FLOW_KILLS" }).state === "granted"
    ? Deno.env.get("FLOW_KILLS") ?? 4
    : 4,
);
/** Seconds that a killed server stays away; the issue's own test is 20. */
const outageSeconds = Number(
  Deno.permissions.querySync({ name: "env", variable: "FLOW_OUTAGE" }).state === "granted"
    ? Deno.env.get("FLOW_OUTAGE") ?? 4
    : 4,
);

const python = await mlflowPython();
const reason = typeof python === "string" ? undefined : python.reason;
const server = typeof python === "string" ? await TestServer.start(python) : undefined;
if (server) {
  Deno.test.afterAll(() => server[Symbol.asyncDispose]());
}

const flags = `${tinyRun} --out run`.replace("--sample-epochs 0", "--sample-epochs 2");
const quick = { MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR: "0.05", MLFLOW_HTTP_REQUEST_TIMEOUT: "5" };

/** An experiment that no other test uses. */
function newExperiment(): string {
  return `test ${crypto.randomUUID()}`;
}

function testMirrored(name: string, test: (place: Workplace, server: TestServer) => Promise<void>): void {
  testTask(name, (place) => test(place, server!), reason);
}

testMirrored("train mirrors all that it logs to a real MLflow server", async (place, server) => {
  const experiment = newExperiment();
  const { host } = new URL(server.url);
  const { stderr } = await place.succeed("train:residual", flags, {
    ...quick,
    MLFLOW_TRACKING_URI: `http://somebody:secret%20word@${host}/`,
    MLFLOW_EXPERIMENT_NAME: experiment,
    MLFLOW_RUN_NAME: "the run",
  });
  const { info, data, inputs } = await assertMirrored(server, experiment, place.file("run"));
  assert.deepEqual([info.run_name, info.status], ["the run", "FINISHED"]);
  assert.ok(stderr.includes(`MLflow shows the run at ${server.url}/#/experiments/`), stderr);
  assert.ok(stderr.includes(`/runs/${info.run_id}?workflowType=machine_learning\n`), stderr);

  const keys = data.metrics!.map(({ key }) => key);
  for (const key of ["train_loss", "val_loss", "learning_rate", "test_loss"]) {
    assert.ok(keys.includes(key), key);
  }
  for (const key of ["images_per_second", "process_memory_megabytes", "device_memory_megabytes"]) {
    assert.ok(keys.includes(`system/${key}`), key);
  }

  const tags = valuesOf(data.tags);
  assert.equal(tags["mlflow.source.name"], "deno task train:residual");
  assert.equal(tags["mlflow.source.type"], "LOCAL");
  assert.equal(tags["mlflow.loggedImages"], "True");
  assert.equal(tags.problem, "flow matching on data");
  assert.ok(tags["mlflow.user"].length > 0);
  const environment = JSON.parse(await Deno.readTextFile(place.file("run", "environment.json")));
  assert.equal(tags["mlflow.source.git.commit"], environment.gitCommit ?? undefined);
  assert.equal("mlflow.source.git.branch" in tags, environment.gitCommit !== null);
  const note = tags["mlflow.note.content"];
  const testLoss = (await readMetrics(place.file("run", "metrics.jsonl"))).at(-1)!.test_loss as number;
  assert.match(
    note,
    /\*\*residual U-Net\*\*, channels 4, 8, [\d,]+ parameters, trained on 86 images of data/,
  );
  assert.ok(note.includes(`| test loss | ${Number(testLoss.toPrecision(4))} | 33 |`), note);

  const record = JSON.parse(await Deno.readTextFile(place.file("run", "run.json")));
  const [{ dataset, tags: contexts }] = inputs!.dataset_inputs!;
  assert.deepEqual([dataset.name, dataset.digest], ["data", record.dataset.digest.slice(0, 36)]);
  assert.deepEqual(contexts, [{ key: "mlflow.data.context", value: "training" }]);
  assert.deepEqual(JSON.parse(dataset.profile), {
    train: 86,
    validation: 10,
    test: 24,
    sha256: record.dataset.digest,
  });

  // Credentials are in none of it.
  for (const [path, content] of await place.listing(place.file("run"))) {
    const text = content === "folder" ? "" : atob(content.split(" ")[1]);
    assert.ok(!/secret|somebody/.test(text), path);
  }
  assert.doesNotMatch(stderr, /secret|somebody/);

  const again = await place.succeed("sync", "run", { MLFLOW_TRACKING_URI: server.url });
  assert.match(again.stdout, /^run: nothing was missing, http/);
  await assertMirrored(server, experiment, place.file("run"));
});

/** Does a run of lines and files in this program, behind a proxy that spoils some requests, then sends the rest. */
async function throughFaults(
  fault: (request: Seen) => Fault,
  { timeoutMs = 5_000, after = (_proxy: FaultyProxy, _said: string[]) => {} } = {},
): Promise<void> {
  const experiment = newExperiment();
  let spoiling = true;
  await using proxy = await FaultyProxy.start(server!.url, (seen) => spoiling ? fault(seen) : "pass");
  const folder = await Deno.makeTempDir({ prefix: "flow-" });
  try {
    const address = chooseTracking({ mlflow: proxy.url }, {}).address!;
    const patience = { maxRetries: 4, backoffFactor: 0.02, timeoutMs };
    const said = await shortRun(folder, { address, patience, experiment });
    after(proxy, said);
    spoiling = false;
    for await (const { state } of sendRun(folder, { address, patience })) assert.equal(state, "sent");
    await assertMirrored(server!, experiment, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const full = {
  status: 500,
  body: JSON.stringify({ error_code: "INTERNAL_ERROR", message: "database or disk is full" }),
};
const faults: Record<string, { fault: Fault; timeoutMs?: number }> = {
  "answers 500": { fault: { status: 500, body: "oops" } },
  "answers 429": { fault: { status: 429, headers: { "retry-after": "0.05" } } },
  "hangs": { fault: "hang", timeoutMs: 200 },
  "drops the connection": { fault: "refuse" },
  "drops the connection after it has done the work": { fault: "cut" },
  "has no space left": { fault: full },
};
for (const [what, { fault, timeoutMs }] of Object.entries(faults)) {
  testUnless(reason, `MlflowTracker loses and doubles nothing where the server now and then ${what}`, () =>
    // Every run meets the fault at its creation, and then at every third request.
    throughFaults(
      ({ path, count }) => count % 3 === 1 || (path.endsWith("runs/create") && count < 8) ? fault : "pass",
      {
        ...timeoutMs !== undefined && { timeoutMs },
      },
    ));
  testUnless(
    reason,
    `sendRun() makes good for a server that ${what} all the time`,
    () =>
      throughFaults(() => fault, {
        ...timeoutMs !== undefined && { timeoutMs },
        after: (_, said) =>
          assert.match(
            said.at(-1)!,
            /^MLflow: .*; not everything is there, deno task sync .* sends the rest$/,
          ),
      }),
  );
}

testUnless(
  reason,
  "MlflowTracker says once that credentials are refused, and never what they are",
  async () => {
    const secret = "a password of mine";
    const experiment = newExperiment();
    let right = "";
    await using proxy = await FaultyProxy.start(server!.url, ({ authorization }) =>
      // Some servers repeat what they were sent.
      authorization === right ? "pass" : { status: 401, body: `no such user: ${authorization} ${secret}` });
    const folder = await Deno.makeTempDir({ prefix: "flow-" });
    try {
      const patience = { maxRetries: 4, backoffFactor: 0.02, timeoutMs: 5_000 };
      const choose = (password: string) =>
        chooseTracking({ mlflow: proxy.url }, {
          MLFLOW_TRACKING_USERNAME: "me",
          MLFLOW_TRACKING_PASSWORD: password,
          MLFLOW_TRACKING_TOKEN: "not used",
        }).address!;
      const said = await shortRun(folder, { address: choose(secret), patience, experiment });
      assert.equal(said.length, 2, said.join("\n"));
      assert.match(said[0], /refuses these credentials \(401; set MLFLOW_TRACKING_USERNAME and/);
      assert.ok(
        !said.join("\n").includes(secret) && !said.join("\n").includes(btoa(`me:${secret}`)),
        said.join("\n"),
      );
      for await (const { name, isFile } of Deno.readDir(folder)) {
        if (isFile) assert.ok(!(await Deno.readTextFile(join(folder, name))).includes(secret), name);
      }
      right = `Basic ${btoa("me:right")}`;
      for await (const _ of sendRun(folder, { address: choose("right"), patience }));
      await assertMirrored(server!, experiment, folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

testMirrored(
  "train completes where the server is away, and sync sends all of it once",
  async (place, server) => {
    const experiment = newExperiment();
    const { stderr } = await place.succeed(
      "train:base",
      `${flags} --mlflow http://127.0.0.1:9 --experiment ${experiment.replaceAll(" ", "")}`,
      { ...quick, MLFLOW_HTTP_REQUEST_MAX_RETRIES: "2" },
    );
    assert.match(stderr, /\nMLflow: http:\/\/127.0.0.1:9 cannot be reached \(.*\); training goes on/);
    assert.match(stderr, /\nMLflow: .*; not everything is there, deno task sync run sends the rest\n/);
    assert.match(stderr, /\nDone; see run\/samples.png\n$/);
    const { stdout } = await place.succeed("sync", `--root . --mlflow ${server.url}`);
    assert.match(stdout, /^run: \d+ points and \d+ files sent, http/);
    await assertMirrored(server, experiment.replaceAll(" ", ""), place.file("run"));
  },
);

testMirrored(
  `train killed at ${kills} random moments leaves a folder that sync mirrors exactly`,
  async (place, server) => {
    const experiment = newExperiment();
    const env = { ...quick, MLFLOW_TRACKING_URI: server.url, MLFLOW_EXPERIMENT_NAME: experiment };
    let [cut, whole] = [0, 0];
    for (let i = 0; i < kills; i++) {
      const run = `run${i}`;
      const process = place.start(
        "train:base",
        `${flags} --checkpoint-minutes 0`.replace("--out run", `--out ${run}`),
        env,
      );
      const end = ended(process);
      while (!await exists(place.file(run, "run.json"))) await pause(5);
      await pause(Math.random() * 2_500);
      try {
        process.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended
      }
      const { code } = await end;
      if (code === 0) whole++;
      else cut++;
      // A run killed before its first line has no metrics.jsonl yet, and nothing to compare.
      await Deno.writeTextFile(place.file(run, "metrics.jsonl"), "", { append: true });
      await place.succeed("sync", run, env);
      const { info } = await assertMirrored(server, experiment, place.file(run));
      assert.equal(info.status, code === 0 ? "FINISHED" : "KILLED");
      // One of them is also gone on with, to its end.
      if (i === 0 && code !== 0 && await exists(place.file(run, "state.safetensors"))) {
        await place.succeed("train:base", `--resume ${run}`, env);
        const { info, data } = await assertMirrored(server, experiment, place.file(run));
        assert.equal(info.status, "FINISHED");
        assert.equal(new Set(data.metrics!.map(({ key }) => key)).size, data.metrics!.length);
      }
    }
    console.log(`${cut} runs were cut, ${whole} had ended before`);
  },
);

testMirrored(
  "train goes on while its server is dead, and sends the rest when that is back",
  async (place) => {
    if (typeof python !== "string") return;
    await using mortal = await TestServer.start(python);
    const experiment = newExperiment();
    const env = { ...quick, MLFLOW_TRACKING_URI: mortal.url, MLFLOW_EXPERIMENT_NAME: experiment };
    const minutes = (outageSeconds + 16) / 60;
    const process = place.start(
      "train:base",
      flags.replace("--epochs 3 --max-minutes 0", `--epochs 0 --max-minutes ${minutes}`).replace(
        "--log-every 3",
        "--log-every 1",
      ),
      env,
    );
    const end = ended(process);
    await until(async () => (await cursor(place))?.metricsBytes > 0);
    await mortal.kill();
    const before = (await Deno.stat(place.file("run", "metrics.jsonl"))).size;
    await pause(outageSeconds * 1000);
    assert.ok((await Deno.stat(place.file("run", "metrics.jsonl"))).size > before, "training stood still");
    await mortal.restart();
    const { code, stderr } = await end;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /\nDone; see /);
    await place.succeed("sync", "run", env);
    await assertMirrored(mortal, experiment, place.file("run"));
  },
);

testMirrored(
  "train tells a Ctrl-C as KILLED, an error as FAILED, and goes on with the same run",
  async (place, server) => {
    const experiment = newExperiment();
    const env = { ...quick, MLFLOW_TRACKING_URI: server.url, MLFLOW_EXPERIMENT_NAME: experiment };
    const process = place.start("train:base", flags.replace("--epochs 3", "--epochs 12"), env);
    const end = ended(process);
    await until(async () =>
      (await readMetrics(place.file("run", "metrics.jsonl"))).some(({ step }) => step >= 12)
    );
    process.kill("SIGINT");
    assert.equal((await end).code, 0);
    const killed = await assertMirrored(server, experiment, place.file("run"));
    assert.equal(killed.info.status, "KILLED");

    // The server is known from the run folder.
    await place.succeed("train:base", "--resume run --epochs 13", { ...quick });
    const [finished, ...others] = await server.runs(experiment);
    assert.equal(others.length, 0);
    assert.deepEqual([finished.info.run_id, finished.info.status], [killed.info.run_id, "FINISHED"]);
    // A param stays what it was; the new value stands beside it.
    assert.equal(valuesOf(finished.data.params).epochs, "12");
    assert.equal(valuesOf(finished.data.tags)["resumed.epochs"], "13");

    const diverging = flags.replace(
      "--out run",
      "--out failed --clip 0 --optimizer sgd --lr 1e30 --warm-up 0",
    );
    assert.equal((await place.run("train:base", `${diverging} --ema 0 --schedule constant`, env)).code, 1);
    const failed = (await server.runs(experiment)).find(({ info }) => info.run_name === "failed")!;
    assert.equal(failed.info.status, "FAILED");
    assert.match(
      valuesOf(failed.data.tags)["mlflow.note.content"],
      /The run failed after .*: The loss is NaN at step 2/,
    );
  },
);

testMirrored(
  "runs tells the same of folders and of a server, and snapshots come back from both",
  async (place, server) => {
    const experiment = newExperiment().replaceAll(" ", "");
    const env = { ...quick, MLFLOW_TRACKING_URI: server.url, MLFLOW_EXPERIMENT_NAME: experiment };
    for (const [task, name] of [["train:base", "base"], ["train:residual", "residual"]] as const) {
      await place.succeed(task, flags.replace("--out run", `--out runs/${name}`), env);
    }
    const listed = async (flags: string) => {
      const runs = JSON.parse((await place.succeed("runs", `list --json ${flags}`, env)).stdout);
      return runs.map(({ key: _, ...run }: Record<string, unknown>) => run);
    };
    const folders = await listed("");
    assert.deepEqual(await listed(`--mlflow ${server.url}`), folders);
    assert.deepEqual(await listed("--from server"), folders);
    assert.deepEqual(folders.map(({ name, status }: Record<string, string>) => [name, status]), [
      ["base", "FINISHED"],
      ["residual", "FINISHED"],
    ]);
    const { stdout: shown } = await place.succeed("runs", "show base", env);
    assert.match(shown, /\n {2}test_loss +\d/);
    assert.match(shown, /\n {2}flow\/sample_1.safetensors/);
    const { stdout: compared } = await place.succeed("runs", `compare base residual --from server`, env);
    assert.match(compared, /^ +base +residual\n/);
    assert.match(compared, /\n {2}model +base +residual/);
    assert.doesNotMatch(compared, /batchSize/, "it is the same in both");

    const { address, patience } = chooseTracking({ mlflow: server.url }, {});
    const stores = [
      new FolderStore(place.file("runs")),
      new ServerStore({ address: address!, patience, experiment }),
    ];
    const [ours, theirs] = await Promise.all(stores.map((store) => loadSnapshots(store, experiment)));
    assert.deepEqual(ours.map(({ run }) => run.name), ["base", "residual"]);
    assert.deepEqual(theirs.map(({ samples }) => samples), ours.map(({ samples }) => samples));
    assert.deepEqual(ours[0].samples.map(({ k }) => k), [1, 2]);
    assert.deepEqual(ours[0].samples[0].evolution.shape, [5, imageSize, imageSize]);

    const comparison = await recordComparison(["base", "residual"].map((name) => place.file("runs", name)), {
      root: place.file("runs"),
      startedAt: new Date(),
    });
    await Deno.writeTextFile(join(comparison, "report.html"), "<p>Side by side");
    await place.succeed("sync", comparison, env);
    const runs = await server.runs(experiment);
    const parent = runs.find(({ info }) => info.run_name.endsWith("-comparison"))!;
    const children = runs.filter(({ data }) =>
      valuesOf(data.tags)["mlflow.parentRunId"] === parent.info.run_id
    );
    assert.deepEqual(children.map(({ info }) => info.run_name).sort(), ["base", "residual"]);
    assert.deepEqual(await server.artifacts(parent.info.run_id), ["report.html", "run.json"]);
    for (const name of ["base", "residual"]) await assertMirrored(server, experiment, join(comparison, name));
    assert.equal(
      (await loadSnapshots(stores[1], experiment)).length,
      2,
      "a comparison holds no snapshots of its own",
    );
  },
);

async function cursor(place: Workplace): Promise<{ metricsBytes: number }> {
  try {
    return JSON.parse(await Deno.readTextFile(place.file("run", "mlflow.json")));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { metricsBytes: 0 };
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!await condition()) await pause(20);
}
