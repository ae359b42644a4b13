import { writeAtomic, writeJson } from "../run/atomic_write.ts";
import type { TrainingOutcome } from "./session.ts";
import { join, parse } from "node:path";
import { type Device, init, withDevice } from "../../kernels/mod.ts";
import { type Dataset, describeData, type ImageSplit, splitImages } from "../data/dataset.ts";
import { ImageSource, labelsFor } from "../data/image_source.ts";
import { ProgressBar, type Terminal } from "../program/progress.ts";
import { encodeSources } from "../networks/module_sources.ts";
import { rememberNamed } from "../networks/named_networks.ts";
import { chosenNetwork, loadOwnNetwork, withAllOptions } from "../networks/own_network.ts";
import { readFile } from "../run/contained.ts";
import { collectEnvironment } from "../run/environment.ts";
import { resumedEnvironmentFile, runFile } from "../run/layout.ts";
import { createRunFolder, removeLeftovers } from "../run/run_folder.ts";
import { lockRun, type RunLock } from "../run/run_lock.ts";
import { normalizationTo, type TrainingConfig } from "../settings/training.ts";
import { networkInWords, trainingTask } from "../settings/model_setting.ts";
import { recordedConfig } from "../settings/training_config.ts";
import { trackingOf } from "../tracking/choose_tracking.ts";
import type { RecordedDataset } from "../tracking/record.ts";
import { machineGauges, RunTracker } from "../tracking/run_tracker.ts";
import { tuneKernels } from "../tuning/tune_kernels.ts";
import {
  checkCoupling,
  checkPictures,
  checkValidation,
  decideConditional,
  loadData,
} from "./training_data.ts";
import { compileKernels, makeNetwork, type Network } from "./network.ts";
import { fittingNetwork } from "./fit_memory.ts";
import { readInitialWeights } from "./initial_weights.ts";
import { TrainingLoop } from "./loop.ts";
import { checkFit, readCheckpoint } from "../draw/load_network.ts";
import { loadWeights } from "../networks/load_weights.ts";
import { type Teacher, teacherFile } from "../run/teacher.ts";
import { checkStart, inOwnProgram } from "./own_teacher.ts";

