/** A real MLflow server: what it holds of a run, its client in Python, and its page. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { testInBrowser } from "../../browser.ts";
import { freePort } from "../../free_port.ts";
import { pythonWith } from "../../python.ts";
import { madeOnce, makePlace, testTask, type Workplace } from "../cli.ts";
import { mirroredRun, pause, quick } from "./fake_mlflow.ts";
import { assertMirrored, MlflowReader, valuesOf } from "./mirrored.ts";

const python = await pythonWith(["mlflow==3.17.2"], {
  name: "mlflow-3.17.2",
  minutes: 3,
  needs: ["net", "env"],
});

/** Why there is no server; undefined if there is one. */
const noServer = typeof python === "string" ? undefined : python.reason;

/** A server with its own data, which is started once for all tests, and ends when they do. */
class RealServer extends MlflowReader {
  readonly folder = Deno.makeTempDirSync({ prefix: "flow-mlflow-" });
  readonly url = `http://127.0.0.1:${freePort()}`;
  readonly #process = new Deno.Command(String(python), {
    args: [
      ...[
        "-m",
        "mlflow",
        "server",
        "--workers",
        "1",
        "--host",
        "127.0.0.1",
        "--port",
        new URL(this.url).port,
      ],
      ...["--backend-store-uri", `sqlite:///${join(this.folder, "mlflow.db")}`],
      ...["--artifacts-destination", join(this.folder, "artifacts")],
    ],
    // Without seven worker processes for evaluating language models, and without telemetry.
    env: { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false", MLFLOW_DISABLE_TELEMETRY: "true" },
    ...{ stdin: "null", stdout: "null", stderr: "null" },
    detached: true,
  }).spawn();

  /** Waits until it answers: a busy machine takes minutes to load MLflow. */
  async answers(): Promise<this> {
    let ended = false;
    this.#process.status.then(() => ended = true);
    for (const until = Date.now() + 600_000; !ended && Date.now() < until;) {
      const answer = await fetch(`${this.url}/health`).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.ok) return this;
      await pause(100);
    }
    return assert.fail(`MLflow does not answer at ${this.url}`);
  }

  /** Ends it and all processes that it started. */
  async end(): Promise<void> {
    try {
      Deno.kill(-this.#process.pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended by itself
    }
    await this.#process.status;
    await Deno.remove(this.folder, { recursive: true });
  }
}

let started: RealServer | undefined;
const theServer = () => (started ??= new RealServer()).answers();
Deno.test.afterAll(() => started?.end());

/** Creates a mirrored run in `run`, once for all tests. @returns the messages of its training */
async function makeRun(place: Workplace): Promise<string> {
  await madeOnce(place, "run for MLflow", async (place) => {
    const { host } = new URL((await theServer()).url);
    const { stderr } = await place.succeed("train:residual", mirroredRun, {
      ...quick,
      ...{ MLFLOW_EXPERIMENT_NAME: "all", MLFLOW_RUN_NAME: "residual" },
      MLFLOW_TRACKING_URI: `http://somebody:secret%20word@${host}/`,
    });
    await Deno.writeTextFile(place.file("stderr"), stderr);
  });
  return await Deno.readTextFile(place.file("stderr"));
}

