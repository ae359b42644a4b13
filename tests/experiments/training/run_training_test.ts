import assert from "node:assert/strict";
import { init } from "../../../kernels/mod.ts";
import { completeArtifacts } from "../../../experiments/artifacts/artifacts.ts";
import { runFile, weightsFile } from "../../../experiments/run/layout.ts";
import { readMetrics } from "../../../experiments/run/metrics_log.ts";
import {
  readConfig,
  type TrainingConfig,
  trainingConfig,
} from "../../../experiments/settings/tasks/train_config.ts";
import { runTraining } from "../../../experiments/training/run_training.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";

const permissions = { read: true, write: true, env: true } as const;

/** A run of seconds in a folder, with settings of its own. */
function configIn(folder: string, values: Partial<TrainingConfig>): TrainingConfig {
  const tiny = { model: "base", filters: [8, 16], tEmb: 8, batchSize: 8, device: "cpu", threads: 1 } as const;
  const little = { samples: 2, sampleSteps: 2, flowSamples: 1, flowSteps: 3, pathSamples: 4 } as const;
  const rest = { data: `${folder}/data`, sampleEpochs: 0, logEvery: 1, seed: 7, valFraction: 0.1 } as const;
  return trainingConfig({ ...tiny, ...little, ...rest, ...values });
}

function testInFolder(name: string, test: (folder: string) => Promise<void>): void {
  testNeeding(permissions, name, async () => {
    await withFolder(async (folder) => {
      await writeTinyIdx(`${folder}/data`);
      await test(folder);
    });
  });
}

const trained = (run: string) => Deno.readFile(`${run}/${weightsFile("last")}`);

testInFolder("runTraining() trains without a task, and says nothing unless asked to", async (folder) => {
  const said: string[] = [];
  const config = configIn(folder, { maxSteps: 4, out: `${folder}/run` });
  const result = await runTraining(config, { say: (line) => void said.push(line) });
  assert.deepEqual([result.run, result.step, result.interrupted], [`${folder}/run`, 4, false]);
  const metrics = await readMetrics(`${folder}/run/${runFile.metrics}`);
  assert.equal(metrics.find((line) => "test_loss" in line)?.test_loss, result.testLoss);
  assert.match(said[0], /^base U-Net \[8,16\], [\d,]+ parameters, .*\nrun folder /);
  assert.equal(said[1], "Measuring the test loss and drawing");
});

testInFolder("runTraining() works on a device of the caller's, and leaves it open", async (folder) => {
  const device = await init({ device: "cpu", threads: 1 });
  const [a, b] = ["a", "b"].map((name) => configIn(folder, { maxSteps: 3, out: `${folder}/${name}` }));
  await runTraining(a, { device });
  await runTraining(b, { device });
  assert.deepEqual(await trained(`${folder}/a`), await trained(`${folder}/b`));
  device.close();
});

testInFolder("runTraining() stopped by a signal goes on to the same weights", async (folder) => {
  await runTraining(configIn(folder, { maxSteps: 12, out: `${folder}/whole` }));
  const stop = new AbortController();
  const config = configIn(folder, { maxSteps: 12, out: `${folder}/parts` });
  stop.abort();
  const first = await runTraining(config, { signal: stop.signal });
  assert.deepEqual([first.interrupted, first.step, first.testLoss], [true, 0, undefined]);
  const resumed = trainingConfig({ resume: `${folder}/parts` });
  assert.equal((await runTraining(resumed)).step, 12);
  assert.deepEqual(await trained(`${folder}/parts`), await trained(`${folder}/whole`));
});

testInFolder(
  "a run limited by minutes keeps the number of steps that repeats it, bit for bit",
  async (folder) => {
    const schedule = { schedule: "one_cycle", warmUp: 0.3 } as const;
    const minutes = configIn(folder, { ...schedule, maxMinutes: 0.02, out: `${folder}/minutes` });
    const { step } = await runTraining(minutes);
    const kept = readConfig(`${folder}/minutes`);
    assert.deepEqual([kept.maxSteps, kept.maxMinutes, kept.epochs], [step, 0, 0]);
    await runTraining(configIn(folder, { ...schedule, maxSteps: step, out: `${folder}/steps` }));
    assert.deepEqual(await trained(`${folder}/minutes`), await trained(`${folder}/steps`));
    const rates = async (run: string) =>
      (await readMetrics(`${folder}/${run}/${runFile.metrics}`)).flatMap((line) => line.learning_rate ?? []);
    assert.equal((await rates("minutes")).length, step);
    assert.deepEqual(await rates("minutes"), await rates("steps"));
  },
);

testInFolder(
  "completeArtifacts() makes what the folder is enough for, and leaves the rest alone",
  async (folder) => {
    const run = `${folder}/run`;
    await runTraining(configIn(folder, { maxSteps: 2, out: run }));
    const gif = await Deno.readFile(`${run}/flow_linear.gif`);
    await Deno.remove(`${run}/flow_linear.gif`);
    const samples = (await Deno.stat(`${run}/${runFile.samples}`)).mtime;
    await completeArtifacts(run);
    assert.deepEqual(await Deno.readFile(`${run}/flow_linear.gif`), gif);
    assert.deepEqual((await Deno.stat(`${run}/${runFile.samples}`)).mtime, samples);
    await Deno.remove(`${run}/flow`, { recursive: true });
    await Deno.remove(`${run}/flow_linear.gif`);
    await completeArtifacts(run);
    await assert.rejects(Deno.stat(`${run}/flow_linear.gif`), Deno.errors.NotFound);
  },
);
