import assert from "node:assert/strict";
import { init } from "../../../kernels/mod.ts";
import { BatchOrder, loadCheckpoint } from "../../../models/mod.ts";
import { completeArtifacts } from "../../../experiments/training/pictures.ts";
import { fileAt, runFile } from "../../../experiments/run/files.ts";
import { readMetrics } from "../../../experiments/run/metrics_log.ts";
import { splitImages } from "../../../experiments/data/dataset.ts";
import { sourceOf } from "../../../experiments/data/image_source.ts";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import { makeNetwork } from "../../../experiments/training/network.ts";
import { readConfig } from "../../../experiments/settings/config_file.ts";
import { normalizationTo } from "../../../experiments/settings/data.ts";
import { repeatedRun, resumedRun } from "../../../experiments/settings/decide.ts";
import { testedImages } from "../../../experiments/training/measures.ts";
import { runTraining, type RunTrainingOptions } from "../../../experiments/training/run_training.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { replacing } from "../../replacing.ts";
import { upTo } from "../../refusing.ts";
import { fingerprintOf } from "../cli.ts";
import { configOf, given, type WrittenSettings } from "../config_of.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";

type Values = WrittenSettings;

/** Trains a short run `NAME` of a folder, without pictures. */
type Train = (
  name: string,
  values: Values,
  options?: RunTrainingOptions,
) => ReturnType<typeof runTraining>;

const grid = { samples: 2, solver: "heun:steps=2" } as const;
const constant = { schedule: "constant", warmUp: 0 } as const;

function testRuns(name: string, test: (train: Train, folder: string) => Promise<void>): void {
  testNeeding(
    { read: true, write: true, env: true },
    `runTraining() ${name}`,
    () =>
      withFolder(async (folder) => {
        const data = `${folder}/data`;
        await writeTinyIdx(data);
        const tiny = { model: "base", filters: [8, 16], tEmb: 8, batchSize: 8 } as const;
        const bare = { samples: 0, flowSamples: 0, pathSamples: 0, sampleEpochs: 0, logEvery: 1 } as const;
        const rest = {
          data,
          ...tiny,
          ...bare,
          device: "cpu",
          threads: 1,
          seed: 7,
          valFraction: 0.1,
        } as const;
        const train: Train = (name, values, options) =>
          runTraining(configOf({ ...rest, ...values, out: `${folder}/${name}` }), options);
        await test(train, folder);
      }),
  );
}

const resume = (run: string, values: Values = {}, options?: RunTrainingOptions) =>
  runTraining(resumedRun(given(values), run, readConfig(run)), options);
const digest = async (path: string) => fingerprintOf(await Deno.readFile(path));
/** Asserts that files are equal, or differ. */
const assertSame = async (one: string, other: string, same = true) =>
  assert.equal(await digest(one) === await digest(other), same, `${one} and ${other}`);
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

testRuns("trains without a task, and shows its messages and evaluations", async (train) => {
  const said: string[] = [];
  let written = "";
  const terminal = { isTerminal: true, columns: () => 100, write: (text: string) => void (written += text) };
  const say = (line: string) => !line.startsWith("Matrix products") && said.push(line); // advice without denow
  const now = performance.now.bind(performance);
  const clock = replacing([performance, { now: () => 1e5 * now() }]); // stages shorter than a second show nothing
  const pictures = { ...grid, flowSamples: 1, flowSteps: 3, flowFrames: 2, pathSamples: 4 };
  const result = await train("run", { ...pictures, maxSteps: 4 }, { say, terminal })
    .finally(() => clock[Symbol.dispose]());
  const { run } = result;
  assert.deepEqual([run.split("/").at(-1), result.step, result.interrupted], ["run", 4, false]);
  const metrics = await metricsOf(run);
  const tested = metrics.find((line) => "test_loss" in line)!;
  assert.deepEqual([tested.test_loss, tested.test_loss_margin], [result.testLoss, result.testLossMargin]);
  assert.ok(result.testLossMargin! > 0 && result.testLossMargin! < result.testLoss!);
  assert.match(said[0], /^base U-Net \[8,16\], [\d,]+ parameters, .*\nrun folder /);
  assert.match(said[1], /^data: 96 training and 24 test images of 12 x 12, 10 classes$/);
  const bars = Array.from(written.matchAll(/\r(█*)(░*) measuring and drawing {2}[\d:]+ left/g));
  const shares = bars.map(([, full, empty]) => full.length / (full.length + empty.length));
  // Test loss, samples, few steps, trajectories and paths; guided, a row of 10 classes.
  const stages = [24, 10 * 3 * 2, 10 * (1 + 2 + 4 + 8 + 19) * 2, 10 * 3 * 2, 10 * 10 * 2];
  const all = stages.reduce((sum, stage) => sum + stage);
  const near = (share: number, sum: number) => Math.abs(share - sum / all) < 1 / 20;
  stages.reduce((before, stage) => {
    assert.ok(shares.some((share) => near(share, before + stage)), `${before + stage} in ${shares}`);
    return before + stage;
  }, 0);
  assert.ok(shares.at(-1) === 1 && written.endsWith("\r\x1b[K"), written);

  // Makes only the missing animation, and only from files in the folder.
  const gif = `${run}/flow_linear.gif`;
  const stateOf = async () => [await digest(gif), (await Deno.stat(`${run}/${runFile.samples}`)).mtime];
  const before = await stateOf();
  await Deno.remove(gif);
  await completeArtifacts(run);
  assert.deepEqual(await stateOf(), before);
  for (const path of [gif, `${run}/flow`]) await Deno.remove(path, { recursive: true });
  await completeArtifacts(run);
  assert.ok(!await exists(gif));
});

