/** The settings of a training run: from flags and presets, from an earlier run, and what is refused. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { ConfigError } from "../../../experiments/cli/settings.ts";
import { evaluating } from "../../../experiments/evaluate.ts";
import { reportTask } from "../../../experiments/report.ts";
import { sampleTask } from "../../../experiments/sample.ts";
import { type LossMeaning, lossWarning } from "../../../experiments/settings/comparable_losses.ts";
import { configJson, readConfig } from "../../../experiments/settings/config_file.ts";
import { newTraining, repeatedRun, resumedRun } from "../../../experiments/settings/decide.ts";
import type { PresetName } from "../../../experiments/settings/presets.ts";
import { training } from "../../../experiments/settings/training.ts";
import { testInFolder } from "../../folder.ts";
import type { WrittenSettings } from "../config_of.ts";

/** The settings that training flags give, as `config.json` has them. */
function configOf(flags: string, preset: PresetName = "quick"): WrittenSettings {
  const { config, ...given } = training.parse(flags.split(" ")).values;
  const { resume } = given;
  if (resume) return configJson(resumedRun(given, resume, readConfig(resume)));
  return configJson(config ? repeatedRun(given, config, readConfig(config)) : newTraining(given, preset));
}

const refuses = (call: () => unknown, message: string | RegExp) =>
  assert.throws(call, { name: "ConfigError", message });

Deno.test("newTraining() completes flags by the preset, and drops other limits if one is given", () => {
  const cases: [flags: string, expected: WrittenSettings, preset?: PresetName][] = [
    ["base --lr 0.5 --filters 4,8", { preset: "quick", lr: 0.5, filters: [4, 8], out: null, batchSize: 32 }],
    ["base --preset standard", { preset: "standard", batchSize: 128, maxMinutes: 0, epochs: 20 }, "quick"],
    ["base", { epochs: 0, maxSteps: 0, maxMinutes: 6.5 }],
    ["base --max-steps 5", { epochs: 0, maxSteps: 5, maxMinutes: 0 }],
    ["base --epochs 3", { epochs: 3, maxSteps: 0, maxMinutes: 0 }, "standard"],
    ["base", { optimizer: "muon" }],
    ["base --filters 8,16", { optimizer: "muon" }],
    ["base --filters 4,8", { optimizer: "adamw" }], // muon would update no weight
    ["base --filters 4 --optimizer muon", { optimizer: "muon" }],
    ["residual --filters 8", { optimizer: "muon" }],
    ["base", { lr: 0.004, muonLr: 0.03 }],
    ["base --lr 0.002", { lr: 0.002, muonLr: 0.015 }], // one ratio
    ["base --lr 0.002 --muon-lr 0.05", { lr: 0.002, muonLr: 0.05 }],
    ["residual --filters 4 --groups 4", { optimizer: "adamw" }],
    ["base --preset overfit", {
      trainLimit: 100,
      maxSteps: 300,
      maxMinutes: 0,
      ema: 0,
      schedule: "constant",
    }],
    ["base --preset overfit --epochs 2 --filters 4,8", { maxSteps: 0, epochs: 2, optimizer: "adamw" }],
    ["base --filters 12,16 --attn", { filters: [12, 16], attn: true }],
    ["base --no-tune --device cpu", { tune: false }],
    ["base --attn --groups 4 --samples 0 --sample-epochs 0", { groups: 4, sampleEpochs: 0 }],
    ["base --optimizer sgd --momentum 0.5", { momentum: 0.5 }],
    ["base --schedule cosine --name a-b.c --seed 0", { schedule: "cosine", name: "a-b.c", seed: 0 }],
    ["residual", { // the study's settings
      ...{ filters: [256, 512, 1024], tEmb: 512, attn: false, groups: 8, timeEmbedding: "scalar" },
      ...{ valFraction: 0.1, normalize: "0..1", trainLimit: 0, batchSize: 256, conditional: false },
      ...{ epochs: 100, maxSteps: 0, maxMinutes: 0, optimizer: "adamw", lr: 1e-4, weightDecay: 0.01 },
      ...{ schedule: "plateau", plateauFactor: 0.5, plateauPatience: 5, warmUp: 0, clip: 0, ema: 0 },
      ...{ seed: 46020, solver: "euler:steps=1000" },
    }, "paper"],
  ];
  for (const [flags, expected, preset] of cases) {
    const config = configOf(`--model ${flags}`, preset);
    assert.deepEqual({ ...config, ...expected }, config, flags);
  }
});

