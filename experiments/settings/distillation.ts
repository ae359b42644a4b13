/** What decides a distillation: the settings of `deno task distill`, with their defaults. */

import { number, optional, path } from "../cli/kinds.ts";
import { defineSettings, type Need, type Values } from "../cli/settings.ts";
import { dataSettings } from "./data.ts";
import { moduleSetting, unet } from "./network.ts";
import { dryRun, pictures } from "./run.ts";
import { readStages, stagesSetting } from "./stages.ts";
import { trainingSettings as rows } from "./training.ts";

const withTeacher: Need = {
  words: "a teacher",
  met: ({ teacher }) => typeof teacher === "string",
};
const withUNet: Need = {
  words: "a teacher that is a U-Net",
  met: (config) => withTeacher.met(config) && unet.met(config),
};
const oneGuidance: Need = {
  words: "no --max-guidance",
  met: (config) => withTeacher.met(config) && (config.maxGuidance ?? 1) === 1,
};

/** The settings that only distillations have, as in `config.json`. */
export const distillationSettings = {
  teacher: optional(path("FILE|RUN", "network to distil into a flow map")),
  stages: optional(stagesSetting({
    doc: "stage of a distillation, given for each in turn (default: pairs, then drift)",
    needs: withTeacher,
  })),
  teacherGuidance: number({
    doc: "guidance of the teacher, which the flow map learns",
    min: 0,
    default: 1,
    needs: oneGuidance,
  }),
  maxGuidance: number({
    doc: "let the flow map take guidance from 1 to X as an input; 1 = it learns only --teacher-guidance",
    min: 1,
    max: 100,
    default: 1,
    needs: withUNet,
  }),
} as const;

const { stages, teacherGuidance, maxGuidance } = distillationSettings;

/** Settings of `deno task distill`: those of training that a distillation does not fix itself. */
export const distillation = defineSettings({
  stages,
  teacherGuidance,
  maxGuidance,
  model: optional(moduleSetting("module of the network, if it is your own")),
  ...dataSettings,
  data: {
    ...dataSettings.data,
    doc: "images, as for train (default: those of the run, or MNIST)",
  },
  trainLimit: rows.trainLimit,
  batchSize: rows.batchSize,
  lr: rows.lr,
  muonLr: rows.muonLr,
  weightDecay: rows.weightDecay,
  warmUp: rows.warmUp,
  clip: rows.clip,
  ema: rows.ema,
  seed: rows.seed,
  testBatches: rows.testBatches,
  samples: rows.samples,
  solver: rows.solver,
  flowSamples: rows.flowSamples,
  flowSteps: rows.flowSteps,
  sampleEpochs: rows.sampleEpochs,
  pathSamples: rows.pathSamples,
  name: rows.name,
  out: rows.out,
  resume: rows.resume,
  config: rows.config,
  device: rows.device,
  threads: rows.threads,
  checkpointMinutes: rows.checkpointMinutes,
  logEvery: rows.logEvery,
  mlflow: rows.mlflow,
  experiment: rows.experiment,
  runName: rows.runName,
  pictures,
  dryRun,
}, {
  stages: "Distillation",
  batchSize: "Optimisation",
  testBatches: "Evaluation",
  name: "Run",
  mlflow: "Tracking",
  pictures: "This command",
});

/** The flags of `deno task distill`. */
export type DistillationFlags = Partial<Values<typeof distillation.rows>>;

/** Defaults of a distillation. */
export const usualDistillation = {
  stages: readStages("pairs+drift"),
  batchSize: 64,
  valFraction: 0,
  guidance: 1,
  solver: rows.solver.read!("map:steps=1"),
  optimizer: "muon",
  lr: 1e-3,
  muonLr: 1e-2,
  schedule: "one_cycle",
  warmUp: 0.1,
  clip: 1,
  ema: 0.99,
} as const;