testRuns("takes the steps that seed, batches and schedule describe", async (train) => {
  const lr = 1e-3;
  const { run } = await train("run", { lr, schedule: "cosine", warmUp: 0, conditional: false, maxSteps: 13 });
  const config = readConfig(run);
  const device = await init({ device: "cpu", threads: 1 });
  const data = await loadDataset(config.data!);
  const normalization = normalizationTo(config.normalize);
  const { trainer } = makeNetwork(config, sourceOf(data, "train", { conditional: false, normalization }));
  const order = new BatchOrder(splitImages(data.train.count, config).train, config.batchSize, config.seed);
  const rates = upTo(13).map((step) => lr * (1 + Math.cos(Math.PI * step / 12)) / 2);
  rates.forEach((rate, step) => trainer.queueStep(order.batch(step), rate)); // into a second epoch
  const lines = (await metricsOf(run)).filter((line) => "train_loss" in line);
  assert.deepEqual(lines.map((line) => line.train_loss), await trainer.losses());
  lines.forEach((line, i) => assert.ok(Math.abs(Number(line.learning_rate) - rates[i]) < 1e-12));
  device.close();
});

testRuns("validates and draws a few times by default, unless flags say otherwise", async (train) => {
  const auto = { samples: 2, maxSteps: 60, sampleEpochs: "auto", solver: "euler:steps=1" } as const;
  const { run } = await train("run", { ...auto, ...constant });
  const [grids, validated] = [[0, 23, 46], [17, 34, 51, 60]];
  const found = async () => [await stepsOf(run, "image/samples"), await stepsOf(run, "val_loss")];
  assert.deepEqual(await found(), [grids, validated]);
  const { valEpochs, sampleEpochs } = readConfig(run);
  assert.deepEqual([valEpochs, sampleEpochs], [1.58, 2.14], "86 images in batches of 8");
  await resume(run, { maxSteps: 70, valEpochs: 0.3, sampleEpochs: 0 });
  assert.deepEqual(await found(), [grids, [...validated, 62, 65, 69, 70]]);
});

testRuns("ends if its folder is recreated, and leaves the new one alone", async (train, folder) => {
  const run = `${folder}/run`;
  const say = (line: string) => {
    if (!line.includes("run folder")) return;
    Deno.removeSync(run, { recursive: true });
    Deno.mkdirSync(run);
  };
  const message = /^Cannot write to .*run: it was deleted or replaced /;
  const ending = train("run", { ...grid, maxSteps: 3, sampleEpochs: 1 }, { say });
  await assert.rejects(ending, { name: "RunError", message });
  assert.deepEqual(await Array.fromAsync(Deno.readDir(run)), []);
});

testRuns("limited by minutes and stopped is repeated like one in a piece", async (train, folder) => {
  const limited = { ...grid, maxMinutes: 0.02, sampleEpochs: 1 };
  const { run, step: stopped, interrupted } = await train("run", limited, stopAfter(100));
  assert.equal(interrupted, true);
  const { steps, minutes } = readConfig(run).length;
  assert.deepEqual([steps, minutes], [0, 0.02]);
  const { step } = await resume(run);
  assert.ok(step > stopped);
  const { length } = readConfig(run);
  assert.deepEqual([length.steps, length.minutes, length.replans.at(-1)!.totalSteps], [step, 0, step]);
  const again = await runTraining(repeatedRun({ out: `${folder}/again` }, run, readConfig(run)));
  await assertSame(`${again.run}/${runFile.last}`, `${run}/${runFile.last}`);
  assert.equal((await stepsOf(run, "image/samples")).filter((step) => step === 0).length, 1);
});