testTask("train mirrors everything it logs to a real MLflow server", async (place) => {
  const server = await theServer();
  const stderr = await makeRun(place);
  const { info, data, inputs } = await assertMirrored(server, "all", place.file("run"));
  assert.deepEqual([info.run_name, info.status], ["residual", "FINISHED"]);
  assert.ok(stderr.includes(`MLflow shows the run at ${server.url}/#/experiments/`), stderr);
  assert.ok(stderr.includes(`/runs/${info.run_id}?workflowType=machine_learning\n`), stderr);

  const keys = data.metrics!.map(({ key }) => key);
  const gauges = ["images_per_second", "process_memory_megabytes", "device_memory_megabytes"];
  const known = [
    "train_loss",
    "val_loss",
    "learning_rate",
    "test_loss",
    ...gauges.map((key) => `system/${key}`),
  ];
  assert.deepEqual(known.filter((key) => !keys.includes(key)), []);
  const tags = valuesOf(data.tags);
  assert.equal(tags["mlflow.source.name"], `deno task train:residual ${mirroredRun}`);
  assert.match(tags["mlflow.note.content"], /: test loss [\d.]+ at step 33,/);
  assert.ok(tags["mlflow.user"].length > 0);
  const record = JSON.parse(await Deno.readTextFile(place.file("run", "run.json")));
  const [{ dataset, tags: contexts }] = inputs!.dataset_inputs!;
  assert.deepEqual([dataset.name, dataset.digest], ["data", record.dataset.digest.slice(0, 36)]);
  assert.deepEqual(contexts, [{ key: "mlflow.data.context", value: "training" }]);
  const counts = { train: 86, validation: 10, test: 24, channels: 1, classes: 10 };
  assert.deepEqual(JSON.parse(dataset.profile), { ...counts, sha256: record.dataset.digest });

  // No file contains the credentials.
  for (const [path, entry] of await place.listing(place.file("run"))) {
    const text = entry === "folder" ? "" : await Deno.readTextFile(path);
    assert.ok(!/secret|somebody/.test(text), path);
  }
  assert.doesNotMatch(stderr, /secret|somebody/);

  // Its weights are a model of MLflow 3 that can be registered, with the results of its last step.
  type Model = { info: Record<string, unknown>; data: { metrics: { key: string; step: number }[] } };
  const search = { experiment_ids: [info.experiment_id], filter: `source_run_id = '${info.run_id}'` };
  const { models: [model, ...more] } = await server.post<{ models: Model[] }>("logged-models/search", search);
  assert.deepEqual([model.info.status, more], ["LOGGED_MODEL_READY", []]);
  assert.deepEqual(model.data.metrics.map(({ key }) => key).sort(), ["test_loss", "train_loss", "val_loss"]);
  await server.post("registered-models/create", { name: "digits" });
  const source = { name: "digits", source: `models:/${model.info.model_id}`, model_id: model.info.model_id };
  type Registered = { model_version: { status: string } };
  const { model_version } = await server.post<Registered>("model-versions/create", source);
  assert.equal(model_version.status, "READY");

  const again = async () => (await place.succeed("sync", "run", { MLFLOW_TRACKING_URI: server.url })).stdout;
  assert.match(await again(), /^run: already complete, http/);
  // As if the server was restored from an older backup.
  const artifacts = join(server.folder, "artifacts", info.experiment_id, info.run_id, "artifacts");
  await Deno.remove(join(artifacts, "config.json"));
  using database = new DatabaseSync(join(server.folder, "mlflow.db"));
  database.exec("DELETE FROM metrics WHERE key = 'train_loss' AND step > 9");
  database.exec("DELETE FROM latest_metrics WHERE key = 'train_loss'");
  assert.match(await again(), /^run: \d+ points and 1 files sent, http/);
  await assertMirrored(server, "all", place.file("run"));
}, noServer);

await testInBrowser("MLflow's page shows a run's note, charts, images and report", async (browser) => {
  await using place = await makePlace();
  const [, address] = /MLflow shows the run at (\S+)/.exec(await makeRun(place))!;
  const timeout = 600_000; // milliseconds that a part of the page may take to appear, on a busy machine
  const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  const tab = (name: string) => page.getByRole("tab", { name }).click({ timeout });
  const shows = (text: string | RegExp) => page.getByText(text).first().waitFor({ timeout });
  const assertLoaded = async (selector: string) => {
    const image = page.locator(selector).first();
    await image.waitFor({ timeout });
    const widthOf = (image: unknown) => (image as { naturalWidth: number }).naturalWidth;
    const width = await image.evaluate(widthOf, undefined, { timeout });
    assert.ok(width > 0, selector);
  };
  await page.goto(address);
  await shows("15,329 parameters, trained on 86 images of data");
  await shows(/^The run finished .* validation loss/);
  await shows("deno task train:residual --data data --filters");
  await assertLoaded('img[src*="samples.png"]');
  await tab("Model metrics");
  await shows("train_loss");
  await page.locator(".js-plotly-plot .scatterlayer .point").first().waitFor({ timeout, state: "attached" });
  await assertLoaded('img[src*="get-artifact?path=images%2Fsamples"]');
  await tab("System metrics");
  await shows("system/process_memory_megabytes");
  await tab("Artifacts");
  await page.getByText("report.html", { exact: true }).click({ timeout });
  const report = page.frameLocator("iframe");
  // The report's network draws, even though its frame has no origin.
  await report.locator("#explorer").scrollIntoViewIfNeeded({ timeout });
  await report.locator("#live-draw").click({ timeout });
  const drawn = /^Seed 1: 20 steps of heun, autoguidance 2, 40 evaluations of the network and /;
  await report.getByText(drawn).waitFor({ timeout });
  await page.close();
}, noServer);
