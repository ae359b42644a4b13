/** A real MLflow server: what it holds of a run, and what is sent after it has lost some. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { freePort } from "../../free_port.ts";
import { pythonWith } from "../../python.ts";
import { testTask } from "../cli.ts";
import { mirroredRun, pause, quick } from "./fake_mlflow.ts";
import { assertMirrored, MlflowReader, valuesOf } from "./mirrored.ts";

const install = { name: "mlflow-3.17.2", minutes: 3, needs: ["net", "env"] } as const;
const python = await pythonWith(["mlflow==3.17.2"], install);

/** A server with its own data. */
class RealServer extends MlflowReader implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "flow-mlflow-" });
  readonly port = `${freePort()}`;
  readonly url = `http://127.0.0.1:${this.port}`;
  readonly #process = new Deno.Command(String(python), {
    args: [
      ...["-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", this.port],
      ...["--backend-store-uri", `sqlite:///${join(this.folder, "mlflow.db")}`],
      ...["--artifacts-destination", join(this.folder, "artifacts")],
    ],
    // Without seven worker processes for evaluating language models, and without telemetry.
    env: { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false", MLFLOW_DISABLE_TELEMETRY: "true" },
    ...{ stdin: "null", stdout: "null", stderr: "null", detached: true },
  }).spawn();

  /** Waits until it answers: a busy machine takes minutes to load MLflow. */
  async answers(): Promise<void> {
    let ended = false;
    this.#process.status.then(() => ended = true);
    for (const until = Date.now() + 600_000; !ended && Date.now() < until;) {
      const answer = await fetch(`${this.url}/health`).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.ok) return;
      await pause(100);
    }
    assert.fail(`MLflow does not answer at ${this.url}`);
  }

  /** Ends it and all processes that it started. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      Deno.kill(-this.#process.pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended by itself
    }
    await this.#process.status;
    await Deno.remove(this.folder, { recursive: true });
  }
}

testTask("train mirrors everything it logs to a real MLflow server", async (place) => {
  await using server = new RealServer();
  await server.answers();
  const { stderr } = await place.succeed("train:residual", mirroredRun, {
    ...{ ...quick, MLFLOW_EXPERIMENT_NAME: "all", MLFLOW_RUN_NAME: "residual" },
    MLFLOW_TRACKING_URI: server.url.replace("//", "//somebody:secret%20word@"),
  });
  const { info, data, inputs } = await assertMirrored(server, "all", place.file("run"));
  assert.deepEqual([info.run_name, info.status], ["residual", "FINISHED"]);
  const { experiment_id, run_id } = info;
  const page = `${server.url}/#/experiments/${experiment_id}/runs/${run_id}?workflowType=machine_learning`;
  assert.ok(stderr.includes(`MLflow shows the run at ${page}\n`), stderr);

  const keys = data.metrics!.map(({ key }) => key);
  const gauges = ["images_per_second", "process_memory_megabytes", "device_memory_megabytes"];
  const measured = ["train_loss", "val_loss", "learning_rate", "test_loss"];
  const known = [...measured, ...gauges.map((key) => `system/${key}`)];
  assert.deepEqual(known.filter((key) => !keys.includes(key)), []);
  const tags = valuesOf(data.tags);
  assert.equal(tags["mlflow.source.name"], `./denow task train:residual ${mirroredRun}`);
  assert.match(tags["mlflow.note.content"], /: test loss [\d.]+ at step 33,/);
  assert.ok(tags["mlflow.user"].length > 0);
  const record = await place.json("run/run.json");
  const [{ dataset, tags: contexts }] = inputs!.dataset_inputs!;
  assert.deepEqual([dataset.name, dataset.digest], ["data", record.dataset.digest.slice(0, 36)]);
  assert.deepEqual(contexts, [{ key: "mlflow.data.context", value: "training" }]);
  const counts = { train: 86, validation: 10, test: 24, channels: 1, classes: 10 };
  assert.deepEqual(JSON.parse(dataset.profile), { ...counts, sha256: record.dataset.digest });

  // Its weights are a model of MLflow 3 that can be registered, with the results of its last step.
  type Model = { info: Record<string, unknown>; data: { metrics: { key: string; step: number }[] } };
  const search = { experiment_ids: [experiment_id], filter: `source_run_id = '${run_id}'` };
  const { models: [model, ...more] } = await server.post<{ models: Model[] }>("logged-models/search", search);
  assert.deepEqual([model.info.status, more], ["LOGGED_MODEL_READY", []]);
  assert.deepEqual(model.data.metrics.map(({ key }) => key).sort(), [
    "test_loss",
    "test_loss_margin",
    "train_loss",
    "val_loss",
  ]);
  await server.post("registered-models/create", { name: "digits" });
  const source = { name: "digits", source: `models:/${model.info.model_id}`, model_id: model.info.model_id };
  type Registered = { model_version: { status: string } };
  const { model_version } = await server.post<Registered>("model-versions/create", source);
  assert.equal(model_version.status, "READY");

  const again = async () => (await place.succeed("sync", "run", { MLFLOW_TRACKING_URI: server.url })).stdout;
  assert.match(await again(), /^run: already complete, http/);
  // As if the server was restored from an older backup.
  await Deno.remove(join(server.folder, "artifacts", experiment_id, run_id, "artifacts", "config.json"));
  using database = new DatabaseSync(join(server.folder, "mlflow.db"));
  database.exec("DELETE FROM metrics WHERE key = 'train_loss' AND step > 9");
  database.exec("DELETE FROM latest_metrics WHERE key = 'train_loss'");
  assert.match(await again(), /^run: \d+ points and 1 files sent, http/);
  await assertMirrored(server, "all", place.file("run"));
}, typeof python === "string" ? undefined : python.reason);
