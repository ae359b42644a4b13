import { join } from "node:path";
import { type Device, init } from "../kernels/mod.ts";
import { splitImages } from "./data/split.ts";
import { runTask, stopSignal, TrainingError } from "./program/command.ts";
import { compileKernels } from "./training/compile_kernels.ts";
import {
  parseTrainingFlags,
  type PresetName,
  readConfig,
  resolveConfig,
  type TrainingConfig,
  type TrainingFlags,
  trainingHelp,
} from "./settings/tasks/train_config.ts";
import { loadDataset } from "./data/dataset.ts";
import { collectEnvironment } from "./run/environment.ts";
import { fitBatch } from "./training/fit_batch.ts";
import { ImageSource, normalizationTo } from "./data/image_source.ts";
import { ProgressBar } from "./program/progress.ts";
import { createRunFolder, writeAtomic } from "./run/run_folder.ts";
import { lockRun, type RunLock } from "./run/run_lock.ts";
import { gauges } from "./tracking/gauges.ts";
import { startTracking, trackingOf } from "./tracking/start.ts";
import { tracked } from "./tracking/tracker.ts";
import { Trainer } from "./training/trainer.ts";
import { Training, type TrainingResult } from "./training/training.ts";
import { resumedEnvironmentFile, runFile } from "./run/layout.ts";

await runTask(async () => {
  const startedAt = new Date();
  const flags = parseTrainingFlags(Deno.args);
  if (flags.help) {
    console.log(
      trainingHelp(`deno task train:${flags.values.model ?? "residual"}`, flags, await presetHere()),
    );
    return;
  }
  using resumed = await lockResumed(flags);
  // A resumed run computes where it did, unless told otherwise.
  const earlier = flags.values.resume ? readConfig(flags.values.resume) : undefined;
  const device = await init({
    device: flags.values.device ?? earlier?.device ?? "auto",
    threads: flags.values.threads ?? earlier?.threads ?? 0,
  });
  const asked = resolveConfig(flags, presetFor(device));
  const choice = await trackingOf(asked, asked.resume);
  const data = await loadDataset(asked.data ?? undefined);
  const source = new ImageSource(data.train.images, data, normalizationTo(asked.normalize));
  const { config, trainer } = fittingTrainer(asked, device, source);
  const images = splitImages(data.train.count, config);
  const run = config.resume ??
    await createRunFolder({ name: config.name ?? config.model, out: config.out, startedAt });
  using lock = resumed ?? await lockRun(run);

  using stop = stopSignal((signal) =>
    console.error(`\n${signal}: finishing the step and saving; once more to quit at once`)
  );
  let bar: ProgressBar | undefined;
  const training = new Training({
    config,
    run,
    data,
    images,
    trainer,
    source,
    stop,
    say: (message) => console.error(message),
    progressBar: (work) => bar = new ProgressBar({ ...work, imagesPerStep: config.batchSize }),
  });
  const resumedAt = config.resume ? await training.resume() : undefined;
  const parameters = trainer.parameters.values().reduce((sum, { size }) => sum + size, 0);
  const { name, digest, source: from, channels, height, width, classes, test } = data;
  await using tracker = await startTracking(lock, {
    choice,
    startedAt,
    ...resumedAt !== undefined && { resumedAt },
    about: {
      source: `deno task train:${config.model}`,
      parameterCount: parameters,
      dataset: {
        name,
        digest,
        source: from,
        channels,
        height,
        width,
        classes,
        train: images.train.length,
        validation: images.validation.length,
        test: test.count,
      },
    },
    gauges: gauges(device, () => trainer.step * config.batchSize),
    say(message) {
      bar?.clear();
      console.error(message);
    },
  });
  // An address may hold a password, and a resumed run knows its server from mlflow.json.
  const saved = { ...config, resume: null, mlflow: null };
  await writeAtomic(join(run, runFile.config), JSON.stringify(saved, null, 2) + "\n");
  const adapter = { kind: device.kind, description: device.description };
  await writeAtomic(
    join(run, config.resume ? resumedEnvironmentFile(startedAt.getTime()) : runFile.environment),
    JSON.stringify(await collectEnvironment(adapter, startedAt), null, 2) + "\n",
  );
  console.error(
    `${config.model} U-Net [${config.filters}], ${
      parameters.toLocaleString("en")
    } parameters, preset ${config.preset}, ` +
      `on ${device.description}\nrun folder ${run}`,
  );
  await compileKernels(trainer);
  const result = await tracked(tracker, () => training.run(tracker));
  await tracker.end(result.interrupted ? "KILLED" : "FINISHED");
  report(run, result, config.samples > 0 ? join(run, runFile.samples) : run);
  device.close();
});

/**
 * Locks the run that is to go on, before anything is read that another session may be writing.
 *
 * @returns undefined if the run is a new one
 */
async function lockResumed(flags: TrainingFlags): Promise<RunLock | undefined> {
  const { resume } = flags.values;
  if (!resume) return undefined;
  resolveConfig(flags, "quick"); // flags that cannot be used, or a folder that is no run, leave no lock behind
  return await lockRun(resume);
}

/** The preset of a run that is started here without flags. */
async function presetHere(): Promise<PresetName> {
  const device = await init();
  device.close();
  return presetFor(device);
}

function presetFor(device: Device): PresetName {
  return device.kind === "webgpu" && !device.tuning.software ? "standard" : "quick";
}

/** A trainer whose step fits the device; says so if the batch had to be smaller than asked for. */
function fittingTrainer(config: TrainingConfig, device: Device, source: ImageSource) {
  const trainer = new Trainer(config, source);
  const { batchSize, reason } = fitBatch(device, config.batchSize, (size) => trainer.plan(size));
  if (reason === undefined) return { config, trainer };
  if (config.resume) {
    throw new TrainingError(
      `Cannot resume ${config.resume} here: its batches of ${config.batchSize} images do not fit, ${reason}`,
    );
  }
  console.error(`Batches of ${batchSize} images instead of ${config.batchSize}: ${reason}`);
  const fitting = { ...config, batchSize };
  return { config: fitting, trainer: new Trainer(fitting, source) };
}

function report(run: string, result: TrainingResult, best: string): void {
  const { step, interrupted, valLoss, testLoss, imagesPerSecond } = result;
  const losses = [["validation loss", valLoss], ["test loss", testLoss]]
    .flatMap(([name, loss]) => typeof loss === "number" ? [`${name} ${loss.toFixed(4)}`] : []);
  console.error([`step ${step}`, ...losses, `${imagesPerSecond.toFixed(1)} images/s`].join(", "));
  console.error(
    interrupted ? `Stopped; go on with --resume ${run}` : `Done; see ${best}`,
  );
}
