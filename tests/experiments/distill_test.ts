/** `deno task distill`: a run like any other, from a network to a flow map. */

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { decode } from "npm:fast-png@8.0.0";
import { decodeCheckpoint, type UNetModelOptions } from "../../models/mod.ts";
import { readReportRuns } from "../../experiments/report/read_runs.ts";
import { usualGuidance } from "../../experiments/settings/drawing.ts";
import { noPictures, oneThread, testTask, type Workplace } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";
import { assertMistakes } from "./refusals.ts";
import { useFewTestImages } from "./evaluated_run.ts";
import { storeNetwork } from "./stored_network.ts";
import { fewSamples, makePlan } from "./study/tiny_study.ts";

const size = [imageSize, imageSize] as const;
const stages = "--stages mean:images=64 --stages pairs:images=128,count=40,steps=2,whole=0.5 " +
  "--stages drift:images=96,references=60,whole=2";
const flags = `--data data --batch-size 8 ${noPictures} --test-batches 1 ${oneThread}`;
const drawn = flags.replace("--samples 0", "--samples 10 --sample-epochs 0");
const storeTeacher = (place: Workplace) => storeNetwork(place, "teacher", size, { classes: 10 });

testTask("distill killed twice ends like an uninterrupted one, to the bit", async (place) => {
  await storeTeacher(place);
  const command = `teacher.safetensors ${stages} ${drawn} --checkpoint-minutes 0`;
  const { stderr } = await place.succeed("distill", `${command} --out whole`);
  for (const name of ["mean", "pairs", "drift"]) {
    assert.match(stderr, new RegExp(`\\nStage \\d of 3: ${name}, \\d+ steps\\n`));
  }
  for (const step of [12, 28]) { // in the second and in the last stage
    const flags = step === 12 ? `${command} --out cut` : `--resume cut ${oneThread}`;
    const isThere = async () => await place.stepOf("cut") >= step;
    const { stderr } = await place.stopWhen(isThere, "distill", flags, "SIGKILL");
    assert.ok(await place.stepOf("cut") >= step, stderr);
  }
  await Deno.remove(place.file("teacher.safetensors")); // the run has its own copy
  const own = place.file("cut", "teacher.safetensors");
  await Deno.rename(own, place.file("outside"));
  await Deno.symlink("../outside", own);
  const { stderr: refused } = await place.run("distill", "--resume cut"); // takes over the killed one's lock
  assert.match(refused, /^RunError: Cannot read cut\/teacher.safetensors: it leads out of the folder cut/);
  await Deno.rename(place.file("outside"), own);
  await place.succeed("distill", "--resume cut");
  assert.deepEqual(await place.metrics("cut"), await place.metrics("whole"));
  assert.deepEqual(await place.state("cut"), await place.state("whole"));
  for (const name of ["ema.safetensors", "samples.png", "few_steps.png"]) {
    assert.equal(await place.digest("cut", name), await place.digest("whole", name), name);
  }
});

testTask("distill makes a flow map that other tasks draw from in one evaluation", async (place) => {
  await storeTeacher(place);
  await place.succeed("distill", `teacher.safetensors --stages mean:images=16 ${drawn} --out run`);
  const { info } = decodeCheckpoint(await place.read("run", "ema.safetensors"), "run");
  assert.equal(info.config.flowMap, true);
  const { stderr } = await place.succeed("sample", `--checkpoint run --count 10 ${oneThread}`);
  assert.match(stderr, /10 samples of all 10 classes, no guidance, map, 1 step, 1 evaluation each/);
  const compared = await place.succeed("sample", `--checkpoint run --count 10 --compare ${oneThread}`);
  assert.match(compared.stderr, /with 1, 2, 4, 8 and 19 evaluations each: grid.png/);
  assert.match(await place.text("run/report.html"), /<h2 id="few-steps-title">Few evaluations<\/h2>/);
  const [{ isFlowMap }] = await readReportRuns([place.file("run")]);
  assert.equal(isFlowMap, true, "the report's page offers its steps");
});

