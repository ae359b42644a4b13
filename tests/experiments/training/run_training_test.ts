import assert from "node:assert/strict";
import { init } from "../../../kernels/mod.ts";
import { BatchOrder, loadCheckpoint } from "../../../models/mod.ts";
import { completeArtifacts } from "../../../experiments/training/pictures.ts";
import { isLocked, lockRun } from "../../../experiments/run/run_folder.ts";
import { fileAt, runFile } from "../../../experiments/run/files.ts";
import { readMetrics } from "../../../experiments/run/metrics_log.ts";
import { normalizationTo, type TrainingConfig } from "../../../experiments/cli/training.ts";
import { splitImages } from "../../../experiments/data/dataset.ts";
import { sourceOf } from "../../../experiments/data/image_source.ts";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import { makeNetwork } from "../../../experiments/training/network.ts";
import { readConfig, trainingConfig } from "../../../experiments/cli/training_config.ts";
import { runTraining } from "../../../experiments/training/run_training.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { fingerprintOf } from "../cli.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";

const permissions = { read: true, write: true, env: true } as const;

/** Settings of a short run in a folder, without pictures. */
function configIn(folder: string, values: Partial<TrainingConfig>): TrainingConfig {
  const tiny = { model: "base", filters: [8, 16], tEmb: 8, batchSize: 8, device: "cpu", threads: 1 } as const;
  const bare = { samples: 0, flowSamples: 0, pathSamples: 0, sampleEpochs: 0 } as const;
  const rest = { data: `${folder}/data`, logEvery: 1, seed: 7, valFraction: 0.1 } as const;
  return trainingConfig({ ...tiny, ...bare, ...rest, ...values });
}

const grid = { samples: 2, solver: "heun:steps=2" } as const;
const pictures = { ...grid, flowSamples: 1, flowSteps: 3, flowFrames: 2 } as const;

function testInFolder(name: string, test: (folder: string) => Promise<void>): void {
  testNeeding(permissions, name, async () => {
    await withFolder(async (folder) => {
      await writeTinyIdx(`${folder}/data`);
      await test(folder);
    });
  });
}

const digest = async (path: string) => fingerprintOf(await Deno.readFile(path));
const trained = (run: string) => digest(`${run}/${runFile.last}`);

testInFolder(
  "runTraining() trains without a task, and shows its messages and evaluations",
  async (folder) => {
    const said: string[] = [];
    let written = "";
    const terminal = {
      isTerminal: true,
      columns: () => 100,
      write: (text: string) => void (written += text),
    };
    const config = configIn(folder, { ...pictures, maxSteps: 4, pathSamples: 4, out: `${folder}/run` });
    const say = (line: string) => !line.startsWith("Matrix products") && said.push(line); // advice without denow
    const { now } = performance;
    performance.now = () => 1e5 * now.call(performance); // stages shorter than a second show nothing
    const result = await runTraining(config, { say, terminal }).finally(() => performance.now = now);
    assert.deepEqual([result.run, result.step, result.interrupted], [`${folder}/run`, 4, false]);
    const metrics = await readMetrics(`${folder}/run/${runFile.metrics}`);
    assert.equal(metrics.find((line) => "test_loss" in line)?.test_loss, result.testLoss);
    assert.match(said[0], /^base U-Net \[8,16\], [\d,]+ parameters, .*\nrun folder /);
    assert.match(said[1], /^data: 96 training and 24 test images of 12 x 12, 10 classes$/);
    assert.equal(said[2], "Measuring the test loss and drawing pictures");
    const shown = [...written.matchAll(/network evaluations (\d+)\/(\d+)/g)].map(([, ...counts]) =>
      counts.map(Number)
    );
    // Test loss, samples, few steps, trajectories and paths; guided, a row of 10 classes.
    const stages = [24, 10 * 4 * 2, 10 * (1 + 2 + 4 + 8 + 20) * 2, 10 * 3 * 2, 10 * 20 * 2];
    const sums = stages.map((_, i) => stages.slice(0, i + 1).reduce((sum, stage) => sum + stage));
    assert.deepEqual([...new Set(shown.map(([done]) => done))], sums);
    assert.ok(shown.every(([, all]) => all === sums.at(-1)) && written.endsWith("\r\x1b[K"), written);
  },
);

