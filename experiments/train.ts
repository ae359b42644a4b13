import { type Device, init } from "../kernels/mod.ts";
import { ownModel, trainingTask } from "./cli/shared.ts";
import { say, stderr } from "./cli/output.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { presetFor, presets, trainFlags } from "./cli/training.ts";
import { type GivenSettings, trainingConfig, withOptimizer } from "./cli/training_config.ts";
import { settingsWithNetwork } from "./networks/own_network.ts";
import { taskCommand } from "./run/program_files.ts";
import { lockRun } from "./run/run_folder.ts";
import { printTrainingPlan } from "./training/dry_run.ts";
import { defaultModel, findNamed } from "./training/named_run.ts";
import { runTraining } from "./training/run_training.ts";

/** The flags of a training task. */
export type GivenTraining = GivenSettings & { readonly dryRun?: boolean };

/** Trains a network, or continues an earlier run. */
export const trainTask = task({
  name: ({ model }) => model === undefined ? "train" : trainingTask(model),
  about: "Train a network by flow matching",
  settings: trainFlags,
  settingsFor: (argv) => settingsWithNetwork(trainFlags, argv),
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

/** Trains a network, or continues an earlier run, with progress and Ctrl-C, and returns the exit code. */
export async function trainOrResume({ dryRun, ...given }: GivenTraining, command: string): Promise<number> {
  const startedAt = new Date();
  const values = await findNamed(given);
  using lock = values.resume && !dryRun ? await lockRun(values.resume) : undefined;
  const device = await openDevice(values);
  const config = trainingConfig(values, presetFor(device));
  using stop = stopSignal((signal) =>
    say(`\n${signal}: saving and stopping; press again to quit immediately`)
  );
  const options = { device, signal: stop.signal, say, terminal: stderr };
  if (dryRun) {
    const isDone = await printTrainingPlan(config, options);
    device.close();
    return isDone ? 0 : stop.exitCode;
  }
  const result = await runTraining(config, { ...options, startedAt, command, ...lock && { lock } });
  device.close();

  const { run, step, valLoss, testLoss, imagesPerSecond: rate } = result;
  const facts = [
    `step ${step}`,
    valLoss !== undefined && `validation loss ${valLoss.toFixed(4)}`,
    testLoss !== undefined && `test loss ${testLoss.toFixed(4)}`,
    rate > 0 && `${rate.toFixed(1)} images/s`, // a resumed run may take no step
  ];
  say(facts.filter((fact) => fact !== false).join(", "));
  say(result.interrupted ? `Stopped; continue with --resume ${run}` : `Done; open ${result.report}`);
  return result.interrupted ? stop.exitCode : 0;
}

/** Opens the device that the flags choose, else that of the run to resume or repeat. */
async function openDevice(values: GivenSettings): Promise<Device> {
  const { resume, config, device, threads } = values;
  const earlier = resume || config ? trainingConfig(values) : undefined;
  return await init({
    device: device ?? earlier?.device ?? "auto",
    threads: threads ?? earlier?.threads ?? 0,
  });
}

async function presetHere() {
  const device = await init();
  device.close();
  return presetFor(device);
}

if (import.meta.main) await main(trainTask);
