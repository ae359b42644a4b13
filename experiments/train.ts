import { type Device, init as openDevice } from "../kernels/mod.ts";
import { say, stderr, withMargin } from "./cli/output.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { chosenNetwork, nameModule, optionsHelp } from "./networks/own_network.ts";
import { taskCommand } from "./run/program_files.ts";
import { lockRun, type RunLock } from "./run/run_folder.ts";
import { isFile } from "./run/weights.ts";
import { readConfig } from "./settings/config_file.ts";
import { type GivenFields, newTraining, repeatedRun, resumedRun } from "./settings/decide.ts";
import { type NetworkChoice, trainingTask, type WeightsChoice } from "./settings/network.ts";
import { presetFor, presets, withOptimizer } from "./settings/presets.ts";
import type { RunConfig } from "./settings/run_config.ts";
import { withoutPictures } from "./settings/run.ts";
import { training } from "./settings/training.ts";
import { findConfig, findRun } from "./tracking/find_run.ts";
import { runTraining } from "./training/run_training.ts";

/** The network of a run that names none. */
const defaultModel: NetworkChoice = { kind: "unet", name: "residual" };

/** Trains a network, or continues an earlier run. */
export const trainTask = task({
  name: ({ model }) => model === undefined ? "train" : trainingTask(model),
  about: "Train a network by flow matching",
  examples: [
    "--max-steps 150",
    "--data photos --resize 32,32 --crop center --conditional",
    "--resume runs/A",
  ],
  settings: training,
  resolve: (values) => values,
  async preset({ preset, model = defaultModel }) {
    const name = preset ?? await presetHere();
    return { preset: name, ...withOptimizer({ model }, presets[name]), model };
  },
  epilogue: ({ model }) => optionsHelp(model),
  async run({ dryRun = false, pictures = true, ...flags }, argv) {
    const given = pictures ? flags : withoutPictures(flags);
    const startedAt = new Date();
    const command = { dryRun, startedAt, line: commandLine(given.model, argv) };
    await nameModule(given.model);
    if (given.resume) return await resumeRun(await findRun(given.resume), given, command);
    if (given.config) {
      const { config, ...changes } = given;
      const source = await findConfig(config);
      return await repeatRun(source, readConfig(source), changes, command);
    }
    const init = given.init ? await findWeights(given.init) : undefined;
    const model = given.model ?? (init ? undefined : defaultModel);
    const device = await openDevice({ device: given.device, threads: given.threads });
    const config = newTraining({ ...given, model, init }, presetFor(device));
    chosenNetwork(config.model, init?.source);
    return await trainAndTell(config, device, command);
  },
});

/** A command that trains. */
export interface TrainingCommand {
  /** Whether to show what it would do, and write nothing. */
  readonly dryRun: boolean;
  readonly startedAt: Date;
  /** Its line, for the record. */
  readonly line: string;
}

/** The command line, for the record of a run. */
function commandLine(model: NetworkChoice | undefined, argv: readonly string[]): string {
  const [flag, , ...flags] = argv;
  const isNamed = flag === "--model" && model?.kind === "unet";
  return isNamed ? taskCommand(trainingTask(model), flags) : taskCommand("train", argv);
}

/** Weights that a command line names, with the folder of their run in place of its name. */
async function findWeights({ source, sha256 }: WeightsChoice): Promise<WeightsChoice> {
  return { source: isFile(source) ? source : await findRun(source), sha256 };
}

/** Goes on with a run in a folder. Returns the exit code. */
export async function resumeRun(run: string, given: GivenFields, command: TrainingCommand): Promise<number> {
  using lock = command.dryRun ? undefined : await lockRun(run); // before its files are read
  const config = resumedRun(given, run, readConfig(run));
  chosenNetwork(config.model, run);
  return await trainAndTell(config, await openDevice(config), command, lock);
}

/**
 * Trains with the settings of an earlier run. Returns the exit code.
 *
 * @param source the run's folder or its `config.json`
 */
export async function repeatRun(
  source: string,
  earlier: RunConfig,
  changes: GivenFields,
  command: TrainingCommand,
): Promise<number> {
  const config = repeatedRun(changes, source, earlier);
  const module = chosenNetwork(config.model, source);
  if (module && earlier.model.kind === "module" && earlier.model.sha256 !== module.digest) {
    say(`${module.file} has changed since ${source}: this run trains it as it is now`);
  }
  return await trainAndTell(config, await openDevice(config), command);
}

/** Trains with progress and Ctrl-C, or shows what that would do. Returns the exit code. */
export async function trainAndTell(
  config: RunConfig,
  device: Device,
  { dryRun, startedAt, line }: TrainingCommand,
  lock?: RunLock,
): Promise<number> {
  using stop = stopSignal((signal) =>
    say(`\n${signal}: saving and stopping; press again to quit immediately`)
  );
  const options = { device, signal: stop.signal, say, terminal: stderr };
  if (dryRun) {
    const { printTrainingPlan } = await import("./training/dry_run.ts");
    const isDone = await printTrainingPlan(config, options);
    device.close();
    return isDone ? 0 : stop.exitCode;
  }
  const result = await runTraining(config, { ...options, startedAt, command: line, lock });
  device.close();

  const { run, step, valLoss, testLoss, testLossMargin } = result;
  const facts = [`step ${step}`];
  if (valLoss !== undefined) facts.push(`validation loss ${valLoss.toFixed(4)}`);
  if (testLoss !== undefined) facts.push(`test loss ${withMargin(testLoss, testLossMargin)}`);
  say(facts.join(", "));
  const { model } = config;
  const module = model.kind === "module" ? `--model ${model.file} ` : "";
  say(result.interrupted ? `Stopped; continue with ${module}--resume ${run}` : `Done; open ${result.report}`);
  return result.interrupted ? stop.exitCode : 0;
}

async function presetHere() {
  const device = await openDevice();
  device.close();
  return presetFor(device);
}

if (import.meta.main) await main(trainTask);
