import { join } from "node:path";
import { type Device, init } from "../kernels/mod.ts";
import { stderr } from "./program/progress.ts";
import { main, stopSignal, task } from "./program/task.ts";
import { runFile } from "./run/layout.ts";
import { lockRun, type RunLock } from "./run/run_lock.ts";
import { presetFor, presets, training } from "./settings/training.ts";
import { type GivenSettings, readConfig, trainingConfig } from "./settings/training_config.ts";
import { say } from "./program/output.ts";
import { findRun } from "./tracking/find_run.ts";
import { runTraining, type TrainingResult } from "./training/run_training.ts";

/** Trains a network, or continues an earlier run. */
export const trainTask = task({
  name: ({ model = "residual" }) => `train:${model}`,
  about: "Train a U-Net by flow matching",
  settings: training,
  resolve: (given: GivenSettings) => given,
  async preset({ preset, model = "residual" }) {
    const name = preset ?? await presetHere();
    return { preset: name, ...presets[name], model };
  },
  run: trainOrResume,
});

/**
 * Trains a network, or continues an earlier run, with progress and Ctrl-C.
 *
 * @returns the exit code
 * @throws as `trainingConfig` and `runTraining`
 */
export async function trainOrResume(given: GivenSettings): Promise<number> {
  const startedAt = new Date();
  if (given.resume) given = { ...given, resume: await findRun(given.resume) };
  using lock = await lockResumed(given);
  const device = await deviceOf(given);
  const config = trainingConfig(given, presetFor(device));
  using stop = stopSignal((signal) => say(`\n${signal}: saving and stopping; press again to quit at once`));
  const result = await runTraining(config, {
    device,
    startedAt,
    signal: stop.signal,
    ...(lock && { lock }),
    say,
    terminal: stderr,
  });
  printResult(result);
  device.close();
  return result.interrupted ? stop.exitCode : 0;
}

/** Opens the device of the flags, else that of the resumed run. */
async function deviceOf({ resume, device, threads }: GivenSettings): Promise<Device> {
  const earlier = resume ? readConfig(resume) : undefined;
  return await init({
    device: device ?? earlier?.device ?? "auto",
    threads: threads ?? earlier?.threads ?? 0,
  });
}

/** Locks the run to resume before its state is read. */
async function lockResumed(given: GivenSettings): Promise<RunLock | undefined> {
  if (!given.resume) return undefined;
  trainingConfig(given); // fails before a lock file is created if the flags or the folder are wrong
  return await lockRun(given.resume);
}

async function presetHere() {
  const device = await init();
  device.close();
  return presetFor(device);
}

function printResult({ run, step, interrupted, valLoss, testLoss, imagesPerSecond }: TrainingResult): void {
  const losses = [["validation loss", valLoss], ["test loss", testLoss]]
    .flatMap(([name, loss]) => typeof loss === "number" ? [`${name} ${loss.toFixed(4)}`] : []);
  const rate = imagesPerSecond > 0 ? [`${imagesPerSecond.toFixed(1)} images/s`] : []; // a resumed run may take no step
  say([`step ${step}`, ...losses, ...rate].join(", "));
  say(interrupted ? `Stopped; continue with --resume ${run}` : `Done; open ${join(run, runFile.report)}`);
}

if (import.meta.main) await main(trainTask);
