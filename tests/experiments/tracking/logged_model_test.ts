import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import type { FakeMlflow } from "./fake_mlflow.ts";
import { valuesOf } from "./mirrored.ts";
import { newsOf, nothing, send, session, testSending } from "./sessions.ts";

/** Records a session of a run with weights and settings. */
async function trained(run: string, weights: string, lines: Parameters<typeof session>[1], options = {}) {
  await Deno.writeTextFile(join(run, "ema.safetensors"), weights);
  await Deno.writeTextFile(join(run, "config.json"), '{"model":"base","batchSize":8}');
  await session(run, lines, options);
}

const linkedTo = (server: FakeMlflow, model: number) =>
  server.models[model].points.map(({ key, value, step }) => [key, value, step]);

testSending(
  "sendRun() logs the weights of a finished run as a model, with measurements",
  async (run, server) => {
    const weights = "tensors";
    const lines = [
      { step: 1, train_loss: 0.9, val_loss: 0.8 },
      { step: 2, train_loss: 0.7, learning_rate: 0.1, "system/images_per_second": 5 },
      { step: 2, test_loss: 0.6 },
    ];
    await trained(run, weights, lines);
    const [{ files }] = await send(run, server);
    const [model] = server.models;
    const sha256 = createHash("sha256").update(weights).digest("hex");
    assert.equal(files, 3 + 4, "of the model and of the run");
    const { name, status, source_run_id, tags } = model.info;
    assert.deepEqual([name, status, source_run_id], ["run", "LOGGED_MODEL_READY", "r1"]);
    assert.deepEqual(tags, [{ key: "flow.weights_sha256", value: sha256 }]);
    assert.deepEqual(valuesOf(model.params as { key: string; value: string }[]), {
      model: "base",
      "batch-size": "8",
    });
    assert.deepEqual(linkedTo(server, 0), [["train_loss", 0.7, 2], ["test_loss", 0.6, 2]]);
    const text = (name: string) => new TextDecoder().decode(model.files.get(name));
    assert.deepEqual([...model.files.keys()].sort(), ["MLmodel", "README.md", "ema.safetensors"]);
    assert.equal(text("ema.safetensors"), weights);
    assert.deepEqual(JSON.parse(text("MLmodel")).flavors, { flow_matching: { data: "ema.safetensors" } });
    assert.match(text("README.md"), /models:\/m1 .*\n\.\/denow task sample model\/ema\.safetensors /);
    assert.deepEqual(server.sent("runs/outputs"), [{ run_id: "r1", models: [{ model_id: "m1", step: 2 }] }]);

    assert.deepEqual(await newsOf(run, server), nothing, "a model is sent twice");
    // An evaluation of these weights.
    appendMetrics(join(run, "metrics.jsonl"), { step: 2, "eval/frechet": 3, "eval/frechet_low": 2 });
    await send(run, server);
    assert.deepEqual(linkedTo(server, 0).slice(2), [["eval/frechet", 3, 2]]);

    await trained(run, "more", [{ step: 3, test_loss: 0.5 }], { resumedAt: 2 });
    await send(run, server);
    assert.equal(server.models.length, 2, "a run that continued has another network");
    assert.deepEqual(linkedTo(server, 1), [["test_loss", 0.5, 3]]);
    assert.equal(linkedTo(server, 0).length, 3);
  },
);

testSending("sendRun() completes a model, regardless of the request that failed", async (run, server) => {
  await trained(run, "tensors", [{ step: 1, test_loss: 0.6 }]);
  const ofModel = ({ path, body }: { path: string; body: string }) =>
    /logged-models|models\/m1|runs\/outputs/.test(path) || body.includes("model_id");
  let working = 0; // requests of the model before the server fails
  for (let isDone = false; !isDone; working++) {
    let count = 0;
    server.answer = (seen) => ofModel(seen) && count++ >= working ? "cut" : undefined;
    isDone = await send(run, server).then(() => true, () => false);
  }
  assert.ok(working >= 7, `${working} requests`);
  const [{ info, points, files }] = server.models;
  assert.deepEqual([server.models.length, info.status], [1, "LOGGED_MODEL_READY"]);
  assert.deepEqual([points.length, files.size], [1, 3]);
});

testSending(
  "sendRun() does not log a model of a stopped run, or on a server without models or files",
  async (run, server) => {
    await trained(run, "tensors", [{ step: 1, train_loss: 0.6 }], { ending: "KILLED" });
    assert.deepEqual([(await send(run, server))[0].refused, server.models], [{}, []]);
    await session(run, [{ step: 2, test_loss: 0.6 }], { resumedAt: 1 });
    server.answer = ({ path }) =>
      path.includes("logged-models") ? new Response("<html>", { status: 404 }) : undefined;
    assert.deepEqual((await send(run, server))[0].refused, {
      "logged model": "the server is older than MLflow 3",
    });
    server.answer = ({ method }) => method === "PUT" ? new Response("", { status: 413 }) : undefined;
    await Deno.writeTextFile(join(run, "ema.safetensors"), "too large");
    assert.ok("artifacts/ema.safetensors" in (await send(run, server))[0].refused);
    server.answer = () => undefined;
    assert.equal(server.models.length, 0);
    assert.deepEqual((await send(run, server))[0].refused, {});
    assert.equal(server.models.length, 1);
  },
);
