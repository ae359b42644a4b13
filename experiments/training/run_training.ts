import { join } from "node:path";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { type Device, init, withDevice } from "../../kernels/mod.ts";
import { ProgressBar, stageProgress, type Terminal } from "../cli/output.ts";
import { describeData } from "../data/dataset.ts";
import { chosenNetwork } from "../networks/own_network.ts";
import { fileAt, runFile } from "../run/files.ts";
import { collectEnvironment, taskCommand } from "../run/program_files.ts";
import {
  createRunFolder,
  lockRun,
  removeLeftovers,
  type RunLock,
  writeAtomic,
  writeJson,
} from "../run/run_folder.ts";
import { configJson } from "../settings/config_file.ts";
import { formatNetwork, trainingTask } from "../settings/network.ts";
import type { RunConfig } from "../settings/run_config.ts";
import { trackingOf } from "../tracking/choose_tracking.ts";
import type { RunRecord } from "../tracking/record.ts";
import { machineGauges, RunTracker } from "../tracking/run_tracker.ts";
import type { Measured } from "./artifacts.ts";
import { TrainingLoop } from "./loop.ts";
import { type PreparedTraining, prepareTraining } from "./prepare_training.ts";
import { compileKernels, tuneKernels } from "./tune_kernels.ts";

/** Options of a training run besides its settings. */
export interface RunTrainingOptions {
  /** The device to train on; by default one is opened as configured and closed at the end. */
  readonly device?: Device;
  /** Saves and ends the run early, so that it can be resumed. */
  readonly signal?: AbortSignal;
  readonly say?: (message: string) => void;
  readonly terminal?: Terminal;
  readonly startedAt?: Date;
  /** The lock of the run's folder, if the caller holds it; the caller also releases it. */
  readonly lock?: RunLock;
  /** Name of the run; by default that of the settings, of MLFLOW_RUN_NAME or of its folder. */
  readonly runName?: string;
  /** The command line, for the run's record; by default the task. */
  readonly command?: string;
  /** Steps after which averaged weights are kept, as `weights/step_000500.safetensors`. */
  readonly keepAt?: readonly number[];
}

/** Result of a training run: its folder, its report (once it has ended), and its steps over all sessions. */
export interface TrainingResult {
  readonly run: string;
  readonly report: string;
  readonly step: number;
  readonly interrupted: boolean;
  readonly valLoss: number | undefined;
  readonly testLoss: number | undefined;
  /** Half the 95 % interval of the test loss. */
  readonly testLossMargin: number | undefined;
}

/**
 * Trains a network, and writes weights, metrics, pictures and a report to the run's folder, like `deno task
 * train:residual`.
 *
 * @param config see `newTraining` and `newDistillation`; one that resumes a run continues it
 * @throws {UserError} as ConfigError, DataError, DeviceError, RunError, SafetensorsError (the checkpoint to resume is
 * damaged), StateError (it belongs to another network) or TrainingError (such as a loss that becomes NaN)
 */
export async function runTraining(
  config: RunConfig,
  options: RunTrainingOptions = {},
): Promise<TrainingResult> {
  const device = options.device ?? await init(config);
  try {
    return await withDevice(device, () => trainOn(device, config, options));
  } finally {
    if (!options.device) device.close();
  }
}

