import assert from "node:assert/strict";
import { join } from "node:path";
import { overfitConfig, overfitTask } from "../../../experiments/overfit.ts";
import { reportTask } from "../../../experiments/report.ts";
import { sampleTask } from "../../../experiments/sample.ts";
import { training, type TrainingConfig } from "../../../experiments/settings/training.ts";
import { ConfigError } from "../../../experiments/settings/setting.ts";
import { readConfig } from "../../../experiments/settings/training_config.ts";
import { trainTask } from "../../../experiments/train.ts";
import { testInFolder } from "../../folder.ts";
import { assertRefused, configOf } from "./config_of.ts";
import { type LossMeaning, lossWarning } from "../../../experiments/settings/loss_meaning.ts";

Deno.test("trainingConfig() completes flags by the given preset", () => {
  const config = configOf("--model base --lr 0.5 --filters 4,8 --no-attn");
  assert.equal(config.preset, "quick");
  assert.equal(config.lr, 0.5);
  assert.deepEqual(config.filters, [4, 8]);
  assert.equal(config.attn, false);
  assert.equal(config.maxMinutes, 6.5);
  assert.equal(config.out, null);
});

Deno.test("trainingConfig() drops the other limits of a run if one is given", () => {
  const endsOf = ({ epochs, maxSteps, maxMinutes }: TrainingConfig) => [epochs, maxSteps, maxMinutes];
  assert.deepEqual(endsOf(configOf("--model base")), [0, 0, 6.5]);
  assert.deepEqual(endsOf(configOf("--model base --max-steps 5")), [0, 5, 0]);
  assert.deepEqual(endsOf(configOf("--model base --epochs 3", "standard")), [3, 0, 0]);
});

Deno.test("trainingConfig() prefers the preset in the flags", () => {
  const config = configOf("--model base --preset standard", "quick");
  assert.equal(config.preset, "standard");
  assert.equal(config.batchSize, 128);
});

Deno.test("trainingConfig() has the study's settings in the preset paper", () => {
  const config = configOf("--model residual", "paper");
  const study: Partial<TrainingConfig> = {
    filters: [256, 512, 1024],
    tEmb: 512,
    attn: false,
    groups: 8,
    timeEmbedding: "scalar",
    valFraction: 0.1,
    normalize: "0..1",
    trainLimit: 0,
    batchSize: 256,
    epochs: 100,
    maxSteps: 0,
    maxMinutes: 0,
    optimizer: "adamw",
    lr: 1e-4,
    weightDecay: 0.01,
    schedule: "plateau",
    plateauFactor: 0.5,
    plateauPatience: 5,
    warmUp: 0,
    clip: 0,
    ema: 0,
    seed: 46020,
    solver: "euler:steps=1000",
  };
  assert.deepEqual({ ...config, ...study }, config);
});

Deno.test("Settings.parse() reads values of every kind", () => {
  const flags =
    "--attn --normalize -1..1 --lr=1e-3 --schedule cosine --name a-b.c --data some/folder --seed 0";
  assert.deepEqual(training.parse(flags.split(" ")), {
    help: false,
    words: [],
    values: {
      attn: true,
      normalize: "-1..1",
      lr: 1e-3,
      schedule: "cosine",
      name: "a-b.c",
      data: "some/folder",
      seed: 0,
    },
  });
  assert.equal(training.parse(["-h"]).help, true);
});

Deno.test("Settings.parse() refuses unknown flags, and suggests the nearest known one", () => {
  assertRefused("--batch-sise 3", "Unknown flag --batch-sise (did you mean --batch-size?)");
  assertRefused("--batchSize=3", "Unknown flag --batchSize (did you mean --batch-size?)");
  assertRefused("-lr 3", "Unknown flag -lr (did you mean --lr?)");
  assertRefused("--no-groups", "Unknown flag --no-groups (did you mean --groups?)");
  assertRefused("--x", "Unknown flag --x (see --help)");
  assertRefused("--__proto__ 1", "Unknown flag --__proto__ (see --help)");
});

