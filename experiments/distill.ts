import { init as openDevice } from "../kernels/mod.ts";
import { main, task } from "./cli/task.ts";
import { ConfigError } from "./cli/settings.ts";
import { chosenNetwork, nameModule, optionsHelp } from "./networks/own_network.ts";
import { startCommand, taskCommand } from "./run/program_files.ts";
import { isFile } from "./run/weights.ts";
import { readConfig } from "./settings/config_file.ts";
import { dataSettingNames } from "./settings/data.ts";
import { type GivenFields, newDistillation } from "./settings/decide.ts";
import { distillation, type DistillationFlags, usualDistillation } from "./settings/distillation.ts";
import { presetFor, presets } from "./settings/presets.ts";
import { withoutPictures } from "./settings/run.ts";
import { findConfig, findRun } from "./tracking/find_run.ts";
import { repeatRun, resumeRun, trainAndTell } from "./train.ts";

/** Distils a network into a flow map, or continues an earlier distillation. */
export const distillTask = task({
  name: "distill",
  about: "Distil a network into a flow map that draws images in few evaluations",
  words: "FILE|RUN",
  examples: [
    "checkpoints/mnist_classes.safetensors",
    "runs/A --stages pairs --stages drift:images=64000",
    "--resume runs/A",
  ],
  settings: distillation,
  resolve,
  preset() {
    const { stages: _, ...usual } = usualDistillation; // its `--help` has them in words
    return Promise.resolve({ ...presets.quick, ...usual });
  },
  epilogue: ({ model }) => optionsHelp(model),
  async run({ teacher: named, dryRun = false, pictures = true, ...all }, argv) {
    const flags = pictures ? all : withoutPictures(all);
    const command = { dryRun, startedAt: new Date(), line: taskCommand("distill", argv) };
    const given: GivenFields = { ...flags, model: flags.model ?? undefined };
    await nameModule(given.model);
    if (given.resume) return await resumeRun(await findRun(given.resume), given, command);
    if (flags.config) {
      const { config, ...changes } = { ...given, config: flags.config };
      const source = await findConfig(config);
      const earlier = readConfig(source);
      if (earlier.distillation === null) {
        throw new ConfigError(
          `Cannot distil with --config ${config}: that run is not a distillation (see ${
            startCommand("train")
          })`,
        );
      }
      return await repeatRun(source, earlier, changes, command);
    }
    const isWeights = isFile(named!);
    const teacher = isWeights ? named! : await findRun(named!);
    const data = isWeights ? {} : dataOf(teacher);
    const device = await openDevice({ device: given.device, threads: given.threads });
    const config = newDistillation({ ...data, ...given }, teacher, presetFor(device));
    chosenNetwork(config.model, teacher);
    return await trainAndTell(config, device, command);
  },
});

/** A command line, with the network to distil unless it names an earlier run. */
type GivenDistillation = DistillationFlags & { readonly teacher?: string };

/** @throws {ConfigError} unless there is one teacher, or a run to resume or to repeat */
function resolve(flags: DistillationFlags, words: readonly string[]): GivenDistillation {
  const [teacher] = words;
  let earlier: string | undefined;
  if (flags.resume) earlier = "--resume";
  else if (flags.config) earlier = "--config";
  if (earlier !== undefined && teacher === undefined) return flags;
  if (earlier !== undefined) {
    throw new ConfigError(
      `Cannot distil ${teacher} with ${earlier}: the run keeps its teacher (leave it out)`,
    );
  }
  if (teacher === undefined) throw new ConfigError("Missing FILE|RUN: name the network to distil");
  if (words.length > 1) {
    throw new ConfigError(`Cannot distil ${words.join(" and ")} (expected one FILE or RUN)`);
  }
  return { ...flags, teacher };
}

/** The data of a run, which its distillation sees, too. */
function dataOf(run: string): GivenFields {
  const config = readConfig(run);
  return Object.fromEntries(dataSettingNames.map((name) => [name, config[name]]));
}

if (import.meta.main) await main(distillTask);
