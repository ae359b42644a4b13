import assert from "node:assert/strict";
import { join } from "node:path";
import { evaluating } from "../../../experiments/evaluate.ts";
import { reportTask } from "../../../experiments/report.ts";
import { sampleTask } from "../../../experiments/sample.ts";
import { type PresetName, training, type TrainingConfig } from "../../../experiments/cli/training.ts";
import { ConfigError } from "../../../experiments/cli/settings.ts";
import {
  type LossMeaning,
  lossWarning,
  readConfig,
  recordedConfig,
} from "../../../experiments/cli/training_config.ts";
import { testInFolder } from "../../folder.ts";
import { assertRefused, configOf } from "./config_of.ts";

Deno.test("trainingConfig() completes flags by the preset, and drops the other limits of a run if one is given", () => {
  const cases: [flags: string, expected: Partial<TrainingConfig>, preset?: PresetName][] = [
    ["--lr 0.5 --filters 4,8", { preset: "quick", lr: 0.5, filters: [4, 8], out: null, batchSize: 32 }],
    ["--preset standard", { preset: "standard", batchSize: 128, maxMinutes: 0, epochs: 20 }, "quick"],
    ["", { epochs: 0, maxSteps: 0, maxMinutes: 6.5 }],
    ["--max-steps 5", { epochs: 0, maxSteps: 5, maxMinutes: 0 }],
    ["--epochs 3", { epochs: 3, maxSteps: 0, maxMinutes: 0 }, "standard"],
    ["", { optimizer: "muon" }],
    ["--filters 8,16", { optimizer: "muon" }],
    ["--filters 4,8", { optimizer: "adamw" }], // muon would update no weight
    ["--preset paper", { optimizer: "adamw" }],
    ["--preset overfit", { trainLimit: 100, maxSteps: 300, maxMinutes: 0, ema: 0, schedule: "constant" }],
    ["--preset overfit --epochs 2 --filters 4,8", { maxSteps: 0, epochs: 2, optimizer: "adamw" }],
    ["--filters 4 --optimizer muon", { optimizer: "muon" }],
    ["--filters 12,16 --attn", { filters: [12, 16], attn: true }],
    ["--no-tune --device cpu", { tune: false }],
    ["--attn --groups 4 --samples 0 --sample-epochs 0", { groups: 4, sampleEpochs: 0 }],
    ["--optimizer sgd --momentum 0.5", { momentum: 0.5 }],
  ];
  for (const [flags, expected, preset] of cases) {
    const config = configOf(`--model base ${flags}`.trim(), preset);
    assert.deepEqual({ ...config, ...expected }, config, flags);
  }
  assert.equal(configOf("--model residual --filters 8").optimizer, "muon");
  assert.equal(configOf("--model residual --filters 4 --groups 4").optimizer, "adamw");
});

Deno.test("trainingConfig() has the study's settings in the preset paper", () => {
  const config = configOf("--model residual", "paper");
  const study: Partial<TrainingConfig> = {
    ...{ filters: [256, 512, 1024], tEmb: 512, attn: false, groups: 8, timeEmbedding: "scalar" },
    ...{ valFraction: 0.1, normalize: "0..1", trainLimit: 0, batchSize: 256, conditional: false },
    ...{ epochs: 100, maxSteps: 0, maxMinutes: 0, optimizer: "adamw", lr: 1e-4, weightDecay: 0.01 },
    ...{ schedule: "plateau", plateauFactor: 0.5, plateauPatience: 5, warmUp: 0, clip: 0, ema: 0 },
    ...{ seed: 46020, solver: "euler:steps=1000" },
  };
  assert.deepEqual({ ...config, ...study }, config);
});

Deno.test("Settings.parse() reads values of every kind", () => {
  const flags =
    "--attn --normalize -1..1 --lr=1e-3 --schedule cosine --name a-b.c --data some/folder --seed 0";
  const texts = { normalize: "-1..1", schedule: "cosine", name: "a-b.c", data: "some/folder" };
  const values = { attn: true, lr: 1e-3, seed: 0, ...texts };
  assert.deepEqual(training.parse(flags.split(" ")), { help: false, words: [], values });
  assert.equal(training.parse(["-h"]).help, "usual");
});