const size = "expected a whole number of at least 1";

/** Flags, and the beginning of the line that refuses them. */
const refusals: Readonly<Record<string, string>> = {
  "--steps 5": "Unknown flag --steps (did you mean --max-steps?)",
  "--batchSize=3": "Unknown flag --batchSize (did you mean --batch-size?)",
  "-lr 3": "Unknown flag -lr (did you mean --lr?)",
  "--no-groups": "Unknown flag --no-groups (did you mean --groups?)",
  "--learning-rate 1": "Unknown flag --learning-rate (did you mean --lr?)",
  "--__proto__ 1": "Unknown flag --__proto__ (see --help)",
  ...Object.fromEntries(["abc", "0", "-1", "1.5", "NaN", "Infinity", ""].map((value) => {
    return [`--batch-size=${value}`, `Cannot use --batch-size "${value}": ${size}`];
  })),
  "--lr 0": 'Cannot use --lr "0": expected a number above 0',
  "--lr NaN": 'Cannot use --lr "NaN": expected a number above 0',
  "--val-epochs 0": 'Cannot use --val-epochs "0": expected a number above 0, or auto',
  "--val-fraction 1": 'Cannot use --val-fraction "1": expected a number of at least 0 and below 1',
  "--filters 16,,8": 'Cannot use --filters "16,,8": expected whole numbers of at least 1, such as 16,32,64',
  "--optimizer adm": 'Cannot use --optimizer "adm": expected adamw, adam, sgd or muon (did you mean adam?)',
  "--name a/b": 'Cannot use --name "a/b": expected letters, digits, dots, hyphens and underscores',
  "--lr": "Missing value of --lr: expected a number above 0",
  "--lr --epochs 3": "Missing value of --lr: expected a number above 0",
  "--lr 1 --lr 2": "--lr was given twice",
  "--attn --no-attn": "--attn was given twice",
  "--attn=true": 'Cannot use --attn "true": it takes no value (expected --attn or --no-attn)',
  "a=b": 'Cannot use "a=b": only flags are expected (see --help)',
  "-- --lr 1": 'Cannot use "--": only flags are expected (see --help)',
  "--filters 16,12,8": "Cannot use --groups 8 with --filters 16,12,8: 8 does not divide 12, the channels of ",
  "--model base --filters 16,12 --attn": "Cannot use --groups 8 with --filters 16,12: 8 does not divide 12, ",
  "--max-minutes 0": "Cannot train without an end: --epochs, --max-steps, --max-minutes are all 0 (",
  "--time-embedding sinusoidal --t-emb 5": "Cannot use --time-embedding sinusoidal with --t-emb 5: ",
  "--coupling ot --batch-size 257": "Cannot use --coupling ot with --batch-size 257: ",
  "--schedule plateau --val-fraction 0": "Cannot use --schedule plateau with --val-fraction 0: ",
  // Without effect:
  "--momentum 0.5": "--momentum has no effect without --optimizer sgd; remove it",
  "--optimizer sgd --beta2 0.5": "--beta2 has no effect without --optimizer adamw, adam or muon; remove it",
  "--optimizer adamw --muon-lr 0.03": "--muon-lr has no effect without --optimizer muon; remove it",
  "--plateau-patience 3": "--plateau-patience has no effect without --schedule plateau; remove it",
  "--val-batches 3 --val-fraction 0": "--val-batches has no effect without --val-fraction above 0; remove it",
  "--solver rk4 --samples 0": "--solver has no effect without --samples above 0; remove it",
  "--sample-epochs 2 --samples 0": "--sample-epochs has no effect without --samples above 0; remove it",
  "--flow-steps 9 --flow-samples 0": "--flow-steps has no effect without --flow-samples above 0; remove it",
  "--name x --out y": "--name has no effect with --out, which names the folder itself; remove it",
  "--threads 2 --device webgpu": "--threads has no effect without --device cpu or auto; remove it",
  "--tune --device cpu": "--tune has no effect without --device webgpu or auto; remove it",
  "--model base --groups 4": "--groups has no effect without --model residual or --attn; remove it",
};

