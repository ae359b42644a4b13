/** Damaged run files: each is either read or refused in one line with its name. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { readConfig } from "../../experiments/settings/config_file.ts";
import { normalizationTo } from "../../experiments/settings/data.ts";
import { configOf } from "./config_of.ts";
import { sourceOf } from "../../experiments/data/image_source.ts";
import { loadDataset } from "../../experiments/data/load_dataset.ts";
import { drawSamples } from "../../experiments/draw/samples.ts";
import { readTrajectories } from "../../experiments/draw/trajectories.ts";
import { readNetwork } from "../../experiments/report/drawn.ts";
import { writeReport } from "../../experiments/report/write_report.ts";
import { describeRun } from "../../experiments/tracking/describe_run.ts";
import { summarizeRun } from "../../experiments/tracking/find_run.ts";
import { compareTable, listTable, showTable } from "../../experiments/tracking/run_tables.ts";
import { readRecord } from "../../experiments/tracking/record.ts";
import { restoreRun } from "../../experiments/training/checkpoint.ts";
import { makeNetwork } from "../../experiments/training/network.ts";
import { runTraining } from "../../experiments/training/run_training.ts";
import { init, withDevice } from "../../kernels/mod.ts";
import { loadCheckpoint } from "../../models/mod.ts";
import { testInFolder } from "../folder.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";
import { damage } from "./mutations.ts";

/** Everything that shows a run without using its network. */
async function show(run: string): Promise<void> {
  const summary = await summarizeRun(run);
  for (const text of [listTable([summary]), compareTable([summary, summary]), showTable(summary, [])]) {
    assert.ok(!text.includes("undefined"), text);
  }
  const record = await readRecord(run);
  if (record) await describeRun(run, record);
}

const report = (run: string) => writeReport([run], join(run, "again.html"), { live: false });

testInFolder("no damaged file of a run causes a stack trace", async (folder) => {
  const [data, run] = [join(folder, "data"), join(folder, "run")];
  await writeTinyIdx(data);
  const device = await init({ device: "cpu" });
  const config = configOf({
    ...{ model: "base", data, out: run, device: "cpu", filters: [8, 16], tEmb: 4, batchSize: 8 },
    ...{ maxSteps: 3, epochs: 0, maxMinutes: 0, logEvery: 1, samples: 1, solver: "euler:steps=1" },
    ...{ sampleEpochs: 0, flowSamples: 1, flowSteps: 3, flowFrames: 2, pathSamples: 4 },
  });
  await runTraining(config, { device });
  await withDevice(device, async () => {
    for (const name of ["run.json", "environment.json", "metrics.jsonl"]) await damage(run, name, 30, show);
    await damage(run, "config.json", 40, async (run) => [await show(run), readConfig(run)]);
    await damage(run, "last.safetensors", 15, async (run) => {
      const path = join(run, "last.safetensors");
      const { model, shape, info: { normalization } } = loadCheckpoint(await Deno.readFile(path), path);
      if (shape[1] * shape[2] > 10_000) return;
      await drawSamples({ model, shape, normalization }, { count: 1, seed: 1, steps: 1, solver: "euler" });
    });
    await damage(run, "ema.safetensors", 15, (run) => readNetwork(run, {}));
    await damage(run, "flow/sample_1.safetensors", 15, readTrajectories);
    for (const name of ["flow/paths.safetensors", "loss_by_time.json", "config.json"]) {
      await damage(run, name, 6, report);
    }
    const dataset = await loadDataset(data);
    const normalization = normalizationTo(config.normalize);
    const { trainer } = makeNetwork(config, sourceOf(dataset, "train", { conditional: true, normalization }));
    await damage(run, "state.safetensors", 15, () => restoreRun(run, trainer, dataset));
    const relabelled = { ...dataset, labelDigest: "0".repeat(64) };
    await assert.rejects(restoreRun(run, trainer, relabelled), /: it was trained on other labels \(digest /);
  });
  await damage(data, "train-images-idx3-ubyte", 20, () => loadDataset(data));
  device.close();
});