testRuns("stopped during its pictures continues, whatever an earlier session drew", async (train) => {
  const whole = await train("whole", { ...grid, ...constant, maxSteps: 5 });
  const { run } = await train("parts", { ...grid, ...constant, maxSteps: 3 });
  const { signal } = new AbortController();
  const isMeasured = () => /"step":5,.*"test_loss"/.test(Deno.readTextFileSync(`${run}/${runFile.metrics}`));
  Object.defineProperty(signal, "aborted", { get: isMeasured });
  const { step, interrupted } = await resume(run, { maxSteps: 5 }, { signal });
  assert.deepEqual([step, interrupted], [5, true]);
  const lines = await metricsOf(run);
  assert.equal((await resume(run)).interrupted, false);
  assert.deepEqual(await metricsOf(run), lines);
  await assertSame(`${run}/${runFile.samples}`, `${whole.run}/${runFile.samples}`);
});

testRuns("with other objectives resumes bit for bit, and its checkpoint records them", async (train) => {
  const objective = { path: "cosine", prediction: "data", timeEmbedding: "sinusoidal" } as const;
  const choices: Values = {
    ...{ ...objective, times: "logit_normal:mean=-0.8,scale=0.8", coupling: "class_ot" },
    ...{ optimizer: "muon", clip: 1, schedule: "cosine", flip: true, labelDropout: 0.5 },
    ...{ logEvery: 4, maxSteps: 10 },
  };
  const { run: whole } = await train("whole", choices);
  const { run: parts } = await train("parts", choices, stopAfter(0));
  assert.equal((await resume(parts)).step, 10);
  await assertSame(`${parts}/${runFile.last}`, `${whole}/${runFile.last}`);
  const linesOf = async (run: string) =>
    (await metricsOf(run)).filter((line) => "train_loss" in line).map((line) =>
      Object.fromEntries(Object.entries(line).filter(([name]) => !/^(time|elapsed_|system)/.test(name)))
    );
  const lines = await linesOf(whole);
  assert.deepEqual(await linesOf(parts), lines);
  assert.deepEqual(lines.map(({ step }) => step), [4, 8, 10]);
  assert.ok(lines.every((line) => line.transport_cost < line.independent_cost));
  const device = await init({ device: "cpu", threads: 1 });
  const { info: { config } } = loadCheckpoint(await Deno.readFile(`${whole}/${runFile.last}`), "last");
  device.close();
  assert.deepEqual({ ...config, ...objective, classes: 10 }, config);
});

testRuns("keeps weights at requested steps and, without labels, at a sixth of a run", async (train) => {
  const values = { ...grid, ...constant, conditional: false } as const;
  const { run: guided } = await train("guided", { ...values, maxSteps: 12 }, { keepAt: [2, 5, 90] });
  assert.equal(readConfig(guided).guidance, 2);
  const kept = await Array.fromAsync(Deno.readDir(`${guided}/weights`), ({ name }) => name);
  assert.deepEqual(kept.sort(), ["step_000002.safetensors", "step_000005.safetensors"]);
  // With a constant learning rate, a run of two steps ends like one of twelve begins.
  const { run: short } = await train("short", { ...values, maxSteps: 2, maxMinutes: 60 });
  assert.equal(readConfig(short).length.minutes, 0, "it ended by its steps, and is repeated so");
  for (const file of [runFile.early, fileAt(runFile.weightsAt, 2)]) {
    await assertSame(`${guided}/${file}`, `${short}/${runFile.ema}`);
  }
  const { run: plain } = await train("plain", { ...values, guidance: 1, maxSteps: 12 });
  for (const file of [runFile.early, "weights"]) assert.ok(!await exists(`${plain}/${file}`), file);
  await assertSame(`${plain}/${runFile.last}`, `${guided}/${runFile.last}`);
  await assertSame(`${plain}/${runFile.samples}`, `${guided}/${runFile.samples}`, false);
});

Deno.test("testedImages() is all images, or in short runs what 5 % of the steps cost, at least 1,000", () => {
  const cases = [[10_000, 20, 1000], [10_000, 150, 1920], [10_000, 2000, 10_000], [500, 20, 500]];
  for (const [count, steps, tested] of cases) assert.equal(testedImages(count, steps, 64), tested);
});
