import type { presetNames, TrainingConfig } from "./train.ts";

/** The name of a preset. */
export type PresetName = typeof presetNames[number];

/** The settings in which presets differ; every preset gives all of them. */
export type Preset = Pick<
  TrainingConfig,
  | "filters"
  | "tEmb"
  | "conditional"
  | "normalize"
  | "times"
  | "batchSize"
  | "epochs"
  | "maxMinutes"
  | "optimizer"
  | "lr"
  | "muonLr"
  | "schedule"
  | "warmUp"
  | "clip"
  | "ema"
  | "valEpochs"
  | "valBatches"
  | "guidance"
  | "solver"
  | "sampleSteps"
  | "sampleEpochs"
  | "flowSteps"
>;

/** Defaults by preset: `quick` without a GPU, `standard` with one, `paper` as the reference networks. */
export const presets: Readonly<Record<PresetName, Preset>> = {
  quick: {
    filters: [16, 32, 64],
    tEmb: 64,
    conditional: "auto",
    normalize: "-1..1",
    times: "logit_normal",
    batchSize: 32,
    epochs: 0,
    maxMinutes: 6.5,
    optimizer: "muon",
    lr: 4e-3,
    muonLr: 0.03,
    schedule: "one_cycle",
    warmUp: 0.1,
    clip: 1,
    ema: 0.995,
    valEpochs: 0.25,
    valBatches: 16,
    guidance: 1.4,
    solver: "heun",
    sampleSteps: 10,
    sampleEpochs: 0.25,
    flowSteps: 100,
  },
  standard: {
    filters: [32, 64, 128],
    tEmb: 64,
    conditional: "auto",
    normalize: "-1..1",
    times: "logit_normal",
    batchSize: 128,
    epochs: 20,
    maxMinutes: 0,
    optimizer: "muon",
    lr: 2e-3,
    muonLr: 0.02,
    schedule: "one_cycle",
    warmUp: 0.1,
    clip: 1,
    ema: 0.999,
    valEpochs: 1,
    valBatches: 0,
    guidance: 1.4,
    solver: "heun",
    sampleSteps: 25,
    sampleEpochs: 1,
    flowSteps: 250,
  },
  paper: {
    filters: [256, 512, 1024],
    tEmb: 512,
    conditional: false,
    normalize: "0..1",
    times: "uniform",
    batchSize: 256,
    epochs: 100,
    maxMinutes: 0,
    optimizer: "adamw",
    lr: 1e-4,
    muonLr: 0.02,
    schedule: "plateau",
    warmUp: 0,
    clip: 0,
    ema: 0,
    valEpochs: 1,
    valBatches: 0,
    guidance: 1,
    solver: "euler",
    sampleSteps: 1000,
    sampleEpochs: 1,
    flowSteps: 1000,
  },
};
