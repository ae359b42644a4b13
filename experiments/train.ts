import { join } from "node:path";
import { type Device, init } from "../kernels/mod.ts";
import { settingsWithNetwork } from "./networks/network_flags.ts";
import { chosenNetwork } from "./networks/own_network.ts";
import { dryRun, printDryRun } from "./cli/dry_run.ts";
import { stderr } from "./cli/progress.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { runFile } from "./run/files.ts";
import { lockRun } from "./run/run_folder.ts";
import { taskCommand } from "./run/program_files.ts";
import { presetFor, presets, training } from "./cli/training.ts";
import { defineSettings } from "./cli/settings.ts";
import { ownModel, trainingTask } from "./cli/model_setting.ts";
import { parseInit } from "./cli/stored_network.ts";
import { type GivenSettings, trainingConfig, withOptimizer } from "./cli/training_config.ts";
import { say } from "./cli/output.ts";
import { findConfig, findRun } from "./tracking/find_run.ts";
import { forecastTraining } from "./training/forecast.ts";
import { foundInit } from "./training/initial_weights.ts";
import { runTraining, type TrainingResult } from "./training/run_training.ts";

/** The flags of a training task. */
export type GivenTraining = GivenSettings & { readonly dryRun?: boolean };

/** The task distill has the flags of a distillation. */
const { teacher: _, stages: __, teacherGuidance: ___, maxGuidance: ____, ...flags } = training.rows;

const long = defineSettings({ dryRun, ...flags }, training.headings);

/** The network of a run that names none. */
const defaultModel = "residual";

/** Trains a network, or continues an earlier run. */
export const trainTask = task({
  name: ({ model }) => model === undefined ? "train" : trainingTask(model),
  about: "Train a network by flow matching",
  settings: long,
  settingsFor: (argv) => settingsWithNetwork(long, argv),
  resolve: (values: GivenTraining) => values,
  async preset({ preset, model = defaultModel }) {
    const name = preset ?? await presetHere();
    return { preset: name, ...withOptimizer({ model }, presets[name]), model };
  },
  run(values, argv) {
    const [flag, model, ...flags] = argv;
    const isUNet = flag === "--model" && !ownModel(model);
    return trainOrResume(
      values,
      isUNet ? taskCommand(trainingTask(model), flags) : taskCommand("train", argv),
    );
  },
});

/**
 * Trains a network, or continues an earlier run, with progress and Ctrl-C.
 *
 * @param command the command line, for the record of the run
 * @returns the exit code
 * @throws as `trainingConfig` and `runTraining`
 */
export async function trainOrResume(
  { dryRun = false, ...values }: GivenTraining,
  command: string,
): Promise<number> {
  const startedAt = new Date();
  if (values.resume) values = { ...values, resume: await findRun(values.resume) };
  if (values.config) values = { ...values, config: await findConfig(values.config) };
  if (values.init) values = { ...values, init: await foundInit(values.init) };
  if (!values.resume && !values.config && !values.init && !values.teacher) {
    values = { model: defaultModel, ...values };
  }
  checkNetwork(values);
  using lock = values.resume && !dryRun ? await lockRun(values.resume) : undefined; // before its state is read
  const device = await deviceOf(values);
  const config = trainingConfig(values, presetFor(device));
  using stop = stopSignal((signal) =>
    say(`\n${signal}: saving and stopping; press again to quit immediately`)
  );
  if (dryRun) {
    const rows = await forecastTraining(config, { device, signal: stop.signal, say, terminal: stderr });
    if (rows) printDryRun(rows);
    device.close();
    return rows ? 0 : stop.exitCode;
  }
  const result = await runTraining(config, {
    device,
    startedAt,
    signal: stop.signal,
    command,
    ...(lock && { lock }),
    say,
    terminal: stderr,
  });
  printResult(result);
  device.close();
  return result.interrupted ? stop.exitCode : 0;
}

/** Opens the device that the flags choose, else that of the run to resume or repeat. */
async function deviceOf(values: GivenSettings): Promise<Device> {
  const { resume, config, device, threads } = values;
  const earlier = resume || config ? trainingConfig(values) : undefined;
  return await init({
    device: device ?? earlier?.device ?? "auto",
    threads: threads ?? earlier?.threads ?? 0,
  });
}

/** Fails before anything else happens if a run needs the module of its network, or that has changed. */
function checkNetwork(values: GivenSettings): void {
  const source = values.resume ?? values.config ?? values.init ?? values.teacher;
  if (typeof source !== "string") return;
  const network = chosenNetwork(trainingConfig(values).model, parseInit(source).source);
  if (!network || typeof values.config !== "string") return;
  const { digest } = ownModel(trainingConfig({ config: values.config }).model) ?? {};
  if (digest !== undefined && digest !== network.digest) {
    say(`${network.file} has changed since ${values.config}: this run trains it as it is now`);
  }
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