testInFolder("runTraining() takes the steps that seed, batches and schedule describe", async (folder) => {
  const constant = { schedule: "constant", warmUp: 0, conditional: false, maxSteps: 13 } as const;
  const { run } = await runTraining(configIn(folder, { ...constant, out: `${folder}/run` }));
  const config = readConfig(run);
  const device = await init({ device: "cpu", threads: 1 });
  const data = await loadDataset(`${folder}/data`);
  const normalization = normalizationTo(config.normalize);
  const { trainer } = makeNetwork(config, sourceOf(data, "train", { conditional: false, normalization }));
  const order = new BatchOrder(splitImages(data.train.count, config).train, config.batchSize, config.seed);
  for (let step = 0; step < 13; step++) trainer.queueStep(order.batch(step), config.lr); // into a second epoch
  const losses = (await readMetrics(`${run}/${runFile.metrics}`)).flatMap((line) => line.train_loss ?? []);
  assert.deepEqual(losses, await trainer.losses());
  device.close();
});

testInFolder(
  "runTraining() keeps weights at requested steps without changing the training",
  async (folder) => {
    const make = (name: string, maxSteps: number) =>
      configIn(folder, { maxSteps, schedule: "constant", ema: 0.9, out: `${folder}/${name}` });
    const { run } = await runTraining(make("kept", 7), { keepAt: [3, 5, 90] });
    await runTraining(make("plain", 7));
    assert.equal(await trained(run), await trained(`${folder}/plain`));
    const names = await Array.fromAsync(Deno.readDir(`${run}/weights`), ({ name }) => name);
    assert.deepEqual(names.sort(), ["step_000003.safetensors", "step_000005.safetensors"]);
    await runTraining(make("short", 5));
    const kept = await digest(`${run}/${fileAt(runFile.weightsAt, 5)}`);
    assert.equal(kept, await digest(`${folder}/short/${runFile.ema}`));
    await assert.rejects(Deno.stat(`${folder}/plain/weights`), Deno.errors.NotFound);
  },
);

testInFolder(
  "runTraining() keeps the caller's device and lock, even if another device is current",
  async (folder) => {
    const device = await init({ device: "cpu", threads: 1 });
    (await init({ device: "cpu", threads: 1 })).close();
    const [a, b] = ["a", "b"].map((name) => configIn(folder, { maxSteps: 3, out: `${folder}/${name}` }));
    await runTraining(a, { device });
    await runTraining(b, { device });
    assert.equal(await trained(`${folder}/a`), await trained(`${folder}/b`));
    {
      using lock = await lockRun(`${folder}/a`);
      await runTraining(trainingConfig({ resume: `${folder}/a`, maxSteps: 4, lr: 1e-3 }), { lock, device });
      assert.equal(await isLocked(`${folder}/a`), true);
    }
    assert.equal(await isLocked(`${folder}/a`), false);
    device.close();
  },
);

testInFolder(
  "runTraining() validates and draws a few times by default, no matter how little data there is, unless flags say otherwise",
  async (folder) => {
    const run = `${folder}/run`;
    const stepsOf = async (name: string) =>
      (await readMetrics(`${run}/${runFile.metrics}`)).flatMap((line) => name in line ? [line.step] : []);
    const [schedule, solver] = ["constant", "euler:steps=1"] as const;
    await runTraining(
      configIn(folder, { samples: 2, maxSteps: 60, schedule, sampleEpochs: "auto", solver, out: run }),
    );
    assert.deepEqual(await stepsOf("image/samples"), [0, 23, 46]);
    const validated = [17, 34, 51, 60];
    assert.deepEqual(await stepsOf("val_loss"), validated);
    const { valEpochs, sampleEpochs } = readConfig(run);
    assert.deepEqual([valEpochs, sampleEpochs], [1.58, 2.14], "86 images in batches of 8");
    const changed = trainingConfig({ resume: run, maxSteps: 70, valEpochs: 0.3, sampleEpochs: 0 });
    await runTraining(changed);
    assert.deepEqual(await stepsOf("val_loss"), [...validated, 62, 65, 69, 70]);
    assert.deepEqual(await stepsOf("image/samples"), [0, 23, 46]);
  },
);

