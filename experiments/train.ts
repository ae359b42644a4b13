import { join } from "node:path";
import { type Device, init } from "../kernels/mod.ts";
import { runTask, stopSignal } from "./program/command.ts";
import { stderr } from "./program/progress.ts";
import { runFile } from "./run/layout.ts";
import { lockRun, type RunLock } from "./run/run_lock.ts";
import {
  parseTrainingFlags,
  type PresetName,
  readConfig,
  resolveConfig,
  type TrainingFlags,
  trainingHelp,
} from "./settings/tasks/train_config.ts";
import { runTraining, type TrainingResult } from "./training/run_training.ts";

await runTask(async () => {
  const startedAt = new Date();
  const flags = parseTrainingFlags(Deno.args);
  if (flags.help) {
    console.log(
      trainingHelp(`deno task train:${flags.values.model ?? "residual"}`, flags, await presetHere()),
    );
    return;
  }
  using lock = await lockResumed(flags);
  const device = await deviceOf(flags);
  const config = resolveConfig(flags, presetFor(device));
  using stop = stopSignal((signal) =>
    console.error(`\n${signal}: finishing the step and saving; once more to quit at once`)
  );
  const result = await runTraining(config, {
    ...{ device, startedAt, signal: stop.signal, ...lock && { lock } },
    say: (message) => console.error(message),
    terminal: stderr,
  });
  tell(result, config.samples > 0 ? join(result.run, runFile.samples) : result.run);
  device.close();
});

/** A resumed run computes where it did, unless the flags say otherwise. */
async function deviceOf({ values: { resume, device, threads } }: TrainingFlags): Promise<Device> {
  const earlier = resume ? readConfig(resume) : undefined;
  return await init({
    device: device ?? earlier?.device ?? "auto",
    threads: threads ?? earlier?.threads ?? 0,
  });
}

/** Locks the run to go on with, before anything of it is read that counts. */
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

function tell(
  { run, step, interrupted, valLoss, testLoss, imagesPerSecond }: TrainingResult,
  best: string,
): void {
  const losses = [["validation loss", valLoss], ["test loss", testLoss]]
    .flatMap(([name, loss]) => typeof loss === "number" ? [`${name} ${loss.toFixed(4)}`] : []);
  console.error([`step ${step}`, ...losses, `${imagesPerSecond.toFixed(1)} images/s`].join(", "));
  console.error(interrupted ? `Stopped; go on with --resume ${run}` : `Done; see ${best}`);
}
