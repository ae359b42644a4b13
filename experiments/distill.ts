import { isFile } from "./draw/load_network.ts";
import { settingsWithNetwork } from "./networks/own_network.ts";
import { dataSettingNames, dataSettings, dryRun } from "./cli/shared.ts";
import { main, task } from "./cli/task.ts";
import { startCommand, taskCommand } from "./run/program_files.ts";
import { optional } from "./cli/kinds.ts";
import { ConfigError, defineSettings } from "./cli/settings.ts";
import { namesWith, presets, training } from "./cli/training.ts";
import { distillation } from "./cli/stored_network.ts";
import { readConfig, trainingConfig } from "./cli/training_config.ts";
import { findConfig, findRun } from "./tracking/find_run.ts";
import { type GivenTraining, trainOrResume } from "./train.ts";

const { rows } = training;
const { details: _, ...model } = rows.model;
const flags: Partial<typeof rows> = Object.fromEntries(
  namesWith(({ distilled }) => distilled).map((name) => [name, rows[name]]),
);

/** Settings of `deno task distill`: the training settings that a distillation does not fix itself. */
const distilling = defineSettings({
  dryRun,
  stages: rows.stages,
  teacherGuidance: rows.teacherGuidance,
  maxGuidance: rows.maxGuidance,
  model: optional({
    ...model,
    hint: "FILE",
    doc: "module of the network, if it is your own",
  }),
  ...dataSettings,
  data: { ...rows.data, doc: "images, as for train (default: those of the run, or MNIST)" },
  ...flags,
}, {
  stages: "Distillation",
  batchSize: "Optimisation",
  testBatches: "Evaluation",
  name: "Run",
  mlflow: "Tracking",
});

/** @throws {ConfigError} unless there is one teacher, or a run to resume or to repeat */
function resolve(values: GivenTraining, words: readonly string[]): GivenTraining {
  const [earlier] = (["resume", "config"] as const).filter((name) => typeof values[name] === "string");
  if (earlier && words.length === 0) return values;
  if (!earlier && words.length === 1) return { ...values, teacher: words[0] };
  throw new ConfigError(
    earlier
      ? `Cannot distil ${words[0]} with --${earlier}: the run keeps its teacher (leave it out)`
      : words.length === 0
      ? "Missing FILE|RUN: name the network to distil"
      : `Cannot distil ${words.join(" and ")} (expected one FILE or RUN)`,
  );
}

/** Distils a network into a flow map, or continues an earlier distillation. */
export const distillTask = task({
  name: "distill",
  about: "Distil a network into a flow map that draws images in few evaluations",
  words: "FILE|RUN",
  settings: distilling,
  settingsFor: (argv) => settingsWithNetwork(distilling, argv),
  resolve,
  preset: () => Promise.resolve({ ...presets.quick, ...distillation }),
  async run(values, argv) {
    const command = taskCommand("distill", argv);
    const { teacher } = values;
    if (typeof values.config === "string") {
      const config = await findConfig(values.config);
      if (trainingConfig({ config }).teacher === null) {
        throw new ConfigError(
          `Cannot distil with --config ${values.config}: that run is not a distillation (see ${
            startCommand("train")
          })`,
        );
      }
    }
    if (typeof teacher !== "string" || isFile(teacher)) return await trainOrResume(values, command);
    const run = await findRun(teacher);
    const config = readConfig(run);
    const data = Object.fromEntries(dataSettingNames.map((name) => [name, config[name]]));
    return await trainOrResume({ ...data, ...values, teacher: run }, command);
  },
});

if (import.meta.main) await main(distillTask);