Deno.test("Settings.parse() refuses values out of range", () => {
  const size = "expected a whole number of at least 1";
  for (const value of ["abc", "0", "-1", "1.5", "NaN", "Infinity"]) {
    assertRefused(`--batch-size ${value}`, `Cannot use --batch-size "${value}": ${size}`);
  }
  assertRefused("--batch-size=", `Cannot use --batch-size "": ${size}`);
  assertRefused("--lr 0", 'Cannot use --lr "0": expected a number above 0');
  assertRefused("--lr NaN", 'Cannot use --lr "NaN": expected a number above 0');
  assertRefused(
    "--val-fraction 1",
    'Cannot use --val-fraction "1": expected a number of at least 0 and below 1',
  );
  assertRefused(
    "--filters 16,,8",
    'Cannot use --filters "16,,8": expected whole numbers of at least 1, such as 16,32,64',
  );
  assertRefused(
    "--optimizer adm",
    'Cannot use --optimizer "adm": expected adamw, adam, sgd or muon (did you mean adam?)',
  );
  assertRefused(
    "--preset papr",
    'Cannot use --preset "papr": expected quick, standard or paper (did you mean paper?)',
  );
  assertRefused(
    "--name a/b",
    'Cannot use --name "a/b": expected letters, digits, dots, hyphens and underscores',
  );
});

Deno.test("Settings.parse() refuses missing values, repeated flags and stray words", () => {
  assertRefused("--lr", "Missing value of --lr: expected a number above 0");
  assertRefused("--lr --epochs 3", "Missing value of --lr: expected a number above 0");
  assertRefused("--lr 1 --lr 2", 'Cannot use --lr "2": --lr "1" is given already (expected one)');
  assertRefused("--attn --no-attn", "Cannot use --no-attn: --attn is given already (expected one)");
  assertRefused(
    "--attn=true",
    'Cannot use --attn "true": it takes no value (expected --attn or --no-attn)',
  );
  assertRefused("a=b", 'Cannot use "a=b": only flags are expected (see --help)');
  assertRefused("-- --lr 1", 'Cannot use "--": only flags are expected (see --help)');
});

Deno.test("trainingConfig() refuses settings that are missing or contradict each other", () => {
  assert.throws(() => configOf("--epochs 3"), {
    name: "ConfigError",
    message: "Missing --model residual|base: network to train",
  });
  assertRefused(
    "--filters 16,12,8",
    "Cannot use --groups 8 with --filters 16,12,8: 8 does not divide 12, the channels of level 2 " +
      "(the residual model normalises every level; expected multiples of 8, or other --groups)",
  );
  assert.deepEqual(configOf("--model base --filters 12,16 --attn").filters, [12, 16]);
  assert.throws(() => configOf("--model base --filters 16,12 --attn"), {
    message: "Cannot use --groups 8 with --filters 16,12: 8 does not divide 12, the channels of level 2 " +
      "(--attn normalises the last; expected multiples of 8, or other --groups)",
  });
  assertRefused(
    "--max-minutes 0",
    "Cannot train without an end: --epochs, --max-steps and --max-minutes are all 0 (expected one above 0)",
  );
  assertRefused(
    "--time-embedding sinusoidal --t-emb 5",
    "Cannot use --time-embedding sinusoidal with --t-emb 5: waves come in pairs (expected an even number)",
  );
  assertRefused(
    "--coupling ot --batch-size 257",
    "Cannot use --coupling ot with --batch-size 257: pairing more would take longer than a step " +
      "(expected at most 256)",
  );
  assertRefused(
    "--schedule plateau --val-fraction 0",
    "Cannot use --schedule plateau with --val-fraction 0: it follows the validation loss (expected above 0)",
  );
});

