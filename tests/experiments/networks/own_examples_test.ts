/** The networks of examples/dit.ts and docs/own_networks.md; own_distill_test.ts has examples/convnext.ts. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { oneThread, testTask } from "../cli.ts";
import { makePlan, tinyPlan } from "../study/tiny_study.ts";
import { bareOwnRun, library } from "./modules.ts";

testTask("examples/dit.ts trains, resumes to the same bits, and is evaluated", async (place) => {
  const module = fileURLToPath(new URL("../../../examples/dit.ts", import.meta.url));
  const flags = `--model ${module} --width 16 --depth 1 --heads 2 --schedule constant --warm-up 0 ${
    bareOwnRun.replace(" --epochs 3", "").replace("--log-every 3", "--log-every 1")
  }`;
  const { stderr } = await place.succeed("train", `${flags} --max-steps 16 --out whole`);
  assert.match(stderr, new RegExp(`^${module} \\(`));
  await place.succeed("train", `${flags} --max-steps 5 --out cut`);
  await place.succeed("train", `--resume cut --max-steps 16 --model ${module}`);
  const tensors = async (run: string) => (await place.state(run)).tensors;
  assert.deepEqual(await tensors("cut"), await tensors("whole"));
  const losses = (await place.metrics("whole")).flatMap(({ train_loss: loss }) => loss ?? []).map(Number);
  assert.ok(losses.at(-1)! < 0.95 * losses[0], `${losses}`);
  const evaluation = `--count 20 --course-images 4 --bits-images 0 --judge none ${oneThread}`;
  await place.succeed("evaluate", `whole --model ${module} ${evaluation}`);
});

testTask("study trains the network of the docs next to a U-Net", async (place) => {
  const page = await Deno.readTextFile(new URL("../../../docs/own_networks.md", import.meta.url));
  const [, module] = /```ts\n(.*?)```/s.exec(page)!;
  await place.write("mine.ts", module.replaceAll("../mod.ts", library));
  const grid = { model: ["residual", "mine.ts:hidden=8"] };
  await makePlan(place, { seeds: [1], evaluation: { ...tinyPlan.evaluation }, grid });
  await place.succeed("study", `plan.json --out study ${oneThread}`);
  const { model } = await place.json("study/cells/mine-hidden-8-s1/config.json");
  assert.match(model, /^mine\.ts@sha256:\w{64}:hidden=8,activation=gelu$/);
  assert.match(await place.text("study/study.md"), /mine\.ts:hidden=8 .* 2,504 /);
});