testTask("few_steps.png draws the teacher with its own guidance", async (place) => {
  await storeTeacher(place);
  const guided = `--teacher-guidance 3 --seed 5`;
  await place.succeed("distill", `teacher.safetensors --stages mean:images=16 ${guided} ${drawn} --out run`);
  // The picture begins with the rows of the teacher; its last lines are a note.
  const top = async (...path: string[]) => {
    const { data, height } = decode(await place.read(...path));
    return { lines: (count: number) => data.subarray(0, count * data.length / height), height };
  };
  const both = await top("run", "few_steps.png");
  for (const guidance of [1, 3]) {
    const how = `--guidance ${guidance} --seed 5 --count 10 --compare ${oneThread}`;
    await place.succeed("sample", `teacher.safetensors ${how} --out teacher.png`);
    const alone = await top("teacher.png");
    const rows = Math.floor(0.8 * alone.height);
    const isSame = isDeepStrictEqual(both.lines(rows), alone.lines(rows));
    assert.equal(isSame, guidance === 3, `guidance ${guidance}`);
  }
});

testTask("distill makes a flow map that takes --guidance in one evaluation of one row", async (place) => {
  await storeTeacher(place);
  const command = `teacher.safetensors --stages mean:images=48 --max-guidance 2.5 ${flags}`;
  await place.succeed("distill", `${command} --out run`);
  const { info } = decodeCheckpoint(await place.read("run", "ema.safetensors"), "run");
  assert.equal(info.config.maxGuidance, 2.5);
  const words = /10 samples of all 10 classes, guidance (\S+), map, 1 step, 1 evaluation each/;
  const digests = new Set<string>();
  for (const scale of [usualGuidance, 1, 2]) { // the first by default
    const flag = scale === usualGuidance ? "" : `--guidance ${scale}`;
    const { stderr } = await place.succeed("sample", `run --count 10 ${flag} ${oneThread} --out x.npy`);
    if (scale !== 1) assert.equal(words.exec(stderr)?.[1], `${scale}`);
    digests.add(await place.digest("x.npy"));
  }
  assert.equal(digests.size, 3);
  await place.succeed("distill", `--config run ${oneThread} --out again`);
  assert.equal(await place.digest("again", "ema.safetensors"), await place.digest("run", "ema.safetensors"));
  const [{ maxGuidance }] = await readReportRuns([place.file("run")]);
  assert.equal(maxGuidance, 2.5, "the report's page offers it");
  for (const flag of ["--guidance 2.6", "--guidance 0.5", "--cfg-zero", "--guidance-interval 0,1"]) {
    const says = [`ConfigError: Cannot use ${flag.split(" ")[0]}`, "has learned"] as const;
    await assertMistakes(place, "sample", { [`run ${flag}`]: says });
  }
  await assertMistakes(place, "distill", {
    "--config run --max-guidance 2": "ConfigError: Cannot use --max-guidance ",
    [`run ${flags}`]: ["ConfigError: Cannot ", "guidance as an input"],
  });
});

testTask("distill trains each stage at its own share of the learning rate", async (place) => {
  await storeNetwork(place, "teacher", size);
  const short = "--stages mean:images=16,rate=2 --stages mean:images=16,rate=0.25";
  await place.succeed("distill", `teacher.safetensors ${short} ${flags} --log-every 1 --out run`);
  const rates = (await place.metrics("run")).flatMap(({ learning_rate }) => learning_rate ?? []);
  assert.equal(rates.length, 4);
  assert.deepEqual(rates.slice(0, 2), rates.slice(2).map((rate) => 8 * Number(rate)));
});

testTask("distill needs no labels, and can distil a distilled run again", async (place) => {
  await storeNetwork(place, "teacher", size);
  const short = "--stages pairs:images=16,count=16,steps=1 --stages drift:images=16,references=20";
  await place.succeed("distill", `teacher.safetensors ${short} ${flags} --out run`);
  await place.succeed("distill", `run --stages drift:images=16 ${flags} --out again`);
  const { stderr } = await place.succeed("sample", `--checkpoint again --count 4 ${oneThread}`);
  assert.match(stderr, /4 samples, map, 1 step/);
});

