/** The networks of examples/dit.ts and docs/own_networks.md; own_distill_test.ts has examples/convnext.ts. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { oneThread, testTask } from "../cli.ts";
import { makePlan, tinyPlan } from "../study/tiny_study.ts";
import { library, ownRun } from "./modules.ts";

testTask(
  "examples/dit.ts trains, resumes after kill -9 to the same bits, is evaluated and reported",
  async (place) => {
    const module = fileURLToPath(new URL("../../../examples/dit.ts", import.meta.url));
    const flags = `--model ${module} --width 16 --depth 1 --heads 2 ${
      ownRun.replace("--epochs 3", "--max-steps 24").replace("--log-every 3", "--log-every 1")
    }`;
    const cut = `${flags} --checkpoint-minutes 0 --out cut`;
    const [{ stderr }, { code }] = await Promise.all([
      place.succeed("train", `${flags} --out whole`),
      place.stopAt(0, { task: "train", flags: cut, run: "cut" }),
    ]);
    assert.equal(code, 137, "it ended before it was killed");
    assert.match(stderr, new RegExp(`^${module} \\(`));
    await place.succeed("train", `--resume cut --model ${module}`);
    assert.deepEqual(await place.state("cut"), await place.state("whole"));
    assert.deepEqual(await place.metrics("cut"), await place.metrics("whole"));
    for (const file of ["ema.safetensors", "samples.png", "flow_linear.gif"]) {
      assert.equal(await place.digest("cut", file), await place.digest("whole", file), file);
    }
    const losses = (await place.metrics("whole")).flatMap(({ train_loss: loss }) =>
      loss === undefined ? [] : [Number(loss)]
    );
    assert.ok(losses.at(-1)! < 0.95 * losses[0], `${losses}`);
    await place.succeed(
      "evaluate",
      `whole --model ${module} --count 20 --course-images 4 --bits-images 0 --judge none ${oneThread}`,
    );
    assert.ok((await place.names("whole")).includes("evaluation.json"));
  },
);

testTask(
  "study trains the network of the docs next to a U-Net",
  async (place) => {
    const page = await Deno.readTextFile(new URL("../../../docs/own_networks.md", import.meta.url));
    const [, module] = /```ts\n(.*?)```/s.exec(page)!;
    await Deno.writeTextFile(place.file("mine.ts"), module.replaceAll("../mod.ts", library));
    const plan = {
      seeds: [1],
      evaluation: { ...tinyPlan.evaluation },
      grid: { model: ["residual", "mine.ts:hidden=8"] },
    };
    await makePlan(place, plan);
    await place.succeed("study", `plan.json --out study ${oneThread}`);
    const { model } = JSON.parse(
      await Deno.readTextFile(place.file("study/cells/mine-hidden-8-s1/config.json")),
    );
    assert.match(model, /^mine\.ts@sha256:\w{64}:hidden=8,activation=gelu$/);
    assert.match(await Deno.readTextFile(place.file("study", "study.md")), /mine\.ts:hidden=8 .* 2,504 /);
  },
);