Deno.test("trainingConfig() replaces the preset's optimizer by adamw if it would update no weight", () => {
  assert.equal(configOf("--model base").optimizer, "muon");
  assert.equal(configOf("--model base --filters 8,16").optimizer, "muon");
  assert.equal(configOf("--model base --filters 4,8").optimizer, "adamw");
  assert.equal(configOf("--model residual --filters 8").optimizer, "muon");
  assert.equal(configOf("--model residual --filters 4 --groups 4").optimizer, "adamw");
  assert.equal(configOf("--model base --preset paper").optimizer, "adamw");
  assert.equal(configOf("--model base --filters 4 --optimizer muon").optimizer, "muon", "as asked");
});

Deno.test("trainingConfig() refuses flags without effect", () => {
  const idle = {
    "--momentum 0.5": "--optimizer sgd",
    "--optimizer sgd --beta2 0.5": "--optimizer adamw, adam or muon",
    "--optimizer adamw --muon-lr 0.03": "--optimizer muon",
    "--plateau-patience 3": "--schedule plateau",
    "--val-batches 3 --val-fraction 0": "--val-fraction above 0",
    "--solver rk4 --samples 0": "--samples above 0",
    "--sample-epochs 2 --samples 0": "--samples above 0",
    "--flow-steps 9 --flow-samples 0": "--flow-samples above 0",
    "--pacing linear --flow-samples 0": "--flow-samples above 0",
    "--name x --out y": "no --out, which names the folder itself",
    "--threads 2 --device webgpu": "--device cpu or auto",
    "--tune --device cpu": "--device webgpu or auto",
  };
  for (const [flags, needed] of Object.entries(idle)) {
    const [name] = flags.match(/--(?!optimizer)[\w-]+/)!;
    const message = `Cannot use ${name} here: it has an effect only with ${needed} (leave it out)`;
    assertRefused(flags, message);
  }
  assert.throws(() => configOf("--model base --groups 4"), /--groups here: .* --model residual or --attn/);
  assert.equal(configOf("--model base --no-tune --device cpu").tune, false);
  assert.equal(configOf("--model base --attn --groups 4 --samples 0 --sample-epochs 0").groups, 4);
  assert.throws(
    () => overfitTask.parse(["--model", "base", "--groups", "4"]),
    /--groups here/,
  );
  const drawing = (flags: string) => sampleTask.parse(`--checkpoint f ${flags}`.split(" "));
  assert.throws(
    () => drawing("--columns 2 --out a.npy"),
    /^ConfigError: Cannot use --columns with --out a.npy/,
  );
  assert.throws(() => drawing("--threads 2 --device webgpu"), /--threads here/);
  assert.equal(drawing("--columns 2 --threads 2").columns, 2);
  assert.throws(
    () => reportTask.parse(["run", "--device", "cpu"]),
    /^ConfigError: Cannot use --device with one/,
  );
  assert.deepEqual(reportTask.parse(["run", "other", "--device", "cpu"]).device, "cpu");
  assert.equal(configOf("--model base --optimizer sgd --momentum 0.5").momentum, 0.5);
});

Deno.test("Task.help() shows the defaults of the preset", async () => {
  const [standard, paper] = [
    await trainTask.help({ preset: "standard" }),
    await trainTask.help({ preset: "paper" }),
  ];
  assert.match(standard, /\n {2}--batch-size N +images per step \(default: 128\)\n/);
  assert.match(paper, /\n {2}--batch-size N +images per step \(default: 256\)\n/);
});

Deno.test("overfitTask chooses an optimizer for the network, and checks the network", () => {
  const optimizerOf = (...words: string[]) => overfitConfig(overfitTask.parse(words)).optimizer;
  assert.equal(optimizerOf(), "muon");
  assert.equal(optimizerOf("--model", "base", "--filters", "4,8"), "adamw");
  assert.equal(optimizerOf("--model", "base", "--filters", "8,16"), "muon");
  assert.throws(
    () => overfitTask.parse(["--filters", "6"]),
    /^ConfigError: Cannot use --groups 8 with --filters 6/,
  );
});

