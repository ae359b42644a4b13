/** What decides a training run: the settings of `deno task train`. */

import { optimizerKinds, scheduleNames, timeEmbeddingNames } from "../../models/mod.ts";
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
} from "../cli/kinds.ts";
import { defineSettings, type Need } from "../cli/settings.ts";
import { fixedSolverSetting } from "../cli/solver.ts";
import { dataSettings, pixelRanges } from "./data.ts";
import { isUNet, modelSetting, type NetworkChoice, unet, weightsSetting } from "./network.ts";
import { objectiveSettings } from "./objective.ts";
import { dryRun, pictures, shared } from "./run.ts";

/** The names of presets. */
export const presetNames = ["quick", "standard", "paper", "overfit"] as const;

/** Autoguidance of unlabelled networks, if the preset uses guidance. */
export const guidanceWithoutLabels = 2;

/** The model of a task that can train any. */
export const network = modelSetting("network to train");

const isBase = (model: NetworkChoice | undefined) => model?.kind === "unet" && model.name === "base";

// What settings need to have an effect. Settings that a task lacks are undefined.
const norm: Need = {
  words: "--model residual or --attn",
  met: ({ model, attn }) => isUNet(model) && (!isBase(model as NetworkChoice | undefined) || attn === true),
};
const labels: Need = { words: "--conditional", met: ({ conditional }) => conditional !== false };
const muon: Need = { words: "--optimizer muon", met: ({ optimizer }) => optimizer === "muon" };
const sgd: Need = { words: "--optimizer sgd", met: ({ optimizer }) => optimizer === "sgd" };
const adam: Need = { words: "--optimizer adamw, adam or muon", met: ({ optimizer }) => optimizer !== "sgd" };
const plateau: Need = { words: "--schedule plateau", met: ({ schedule }) => schedule === "plateau" };
const heldOut: Need = { words: "--val-fraction above 0", met: (config) => config.valFraction !== 0, off: 0 };
const samples: Need = { words: "--samples above 0", met: (config) => config.samples !== 0 };
const flow: Need = { words: "--flow-samples above 0", met: ({ flowSamples }) => flowSamples !== 0 };
const gpu: Need = { words: "--device webgpu or auto", met: ({ device }) => device !== "cpu", off: false };
/** What a distillation cannot have. */
const untaught: Need = {
  words: "no --teacher",
  met: ({ teacher }) => typeof teacher !== "string",
  off: false,
};

const roundedToClasses = ["with labels, rounded to a multiple of the number of classes"];

