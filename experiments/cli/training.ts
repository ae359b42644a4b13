import type { Device } from "../../kernels/mod.ts";
import {
  couplings,
  type Normalization,
  optimizerKinds,
  paths,
  predictions,
  scheduleNames,
  timeDistributions,
  timeEmbeddingNames,
} from "../../models/mod.ts";
import { pacings } from "../../viz/flow/pacing.ts";
import {
  autoToggle,
  choice,
  fileName,
  integer,
  integers,
  line,
  number,
  optional,
  orAuto,
  path,
  toggle,
  variant,
} from "./kinds.ts";
import {
  dataSettings,
  dryRun,
  isGpu,
  modelSetting,
  ownModel,
  shared,
  stagesSetting,
  unet,
} from "./shared.ts";
import { defineSettings, type Need, type Traits, type Values } from "./settings.ts";
import { solverSetting } from "./solver.ts";

const presetNames = ["quick", "standard", "paper", "overfit"] as const;

/** Ranges of the pixels in training. */
export const pixelRanges = ["-1..1", "0..1"] as const;

/** The normalisation for a range of pixels. */
export function normalizationTo(range: typeof pixelRanges[number]): Normalization {
  return range === "-1..1" ? { scale: 2, shift: -1 } : { scale: 1, shift: 0 };
}

/** Autoguidance of unlabelled networks, if the preset uses guidance. */
export const guidanceWithoutLabels = 2;

/** The model of a task that can train any. */
export const network = modelSetting("network to train");

// What settings need to have an effect. Settings that a task lacks are undefined.
const norm: Need = {
  words: "--model residual or --attn",
  met: ({ model, attn }) => ownModel(model) === undefined && (model !== "base" || attn === true),
};
const labels: Need = { words: "--conditional", met: ({ conditional }) => conditional !== false };
const muon: Need = { words: "--optimizer muon", met: ({ optimizer }) => optimizer === "muon" };
const sgd: Need = { words: "--optimizer sgd", met: ({ optimizer }) => optimizer === "sgd" };
const adam: Need = { words: "--optimizer adamw, adam or muon", met: ({ optimizer }) => optimizer !== "sgd" };
const plateau: Need = { words: "--schedule plateau", met: ({ schedule }) => schedule === "plateau" };
const heldOut: Need = { words: "--val-fraction above 0", met: (config) => config.valFraction !== 0, off: 0 };
const samples: Need = { words: "--samples above 0", met: (config) => config.samples !== 0 };
const flow: Need = { words: "--flow-samples above 0", met: ({ flowSamples }) => flowSamples !== 0 };
const withTeacher: Need = { words: "a teacher", met: ({ teacher }) => typeof teacher === "string" };
const withUNet: Need = {
  words: "a teacher that is a U-Net",
  met: (config) => withTeacher.met(config) && unet.met(config),
};
const oneGuidance: Need = {
  words: "no --max-guidance",
  met: (config) => withTeacher.met(config) && (config.maxGuidance ?? 1) === 1,
};
const untaught: Need = { words: "no --teacher", met: (config) => !withTeacher.met(config), off: false };
const gpu: Need = { words: "--device webgpu or auto", met: ({ device }) => device !== "cpu", off: false };

const share = { min: 0, below: 1 };

// Traits of settings; a setting has none unless its row says so.
const [rare, resumable, distilled, changesLoss] = [true, true, true, true];
const length = { resumable, setByStudy: "--steps, or steps of the plan" };
const ofRows = {
  details: ["with labels, rounded to a multiple of the number of classes"],
  ...{ distilled, rare },
};
const perRun = (setByStudy: string): Traits => ({ distilled, setByStudy });

