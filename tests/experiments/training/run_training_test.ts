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

/** Settings of a short run in `NAME` of a folder, without pictures. */
type Configure = (name: string, values: Partial<TrainingConfig>) => TrainingConfig;

const grid = { samples: 2, solver: "heun:steps=2" } as const;
const pictures = { ...grid, flowSamples: 1, flowSteps: 3, flowFrames: 2 } as const;
const constant = { schedule: "constant", warmUp: 0 } as const;

function testRuns(name: string, test: (folder: string, configure: Configure) => Promise<void>): void {
  testNeeding({ read: true, write: true, env: true }, name, () =>
    withFolder(async (folder) => {
      const data = `${folder}/data`;
      await writeTinyIdx(data);
      const tiny = {
        model: "base",
        filters: [8, 16],
        tEmb: 8,
        batchSize: 8,
        device: "cpu",
        threads: 1,
      } as const;
      const bare = { samples: 0, flowSamples: 0, pathSamples: 0, sampleEpochs: 0, logEvery: 1 } as const;
      const rest = { data, ...tiny, ...bare, seed: 7, valFraction: 0.1 };
      await test(folder, (name, values) => trainingConfig({ ...rest, ...values, out: `${folder}/${name}` }));
    }));
}

const digest = async (path: string) => fingerprintOf(await Deno.readFile(path));
const trained = (run: string) => digest(`${run}/${runFile.last}`);
const metricsOf = (run: string) => readMetrics(`${run}/${runFile.metrics}`);
const stepsOf = async (run: string, name: string) =>
  (await metricsOf(run)).flatMap((line) => name in line ? [line.step] : []);
const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
/** Stops a run some time after it has begun. */
function stopAfter(ms: number) {
  const stop = new AbortController();
  const say = (line: string) => line.includes("run folder") && setTimeout(() => stop.abort(), ms);
  return { signal: stop.signal, say };
}

testRuns(
  "runTraining() trains without a task, and shows its messages and evaluations",
  async (folder, configure) => {
    const [said, run]: [string[], string] = [[], `${folder}/run`];
    let written = "";
    const write = (text: string) => void (written += text);
    const terminal = { isTerminal: true, columns: () => 100, write };
    const say = (line: string) => !line.startsWith("Matrix products") && said.push(line); // advice without denow
    const { now } = performance;
    performance.now = () => 1e5 * now.call(performance); // stages shorter than a second show nothing
    const config = configure("run", { ...pictures, maxSteps: 4, pathSamples: 4 });
    const result = await runTraining(config, { say, terminal }).finally(() => performance.now = now);
    assert.deepEqual([result.run, result.step, result.interrupted], [run, 4, false]);
    const metrics = await metricsOf(run);
    assert.equal(metrics.find((line) => "test_loss" in line)?.test_loss, result.testLoss);
    assert.match(said[0], /^base U-Net \[8,16\], [\d,]+ parameters, .*\nrun folder /);
    assert.match(said[1], /^data: 96 training and 24 test images of 12 x 12, 10 classes$/);
    const shown = [...written.matchAll(/network evaluations (\d+)\/(\d+)/g)].map(([, ...counts]) =>
      counts.map(Number)
    );
    // Test loss, samples, few steps, trajectories and paths; guided, a row of 10 classes.
    const stages = [24, 10 * 4 * 2, 10 * (1 + 2 + 4 + 8 + 20) * 2, 10 * 3 * 2, 10 * 20 * 2];
    const sums = stages.map((_, i) => stages.slice(0, i + 1).reduce((sum, stage) => sum + stage));
    assert.deepEqual([...new Set(shown.map(([done]) => done))], sums);
    assert.ok(shown.every(([, all]) => all === sums.at(-1)) && written.endsWith("\r\x1b[K"), written);

    // Makes only the missing animation, and only from files in the folder.
    const gif = `${run}/flow_linear.gif`;
    const [before, { mtime }] = [await digest(gif), await Deno.stat(`${run}/${runFile.samples}`)];
    await Deno.remove(gif);
    await completeArtifacts(run);
    assert.deepEqual([await digest(gif), (await Deno.stat(`${run}/${runFile.samples}`)).mtime], [
      before,
      mtime,
    ]);
    for (const path of [gif, `${run}/flow`]) await Deno.remove(path, { recursive: true });
    await completeArtifacts(run);
    assert.ok(!await exists(gif));
  },
);

