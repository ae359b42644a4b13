import { join } from "node:path";
import { type Device, init } from "../kernels/mod.ts";
import { runTask, stopSignal } from "./program/command.ts";
import { stderr } from "./program/progress.ts";
import { runFile } from "./run/layout.ts";
import { lockRun, type RunLock } from "./run/run_lock.ts";
import { presetFor } from "./settings/tasks/preset_for.ts";
import {
  parseTrainingFlags,
  type PresetName,
  readConfig,
  resolveConfig,
  type TrainingFlags,
  trainingHelp,
} from "./settings/tasks/train_config.ts";
import { findRun } from "./tracking/find_run.ts";
import { runTraining, type TrainingResult } from "./training/run_training.ts";
import { print, say } from "./terminal/output.ts";

await runTask(async () => {
  const startedAt = new Date();
  const flags = await withFoundRun(parseTrainingFlags(Deno.args));
  if (flags.help) {
    print(
      trainingHelp(`deno task train:${flags.values.model ?? "residual"}`, flags, await presetHere()),
    );
    return;
  }
  using lock = await lockResumed(flags);
  const device = await deviceOf(flags);
  const config = resolveConfig(flags, presetFor(device));
  using stop = stopSignal((signal) => say(`\n${signal}: saving and stopping; press again to quit at once`));
  const result = await runTraining(config, {
    ...{ device, startedAt, signal: stop.signal, ...lock && { lock } },
    say,
    terminal: stderr,
  });
  printResult(result, config.samples > 0 ? join(result.run, runFile.samples) : result.run);
  device.close();
  lock?.[Symbol.dispose]();
  if (result.interrupted) Deno.exit(stop.exitCode);
});

/** Finds the run to resume by its name. */
async function withFoundRun(flags: TrainingFlags): Promise<TrainingFlags> {
  const { resume } = flags.values;
  return resume ? { ...flags, values: { ...flags.values, resume: await findRun(resume) } } : flags;
}

/** Opens the device of the flags, or that of the resumed run. */
async function deviceOf({ values: { resume, device, threads } }: TrainingFlags): Promise<Device> {
  const earlier = resume ? readConfig(resume) : undefined;
  return await init({
    device: device ?? earlier?.device ?? "auto",
    threads: threads ?? earlier?.threads ?? 0,
  });
}

/** Locks the run to resume before its state is read. */
async function lockResumed(flags: TrainingFlags): Promise<RunLock | undefined> {
  const { resume } = flags.values;
  if (!resume) return undefined;
  resolveConfig(flags, "quick"); // fails before a lock file is created if the flags or the folder are wrong
  return await lockRun(resume);
}

/** The default preset on this machine. */
async function presetHere(): Promise<PresetName> {
  const device = await init();
  device.close();
  return presetFor(device);
}

function printResult(
  { run, step, interrupted, valLoss, testLoss, imagesPerSecond }: TrainingResult,
  output: string,
): void {
  const losses = [["validation loss", valLoss], ["test loss", testLoss]]
    .flatMap(([name, loss]) => typeof loss === "number" ? [`${name} ${loss.toFixed(4)}`] : []);
  const rate = imagesPerSecond > 0 ? [`${imagesPerSecond.toFixed(1)} images/s`] : []; // a resumed run may only draw
  say([`step ${step}`, ...losses, ...rate].join(", "));
  say(interrupted ? `Stopped; continue with --resume ${run}` : `Done; see ${output}`);
}
