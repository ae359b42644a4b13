import assert from "node:assert/strict";
import { join } from "node:path";
import { stepOfWeights } from "../../../experiments/evaluation/step_of_weights.ts";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { encodeProgress } from "../../../experiments/training/run_state.ts";
import { encodeSafetensors } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";

testInFolder("stepOfWeights() is that of the checkpoint of a killed run, which logged more", async (run) => {
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
  assert.equal(await stepOfWeights(run, { status: "FINISHED" }), 30, "all that is logged is in the weights");
});