testRuns(
  "runTraining() takes the steps that seed, batches and schedule describe",
  async (folder, configure) => {
    const lr = 1e-3;
    const { run } = await runTraining(
      configure("run", { lr, schedule: "cosine", warmUp: 0, conditional: false, maxSteps: 13 }),
    );
    const config = readConfig(run);
    const device = await init({ device: "cpu", threads: 1 });
    const data = await loadDataset(`${folder}/data`);
    const normalization = normalizationTo(config.normalize);
    const { trainer } = makeNetwork(config, sourceOf(data, "train", { conditional: false, normalization }));
    const order = new BatchOrder(splitImages(data.train.count, config).train, config.batchSize, config.seed);
    const rates = Array.from({ length: 13 }, (_, step) => lr * (1 + Math.cos(Math.PI * step / 12)) / 2);
    rates.forEach((rate, step) => trainer.queueStep(order.batch(step), rate)); // into a second epoch
    const lines = (await metricsOf(run)).filter((line) => "train_loss" in line);
    assert.deepEqual(lines.map((line) => line.train_loss), await trainer.losses());
    lines.forEach((line, i) => assert.ok(Math.abs(Number(line.learning_rate) - rates[i]) < 1e-12));
    device.close();
  },
);

testRuns("runTraining() keeps weights at requested steps", async (folder, configure) => {
  const make = (name: string, maxSteps: number) => configure(name, { maxSteps, ...constant, ema: 0.9 });
  const { run } = await runTraining(make("kept", 7), { keepAt: [3, 5, 90] });
  const names = await Array.fromAsync(Deno.readDir(`${run}/weights`), ({ name }) => name);
  assert.deepEqual(names.sort(), ["step_000003.safetensors", "step_000005.safetensors"]);
  const short = await runTraining(make("short", 5));
  assert.equal(
    await digest(`${run}/${fileAt(runFile.weightsAt, 5)}`),
    await digest(`${short.run}/${runFile.ema}`),
  );
  assert.ok(!await exists(`${folder}/short/weights`));
});

testRuns(
  "runTraining() keeps the caller's device and lock, even if another device is current",
  async (_, configure) => {
    const device = await init({ device: "cpu", threads: 1 });
    (await init({ device: "cpu", threads: 1 })).close();
    const { run } = await runTraining(configure("a", { maxSteps: 2 }), { device });
    {
      using lock = await lockRun(run);
      await runTraining(trainingConfig({ resume: run, maxSteps: 3, lr: 1e-3 }), { lock, device });
      assert.equal(await isLocked(run), true);
    }
    assert.equal(await isLocked(run), false);
    device.close();
  },
);

testRuns(
  "runTraining() validates and draws a few times by default, unless flags say otherwise",
  async (_, configure) => {
    const auto = { samples: 2, maxSteps: 60, sampleEpochs: "auto", solver: "euler:steps=1" } as const;
    const { run } = await runTraining(configure("run", { ...auto, ...constant }));
    const [grids, validated] = [[0, 23, 46], [17, 34, 51, 60]];
    assert.deepEqual(await stepsOf(run, "image/samples"), grids);
    assert.deepEqual(await stepsOf(run, "val_loss"), validated);
    const { valEpochs, sampleEpochs } = readConfig(run);
    assert.deepEqual([valEpochs, sampleEpochs], [1.58, 2.14], "86 images in batches of 8");
    await runTraining(trainingConfig({ resume: run, maxSteps: 70, valEpochs: 0.3, sampleEpochs: 0 }));
    assert.deepEqual(await stepsOf(run, "val_loss"), [...validated, 62, 65, 69, 70]);
    assert.deepEqual(await stepsOf(run, "image/samples"), grids);
  },
);

testRuns(
  "runTraining() ends if its folder is recreated, and leaves the new one alone",
  async (folder, configure) => {
    const run = `${folder}/run`;
    const say = (line: string) => {
      if (!line.includes("run folder")) return;
      Deno.removeSync(run, { recursive: true });
      Deno.mkdirSync(run);
    };
    const refused = { name: "RunError", message: /^Cannot write to .*run: it was deleted or replaced / };
    await assert.rejects(
      runTraining(configure("run", { ...grid, maxSteps: 3, sampleEpochs: 1 }), { say }),
      refused,
    );
    assert.deepEqual(await Array.fromAsync(Deno.readDir(run)), []);
  },
);

