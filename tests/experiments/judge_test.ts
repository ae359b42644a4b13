import assert from "node:assert/strict";
import { sha256 } from "../../experiments/run/run_folder.ts";
import { init } from "../../kernels/mod.ts";
import { loadJudge } from "../../models/mod.ts";
import { oneThread, testTask } from "./cli.ts";
import { testMistakes } from "./refusals.ts";

testTask("judge trains a judge reproducibly, and prints its accuracy", async (place) => {
  const flags = "--data data --device cpu --steps 30 --seed 3";
  const { stdout, stderr } = await place.succeed("judge", `${flags} --out a.safetensors`);
  await place.succeed("judge", `${flags} --out b.safetensors --threads 1`);
  const bytes = await place.read("a.safetensors");
  assert.deepEqual(bytes, await place.read("b.safetensors"));
  assert.ok(stderr.endsWith(`a.safetensors: SHA-256 ${await sha256(bytes)}\n`), stderr);
  assert.match(stderr, /\n30\/30 .*loss \d/);

  const device = await init({ device: "cpu" });
  const { info } = loadJudge(bytes, "a.safetensors");
  device.close();
  const right = Math.round(24 * info.accuracy);
  assert.equal(stdout, `${(100 * info.accuracy).toFixed(2)} % of the test images of data (${right} of 24)\n`);
  assert.equal(info.command, "deno task judge --data data --steps 30 --seed 3 --device cpu");
  assert.deepEqual([info.steps, info.seed], [30, 3]);
  assert.deepEqual(await place.names(), ["a.safetensors", "b.safetensors", "data"]);
});

testTask("judge leaves no files behind after SIGINT and SIGTERM", async (place) => {
  const before = await place.listing();
  for (const [signal, exitCode] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    const process = place.start("judge", `--data data ${oneThread} --steps 1000000`);
    let stderr = "";
    for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) {
      stderr += text;
      if (text.includes("Training the judge lenet for data, 1000000 steps on ")) process.kill(signal);
    }
    await process.stdout.cancel();
    const { code } = await process.status;
    assert.equal(code, exitCode, stderr);
    assert.match(stderr, new RegExp(`\n${signal}: stopping\n`));
    const steps = Number([...stderr.matchAll(/(\d+)\/1000000 /g)].at(-1)?.[1] ?? 0);
    assert.ok(steps < 800, `it stopped after ${steps} steps`); // 1280 or 2580 if signals do not get in during pauses
    assert.deepEqual(await place.listing(), before);
  }
});

testMistakes("judge", {
  "--step 3": "ConfigError: Unknown flag --step (did you mean --steps?)",
  "--out judge.png": 'ConfigError: Cannot use --out "judge.png": expected a path that ends with .safetensors',
  "--data data --out there/judge.safetensors":
    "RunError: Cannot write there/judge.safetensors: there is no folder there; make it first",
  "--data data --device webgpu --threads 2": "ConfigError: --threads has no effect without --device cpu",
  "--data nowhere --device cpu": "DataError: Cannot read the data nowhere: it does not exist",
});
