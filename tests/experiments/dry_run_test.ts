/** `--dry-run` of the tasks that take long: what they would do, with nothing written. */

import assert from "node:assert/strict";
import { oneThread, type TaskName, testTask, tinyRun, type Workplace } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";
import { assertMistakes } from "./refusals.ts";
import { storeNetwork } from "./stored_network.ts";

/**
 * The rows of a dry run by heading, with the lines of each joined. Meanwhile each look at the clock takes milliseconds, so
 * that trials of seconds are short. Afterwards the clock stays ahead: if it went back, timers would wait for it.
 */
async function rowsOf(place: Workplace, task: TaskName, flags: string): Promise<Record<string, string>> {
  const before = await place.listing();
  const now = performance.now.bind(performance), start = now();
  let ms = 0;
  performance.now = () => start + (ms += 700);
  const { stdout } = await place.succeed(task, `--dry-run ${flags}`)
    .finally(() => performance.now = () => now() + ms);
  assert.deepEqual(await place.listing(), before, `${task} has written`);
  const rows = stdout.replaceAll(/\n {4,}/g, " ").trim().split("\n");
  return Object.fromEntries(rows.map((row) => row.trim().split(/ {2,}(.*)/)));
}

testTask("--dry-run prints what a task would do, and writes nothing", async (place) => {
  await storeNetwork(place, "weights", [imageSize, imageSize], { classes: 10 });
  const stages = "--stages pairs:images=16,count=16,steps=1 --stages drift:images=16 --batch-size 8";
  const cases: [task: TaskName, flags: string, rows: Readonly<Record<string, RegExp>>][] = [
    ["train", `--init weights.safetensors --data data --batch-size 8 --max-minutes 0.05 ${oneThread}`, {
      network: /^base U-Net \[4,8\], [\d,]+ parameters, conditional on 10 classes/,
      weights: /^Starts from weights\.safetensors: (\d+) of \1 tensors/,
      steps: /^[\d,]+ of 8 images: .* epochs of 86 images$/,
      time: /^about [\d.]+ \w+: [34] seconds of training, [\d.]+ \w+ of measuring and drawing after it$/,
      memory: /^\d+ MiB on the device$/,
      files: /^runs\/<time>-base: run\.json, /,
    }],
    ["distill", `weights.safetensors --data data ${stages} ${oneThread}`, {
      steps: /^4 of 8 images/,
      time: /^about [\d.]+ \w+: [\d.]+ \w+ of training, [\d.]+ \w+ of measuring and drawing after it$/,
      files: /^runs\/<time>-distill: .*teacher\.safetensors, .*pairs\//,
    }],
  ];
  for (const [task, flags, rows] of cases) {
    const printed = await rowsOf(place, task, flags);
    for (const [name, says] of Object.entries(rows)) {
      assert.match(printed[name] ?? "", says, `${task}: ${name}`);
    }
    assert.equal(printed["dry run"], "nothing was written");
  }
});

testTask("train --dry-run names the steps and files of the run, or of its rest", async (place) => {
  const flags = `${tinyRun.replace("--sample-epochs 0", "--sample-epochs 0.75")} --ema 0 --out run`;
  const { steps, files } = await rowsOf(place, "train:residual", flags);
  await place.succeed("train:residual", flags);
  assert.equal(steps.split(" ")[0], `${(await place.metrics("run")).at(-1)!.step}`);
  const named = files.split(": ")[1].split(", ").map((file) => file.split("/")[0]);
  assert.deepEqual([...new Set(named)].sort(), await place.names("run"));
  const longer = `--resume run --epochs 4 --lr 0.001 ${oneThread}`;
  const { steps: rest } = await rowsOf(place, "train", longer);
  assert.match(rest, /^10 of 8 images, from step 33 on: /);
  await assertMistakes(place, "train", { [`--dry-run ${flags}`]: "RunError: Cannot use run as " });
});

testTask("--no-pictures leaves out every picture, and is refused where it has no effect", async (place) => {
  const flags = tinyRun.replaceAll(/ --(samples|flow-\w+|path-samples|solver|sample-epochs) \S+/g, "");
  await place.succeed("train:residual", `${flags} --no-pictures --out run`);
  const drawn = ["samples.png", "few_steps.png", "flow", "samples", "flow_linear.gif"];
  const names = await place.names("run");
  assert.deepEqual(names.filter((name) => drawn.includes(name)), []);
  assert.ok(names.includes("report.html") && names.includes("loss_by_time.json"), `${names}`);
  await assertMistakes(place, "train", {
    "--no-pictures --samples 4": "ConfigError: Cannot use --no-pictures with --samples (leave one out)",
    "--no-pictures --resume run": "ConfigError: Cannot use --no-pictures with --resume (leave one out)",
  });
});
