/** `deno task distill` of custom networks. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { decodeCheckpoint } from "../../../models/mod.ts";
import { fingerprintOf, madeOnce, oneThread, testTask, type Workplace } from "../cli.ts";
import { assertRefused } from "../refusals.ts";
import { bareOwnRun, mlp, writeModule } from "./modules.ts";

const flags = `--batch-size 8 ${oneThread} --samples 0 --flow-samples 0 --path-samples 0 --test-batches 1`;
const twoSteps = bareOwnRun.replace("--epochs 3", "--max-steps 2");

testTask("an example is distilled, repeated to the same bits, and draws in one evaluation", async (place) => {
  const module = fileURLToPath(new URL("../../../examples/convnext.ts", import.meta.url));
  await place.succeed("train", `--model ${module}:widths=8,16,features=8 ${twoSteps} --out flow`);
  const stages = `--model ${module} --stages mean:images=16 --stages drift:images=24,references=30`;
  const whole = await place.succeed("distill", `flow ${stages} ${flags} --out whole`);
  assert.doesNotMatch(whole.stderr, /only the pixels/, "drift compares its features");
  await Deno.remove(place.file("flow"), { recursive: true }); // the run has its own copy
  await place.succeed("distill", `--config whole --model ${module} --out again`);
  const weights = await place.read("again", "ema.safetensors");
  assert.equal(fingerprintOf(weights), await place.digest("whole", "ema.safetensors"));
  const { info: { config } } = decodeCheckpoint(weights, "ema");
  assert.deepEqual([config.type, config.flowMap], ["own", true]);
  const drawing = `--checkpoint again --model ${module} --count 10 ${oneThread}`;
  const { stderr } = await place.succeed("sample", drawing);
  assert.match(stderr, /10 samples of all 10 classes, no guidance, map, 1 step, 1 evaluation each/);
});

/** The MLP with a mean velocity; parts can be replaced. */
function flowMap(meanVelocity: string): string {
  return mlp({ body: "this.steps = flowMap ? new StepEmbedding({ tEmb: hidden }) : undefined;" })
    .replace("Module,", "Module, StepEmbedding, zeros,")
    .replace("#activation: string;", "steps: StepEmbedding | undefined;\n  #activation: string;")
    .replace("shape, classes }:", "shape, classes, flowMap }:")
    .replace("classes: number },", "classes: number; flowMap: boolean },")
    .replace("t: Tensor, condition?: Tensor)", "t: Tensor, condition?: Tensor, d?: Tensor)")
    .replace(", this.#constant);", ", d ? add(this.steps!.forward(d), this.#constant) : this.#constant);")
    .replace(/\}\n$/, `${meanVelocity}\n}\n`);
}
const meanVelocity =
  "meanVelocity(x: Tensor, t: Tensor, d: Tensor, condition?: Tensor) { return this.velocity(x, t, condition, d); }";

/** A run of the MLP without a mean velocity. */
const makeFlow = (place: Workplace) =>
  madeOnce(place, "own flow", async (place) => {
    await writeModule(place);
    await place.succeed("train", `--model mlp.ts:hidden=8 ${twoSteps} --out flow`);
  });

testTask("a network gains its mean velocity after training", async (place) => {
  await makeFlow(place);
  await writeModule(place, "mlp.ts", flowMap(meanVelocity));
  const stages = `--model mlp.ts --stages drift:images=8,references=30 ${flags}`;
  const { stderr } = await place.succeed("distill", `flow ${stages} --out run`);
  assert.match(stderr, /drift compares only the pixels of images: the network has no encode\(images, t\)/);
  const { model } = await place.json("run/config.json");
  assert.match(model, /^mlp\.ts@sha256:\w{64}:hidden=8,activation=gelu$/);
  const compared = await place.succeed("sample", `run --model mlp.ts --count 10 --compare ${oneThread}`);
  assert.match(compared.stderr, /with 1, 2, 4, 8 and 19 evaluations each/);
  await place.succeed("distill", `run ${stages} --out again`);
});

const cannotUse = "ConfigError: Cannot use mlp.ts:";
/** Programs that a run of the MLP cannot be distilled with, by the beginning of the line that says so. */
const bad: Readonly<Record<string, string>> = {
  [`${cannotUse} it has no method meanVelocity(x, t, d, labels), the mean velocity from t to t + d`]: mlp(),
  [`${cannotUse} its mean velocity does not depend on d`]: flowMap(
    meanVelocity.replace(", d)", ", zeros([2]))"),
  ),
  [`${cannotUse} meanVelocity() of x f32[2, 1, 12, 12] returned f32[2] (expected f32[2, 1, 12, 12])`]:
    flowMap(meanVelocity.replace("this.velocity(x, t, condition, d)", "d")),
  [`${cannotUse} encode() of x f32[2, 1, 12, 12] returned `]: flowMap(
    meanVelocity + " encode(x: Tensor) { return x; }",
  ),
  'StateError: Cannot load flow/ema.safetensors: unknown name "outer.weight" (nearest: "other.weight")':
    flowMap(meanVelocity).replaceAll("this.outer", "this.other").replace("outer: Linear", "other: Linear"),
  "ConfigError: Cannot distil flow/ema.safetensors with mlp.ts: with its weights, mlp.ts has a different velocity":
    flowMap(meanVelocity).replaceAll("StepEmbedding", "TimeEmbedding"),
};

testTask("a custom network that cannot be distilled is refused before anything is written", async (place) => {
  await makeFlow(place);
  for (const [says, text] of Object.entries(bad)) {
    await writeModule(place, "mlp.ts", text);
    await assertRefused(place, { task: "distill", flags: `flow --model mlp.ts ${flags}`, says: [says] });
  }
});