const size = "expected a whole number of at least 1";
const list = "expected whole numbers of at least 1, such as 16,32,64";

/** Flags and why they are refused. */
const refusals: Readonly<Record<string, string>> = {
  "--steps 5": "Unknown flag --steps (did you mean --max-steps?)",
  "--batch 5": "Unknown flag --batch (did you mean --batch-size?)",
  "--batch-sise 3": "Unknown flag --batch-sise (did you mean --batch-size?)",
  "--batchSize=3": "Unknown flag --batchSize (did you mean --batch-size?)",
  "-lr 3": "Unknown flag -lr (did you mean --lr?)",
  "--no-groups": "Unknown flag --no-groups (did you mean --groups?)",
  "--learning-rate 1": "Unknown flag --learning-rate (did you mean --lr?)",
  "--x": "Unknown flag --x (see --help)",
  "--__proto__ 1": "Unknown flag --__proto__ (see --help)",
  ...Object.fromEntries(["abc", "0", "-1", "1.5", "NaN", "Infinity"].map((value) => {
    return [`--batch-size ${value}`, `Cannot use --batch-size "${value}": ${size}`];
  })),
  "--batch-size=": `Cannot use --batch-size "": ${size}`,
  "--lr 0": 'Cannot use --lr "0": expected a number above 0',
  "--lr NaN": 'Cannot use --lr "NaN": expected a number above 0',
  "--val-epochs 0": 'Cannot use --val-epochs "0": expected a number above 0, or auto',
  "--val-fraction 1": 'Cannot use --val-fraction "1": expected a number of at least 0 and below 1',
  "--filters 16,,8": `Cannot use --filters "16,,8": ${list}`,
  "--optimizer adm": 'Cannot use --optimizer "adm": expected adamw, adam, sgd or muon (did you mean adam?)',
  "--preset papr":
    'Cannot use --preset "papr": expected quick, standard, paper or overfit (did you mean paper?)',
  "--name a/b": 'Cannot use --name "a/b": expected letters, digits, dots, hyphens and underscores',
  "--lr": "Missing value of --lr: expected a number above 0",
  "--lr --epochs 3": "Missing value of --lr: expected a number above 0",
  "--lr 1 --lr 2": "--lr was given twice",
  "--attn --no-attn": "--attn was given twice",
  "--attn=true": 'Cannot use --attn "true": it takes no value (expected --attn or --no-attn)',
  "a=b": 'Cannot use "a=b": only flags are expected (see --help)',
  "-- --lr 1": 'Cannot use "--": only flags are expected (see --help)',
  "--filters 16,12,8":
    "Cannot use --groups 8 with --filters 16,12,8: 8 does not divide 12, the channels of level 2 " +
    "(the residual model normalises every level; expected multiples of 8, or other --groups)",
  "--max-minutes 0":
    "Cannot train without an end: --epochs, --max-steps, --max-minutes are all 0 (expected one above 0)",
  "--time-embedding sinusoidal --t-emb 5":
    "Cannot use --time-embedding sinusoidal with --t-emb 5: the features of t are pairs of sine and cosine " +
    "(expected an even number)",
  "--coupling ot --batch-size 257":
    "Cannot use --coupling ot with --batch-size 257: pairing more would take longer than a step " +
    "(expected at most 256)",
  "--schedule plateau --val-fraction 0":
    "Cannot use --schedule plateau with --val-fraction 0: it follows the validation loss (expected above 0)",
};

Deno.test("trainingConfig() refuses flags that are unknown, missing, out of range or contradictory", () => {
  for (const [flags, message] of Object.entries(refusals)) assertRefused(flags, message);
  assert.throws(() => configOf("--epochs 3"), {
    message: "Missing --model residual|base|FILE: network to train",
  });
  assert.throws(() => configOf("--model base --filters 16,12 --attn"), {
    message: "Cannot use --groups 8 with --filters 16,12: 8 does not divide 12, the channels of level 2 " +
      "(--attn normalises the last; expected multiples of 8, or other --groups)",
  });
});