/** Options of a training run besides its settings. */
export interface RunTrainingOptions {
  /** The device to train on; by default one is opened as configured and closed at the end. */
  readonly device?: Device;
  /** Saves and ends the run early, so that it can be resumed. */
  readonly signal?: AbortSignal;
  /** Called with lines for the user. */
  readonly say?: (message: string) => void;
  /** Shows progress. */
  readonly terminal?: Terminal;
  /** Start of the run, by default now. */
  readonly startedAt?: Date;
  /** The lock of the run to resume, if the caller holds it; the caller also releases it. */
  readonly lock?: RunLock;
  /** Name of the run; by default from the settings, MLFLOW_RUN_NAME or its folder. */
  readonly runName?: string;
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
  const given = options.device;
  if (given) return await withDevice(given, () => trainOn(given, config, options));
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
  await loadOwnNetwork(settings);
  const ownNetwork = chosenNetwork(settings.model);
  const given = { ...settings, model: withAllOptions(settings.model) };
  // Lock a resumed run before reading any of its files.
  using own = new DisposableStack();
  const resumed = options.lock ?? (given.resume === null ? undefined : own.use(await lockRun(given.resume)));
  const runName = options.runName ?? given.runName;
  const choice = await trackingOf({ ...given, runName }, given.resume);
  const data = await loadData(given, terminal);
  const asked = decideConditional(given, data, say);
  const source = new ImageSource(
    data.train.images,
    data,
    normalizationTo(asked.normalize),
    labelsFor(asked, data.train, data),
  );
  checkCoupling(asked);
  checkPictures(asked, source.shape, source.classes);
  const images = splitImages(data.train.count, asked);
  checkValidation(asked, images);
  const teacher = asked.teacher === null ? undefined : await teacherOf(asked, asked.teacher, data);
  const { init } = asked;
  const initial = init === null || resumed
    ? undefined
    : await readInitialWeights({ ...asked, init }, source, data);
  const { config, network } = teacher
    ? { config: asked, network: makeNetwork(asked, source, asked.seed, { teacher, images: images.train }) }
    : fittingNetwork({ ...asked, init: initial?.init ?? init }, device, source, say, initial?.write);
  if (teacher && ownNetwork) await checkStart(teacher, network.model, ownNetwork.file);
  const run = config.resume ??
    await createRunFolder({
      name: config.name ??
        (teacher ? "distill" : ownNetwork ? parse(ownNetwork.sources.main).name : config.model),
      out: config.out,
      startedAt,
    });
  const lock = resumed ?? own.use(await lockRun(run));
  using loop = new TrainingLoop({
    ...{ config, run, data, images, network, source, signal, say, terminal },
    keepAt: options.keepAt ?? [],
  });
  const resumedAt = resumed ? await loop.resume() : undefined;
  if (resumed) await removeLeftovers(resumed);
  let bar: ProgressBar | undefined;
  await using tracker = await RunTracker.start(lock, {
    choice,
    startedAt,
    ...resumedAt !== undefined && { resumedAt },
    about: {
      source: teacher ? "deno task distill" : `deno task ${trainingTask(config.model)}`,
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
    const adapter = { kind: device.kind, description: device.description };
    await writeJson(
      join(run, resumed ? resumedEnvironmentFile(startedAt.getTime()) : runFile.environment),
      await collectEnvironment(adapter, startedAt),
    );
    const fixed = config.maxMinutes === 0;
    if (fixed) await writeConfig(run, { ...config, ...loop.cadence });
    say(describe(config, network, device) + `\nrun folder ${run}`);
    if (config.data !== null) say(describeData(data));
    initial?.lines.forEach((line) => say(line));
    if (ownNetwork && !resumed) {
      const { sources, digest } = ownNetwork;
      await writeAtomic(join(run, runFile.network), encodeSources(sources));
      await rememberNamed({ name: sources.main, digest }, say);
    }
    if (teacher && !resumed) {
      await writeAtomic(join(run, runFile.teacher), teacher.bytes);
      await loop.save();
    }
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

/** The teacher of a run: the copy in its folder, once it has one. @throws {RunError} if it does not fit the data */
async function teacherOf(config: TrainingConfig, given: string, data: Dataset): Promise<Teacher> {
  const { resume } = config;
  const path = resume === null ? teacherFile(given) : join(resume, runFile.teacher);
  const bytes = resume === null ? await readCheckpoint(path) : await readFile(path, resume);
  const make = chosenNetwork(config.model)?.make;
  const teacher = { ...await loadWeights(bytes, path, { make }), bytes, path };
  checkFit("distil", path, { shape: teacher.shape, classes: teacher.info.config.classes ?? 0 }, data);
  return await inOwnProgram(teacher, config);
}

/** Writes the settings that repeat the run, bit for bit on a device of the same kind. */
async function writeConfig(run: string, config: TrainingConfig): Promise<void> {
  // A server address may contain a password; a resumed run finds it in mlflow.json.
  await writeJson(join(run, runFile.config), { ...recordedConfig(config), resume: null, mlflow: null });
}

function recordOf(data: Dataset, { train, validation }: ImageSplit): RecordedDataset {
  const { name, digest, source, channels, height, width, classes, classNames, test } = data;
  return {
    ...{ name, digest, source, channels, height, width, classes },
    ...classNames && { classNames },
    train: train.length,
    validation: validation.length,
    test: test.count,
  };
}

function describe(
  config: TrainingConfig,
  { size, options }: Network,
  device: Device,
): string {
  const { preset, conditional } = config;
  return `${networkInWords(config)}, ${size.toLocaleString("en")} parameters, ` +
    `${conditional ? `conditional on ${options.classes} classes, ` : ""}preset ${preset}, ` +
    `on ${device.description}`;
}
