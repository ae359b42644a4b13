import assert from "node:assert/strict";
import type { EvaluatedNetwork } from "../../../experiments/evaluation/evaluated_network.ts";
import { stepOfWeights } from "../../../experiments/run/weights.ts";
import { evaluationOptions } from "../../../experiments/evaluation/evaluation_options.ts";
import { evaluating } from "../../../experiments/evaluate.ts";
import { join } from "node:path";
import { appendMetrics, encodeProgress } from "../../../experiments/run/metrics_log.ts";
import { encodeSafetensors } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";

/** A network that draws nothing, with training and test images of some classes. */
function subjectWith(trained: number, tested: number, classes: number): EvaluatedNetwork {
  const part = (count: number) => ({ images: new Uint8Array(count), labels: new Uint8Array(count), count });
  const [train, test] = [part(trained), part(tested)];
  const data = { name: "made-up", train, test, channels: 1, height: 1, width: 1, classes };
  return {
    drawable: { model: {} as never, normalization: { scale: 1, shift: 0 }, shape: [1, 1, 1] },
    data: { ...data, digest: "", source: "" },
    trained: Uint32Array.from({ length: trained }, (_, n) => n),
    weights: { file: "", sha256: "" },
    classes,
  };
}

/** The request of flags. */
const optionsOf = (flags: object, subject: EvaluatedNetwork) =>
  evaluationOptions({ ...evaluating.resolve(flags), help: false, runs: [] } as never, subject, 2000);

Deno.test("evaluationOptions() compares as many samples as there are test images, or training images if those are few", () => {
  const [few, enough] = [subjectWith(900, 20, 3), subjectWith(900, 200, 3)];
  assert.equal(optionsOf({}, enough).count, 200);
  assert.equal(optionsOf({}, few).count, 900);
  assert.equal(optionsOf({ count: 12 }, few).count, 12);
  assert.equal(optionsOf({ count: 12, judge: "none" }, enough).count, 12);
  const refused: [flags: object, subject: EvaluatedNetwork, message: string][] = [
    [{ count: 201 }, enough, "Cannot compare 201 samples: there are only 200 test images; use --count 200"],
    [{ count: 901 }, few, "Cannot compare 901 samples: there are only 900 training images; use --count 900"],
    [
      { count: 12 },
      enough,
      "Cannot judge 12 samples: the covariance of the judge's 84 features needs 168; use --count 168",
    ],
  ];
  for (const [flags, subject, message] of refused) {
    assert.throws(() => optionsOf(flags, subject), { name: "ConfigError", message });
  }
});

Deno.test("evaluationOptions() takes at most as many images as samples", () => {
  const subject = subjectWith(20, 20, 1);
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
  assert.equal(await stepOfWeights(run, "KILLED"), 0);
  for (const step of [10, 20, 30]) appendMetrics(join(run, "metrics.jsonl"), { step, train_loss: 1 });
  assert.equal(await stepOfWeights(run, "KILLED"), 30, "without a state");
  await Deno.writeTextFile(state, "damaged");
  assert.equal(await stepOfWeights(run, "KILLED"), 30, "with a damaged one");
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
  assert.equal(await stepOfWeights(run, "KILLED"), 20);
  assert.equal(await stepOfWeights(run, "FINISHED"), 30, "all logged steps are in the weights");
});
