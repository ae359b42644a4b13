/** Thousands of damaged run files: each is either read or refused in one line with its name. */

import { normalizationTo } from "../../experiments/cli/training.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { readIdxFolder } from "../../experiments/data/idx.ts";
import { loadDataset } from "../../experiments/data/load_dataset.ts";
import { readExamples } from "../../experiments/data/example_file.ts";
import { sourceOf } from "../../experiments/data/image_source.ts";
import { drawSamples } from "../../experiments/draw/samples.ts";
import { trajectoryGif } from "../../experiments/draw/pictures.ts";
import { readTrajectories } from "../../experiments/draw/trajectories.ts";
import { UserError } from "../../kernels/core/checks.ts";
import { readNetwork } from "../../experiments/report/drawn.ts";
import { writeReport } from "../../experiments/report/write_report.ts";
import { readConfig, trainingConfig } from "../../experiments/cli/training_config.ts";
import { checkPictures } from "../../experiments/training/training_data.ts";
import { makeNetwork } from "../../experiments/training/network.ts";
import { restoreRun } from "../../experiments/training/checkpoint.ts";
import { runTraining } from "../../experiments/training/run_training.ts";
import { describeRun } from "../../experiments/tracking/describe_run.ts";
import { readRecord } from "../../experiments/tracking/record.ts";
import { compareTable, listTable, showTable, summarizeRun } from "../../experiments/tracking/find_run.ts";
import { init, withDevice } from "../../kernels/mod.ts";
import { loadCheckpoint } from "../../models/mod.ts";
import { withFolder } from "../folder.ts";
import { testNeeding } from "../permissions.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";
import {
  mutateBytes,
  mutateLines,
  mutateSafetensors,
  mutateText,
  type Random,
  randomOf,
} from "./mutations.ts";

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

type Text = (text: string, random: Random) => Uint8Array<ArrayBuffer>;
const ofText = (mutate: Text) => (bytes: Uint8Array<ArrayBuffer>, random: Random) =>
  mutate(new TextDecoder().decode(bytes), random);

/** A kind of file: how it is damaged, how often, and its reader. */
interface Kind {
  readonly times: number;
  readonly mutate: (bytes: Uint8Array<ArrayBuffer>, random: Random) => Uint8Array<ArrayBuffer>;
  readonly read: (run: string) => Promise<unknown>;
}

const json = ofText(mutateText);
const kinds: Readonly<Record<string, Kind>> = {
  "run.json": { times: 40, mutate: json, read: show },
  "environment.json": { times: 25, mutate: json, read: show },
  "metrics.jsonl": { times: 25, mutate: ofText(mutateLines), read: show },
  "config.json": {
    times: 40,
    mutate: json,
    async read(run) {
      await show(run);
      await Promise.resolve(readConfig(run)).then((config) => checkPictures(config, [1, 28, 28]));
    },
  },
  "loss_by_time.json": { times: 7, mutate: json, read: report },
  "last.safetensors": {
    times: 15,
    mutate: mutateSafetensors,
    async read(run) {
      const path = join(run, "last.safetensors");
      const { model, shape, info: { normalization } } = loadCheckpoint(await Deno.readFile(path), path);
      if (shape[1] * shape[2] > 10_000) return;
      await drawSamples({ model, shape, normalization }, { count: 1, seed: 1, steps: 1, solver: "euler" });
    },
  },
  "ema.safetensors": { times: 10, mutate: mutateSafetensors, read: (run) => readNetwork(run, {}) },
  "examples.safetensors": { times: 25, mutate: mutateSafetensors, read: readExamples },
  "flow/sample_1.safetensors": {
    times: 12,
    mutate: mutateSafetensors,
    async read(run) {
      const samples = await readTrajectories(run);
      if (samples[0].trajectory.shape.length !== 3) await trajectoryGif(samples, { frames: 2 });
    },
  },
};

/** Kinds of files that only a report reads, which is slower. */
const reported = ["flow/sample_1.safetensors", "flow/paths.safetensors", "config.json", "environment.json"]
  .map((name): [string, Kind] => {
    return [name, { times: 8, mutate: name.endsWith(".json") ? json : mutateSafetensors, read: report }];
  });

/** Damages a file of a run many times, and reads the run each time. */
async function tryKind(run: string, name: string, { times, mutate, read }: Kind): Promise<void> {
  const path = join(run, name);
  const whole = await Deno.readFile(path);
  const random = randomOf(46020);
  let refused = 0;
  for (let i = 0; i < times; i++) {
    const damaged = mutate(whole, random);
    await Deno.writeFile(path, damaged);
    try {
      await read(run);
    } catch (error) {
      refused++;
      const shown = new TextDecoder().decode(damaged.subarray(0, 2000));
      assert.ok(
        error instanceof UserError,
        `${name}, ${i}: ${error instanceof Error ? error.stack : error}\n${shown}`,
      );
      assert.match(error.message, /^[^\n]+$/);
      const asked = /^Cannot (draw|use --)/.test(error.message); // the task knows the file
      assert.ok(asked || error.message.includes(run), `${name}, ${i}: ${error.message}`);
    }
  }
  await Deno.writeFile(path, whole);
  await read(run);
  assert.ok(
    times < 10 || refused > times / 20,
    `only ${refused} of ${times} were refused: too little was damaged`,
  );
}

testNeeding(
  { read: true, write: true },
  "no damaged file of a run causes a stack trace",
  () =>
    withFolder(async (folder) => {
      const data = join(folder, "data");
      await writeTinyIdx(data);
      const run = join(folder, "run");
      const device = await init({ device: "cpu" });
      const config = trainingConfig({
        ...{ model: "base", data, out: run, device: "cpu", filters: [8, 16], tEmb: 4, batchSize: 8 },
        ...{ maxSteps: 3, epochs: 0, maxMinutes: 0, logEvery: 1, samples: 1, solver: "euler:steps=1" },
        ...{ sampleEpochs: 0, flowSamples: 1, flowSteps: 3, flowFrames: 2, pathSamples: 4 },
      });
      await runTraining(config, { device });
      await withDevice(device, async () => {
        for (const [name, kind] of [...Object.entries(kinds), ...reported]) {
          await tryKind(run, name, kind);
        }
        const dataset = await loadDataset(data);
        const normalization = normalizationTo(config.normalize);
        const source = sourceOf(dataset, "train", { conditional: true, normalization }); // like the run
        const { trainer } = makeNetwork(config, source);
        const relabelled = { ...dataset, labelDigest: "0".repeat(64) };
        await assert.rejects(
          restoreRun(run, trainer, relabelled),
          /: it was trained on other labels \(digest /,
        );
        await tryKind(run, "state.safetensors", {
          times: 15,
          mutate: mutateSafetensors,
          read: () => restoreRun(run, trainer, dataset),
        });
      });
      await tryKind(data, "train-images-idx3-ubyte", {
        times: 30,
        mutate: mutateBytes,
        read: () => Promise.all([readIdxFolder(data), loadDataset(data)]),
      });
      device.close();
    }),
);
