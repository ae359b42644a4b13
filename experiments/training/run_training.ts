import { join } from "node:path";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { type Device, init, withDevice } from "../../kernels/mod.ts";
import { type Dataset, describeData, type ImageSplit } from "../data/dataset.ts";
import { ProgressBar, type Terminal } from "../cli/progress.ts";
import {
  createRunFolder,
  lockRun,
  removeLeftovers,
  type RunLock,
  writeAtomic,
  writeJson,
} from "../run/run_folder.ts";
import { collectEnvironment, taskCommand } from "../run/program_files.ts";
import { fileAt, runFile } from "../run/files.ts";
import { trainingTask } from "../cli/model_setting.ts";
import type { TrainingConfig } from "../cli/training.ts";
import { recordedConfig } from "../cli/training_config.ts";
import { trackingOf } from "../tracking/choose_tracking.ts";
import type { RecordedDataset } from "../tracking/record.ts";
import { machineGauges, RunTracker } from "../tracking/run_tracker.ts";
import { tuneKernels } from "./tune_kernels.ts";
import { TrainingLoop } from "./loop.ts";
import { compileKernels } from "./network.ts";
import { networkLine, prepareTraining } from "./prepare_training.ts";
import type { TrainingOutcome } from "./session.ts";

/** Advice if only half the width of the processor's vectors is used. */
const narrowVectors = "Matrix products may be twice as fast with ./denow, or with " +
  "DENO_V8_FLAGS=--experimental-wasm-revectorize (docs/performance.md)";

/** Options of a training run besides its settings. */
export interface RunTrainingOptions {
  /** The device to train on; by default one is opened as configured and closed at the end. */
  readonly device?: Device;
  /** Saves and ends the run early, so that it can be resumed. */
  readonly signal?: AbortSignal;
  /** Called with messages for the user. */
  readonly say?: (message: string) => void;
  /** Shows progress. */
  readonly terminal?: Terminal;
  /** Start of the run, by default now. */
  readonly startedAt?: Date;
  /** The lock of the run's folder, if the caller holds it; the caller also releases it. */
  readonly lock?: RunLock;
  /** Name of the run; by default that of the settings, of MLFLOW_RUN_NAME or of its folder. */
  readonly runName?: string;
  /** The command line that started the run, for its record; by default the task. */
  readonly command?: string;
  /** Steps after which averaged weights are kept, as `weights/step_000500.safetensors`. */
  readonly keepAt?: readonly number[];
}

/** Result of a training run. */
export interface TrainingResult extends TrainingOutcome {
  /** The run's folder. */
  readonly run: string;
}

/**
 * Trains a network, and writes weights, metrics, pictures and a report to the run's folder, like `deno task
 * train:residual`.
 *
 * @param config see `trainingConfig`; with `resume` it continues that run
 * @throws {ConfigError} if the tracking server or a custom network cannot be used, or labels are required and the
 * data has none
 * @throws {DataError} if the data cannot be loaded
 * @throws {DeviceError} if the device is unavailable or fails
 * @throws {RunError} if the folder cannot be written, another program works on it, or there is no checkpoint to resume
 * @throws {SafetensorsError} if the checkpoint to resume is damaged
 * @throws {StateError} if the checkpoint to resume belongs to another network
 * @throws {TrainingError} if the network does not fit the device, nothing is left to do, or the loss becomes NaN
 */
export async function runTraining(
  config: TrainingConfig,
  options: RunTrainingOptions = {},
): Promise<TrainingResult> {
  const openDevice = options.device;
  if (openDevice) return await withDevice(openDevice, () => trainOn(openDevice, config, options));
  const device = await init(config);
  try {
    return await trainOn(device, config, options);
  } finally {
    device.close();
  }
}