testInFolder(
  "runTraining() ends if its folder is recreated, and leaves the new one alone",
  async (folder) => {
    const run = `${folder}/run`;
    const say = (line: string) => {
      if (!line.includes("run folder")) return;
      Deno.removeSync(run, { recursive: true });
      Deno.mkdirSync(run);
    };
    await assert.rejects(
      runTraining(configIn(folder, { ...grid, maxSteps: 3, sampleEpochs: 1, out: run }), { say }),
      {
        name: "RunError",
        message: `Cannot write to ${run}: it was deleted or replaced while this program was working on it ` +
          "(nothing more is written there; start again)",
      },
    );
    assert.deepEqual(await Array.fromAsync(Deno.readDir(run)), []);
  },
);

testInFolder("runTraining() makes no folder if plateau has no validation images", async (folder) => {
  const config = configIn(folder, {
    schedule: "plateau",
    valFraction: 0.004,
    maxSteps: 2,
    out: `${folder}/run`,
  });
  await assert.rejects(runTraining(config), {
    name: "ConfigError",
    message: "Cannot use --schedule plateau with --val-fraction 0.004: that holds out none of 96 images " +
      "(expected at least one, as plateau follows the validation loss)",
  });
  await assert.rejects(Deno.stat(`${folder}/run`), Deno.errors.NotFound);
});

testInFolder(
  "runTraining() limited by minutes and stopped is repeated like one in a piece",
  async (folder) => {
    const run = `${folder}/run`;
    const config = configIn(folder, { ...grid, maxMinutes: 0.02, sampleEpochs: 1, out: run });
    const stop = new AbortController();
    const say = (line: string) => line.includes("run folder") && setTimeout(() => stop.abort(), 100);
    const first = await runTraining(config, { signal: stop.signal, say });
    assert.equal(first.interrupted, true);
    assert.deepEqual([readConfig(run).maxSteps, readConfig(run).maxMinutes], [0, 0.02]);
    const { step } = await runTraining(trainingConfig({ resume: run }));
    assert.ok(step > first.step);
    const { maxSteps, maxMinutes, replans } = readConfig(run);
    assert.deepEqual([maxSteps, maxMinutes, replans!.at(-1)], [step, 0, step]);
    await runTraining(trainingConfig({ config: run, out: `${folder}/again` }));
    assert.equal(await trained(`${folder}/again`), await trained(run));
    const grids = (await readMetrics(`${run}/${runFile.metrics}`)).filter((line) => "image/samples" in line);
    assert.equal(grids.filter((line) => line.step === 0).length, 1);
  },
);

testInFolder(
  "runTraining() stopped during its pictures can continue, no matter what an earlier session drew",
  async (folder) => {
    const make = (name: string, maxSteps: number) =>
      configIn(folder, { ...grid, maxSteps, schedule: "constant", out: `${folder}/${name}` });
    await runTraining(make("whole", 5));
    const { run } = await runTraining(make("parts", 3));
    const { signal } = new AbortController();
    const metrics = `${run}/${runFile.metrics}`;
    const isMeasured = () => /"step":5,.*"test_loss"/.test(Deno.readTextFileSync(metrics));
    Object.defineProperty(signal, "aborted", { get: isMeasured });
    const { step, interrupted } = await runTraining(trainingConfig({ resume: run, maxSteps: 5 }), { signal });
    assert.deepEqual([step, interrupted], [5, true]);
    const lines = await readMetrics(metrics);
    assert.equal((await runTraining(trainingConfig({ resume: run }))).interrupted, false);
    assert.deepEqual(await readMetrics(metrics), lines);
    const samples = (run: string) => digest(`${folder}/${run}/${runFile.samples}`);
    assert.equal(await samples("parts"), await samples("whole"));
  },
);