testInFolder("readConfig() reads the settings of version 0.7", async (run) => {
  const { solver, ...config } = configOf("--model base --solver rk4:steps=7");
  const earlier = { ...config, solver: "rk4", sampleSteps: 7, lossWeight: "constant" };
  await Deno.writeTextFile(join(run, "config.json"), JSON.stringify(earlier));
  assert.deepEqual(readConfig(run), { ...config, solver });
});

testInFolder("trainingConfig() resumes a run with its own settings", async (run) => {
  const saved = configOf("--model base --lr 0.25 --epochs 3", "standard");
  await Deno.writeTextFile(join(run, "config.json"), JSON.stringify(saved));
  assert.deepEqual(readConfig(run), saved);

  const config = configOf(`--model base --resume ${run} --epochs 7 --device cpu`, "quick");
  assert.deepEqual(config, { ...saved, resume: run, epochs: 7, device: "cpu" });
  // A run folder from elsewhere must not name the server that gets credentials.
  const foreign = { ...saved, mlflow: "http://elsewhere" };
  await Deno.writeTextFile(join(run, "config.json"), JSON.stringify(foreign));
  assert.equal(configOf(`--resume ${run}`).mlflow, null);
  assert.throws(() => configOf(`--resume ${run} --lr 1`), {
    message: "Cannot use --lr with --resume: the run keeps its settings, " +
      "except --epochs, --max-steps, --max-minutes, --device, --threads, --precision, --checkpoint-minutes, --log-every, --mlflow",
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

Deno.test("lossWarning() names the data and the settings that make losses incomparable", () => {
  const run = {
    model: "base",
    normalize: "-1..1",
    conditional: false,
    path: "linear",
    times: "uniform",
    lr: 1,
  };
  const mnist = { name: "MNIST", digest: "a".repeat(64) };
  const fashion = { name: "fashion-mnist", digest: "b".repeat(64) };
  const none = "Losses of these runs are not comparable: ";
  const cases: [runs: LossMeaning[], warning: string | undefined][] = [
    [[{ settings: run }, { settings: { ...run, model: "residual", lr: 2 } }], undefined],
    [[{ settings: run }, { settings: {}, dataset: null }], undefined], // another program's run
    [
      [{ settings: run }, { settings: { ...run, conditional: true } }, { settings: {} }],
      `${none}--conditional is false or true`,
    ],
    [
      [{ settings: run }, { settings: { ...run, normalize: "0..1", times: { name: "logit_normal" } } }],
      `${none}--normalize is -1..1 or 0..1, --times is uniform or {"name":"logit_normal"}`,
    ],
    [
      [{ settings: run }, { settings: { ...run, times: "stratified" } }],
      "Training losses of these runs are not comparable, those of validation and test are: " +
      "--times is uniform or stratified",
    ],
    [
      [{ settings: run, dataset: mnist }, { settings: { ...run, times: "stratified" }, dataset: fashion }],
      `${none}the data is MNIST or fashion-mnist, --times is uniform or stratified`,
    ],
    [
      [{ settings: run, dataset: mnist }, { settings: run, dataset: { ...fashion, name: "MNIST" } }],
      `${none}the data is MNIST (aaaaaaaaaaaa) or MNIST (bbbbbbbbbbbb)`,
    ],
    [
      [{ settings: run, dataset: mnist }, { settings: run, dataset: { ...mnist, name: "a copy" } }],
      undefined,
    ],
    // MLflow has the name alone.
    [[{ settings: run, dataset: mnist }, { settings: run, dataset: { name: "MNIST" } }], undefined],
    [
      [{ settings: run, dataset: { name: "own" } }, { settings: run, dataset: mnist }, { settings: run }],
      `${none}the data is own or MNIST`,
    ],
  ];
  for (const [runs, warning] of cases) assert.equal(lossWarning(runs), warning);
});