Deno.test("trainingConfig() refuses flags without effect", () => {
  const idle = {
    "--momentum 0.5": "without --optimizer sgd",
    "--optimizer sgd --beta2 0.5": "without --optimizer adamw, adam or muon",
    "--optimizer adamw --muon-lr 0.03": "without --optimizer muon",
    "--plateau-patience 3": "without --schedule plateau",
    "--val-batches 3 --val-fraction 0": "without --val-fraction above 0",
    "--solver rk4 --samples 0": "without --samples above 0",
    "--sample-epochs 2 --samples 0": "without --samples above 0",
    "--flow-steps 9 --flow-samples 0": "without --flow-samples above 0",
    "--pacing linear --flow-samples 0": "without --flow-samples above 0",
    "--name x --out y": "with --out, which names the folder itself",
    "--threads 2 --device webgpu": "without --device cpu or auto",
    "--tune --device cpu": "without --device webgpu or auto",
  };
  for (const [flags, needed] of Object.entries(idle)) {
    const [name] = flags.match(/--(?!optimizer)[\w-]+/)!;
    assertRefused(flags, `${name} has no effect ${needed}; remove it`);
  }
  const drawing = (flags: string) => sampleTask.parse(`--checkpoint f ${flags}`.split(" "));
  const reporting = (flags: string) => reportTask.parse(`run ${flags}`.split(" "));
  const refused: [call: () => unknown, words: RegExp][] = [
    [() => configOf("--model base --groups 4"), /--groups has no effect without --model residual or --attn;/],
    [() => drawing("--columns 2 --out a.npy"), /^ConfigError: --columns has no effect without a picture/],
    [() => drawing("--threads 2 --device webgpu"), /--threads has no effect/],
    [() => evaluating.resolve({ threads: 2, device: "webgpu" }), /--threads has no effect/],
    [() => reporting("--device cpu"), /^ConfigError: Cannot use --device with one/],
    [() => reporting("--threads 1"), /^ConfigError: Cannot use --threads with one/],
    [() => reporting("b --device webgpu --threads 1"), /--threads has no effect/],
  ];
  for (const [call, words] of refused) assert.throws(call, words);
  assert.equal(drawing("--columns 2 --threads 2").columns, 2);
  assert.equal(reporting("other --device cpu --threads 1").threads, 1);
});

testInFolder("trainingConfig() resumes a run with its own settings", async (run) => {
  const saved = configOf("--model base --lr 0.25 --epochs 3", "standard");
  await Deno.writeTextFile(join(run, "config.json"), JSON.stringify(saved));
  assert.deepEqual(readConfig(run), saved);

  const config = configOf(`--model base --resume ${run} --epochs 7 --device cpu`, "quick");
  assert.deepEqual(config, { ...saved, resume: run, epochs: 7, device: "cpu" });
  const { schedule, lr, warmUp, muonLr } = configOf(`--resume ${run} --lr 0.125`);
  assert.deepEqual([schedule, lr, warmUp, muonLr], ["constant", 0.125, 0, saved.muonLr / 2]);
  const cosine = configOf(`--resume ${run} --schedule cosine`);
  assert.deepEqual(cosine, { ...saved, resume: run, schedule: "cosine" });
  // A run folder from elsewhere must not name the server that gets credentials.
  const foreign = { ...saved, mlflow: "http://elsewhere" };
  await Deno.writeTextFile(join(run, "config.json"), JSON.stringify(foreign));
  for (const earlier of ["resume", "config"]) assert.equal(configOf(`--${earlier} ${run}`).mlflow, null);
  assert.throws(() => configOf(`--resume ${run} --ema 0`), {
    message: "Cannot use --ema with --resume: the run keeps its settings, " +
      "except --epochs, --max-steps, --max-minutes, --lr, --schedule, --val-epochs, --sample-epochs, --device, --threads, --precision, " +
      "--checkpoint-minutes, --log-every, --mlflow",
  });
  assert.throws(() => configOf(`--resume ${run} --model residual`), {
    message: `Cannot resume ${run} with --model residual: it trains the base model`,
  });
  assert.throws(() => configOf(`--resume ${run} --epochs 0`), /^ConfigError: Cannot train without an end/);

  await Deno.writeTextFile(join(run, "config.json"), "{");
  assert.throws(() => readConfig(run), ConfigError);
  await Deno.remove(join(run, "config.json"));
  assert.throws(() => readConfig(run), {
    message: `Cannot read ${join(run, "config.json")}: there is no such file (expected the folder of a run)`,
  });
});