/** The settings of a training run by name, as in `config.json`. One without a default comes from the preset, or must be given. */
export const trainingSettings = {
  model: { ...network, details: ["the tasks train:residual and train:base set it"] },
  filters: integers({
    doc: "channels of each level",
    needs: unet,
  }),
  tEmb: integer({
    doc: "features of the time embedding",
    min: 1,
    needs: unet,
    rare: true,
  }),
  attn: toggle({
    doc: "attention at the innermost level",
    default: false,
    needs: unet,
    rare: true,
  }),
  groups: integer({
    doc: "groups of the group normalisations",
    min: 1,
    default: 8,
    needs: norm,
    rare: true,
  }),
  timeEmbedding: choice(timeEmbeddingNames, {
    doc: "encoding of t: t itself, or sines and cosines of it",
    default: "scalar",
    needs: unet,
    rare: true,
  }),

  init: optional(weightsSetting({
    doc: "start from these weights, on other images for example (fine-tuning)",
    details: ["the weights determine the network; tensors that do not fit the data are initialised again"],
    needs: {
      ...untaught,
      off: null,
    },
  })),

  ...dataSettings,
  flip: toggle({
    doc: "mirror half of the training images, at random",
    default: false,
    needs: untaught,
  }),
  shift: integer({
    doc: "shift training images at random, by up to N pixels along each axis; edge pixels are repeated",
    default: 0,
    needs: {
      ...untaught,
      off: 0,
    },
    rare: true,
  }),
  valFraction: number({
    doc: "share of the training images held out",
    min: 0,
    below: 1,
    default: 0.1,
    rare: true,
  }),
  conditional: autoToggle({
    doc: "give labels to the network; auto = if the data has them",
    default: false,
    changesLoss: true,
  }),
  labelDropout: number({
    doc: "share of labels left out in training, as guidance requires",
    min: 0,
    max: 1,
    default: 0.1,
    needs: labels,
    rare: true,
  }),
  normalize: choice(pixelRanges, {
    doc: "range of the pixels",
    changesLoss: true,
    rare: true,
  }),
  trainLimit: integer({
    doc: "train on N images only, 0 = all",
    default: 0,
    rare: true,
  }),

  ...objectiveSettings,

  batchSize: integer({
    doc: "images per step",
    min: 1,
  }),
  epochs: integer({
    doc: "stop after N epochs, 0 = no limit",
    resumable: true,
    setByStudy: "--steps, or steps of the plan",
  }),
  maxSteps: integer({
    doc: "stop after N steps, 0 = no limit",
    default: 0,
    resumable: true,
    setByStudy: "--steps, or steps of the plan",
  }),
  maxMinutes: number({
    doc: "stop after X minutes of training, in all sessions of a run; 0 = no limit",
    min: 0,
    resumable: true,
    setByStudy: "--steps, or steps of the plan",
  }),
  optimizer: choice(optimizerKinds, {
    doc: "optimizer",
    default: "adamw",
  }),
  lr: number({
    doc: "peak learning rate; moves --muon-lr in the same ratio",
    above: 0,
    resumable: true,
  }),
  muonLr: number({
    doc: "peak learning rate of muon's weights; the rest use --lr, and --lr alone moves both",
    above: 0,
    default: 0.02,
    needs: muon,
    rare: true,
  }),
  weightDecay: number({
    doc: "weight decay",
    min: 0,
    default: 0.01,
    rare: true,
  }),
  momentum: number({
    doc: "momentum of sgd",
    min: 0,
    below: 1,
    default: 0.9,
    needs: sgd,
    rare: true,
  }),
  beta1: number({
    doc: "decay of adam's mean",
    min: 0,
    below: 1,
    default: 0.9,
    needs: adam,
    rare: true,
  }),
  beta2: number({
    doc: "decay of adam's variance",
    min: 0,
    below: 1,
    default: 0.999,
    needs: adam,
    rare: true,
  }),
  eps: number({
    doc: "added to adam's denominator",
    above: 0,
    default: 1e-8,
    needs: adam,
    rare: true,
  }),
  schedule: choice(scheduleNames, {
    doc: "learning-rate schedule",
    resumable: true,
    rare: true,
  }),
  warmUp: number({
    doc: "share of the run in which the learning rate rises",
    min: 0,
    below: 1,
    rare: true,
  }),
  plateauFactor: number({
    doc: "factor by which plateau lowers the learning rate",
    above: 0,
    below: 1,
    default: 0.5,
    needs: plateau,
    rare: true,
  }),
  plateauPatience: integer({
    doc: "validations without improvement before plateau acts",
    default: 5,
    needs: plateau,
    rare: true,
  }),
  clip: number({
    doc: "largest global norm of the gradients, 0 = no clipping",
    min: 0,
    rare: true,
  }),
  ema: number({
    doc: "decay of the averaged weights per step, 0 = no averaging",
    min: 0,
    below: 1,
    rare: true,
  }),
  seed: {
    ...shared.seed,
    setByStudy: "--seeds, or seeds of the plan",
  },

  valEpochs: {
    rare: true,
    ...orAuto(number({
      doc: "epochs between validations",
      above: 0,
      default: 1,
      needs: heldOut,
      resumable: true,
    })),
    details: ["auto: every 400 steps, or up to 9 times in short runs; at most 5 % of the time"],
  },
  valBatches: integer({
    doc: "batches per validation, 0 = all",
    needs: heldOut,
    rare: true,
  }),
  testBatches: {
    rare: true,
    ...orAuto(integer({
      doc: "batches of the final test, 0 = all",
      default: 0,
    })),
    default: "auto",
    details: ["auto: all, or in short runs 1,000 images or what 5 % of the steps cost"],
  },
  samples: integer({
    doc: "images in samples.png, 0 = none",
    default: 64,
    details: roundedToClasses,
  }),
  guidance: {
    ...number({
      doc: "guidance of the samples, 1 = none",
      min: 0,
      default: 1,
    }),
    details: [
      "labelled networks: classifier-free guidance",
      `unlabelled networks: autoguidance (default ${guidanceWithoutLabels}; paper 1)`,
    ],
  },
  solver: fixedSolverSetting({
    doc: "ODE solver of the samples",
    needs: samples,
    rare: true,
  }),
  flowSamples: integer({
    doc: "samples whose trajectories are stored, 0 = none",
    default: 5,
    details: roundedToClasses,
    rare: true,
  }),
  flowSteps: integer({
    doc: "Euler steps of these trajectories, one evaluation and snapshot each",
    min: 1,
    needs: flow,
    rare: true,
  }),
  flowFrames: integer({
    doc: "frames of their animation",
    min: 2,
    max: 10_000,
    default: 60,
    needs: flow,
    rare: true,
  }),
  pacing: choice(pacings, {
    doc: "how the frames are spread over time",
    default: "linear",
    needs: flow,
    rare: true,
  }),
  sampleEpochs: {
    rare: true,
    ...orAuto(number({
      doc: "epochs between grids in samples/, from epoch 0 on; 0 = none",
      min: 0,
      default: 1,
      needs: {
        ...samples,
        off: 0,
      },
      resumable: true,
    })),
    details: ["auto: every 400 steps, or up to 4 times in short runs; at most 5 % of the time"],
  },
  pathSamples: integer({
    doc: "trajectories that the report shows in a plane, 0 = none",
    default: 200,
    details: roundedToClasses,
    rare: true,
  }),

  name: optional<string, string>({
    ...fileName,
    doc: "run folder: runs/<time>-NAME (default: model)",
    hint: "NAME",
    needs: { words: "no --out, which names the folder itself", met: ({ out }) => typeof out !== "string" },
    setByStudy: "the name of the plan",
  }),
  out: optional(path("DIR", "run folder (default: runs/<time>-<name>)", { setByStudy: "--out" })),
  resume: optional(
    path("RUN", "continue the run in this folder, with its settings", {
      setByStudy: "the folder of the study",
    }),
  ),
  config: optional(
    path("FILE|RUN", "repeat the run of a config.json; other flags replace its settings", {
      setByStudy: "the plan",
    }),
  ),
  device: {
    ...shared.device,
    resumable: true,
    setByStudy: "--device",
  },
  threads: {
    ...shared.threads,
    resumable: true,
    setByStudy: "--threads",
    rare: true,
  },
  precision: choice(["f32", "f16"], {
    doc: "precision of stored activations; f16 needs webgpu with shader-f16",
    default: "f32",
    resumable: true,
    rare: true,
  }),
  tune: autoToggle({
    doc: "time kernels and keep the fastest; auto = on a GPU",
    default: "auto",
    needs: gpu,
    rare: true,
  }),
  preset: choice(presetNames, {
    doc:
      "defaults of the other flags: for a CPU, for a GPU, of the reference networks, or to memorise 100 images",
  }),
  checkpointMinutes: number({
    doc: "minutes between checkpoints; epochs of 10 seconds or more also end with one",
    min: 0,
    default: 2,
    resumable: true,
    rare: true,
  }),
  logEvery: integer({
    doc: "steps per line of metrics.jsonl",
    min: 1,
    default: 20,
    resumable: true,
    rare: true,
  }),

  mlflow: {
    ...shared.mlflow,
    doc: "MLflow server that mirrors the run (default: MLFLOW_TRACKING_URI)",
    resumable: true,
    setByStudy: "--mlflow",
  },
  experiment: {
    ...shared.experiment,
    setByStudy: "--experiment",
    rare: true,
  },
  runName: optional(
    line("NAME", "name in MLflow (default: MLFLOW_RUN_NAME or the folder's)", {
      setByStudy: "the ids of the cells",
      rare: true,
    }),
  ),
} as const;

/** Headings of `--help`, by the setting that they precede. */
const headings = {
  model: "Model",
  data: "Data",
  path: "Objective",
  batchSize: "Optimisation",
  valEpochs: "Evaluation",
  name: "Run",
  mlflow: "Tracking",
} as const;

/** Settings of `deno task train`. */
export const training = defineSettings({ ...trainingSettings, pictures, dryRun }, {
  ...headings,
  pictures: "This command",
});
