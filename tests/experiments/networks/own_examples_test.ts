/** The networks of examples/dit.ts and docs/own_networks.md; own_distill_test.ts has examples/convnext.ts. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { oneThread, testTask } from "../cli.ts";
import { makePlan, tinyPlan } from "../study/tiny_study.ts";
import { library, ownRun } from "./modules.ts";
import { dataIn } from "../../viz/report/page_content.ts";

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
    await place.succeed("train", "--resume cut");
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
      `whole --count 20 --course-images 4 --bits-images 0 --judge none ${oneThread}`,
    );
    assert.ok((await place.names("whole")).includes("evaluation.json"));
    const { runs: [{ live }] } = dataIn(await Deno.readTextFile(place.file("whole", "report.html")));
    assert.match(Object(live).program, /^data:/);
  },
);

testTask(
  "study trains the network of the docs next to a U-Net, and refuses its program from elsewhere",
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
    const { stdout } = await place.succeed("study", `plan.json --out study --dry-run ${oneThread}`);
    assert.match(stdout, / mine-hidden-8-s1 +none +2,504 +2,312 /);
    await place.succeed("study", `plan.json --out study ${oneThread}`);
    const { model } = JSON.parse(
      await Deno.readTextFile(place.file("study/cells/mine-hidden-8-s1/config.json")),
    );
    assert.equal(model, "mine.ts:hidden=8,activation=gelu");
    assert.match(await Deno.readTextFile(place.file("study", "table.md")), /mine\.ts:hidden=8/);

    await Deno.remove(place.file(".config"), { recursive: true }); // as on another machine
    const { code, stderr } = await place.runProgram("study", `study ${oneThread}`);
    assert.equal(code, 1);
    assert.match(stderr, /^ConfigError: Cannot run the network mine\.ts: you have not approved its program/);
  },
);
