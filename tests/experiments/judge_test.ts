import assert from "node:assert/strict";
import { sha256 } from "../../experiments/run/contained.ts";
import { init } from "../../kernels/mod.ts";
import { loadJudge } from "../../models/mod.ts";
import { oneThread, testTask } from "./cli.ts";
import { testRefusals } from "./refusals.ts";

testTask("judge trains a judge, prints what it is worth, and repeats itself", async (place) => {
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

for (const [signal, exitCode] of Object.entries({ SIGINT: 130, SIGTERM: 143 } as const)) {
  testTask(`judge leaves nothing behind at ${signal}`, async (place) => {
    const before = await place.listing();
    const process = place.start("judge", `--data data ${oneThread} --steps 1000000`);
    let stderr = "";
    for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) {
      stderr += text;
      if (text.includes("Training a judge for data, 1000000 steps on ")) process.kill(signal as Deno.Signal);
    }
    await process.stdout.cancel();
    const { code } = await process.status;
    assert.equal(code, exitCode, stderr);
    assert.match(stderr, new RegExp(`\n${signal}: stopping\n`));
    const steps = Number([...stderr.matchAll(/(\d+)\/1000000 /g)].at(-1)?.[1] ?? 0);
    assert.ok(steps < 800, `it stopped after ${steps} steps`); // 1280 or 2580 where pauses let no signal in
    assert.deepEqual(await place.listing(), before);
  });
}

const data = "--data data --device cpu";
const remove = (...names: string[]) => ({
  prepare: (place: { file(...names: string[]): string }) =>
    Promise.all(names.map((name) => Deno.remove(place.file("data", name)))),
});
testRefusals("judge refuses what cannot work, in one line", {
  "an unknown flag": {
    task: "judge",
    flags: "--step 3",
    says: ["ConfigError: Unknown flag --step", "--steps"],
  },
  "no steps": { task: "judge", flags: "--steps 0", says: ["ConfigError: ", "--steps", "at least 1"] },
  "a file that is no safetensors": {
    task: "judge",
    flags: `${data} --out judge.png`,
    says: ["ConfigError: ", "--out", "ends with .safetensors"],
  },
  "a file in a folder that is not there": {
    task: "judge",
    flags: `${data} --out there/judge.safetensors`,
    says: ["RunError: Cannot write there/judge.safetensors: there is no folder there; make it first"],
  },
  "threads of a GPU": {
    task: "judge",
    flags: "--data data --device webgpu --threads 2",
    says: ["ConfigError: Cannot use --threads here"],
  },
  "data without labels": {
    task: "judge",
    flags: data,
    ...remove("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"),
    says: ["JudgeError: Cannot make a judge for data: it has no labels"],
  },
  "data that are not there": {
    task: "judge",
    flags: "--data nowhere --device cpu",
    says: ["DataError: Cannot read the data folder nowhere: it does not exist"],
  },
});