/** The settings of a training run. A setting without a default comes from the preset or must be given. */
export const training = defineSettings({
  model: { ...network, details: ["the tasks train:residual and train:base set it"] },
  filters: integers({ doc: "channels of each level", needs: unet }),
  tEmb: integer({ doc: "features of the time embedding", min: 1, needs: unet, rare }),
  attn: toggle({ doc: "attention at the innermost level", default: false, needs: unet, rare }),
  groups: integer({ doc: "groups of the group normalisations", min: 1, default: 8, needs: norm, rare }),
  timeEmbedding: choice(timeEmbeddingNames, {
    doc: "encoding of t: t itself, or sines and cosines of it",
    default: "scalar",
    ...{ needs: unet, rare },
  }),

  init: optional({
    ...path("FILE|RUN", "start from these weights, on other images for example (fine-tuning)"),
    details: ["the weights determine the network; tensors that do not fit the data are initialised again"],
    needs: { ...untaught, off: null },
  }),

  ...dataSettings,
  flip: toggle({ doc: "mirror half of the training images, at random", default: false, needs: untaught }),
  shift: integer({
    doc: "shift training images at random, by up to N pixels along each axis; edge pixels are repeated",
    ...{ default: 0, needs: { ...untaught, off: 0 }, rare },
  }),
  valFraction: number({ doc: "share of the training images held out", ...share, default: 0.1, rare }),
  conditional: autoToggle({
    doc: "give labels to the network; auto = if the data has them",
    ...{ default: false, changesLoss },
  }),
  labelDropout: number({
    doc: "share of labels left out in training, as guidance requires",
    ...{ min: 0, max: 1, default: 0.1, needs: labels, rare },
  }),
  normalize: choice(pixelRanges, { doc: "range of the pixels", changesLoss, rare }),
  trainLimit: integer({ doc: "train on N images only, 0 = all", default: 0, distilled, rare }),

  path: variant(paths, { doc: "path from noise to data", default: "linear", changesLoss }),
  times: variant(timeDistributions, { rare, doc: "distribution of t", default: "uniform", changesLoss }),
  coupling: variant(couplings, { doc: "how noise and data are paired", default: "independent", changesLoss }),
  prediction: variant(predictions, {
    doc: "what the network predicts",
    ...{ default: "velocity", changesLoss, rare },
  }),

  teacher: optional(path("FILE|RUN", "network to distil into a flow map")),
  stages: optional(stagesSetting({ doc: "stages of a distillation", needs: withTeacher })),
  teacherGuidance: number({
    doc: "guidance of the teacher, which the flow map learns",
    ...{ min: 0, default: 1, needs: oneGuidance },
  }),
  maxGuidance: number({
    doc: "let the flow map take guidance from 1 to X as an input; 1 = it learns only --teacher-guidance",
    ...{ min: 1, max: 100, default: 1, needs: withUNet },
  }),

  batchSize: integer({ doc: "images per step", min: 1, distilled }),
  epochs: integer({ doc: "stop after N epochs, 0 = no limit", ...length }),
  maxSteps: integer({ doc: "stop after N steps, 0 = no limit", default: 0, ...length }),
  maxMinutes: number({ doc: "stop after X minutes, 0 = no limit", min: 0, ...length }),
  replans: optional(integers({
    doc: "steps at which a run limited by minutes changed its length, each with the new length",
    setByStudy: "--steps, or steps of the plan",
  })),
  optimizer: choice(optimizerKinds, { doc: "optimizer", default: "adamw" }),
  lr: number({ doc: "peak learning rate", above: 0, resumable, distilled }),
  muonLr: number({
    doc: "peak learning rate of muon's weights; the rest use --lr",
    ...{ above: 0, default: 0.02, needs: muon, distilled, rare },
  }),
  weightDecay: number({ doc: "weight decay", min: 0, default: 0.01, distilled, rare }),
  momentum: number({ doc: "momentum of sgd", ...share, default: 0.9, needs: sgd, rare }),
  beta1: number({ doc: "decay of adam's mean", ...share, default: 0.9, needs: adam, rare }),
  beta2: number({ doc: "decay of adam's variance", ...share, default: 0.999, needs: adam, rare }),
  eps: number({ doc: "added to adam's denominator", above: 0, default: 1e-8, needs: adam, rare }),
  schedule: choice(scheduleNames, { doc: "learning-rate schedule", resumable, rare }),
  warmUp: number({ doc: "share of the run in which the learning rate rises", ...share, distilled, rare }),
  plateauFactor: number({
    doc: "factor by which plateau lowers the learning rate",
    ...{ above: 0, below: 1, default: 0.5, needs: plateau, rare },
  }),
  plateauPatience: integer({
    doc: "validations without improvement before plateau acts",
    ...{ default: 5, needs: plateau, rare },
  }),
  clip: number({ doc: "largest global norm of the gradients, 0 = no clipping", min: 0, distilled, rare }),
  ema: number({ doc: "decay of the averaged weights per step, 0 = no averaging", ...share, distilled, rare }),
  seed: { ...shared.seed, ...perRun("--seeds, or seeds of the plan") },

  valEpochs: {
    rare,
    ...orAuto(number({ doc: "epochs between validations", above: 0, default: 1, needs: heldOut, resumable })),
    details: ["auto: every 400 steps, or up to 9 times in short runs; at most 5 % of the time"],
  },
  valBatches: integer({ doc: "batches per validation, 0 = all", needs: heldOut, rare }),
  testBatches: integer({ doc: "batches of the final test, 0 = all", default: 0, distilled, rare }),
  samples: integer({ doc: "images in samples.png, 0 = none", default: 64, ...ofRows }),
  guidance: {
    ...number({ doc: "guidance of the samples, 1 = none", min: 0, default: 1 }),
    details: [
      "labelled networks: classifier-free guidance",
      `unlabelled networks: autoguidance (default ${guidanceWithoutLabels}; paper 1)`,
    ],
  },
  solver: solverSetting({ doc: "ODE solver of the samples", use: "fixed", needs: samples, distilled, rare }),
  flowSamples: integer({ doc: "samples whose trajectories are stored, 0 = none", default: 5, ...ofRows }),
  flowSteps: integer({
    doc: "Euler steps of these trajectories, one evaluation and snapshot each",
    ...{ min: 1, needs: flow, distilled, rare },
  }),
  flowFrames: integer({
    doc: "frames of their animation",
    ...{ min: 2, max: 10_000, default: 60, needs: flow, rare },
  }),
  pacing: choice(pacings, {
    doc: "how the frames are spread over time",
    default: "linear",
    ...{ needs: flow, rare },
  }),
  sampleEpochs: {
    rare,
    ...orAuto(number({
      doc: "epochs between grids in samples/, from epoch 0 on; 0 = none",
      ...{ min: 0, default: 1, needs: { ...samples, off: 0 }, resumable, distilled },
    })),
    details: ["auto: every 400 steps, or up to 4 times in short runs; at most 5 % of the time"],
  },
  pathSamples: integer({
    doc: "trajectories that the report shows in a plane, 0 = none",
    ...{ default: 200, ...ofRows },
  }),

  name: optional({
    ...fileName,
    doc: "run folder: runs/<time>-NAME (default: model)",
    hint: "NAME",
    needs: { words: "no --out, which names the folder itself", met: ({ out }) => typeof out !== "string" },
    ...perRun("the name of the plan"),
  }),
  out: optional(path("DIR", "run folder (default: runs/<time>-<name>)", perRun("--out"))),
  resume: optional(
    path("RUN", "continue the run in this folder, with its settings", perRun("the folder of the study")),
  ),
  config: optional(
    path("FILE|RUN", "repeat the run of a config.json; other flags replace its settings", perRun("the plan")),
  ),
  device: { ...shared.device, resumable, ...perRun("--device") },
  threads: { ...shared.threads, resumable, ...perRun("--threads"), rare },
  precision: choice(["f32", "f16"], {
    doc: "precision of stored activations; f16 needs webgpu with shader-f16",
    default: "f32",
    ...{ resumable, rare },
  }),
  tune: autoToggle({
    doc: "time kernels and keep the fastest; auto = on a GPU",
    default: "auto",
    ...{ needs: gpu, rare },
  }),
  preset: choice(presetNames, {
    doc:
      "defaults of the other flags: for a CPU, for a GPU, of the reference networks, or to memorise 100 images",
  }),
  checkpointMinutes: number({
    doc: "minutes between checkpoints; epochs of 10 seconds or more also end with one",
    ...{ min: 0, default: 2, resumable, distilled, rare },
  }),
  logEvery: integer({
    doc: "steps per line of metrics.jsonl",
    ...{ min: 1, default: 20, resumable, distilled, rare },
  }),

  mlflow: {
    ...shared.mlflow,
    doc: "MLflow server that mirrors the run (default: MLFLOW_TRACKING_URI)",
    resumable,
    ...perRun("--mlflow"),
  },
  experiment: { ...shared.experiment, ...perRun("--experiment"), rare },
  runName: optional(
    line("NAME", "name in MLflow (default: MLFLOW_RUN_NAME or the folder's)", {
      ...perRun("the ids of the cells"),
      rare,
    }),
  ),
}, {
  model: "Model",
  data: "Data",
  path: "Objective",
  batchSize: "Optimisation",
  valEpochs: "Evaluation",
  name: "Run",
  mlflow: "Tracking",
});