async function trainOn(
  device: Device,
  settings: RunConfig,
  options: RunTrainingOptions,
): Promise<TrainingResult> {
  const { signal = new AbortController().signal, say = () => {}, terminal, startedAt = new Date() } = options;

  // Lock a run to resume before any of its files is read.
  using own = new DisposableStack();
  const { start } = settings;
  const earlier = start.kind === "resume" ? start.run : undefined;
  const isResumed = earlier !== undefined;
  const held = options.lock ?? (isResumed ? own.use(await lockRun(earlier)) : undefined);
  const runName = options.runName ?? settings.runName;
  const choice = await trackingOf({ ...settings, runName }, earlier ?? null);

  // Load the data, make the network, and check that both fit.
  const prepared = await prepareTraining(device, settings, { say, terminal });
  const { config, network: { trainer, prepare }, teacher, name } = prepared;

  // Open the folder, and continue from the last checkpoint if it has one.
  const run = earlier ?? await createRunFolder({ name, out: config.out, startedAt });
  const lock = held ?? own.use(await lockRun(run));
  let bar: ProgressBar | undefined;
  const sayAbove = (message: string) => {
    bar?.clear();
    say(message);
  };
  using loop = new TrainingLoop(prepared, {
    run,
    keepAt: options.keepAt ?? [],
    signal,
    say: sayAbove,
    onSettings: (changed) => writeConfig(run, { ...config, ...changed }),
  });
  const resumedAt = start.kind === "resume" ? await loop.resume(start) : undefined;
  if (isResumed) await removeLeftovers(lock);

  // From here on, an error marks the run as failed.
  await using tracker = await RunTracker.start(lock, {
    choice,
    startedAt,
    about: aboutRun(prepared, options.command),
    say: sayAbove,
    resumedAt,
    gauges: machineGauges(device, () => trainer.step * config.batchSize),
  });
  const result = await tracker.during(async () => {
    const advice = await writeEnvironment(run, device, startedAt, isResumed);
    await writeConfig(run, { ...config, ...loop.settings });
    for (const line of [...runLines(prepared, device, run), ...advice]) say(line);

    // Keep the module of the network, which may change, before anything is computed with it.
    const module = chosenNetwork(config.model);
    if (module) await writeAtomic(join(run, runFile.network), module.bytes);

    // Keep the teacher and draw the pairs of a distillation, and choose the kernels.
    if (teacher && !isResumed) {
      await writeAtomic(join(run, runFile.teacher), teacher.bytes);
      await loop.save();
    }
    await prepare?.({ run, signal, say, terminal });
    await tuneKernels(trainer, { device, tune: config.tune, run, resumed: isResumed, say, terminal });
    await compileKernels(trainer, terminal);

    // Train.
    using shown = terminal && new ProgressBar({
      get totalSteps() {
        return loop.schedule.totalSteps < Infinity ? loop.schedule.totalSteps : 0;
      },
      startStep: trainer.step,
      imagesPerStep: config.batchSize,
    }, terminal);
    bar = shown;
    await loop.run(tracker, bar);

    // Measure the test loss, draw samples and trajectories, and write the report.
    const { writeArtifacts } = await import("./artifacts.ts");
    const drawable = await loop.kept.drawable();
    let measured: Measured = {};
    if (!await loop.isStopped()) say("Measuring the test loss and drawing pictures");
    const progress = stageProgress("measuring and drawing", terminal);
    const isDone = await writeArtifacts(
      { ...prepared, run, drawable, steps: trainer.step },
      async (values) => {
        measured = { ...measured, ...values };
        await loop.logOnce(values);
      },
      () => loop.isStopped(),
      progress.update,
    ).finally(progress.end);
    return {
      run,
      report: join(run, runFile.report),
      step: trainer.step,
      interrupted: !isDone,
      valLoss: loop.validation.loss,
      testLoss: measured.test_loss,
      testLossMargin: measured.test_loss_margin,
    };
  });
  await tracker.end(result.interrupted ? "KILLED" : "FINISHED");
  return result;
}

/** What `run.json` says about a run. */
function aboutRun(
  { config, network, teacher, data, images }: PreparedTraining,
  command = taskCommand(teacher ? "distill" : trainingTask(config.model), []),
): Pick<RunRecord, "source" | "parameterCount" | "dataset"> {
  const { name, digest, source, channels, height, width, classes, classNames, test, damaged } = data;
  const dataset = {
    name,
    digest,
    source,
    channels,
    height,
    width,
    classes,
    classNames,
    train: images.train.length,
    validation: images.validation.length,
    test: test.count,
    damaged,
  };
  return { source: command, parameterCount: network.size, dataset };
}

/** Writes the settings that repeat a run, bit for bit on a device of the same kind. */
async function writeConfig(run: string, config: RunConfig): Promise<void> {
  await writeJson(join(run, runFile.config), configJson(config));
}

/** Advice if only half the width of the processor's vectors is used. */
const narrowVectors = "Matrix products may be twice as fast with ./denow, or with " +
  "DENO_V8_FLAGS=--experimental-wasm-revectorize (docs/performance.md)";

/** Writes the machine and the versions of a session. @returns advice for the user */
async function writeEnvironment(
  run: string,
  device: Device,
  startedAt: Date,
  resumed: boolean,
): Promise<string[]> {
  const wideVectors = device instanceof CpuDevice ? await device.hasWideVectors() : undefined;
  const { kind, description } = device;
  const file = resumed ? fileAt(runFile.resumedEnvironment, startedAt.getTime()) : runFile.environment;
  await writeJson(join(run, file), collectEnvironment({ kind, description, wideVectors }, startedAt));
  return wideVectors === false && Deno.build.arch === "x86_64" ? [narrowVectors] : [];
}

/** The network and the device of a run, in one line. */
export function networkLine({ config, network }: PreparedTraining, device: Device): string {
  const { size, options } = network;
  const { preset, conditional } = config;
  return `${formatNetwork(config)}, ${size.toLocaleString("en")} parameters, ` +
    `${conditional ? `conditional on ${options.classes} classes, ` : ""}preset ${preset}, ` +
    `on ${device.description}`;
}

/** What a run says when it starts. */
function runLines(prepared: PreparedTraining, device: Device, run: string): string[] {
  const { config, data, initial } = prepared;
  return [
    `${networkLine(prepared, device)}\nrun folder ${run}`,
    ...config.data !== null ? [describeData(data)] : [],
    ...initial?.lines ?? [],
  ];
}