testInFolder(
  "completeArtifacts() makes only missing artifacts, and only from files in the folder",
  async (folder) => {
    const run = `${folder}/run`;
    await runTraining(configIn(folder, { ...pictures, maxSteps: 2, out: run }));
    const gif = await digest(`${run}/flow_linear.gif`);
    await Deno.remove(`${run}/flow_linear.gif`);
    const samples = (await Deno.stat(`${run}/${runFile.samples}`)).mtime;
    await completeArtifacts(run);
    assert.equal(await digest(`${run}/flow_linear.gif`), gif);
    assert.deepEqual((await Deno.stat(`${run}/${runFile.samples}`)).mtime, samples);
    await Deno.remove(`${run}/flow`, { recursive: true });
    await Deno.remove(`${run}/flow_linear.gif`);
    await completeArtifacts(run);
    await assert.rejects(Deno.stat(`${run}/flow_linear.gif`), Deno.errors.NotFound);
  },
);

testInFolder(
  "runTraining() with other objectives resumes bit for bit, and its checkpoint records them",
  async (folder) => {
    const choices: Partial<TrainingConfig> = {
      path: "cosine",
      prediction: "data",
      times: "logit_normal:mean=-0.8,scale=0.8",
      coupling: "class_ot",
      timeEmbedding: "sinusoidal",
      optimizer: "muon",
      clip: 1,
      schedule: "cosine",
      logEvery: 4,
    };
    const whole = configIn(folder, { ...choices, maxSteps: 10, out: `${folder}/whole` });
    const first = configIn(folder, { ...choices, maxSteps: 10, out: `${folder}/parts` });
    await runTraining(whole);
    const stop = new AbortController();
    const say = (line: string) => line.includes("run folder") && setTimeout(() => stop.abort(), 0);
    await runTraining(first, { signal: stop.signal, say });
    const { step } = await runTraining(trainingConfig({ resume: `${folder}/parts` }));
    assert.equal(step, 10);
    assert.equal(await trained(`${folder}/parts`), await trained(`${folder}/whole`));
    const costs = async (run: string) =>
      (await readMetrics(`${folder}/${run}/${runFile.metrics}`)).flatMap((line) =>
        line.transport_cost === undefined ? [] : [[line.step, line.transport_cost, line.independent_cost]]
      );
    assert.deepEqual(await costs("parts"), await costs("whole"));
    assert.deepEqual((await costs("whole")).map(([step]) => step), [4, 8, 10]);
    assert.ok((await costs("whole")).every(([, cost, independent]) => cost < independent));
    const device = await init({ device: "cpu", threads: 1 });
    const { info } = loadCheckpoint(await Deno.readFile(`${folder}/whole/${runFile.last}`), "last");
    device.close();
    const { path, prediction, timeEmbedding } = info.config;
    assert.deepEqual([path, prediction, timeEmbedding], ["cosine", "data", "sinusoidal"]);
  },
);

testInFolder(
  "runTraining() without labels keeps weights at a sixth, and guides samples away from them",
  async (folder) => {
    const values = { ...grid, conditional: false, maxSteps: 12, batchSize: 8 } as const;
    const run = async (name: string, more: Partial<TrainingConfig> = {}) => {
      const out = `${folder}/${name}`;
      await runTraining(configIn(folder, { ...values, ...more, out }));
      return out;
    };
    const samples = (run: string) => digest(`${run}/${runFile.samples}`);
    const early = (run: string) => digest(`${run}/${runFile.early}`);
    const guided = await run("guided");
    assert.equal(readConfig(guided).guidance, 2);
    // With a constant learning rate, a run of two steps ends like one of twelve begins.
    const constant = { schedule: "constant", warmUp: 0 } as const;
    const [long, short] = [await run("long", constant), await run("short", { ...constant, maxSteps: 2 })];
    const ema = await digest(`${short}/${runFile.ema}`);
    assert.equal(await early(long), ema);
    const plain = await run("plain", { guidance: 1 });
    await assert.rejects(early(plain), Deno.errors.NotFound);
    assert.equal(await trained(plain), await trained(guided));
    assert.notEqual(await samples(plain), await samples(guided));
  },
);
