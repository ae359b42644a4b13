import assert from "node:assert/strict";
import {
  type EvaluatedNetwork,
  evaluationOptions,
  stepOfWeights,
} from "../../../experiments/evaluation/evaluated_network.ts";
import { evaluating } from "../../../experiments/evaluate.ts";
import { join } from "node:path";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { encodeProgress } from "../../../experiments/run/run_progress.ts";
import { encodeSafetensors } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";

Deno.test("evaluationOptions() takes at most as many images as samples", () => {
  const test = { images: new Uint8Array(20), labels: new Uint8Array(20), count: 20 };
  const data = { name: "made-up", train: test, test, channels: 1, height: 1, width: 1, classes: 1 };
  const subject: EvaluatedNetwork = {
    // The network draws nothing in this test.
    drawable: { model: undefined!, normalization: { scale: 1, shift: 0 }, shape: [1, 1, 1] },
    data: { ...data, digest: "", source: "" },
    trained: Uint32Array.from({ length: 20 }, (_, n) => n),
    weights: { file: "", sha256: "" },
    classes: 1,
  };
  const plan = (flags: object) => {
    const words = { ...evaluating.resolve(flags), help: false, runs: [] };
    const { count, courseImages, bitsImages } = evaluationOptions(words, subject, 2000);
    return [count, courseImages, bitsImages];
  };
  assert.deepEqual(plan({}), [20, 20, 20]);
  assert.deepEqual(plan({ count: 10, courseImages: 12, bitsImages: 3 }), [10, 10, 3]);
});

testInFolder("stepOfWeights() of a killed run is the step of its checkpoint, not of its log", async (run) => {
  const state = join(run, "state.safetensors");
  assert.equal(await stepOfWeights(run, { status: "KILLED" }), 0);
  for (const step of [10, 20, 30]) appendMetrics(join(run, "metrics.jsonl"), { step, train_loss: 1 });
  assert.equal(await stepOfWeights(run, { status: "KILLED" }), 30, "without a state");
  await Deno.writeTextFile(state, "damaged");
  assert.equal(await stepOfWeights(run, { status: "KILLED" }), 30, "with a damaged one");
  const progress = encodeProgress({
    step: 20,
    elapsedSeconds: 1,
    bestValLoss: null,
    validatedStep: 0,
    schedule: {},
    recentSteps: { losses: [], gradientNorms: [], open: 0 },
    dataDigest: "",
  });
  await Deno.writeFile(state, encodeSafetensors(new Map(), { progress }));
  assert.equal(await stepOfWeights(run, { status: "KILLED" }), 20);
  assert.equal(await stepOfWeights(run, { status: "FINISHED" }), 30, "all logged steps are in the weights");
});