testInFolder(
  "trainingConfig() repeats a run with other settings, and what follows from them",
  async (run) => {
    const cases: [flags: string, replaced: string, expected: Partial<TrainingConfig>][] = [
      ["--model base --max-minutes 3 --seed 7", "--epochs 2", { epochs: 2, maxMinutes: 0, seed: 7 }],
      ["--model base --conditional", "--no-conditional", { conditional: false, guidance: 2 }],
      ["--model base", "--filters 4,8", { optimizer: "adamw" }], // muon would update no weight
      ["--model base --filters 4,8 --optimizer muon", "--model base", { optimizer: "muon" }],
      ["--model m.ts:n=1 --optimizer muon --lr 0.5", "--model m.ts:n=2", { optimizer: "muon", lr: 0.5 }],
      ["--model base --lr 0.5", "--model m.ts", { optimizer: "adamw", lr: 0.125 }],
    ];
    for (const [flags, replaced, expected] of cases) {
      await Deno.writeTextFile(
        join(run, "config.json"),
        JSON.stringify({ ...recordedConfig(configOf(flags)), resume: "x", out: "y" }),
      );
      const config = configOf(`--config ${run} ${replaced}`);
      assert.deepEqual([config.resume, config.out], [null, null], "it never continues the run");
      assert.deepEqual({ ...config, ...expected }, config, `${flags}, then ${replaced}`);
    }
  },
);

Deno.test("lossWarning() names the data and the settings that make losses incomparable", () => {
  const objective = { path: "linear", times: "uniform" };
  const run = { ...{ model: "base", normalize: "-1..1", conditional: false, lr: 1 }, ...objective };
  const mnist = { name: "MNIST", digest: "a".repeat(64) };
  const fashion = { name: "fashion-mnist", digest: "b".repeat(64) };
  const none = "Losses of these runs are not comparable";
  const of = (settings: LossMeaning["settings"], dataset?: LossMeaning["dataset"]): LossMeaning => ({
    settings,
    dataset,
  });
  const stratified = { ...run, times: "stratified" };
  const cases: [runs: LossMeaning[], warning: string | undefined][] = [
    [[of(run), of({ ...run, model: "residual", lr: 2 })], undefined],
    [[of(run), of({}, null)], undefined], // another program's run
    [[of(run), of({ ...run, conditional: true }), of({})], `${none} (--conditional is false or true)`],
    [
      [of(run), of({ ...run, normalize: "0..1", times: { name: "logit_normal" } })],
      `${none} (--normalize is -1..1 or 0..1; --times is uniform or {"name":"logit_normal"})`,
    ],
    [
      [of(run), of(stratified)],
      "Training losses of these runs are not comparable (--times is uniform or stratified), " +
      "but validation and test losses are",
    ],
    [
      [of(run, mnist), of(stratified, fashion)],
      `${none} (different data sets: MNIST, fashion-mnist; --times is uniform or stratified)`,
    ],
    [
      [of(run, mnist), of(run, { ...fashion, name: "MNIST" })],
      `${none} (different data sets: MNIST (aaaaaaaaaaaa), MNIST (bbbbbbbbbbbb))`,
    ],
    [[of(run, mnist), of(run, { ...mnist, name: "a copy" })], undefined],
    [[of(run, mnist), of(run, { name: "MNIST" })], undefined], // MLflow has the name alone
    [[of(run, { name: "own" }), of(run, mnist), of(run)], `${none} (different data sets: own, MNIST)`],
  ];
  for (const [runs, warning] of cases) assert.equal(lossWarning(runs), warning);
});
