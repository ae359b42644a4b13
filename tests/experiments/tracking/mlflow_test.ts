import assert from "node:assert/strict";
import { join } from "node:path";
import { readMetrics } from "../../../experiments/run/metrics_log.ts";
import { recordComparison } from "../../../experiments/tracking/comparison.ts";
import { FolderStore } from "../../../experiments/tracking/folder_store.ts";
import { ServerStore } from "../../../experiments/tracking/server_store.ts";
import { chooseTracking } from "../../../experiments/tracking/settings.ts";
import { loadStoreTrajectories } from "../../../experiments/draw/stored_trajectories.ts";
import { ended } from "../cli.ts";
import { imageSize } from "../data/tiny_idx.ts";
import { assertMirrored } from "./mirrored.ts";
import { valuesOf } from "./mlflow_server.ts";
import { mirroredRun, newExperiment, quick, testMirrored, until } from "./shared_server.ts";

testMirrored("train mirrors all that it logs to a real MLflow server", async (place, server) => {
  const experiment = newExperiment();
  const { host } = new URL(server.url);
  const { stderr } = await place.succeed("train:residual", mirroredRun, {
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
    /\*\*residual U-Net\*\*, channels 8, 16, [\d,]+ parameters, trained on 86 images of data/,
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
    channels: 1,
    classes: 10,
    sha256: record.dataset.digest,
  });

  // Credentials are in none of it.
  for (const [path, content] of await place.listing(place.file("run"))) {
    const text = content === "folder" ? "" : atob(content.split(" ")[1]);
    assert.ok(!/secret|somebody/.test(text), path);
  }
  assert.doesNotMatch(stderr, /secret|somebody/);

  const again = await place.succeed("sync", "run", { MLFLOW_TRACKING_URI: server.url });
  assert.match(again.stdout, /^run: already complete, http/);
  await assertMirrored(server, experiment, place.file("run"));
});

testMirrored(
  "train tells a Ctrl-C as KILLED, an error as FAILED, and goes on with the same run",
  async (place, server) => {
    const experiment = newExperiment();
    const env = { ...quick, MLFLOW_TRACKING_URI: server.url, MLFLOW_EXPERIMENT_NAME: experiment };
    const process = place.start("train:base", mirroredRun.replace("--epochs 3", "--epochs 1000"), env);
    const end = ended(process);
    await until(
      async () => (await readMetrics(place.file("run", "metrics.jsonl"))).some(({ step }) => step >= 12),
      "no step 12 comes",
    );
    process.kill("SIGINT");
    assert.equal((await end).code, 130);
    const killed = await assertMirrored(server, experiment, place.file("run"));
    assert.equal(killed.info.status, "KILLED");

    // The server is known from the run folder.
    const done = (await readMetrics(place.file("run", "metrics.jsonl"))).at(-1)!.epoch as number;
    const epochs = Math.floor(done) + 1;
    await place.succeed("train:base", `--resume run --epochs ${epochs}`, { ...quick });
    const [finished, ...others] = await server.runs(experiment);
    assert.equal(others.length, 0);
    assert.deepEqual([finished.info.run_id, finished.info.status], [killed.info.run_id, "FINISHED"]);
    // A param stays what it was; the new value stands beside it.
    assert.equal(valuesOf(finished.data.params).epochs, "1000");
    assert.equal(valuesOf(finished.data.tags)["resumed.epochs"], `${epochs}`);

    const diverging = mirroredRun.replace(
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
    const experiment = newExperiment();
    const env = { ...quick, MLFLOW_TRACKING_URI: server.url, MLFLOW_EXPERIMENT_NAME: experiment };
    for (const [task, name] of [["train:base", "base"], ["train:residual", "residual"]] as const) {
      await place.succeed(task, mirroredRun.replace("--out run", `--out runs/${name}`), env);
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
    const [ours, theirs] = await Promise.all(stores.map((store) => loadStoreTrajectories(store, experiment)));
    assert.deepEqual(ours.map(({ name }) => name), ["base", "residual"]);
    assert.deepEqual(theirs.map(({ samples }) => samples), ours.map(({ samples }) => samples));
    assert.deepEqual(ours[0].samples.map(({ k }) => k), [1, 2]);
    assert.deepEqual(ours[0].samples[0].trajectory.shape, [5, imageSize, imageSize]);

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
      (await loadStoreTrajectories(stores[1], experiment)).length,
      2,
      "a comparison holds no snapshots of its own",
    );
  },
);