/** Command lines that are refused, by teacher, with the beginning of the line that says why. */
type Teacher = Partial<UNetModelOptions> & { readonly shape?: readonly [number, number] };
const refused: [Teacher, mistakes: Record<string, string>][] = [
  [{ classes: 10 }, {
    "": "ConfigError: Missing FILE|RUN: name the network to distil",
    "a b": "ConfigError: Cannot distil a and b",
    "no.safetensors": "RunError: Cannot distil no.safetensors: ",
    "T --stages pairs --stages drfit":
      'ConfigError: Cannot use --stages "drfit": expected pairs, drift or mean ',
    "T --stages pairs+drift":
      'ConfigError: Cannot use --stages "pairs+drift": each stage has a flag of its own (expected --stages pairs ',
    "T --stages drift:image=3":
      'ConfigError: Cannot use --stages "drift:image=3": drift has no setting image ',
    "T --stages pairs:count=7": "ConfigError: Cannot use --stages with 7 pairs and batches of 8",
    "T --max-guidance 2": "ConfigError: Cannot use --max-guidance 2 with the stage pairs",
    "T --stages mean --max-guidance 2 --teacher-guidance 2":
      "ConfigError: --teacher-guidance has no effect with --max-guidance; remove it",
    "T --filters 8,16": "ConfigError: Unknown flag --filters",
  }],
  [{}, {
    "T --teacher-guidance 2":
      "ConfigError: Cannot use --teacher-guidance 2 with teacher.safetensors: its network was ",
    "T --stages mean --max-guidance 2":
      "ConfigError: Cannot use --max-guidance 2 with teacher.safetensors: its network was trained without classes",
  }],
  [{ prediction: "data" }, {
    "T": "RunError: Cannot distil teacher.safetensors: its network predicts data",
  }],
  [{ shape: [8, 8] }, { "T": "RunError: Cannot distil teacher.safetensors: it draws images of [1, 8, 8]" }],
];

testTask("distill refuses invalid input, and train what only distill takes", async (place) => {
  for (const [{ shape = size, ...teacher }, mistakes] of refused) {
    await storeNetwork(place, "teacher", shape, teacher);
    const command = (words: string) => `${words.replace(/^T/, "teacher.safetensors")} ${flags}`;
    const commands = Object.entries(mistakes).map(([words, says]) => [command(words), says]);
    await assertMistakes(place, "distill", Object.fromEntries(commands));
  }
  await assertMistakes(place, "train:base", {
    "--data data --solver map:steps=1":
      "ConfigError: Cannot use --solver map:steps=1: only a distilled network",
    "--data data --teacher teacher.safetensors": "ConfigError: Unknown flag --teacher",
  });
});

testTask("a study trains distillations as cells, with its evaluation in one step", async (place) => {
  await makePlan(place);
  await useFewTestImages(place);
  await storeNetwork(place, "teacher", size, { classes: 4 });
  const model = { model: "base", teacher: "teacher.safetensors", data: "data", batchSize: 8 };
  await place.write("few.json", {
    name: "few",
    fixed: { ...model, samples: 0, flowSamples: 0, pathSamples: 0 },
    grid: { stages: ["mean:images=8+pairs:images=24,count=8,steps=1"] },
    ...{ seeds: [1], steps: 4 },
    evaluation: { ...fewSamples, solvers: ["map:steps=1", "map:steps=2"] },
  });
  await place.succeed("study", `few.json --out few ${oneThread}`);
  const [cell] = await place.names("few", "cells");
  const { solvers } = await place.json("few/cells", cell, "solvers.json");
  const costs = solvers.map(({ spec, evaluations }: Record<string, unknown>) => [spec, evaluations]);
  assert.deepEqual(costs, [["map:steps=1", 1], ["map:steps=2", 2]]);
  const ema = ["few/cells", cell, "ema.safetensors"];
  assert.equal(decodeCheckpoint(await place.read(...ema), cell).info.config.flowMap, true);
  await place.succeed("train", `--config few/cells/${cell} --out again`);
  assert.equal(await place.digest("again/ema.safetensors"), await place.digest(...ema));
});