testRuns(
  "runTraining() limited by minutes and stopped is repeated like one in a piece",
  async (folder, configure) => {
    const config = configure("run", { ...grid, maxMinutes: 0.02, sampleEpochs: 1 });
    const { run, step: stopped, interrupted } = await runTraining(config, stopAfter(100));
    assert.equal(interrupted, true);
    assert.deepEqual([readConfig(run).maxSteps, readConfig(run).maxMinutes], [0, 0.02]);
    const { step } = await runTraining(trainingConfig({ resume: run }));
    assert.ok(step > stopped);
    const { maxSteps, maxMinutes, replans } = readConfig(run);
    assert.deepEqual([maxSteps, maxMinutes, replans!.at(-1)], [step, 0, step]);
    await runTraining(trainingConfig({ config: run, out: `${folder}/again` }));
    assert.equal(await trained(`${folder}/again`), await trained(run));
    assert.equal((await stepsOf(run, "image/samples")).filter((step) => step === 0).length, 1);
  },
);

testRuns(
  "runTraining() stopped during its pictures continues, whatever an earlier session drew",
  async (_, configure) => {
    const make = (name: string, maxSteps: number) => configure(name, { ...grid, ...constant, maxSteps });
    const whole = await runTraining(make("whole", 5));
    const { run } = await runTraining(make("parts", 3));
    const { signal } = new AbortController();
    const isMeasured = () =>
      /"step":5,.*"test_loss"/.test(Deno.readTextFileSync(`${run}/${runFile.metrics}`));
    Object.defineProperty(signal, "aborted", { get: isMeasured });
    const { step, interrupted } = await runTraining(trainingConfig({ resume: run, maxSteps: 5 }), { signal });
    assert.deepEqual([step, interrupted], [5, true]);
    const lines = await metricsOf(run);
    assert.equal((await runTraining(trainingConfig({ resume: run }))).interrupted, false);
    assert.deepEqual(await metricsOf(run), lines);
    assert.equal(await digest(`${run}/${runFile.samples}`), await digest(`${whole.run}/${runFile.samples}`));
  },
);

testRuns(
  "runTraining() with other objectives resumes bit for bit, and its checkpoint records them",
  async (folder, configure) => {
    const choices: Partial<TrainingConfig> = {
      ...{
        path: "cosine",
        prediction: "data",
        times: "logit_normal:mean=-0.8,scale=0.8",
        coupling: "class_ot",
      },
      ...{ timeEmbedding: "sinusoidal", optimizer: "muon", clip: 1, schedule: "cosine", flip: true },
      ...{ labelDropout: 0.5, logEvery: 4, maxSteps: 10 },
    };
    const [whole, parts] = [`${folder}/whole`, `${folder}/parts`];
    await runTraining(configure("whole", choices));
    await runTraining(configure("parts", choices), stopAfter(0));
    assert.equal((await runTraining(trainingConfig({ resume: parts }))).step, 10);
    assert.equal(await trained(parts), await trained(whole));
    const costs = async (run: string) =>
      (await metricsOf(run)).flatMap(({ step, transport_cost: cost, independent_cost: independent }) =>
        cost === undefined ? [] : [{ step, cost, independent }]
      );
    assert.deepEqual(await costs(parts), await costs(whole));
    assert.deepEqual((await costs(whole)).map(({ step }) => step), [4, 8, 10]);
    assert.ok((await costs(whole)).every(({ cost, independent }) => cost < independent));
    const device = await init({ device: "cpu", threads: 1 });
    const { info: { config } } = loadCheckpoint(await Deno.readFile(`${whole}/${runFile.last}`), "last");
    device.close();
    const { path, prediction, timeEmbedding, classes } = config;
    assert.deepEqual([path, prediction, timeEmbedding, classes], ["cosine", "data", "sinusoidal", 10]);
  },
);

testRuns(
  "runTraining() without labels keeps weights at a sixth, and guides samples away from them",
  async (_, configure) => {
    const values = { ...grid, ...constant, conditional: false, maxSteps: 12 } as const;
    const run = async (name: string, more: Partial<TrainingConfig> = {}) =>
      (await runTraining(configure(name, { ...values, ...more }))).run;
    const guided = await run("guided");
    assert.equal(readConfig(guided).guidance, 2);
    // With a constant learning rate, a run of two steps ends like one of twelve begins.
    const short = await run("short", { maxSteps: 2 });
    assert.equal(await digest(`${guided}/${runFile.early}`), await digest(`${short}/${runFile.ema}`));
    const plain = await run("plain", { guidance: 1 });
    assert.ok(!await exists(`${plain}/${runFile.early}`));
    assert.equal(await trained(plain), await trained(guided));
    assert.notEqual(
      await digest(`${plain}/${runFile.samples}`),
      await digest(`${guided}/${runFile.samples}`),
    );
  },
);