/** What a run records, or a distillation decides: no flags of `deno task train`. */
const { teacher: _, stages: __, teacherGuidance: ___, maxGuidance: ____, replans: _____, ...flags } =
  training.rows;

/** Settings of `deno task train`. */
export const trainFlags = defineSettings({ dryRun, ...flags }, training.headings);

/** Settings of a training run by name, as in its `config.json`. */
export type TrainingConfig = Values<typeof training.rows>;

/** The settings of training with a trait, in the order of the table. */
export function namesWith(has: (traits: Traits) => unknown): (keyof TrainingConfig)[] {
  return (Object.keys(training.rows) as (keyof TrainingConfig)[]).filter((name) => has(training.rows[name]));
}

/** The name of a preset. */
export type PresetName = typeof presetNames[number];

/**
 * The settings that presets give: `quick` for a CPU, `standard` for a GPU, `paper` as in the reference networks, and
 * `overfit` to see whether a network can memorise 100 images.
 */
const byPreset = {
  filters: [[16, 32, 64], [32, 64, 128], [256, 512, 1024], [16, 32]],
  tEmb: [64, 64, 512, 32],
  conditional: ["auto", "auto", false, false],
  normalize: ["-1..1", "-1..1", "0..1", "-1..1"],
  trainLimit: [0, 0, 0, 100],
  times: ["logit_normal", "logit_normal", "uniform", "logit_normal"],
  batchSize: [32, 128, 256, 50],
  epochs: [0, 20, 100, 0],
  maxSteps: [0, 0, 0, 300],
  maxMinutes: [6.5, 0, 0, 0],
  optimizer: ["muon", "muon", "adamw", "muon"],
  lr: [4e-3, 2e-3, 1e-4, 2e-3],
  muonLr: [0.03, 0.02, 0.02, 0.03],
  schedule: ["one_cycle", "one_cycle", "plateau", "constant"],
  warmUp: [0.1, 0.1, 0, 0],
  clip: [1, 1, 0, 1],
  ema: [0.995, 0.999, 0, 0],
  valEpochs: ["auto", "auto", 1, "auto"], // the patience of paper's schedule counts epochs
  valBatches: [16, 0, 0, 16],
  guidance: [1.3, 1.3, 1, 1],
  solver: ["heun:steps=10", "heun:steps=25", "euler:steps=1000", "heun:steps=10"],
  sampleEpochs: ["auto", "auto", "auto", "auto"],
  flowSteps: [100, 250, 1000, 100],
} as const satisfies { readonly [Name in keyof TrainingConfig]?: EachPreset<TrainingConfig[Name]> };

type EachPreset<Value> = readonly [quick: Value, standard: Value, paper: Value, overfit: Value];

/** The settings of a preset. */
export type Preset = Pick<TrainingConfig, keyof typeof byPreset>;

/** Defaults by preset. */
export const presets = Object.fromEntries(presetNames.map((preset, i) => {
  const rows = Object.entries<readonly unknown[]>(byPreset);
  return [preset, Object.fromEntries(rows.map(([name, values]) => [name, values[i]])) as Preset];
})) as Readonly<Record<PresetName, Preset>>;

/** The default preset for a device. */
export function presetFor(device: Pick<Device, "kind" | "tuning">): PresetName {
  return isGpu(device) ? "standard" : "quick";
}