async function trainOn(
  device: Device,
  settings: TrainingConfig,
  options: RunTrainingOptions,
): Promise<TrainingResult> {
  const { signal = new AbortController().signal, say = () => {}, terminal, startedAt = new Date() } = options;
  const { keepAt = [] } = options;
  // Lock a resumed run before reading any of its files.
  using own = new DisposableStack();
  const resumed = settings.resume === null
    ? undefined
    : options.lock ?? own.use(await lockRun(settings.resume));
  const runName = options.runName ?? settings.runName;
  const choice = await trackingOf({ ...settings, runName }, settings.resume);
  const prepared = await prepareTraining(device, settings, { say, terminal });
  const { config, network, data, images, source, teacher, initial, name } = prepared;
  const run = config.resume ??
    await createRunFolder({ name, out: config.out, startedAt });
  const lock = resumed ?? options.lock ?? own.use(await lockRun(run));
  using loop = new TrainingLoop({
    ...{ config, run, data, images, network, source, signal, say, terminal },
    keepAt,
  });
  const resumedAt = resumed ? await loop.resume() : undefined;
  if (resumed) await removeLeftovers(resumed);
  let bar: ProgressBar | undefined;
  await using tracker = await RunTracker.start(lock, {
    choice,
    startedAt,
    ...resumedAt !== undefined && { resumedAt },
    about: {
      source: options.command ?? taskCommand(teacher ? "distill" : trainingTask(config.model), []),
      parameterCount: network.size,
      dataset: recordOf(data, images),
    },
    gauges: machineGauges(device, () => network.trainer.step * config.batchSize),
    say(message) {
      bar?.clear();
      say(message);
    },
  });
  const outcome = await tracker.during(async () => {
    const wideVectors = device instanceof CpuDevice ? await device.hasWideVectors() : undefined;
    const adapter = { kind: device.kind, description: device.description, wideVectors };
    await writeJson(
      join(run, resumed ? fileAt(runFile.resumedEnvironment, startedAt.getTime()) : runFile.environment),
      collectEnvironment(adapter, startedAt),
    );
    const fixed = config.maxMinutes === 0;
    if (fixed) await writeConfig(run, { ...config, ...loop.cadence });
    say(networkLine(prepared, device) + `\nrun folder ${run}`);
    if (wideVectors === false && Deno.build.arch === "x86_64") say(narrowVectors);
    if (config.data !== null) say(describeData(data));
    initial?.lines.forEach((line) => say(line));
    if (teacher && !resumed) {
      await writeAtomic(join(run, runFile.teacher), teacher.bytes);
    }
    if (teacher && !resumed) await loop.save();
    await network.prepare?.({ run, signal, say, terminal });
    const { tune } = config;
    await tuneKernels(network.trainer, { device, tune, run, resumed: resumed !== undefined, say, terminal });
    await compileKernels(network.trainer, terminal);
    if (!fixed) {
      const repeatable = await loop.fixSteps()
        ? { maxSteps: loop.totalSteps, maxMinutes: 0, ...loop.cadence }
        : {};
      await writeConfig(run, { ...config, ...repeatable });
    }
    using shown = terminal && new ProgressBar({
      totalSteps: Number.isFinite(loop.totalSteps) ? loop.totalSteps : 0,
      startStep: network.trainer.step,
      imagesPerStep: config.batchSize,
    }, terminal);
    bar = shown;
    return await loop.run(tracker, bar);
  });
  await tracker.end(outcome.interrupted ? "KILLED" : "FINISHED");
  return { run, ...outcome };
}

/** Writes the settings that repeat the run, bit for bit on a device of the same kind. */
async function writeConfig(run: string, config: TrainingConfig): Promise<void> {
  // A server address may contain a password; a resumed run finds it in mlflow.json.
  await writeJson(join(run, runFile.config), { ...recordedConfig(config), resume: null, mlflow: null });
}

function recordOf(data: Dataset, { train, validation }: ImageSplit): RecordedDataset {
  const { name, digest, source, channels, height, width, classes, classNames, test, damaged } = data;
  return {
    ...{ name, digest, source, channels, height, width, classes },
    ...classNames && { classNames },
    train: train.length,
    validation: validation.length,
    test: test.count,
    ...damaged !== undefined && { damaged },
  };
}