Deno.test("a training refuses flags that are invalid, contradictory or without effect", () => {
  for (const [flags, message] of Object.entries(refusals)) {
    const command = flags.startsWith("--model") ? flags : `--model residual ${flags}`;
    refuses(() => configOf(command), RegExp(`^${RegExp.escape(message)}`));
  }
  refuses(() => configOf("--epochs 3"), "Missing --model residual|base|FILE: network to train");
  const drawing = (flags: string) => sampleTask.parse(`--checkpoint f ${flags}`.split(" "));
  const reporting = (flags: string) => reportTask.parse(`run ${flags}`.split(" "));
  refuses(() => drawing("--columns 2 --out a.npy"), /^--columns has no effect without a picture/);
  refuses(() => drawing("--threads 2 --device webgpu"), /^--threads has no effect/);
  refuses(() => evaluating.resolve({ threads: 2, device: "webgpu" }), /^--threads has no effect/);
  refuses(() => reporting("--threads 1"), /^Cannot use --threads with one/);
  refuses(() => reporting("b --device webgpu --threads 1"), /^--threads has no effect/);
  assert.equal(drawing("--columns 2 --threads 2").columns, 2);
  assert.equal(reporting("other --device cpu --threads 1").threads, 1);
});

const write = (run: string, config: object) =>
  Deno.writeTextFile(join(run, "config.json"), JSON.stringify(config));

testInFolder("resumedRun() resumes a run with its own settings", async (run) => {
  const saved = configOf("--model base --lr 0.25 --epochs 3", "standard");
  await write(run, saved);
  assert.deepEqual(configJson(readConfig(run)), saved);
  const config = configOf(`--model base --resume ${run} --epochs 7 --device cpu`, "quick");
  assert.deepEqual(config, { ...saved, epochs: 7, device: "cpu" });
  const { start } = resumedRun({}, run, readConfig(run));
  assert.deepEqual([start.kind, start.kind === "resume" && start.run], ["resume", run]);
  const { schedule, lr, warmUp, muonLr } = configOf(`--resume ${run} --lr 0.125`);
  assert.deepEqual([schedule, lr, warmUp, muonLr], ["constant", 0.125, 0, saved.muonLr! / 2]);
  const cosine = configOf(`--resume ${run} --schedule cosine`);
  assert.deepEqual(cosine, { ...saved, schedule: "cosine" });
  // A run folder from elsewhere must not name the server that gets credentials.
  await write(run, { ...saved, mlflow: "http://elsewhere" });
  assert.equal(resumedRun({}, run, readConfig(run)).mlflow, null);
  assert.equal(repeatedRun({}, run, readConfig(run)).mlflow, null);
  const kept =
    "Cannot use --ema with --resume: the run keeps its settings, except --data, --test-list, --epochs, --max-steps, ";
  refuses(() => configOf(`--resume ${run} --ema 0`), RegExp(`^${kept}--max-minutes, --lr, .*, --mlflow$`));
  const other = `Cannot resume ${run} with --model residual: it trains the base model`;
  refuses(() => configOf(`--resume ${run} --model residual`), other);
  refuses(() => configOf(`--resume ${run} --epochs 0`), /^Cannot train without an end/);

  const path = join(run, "config.json");
  await Deno.writeTextFile(path, "{");
  assert.throws(() => readConfig(run), ConfigError);
  await Deno.remove(path);
  refuses(() => readConfig(run), `Cannot read ${path}: there is no such file (expected the folder of a run)`);
});

testInFolder("repeatedRun() repeats a run with other settings, and what follows", async (run) => {
  const cases: [flags: string, replaced: string, expected: WrittenSettings][] = [
    ["base --max-minutes 3 --seed 7", "--epochs 2", { epochs: 2, maxMinutes: 0, seed: 7 }],
    ["base --conditional", "--no-conditional", { conditional: false, guidance: 2 }],
    ["base", "--filters 4,8", { optimizer: "adamw" }], // muon would update no weight
    ["base --filters 4,8 --optimizer muon", "--model base", { optimizer: "muon" }],
    ["m.ts:n=1 --optimizer muon --lr 0.5", "--model m.ts:n=2", { optimizer: "muon", lr: 0.5 }],
    ["base --lr 0.5", "--model m.ts", { optimizer: "adamw", lr: 0.125 }],
    ["m.ts:n=1,k=3", "--model elsewhere/m.ts:n=2", { model: "elsewhere/m.ts:n=2,k=3" }], // the same module
  ];
  for (const [flags, replaced, expected] of cases) {
    await write(run, { ...configOf(`--model ${flags}`), resume: "x", out: "y" });
    const config = configOf(`--config ${run} ${replaced}`);
    const { start, out } = repeatedRun({}, run, readConfig(run));
    assert.deepEqual([start, out], [{ kind: "fresh" }, null], "it never continues the run");
    assert.deepEqual({ ...config, ...expected }, config, `${flags}, then ${replaced}`);
  }
});

testInFolder("estimates of a run's length belong to its minutes, and no server is recorded", async (run) => {
  const saved = configOf("--model base --max-minutes 3 --mlflow http://h");
  assert.equal(saved.mlflow, null);
  const estimated = { ...saved, maxSteps: 0, replans: [5, 600, 9, 700] };
  await write(run, estimated);
  assert.deepEqual(configJson(readConfig(run)), estimated);
  assert.deepEqual(readConfig(run).length.replans[1], { step: 9, totalSteps: 700 });
  const replansOf = (flags: string) => configOf(`${flags}`).replans;
  assert.deepEqual(replansOf(`--resume ${run}`), estimated.replans);
  assert.equal(replansOf(`--resume ${run} --max-minutes 5`), null, "another length");
  assert.equal(replansOf(`--config ${run}`), null, "it was not fixed yet");
  await write(run, { ...estimated, maxMinutes: 0, maxSteps: 700 });
  assert.deepEqual(replansOf(`--config ${run}`), estimated.replans, "to repeat the same rates");
  assert.equal(replansOf(`--config ${run} --max-steps 9`), null);
});

Deno.test("lossWarning() names the data and the settings that make losses incomparable", () => {
  const run = {
    model: "base",
    normalize: "-1..1",
    conditional: false,
    lr: 1,
    path: "linear",
    times: "uniform",
  };
  const mnist = { name: "MNIST", digest: "a".repeat(64) };
  const fashion = { name: "fashion-mnist", digest: "b".repeat(64) };
  const of = (changes: object, dataset?: LossMeaning["dataset"]) => ({
    settings: { ...run, ...changes },
    dataset,
  });
  const unknown = { settings: {}, dataset: null }; // another program's run
  const comparable = [
    [of({}), of({ model: "residual", lr: 2 }), unknown],
    [of({}, mnist), of({}, { ...mnist, name: "a copy" })],
    [of({}, mnist), of({}, { name: "MNIST" })], // MLflow has the name alone
  ];
  for (const runs of comparable) assert.equal(lossWarning(runs), undefined);
  const cases: [LossMeaning[], why: string][] = [
    [[of({}), of({ conditional: true }), unknown], "--conditional is false or true"],
    [
      [of({}), of({ normalize: "0..1", times: { name: "logit_normal" } })],
      '--normalize is -1..1 or 0..1; --times is uniform or {"name":"logit_normal"}',
    ],
    [
      [of({}, mnist), of({ times: "stratified" }, fashion)],
      "different data sets: MNIST, fashion-mnist; --times is uniform or stratified",
    ],
    [
      [of({}, mnist), of({}, { ...fashion, name: "MNIST" })],
      "different data sets: MNIST (aaaaaaaaaaaa), MNIST (bbbbbbbbbbbb)",
    ],
    [[of({}, { name: "own" }), of({}, mnist), of({})], "different data sets: own, MNIST"],
  ];
  const words = "Losses of these runs are not comparable";
  for (const [runs, why] of cases) assert.equal(lossWarning(runs), `${words} (${why})`);
  const ofTraining = "Training losses of these runs are not comparable (--times is uniform or stratified), " +
    "but validation and test losses are";
  assert.equal(lossWarning([of({}), of({ times: "stratified" })]), ofTraining);
});
