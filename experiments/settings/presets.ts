/** Defaults of a training run by preset, and what follows from its network. */

import type { Device } from "../../kernels/mod.ts";
import { fewestChannels } from "../../models/mod.ts";
import { defineSettings, type Rows, type Values, type WrittenValues } from "../cli/settings.ts";
import type { NetworkChoice } from "./network.ts";
import { isGpu } from "./run.ts";
import { guidanceWithoutLabels, presetNames, trainingSettings } from "./training.ts";

/** The name of a preset. */
export type PresetName = typeof presetNames[number];

/**
 * The settings that presets give, as they are written: `quick` for a CPU, `standard` for a GPU, `paper` as in the
 * reference networks, and `overfit` to see whether a network can memorise 100 images.
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
  flowSteps: [60, 250, 1000, 60],
} as const satisfies {
  readonly [Name in keyof typeof trainingSettings]?: EachPreset<WrittenValues<typeof trainingSettings>[Name]>;
};

type EachPreset<Written> = readonly [quick: Written, standard: Written, paper: Written, overfit: Written];

/** The settings of a preset. */
export type Preset = Pick<Values<typeof trainingSettings>, keyof typeof byPreset>;

/** Defaults by preset. */
export const presets = Object.fromEntries(presetNames.map((preset, i) => {
  const written = Object.entries<readonly unknown[]>(byPreset).map(([name, values]) => [name, values[i]]);
  const rows: Rows = trainingSettings;
  return [preset, defineSettings(rows).readSome(Object.fromEntries(written)) as Preset];
})) as Readonly<Record<PresetName, Preset>>;

/** The default preset for a device. */
export function presetFor(device: Pick<Device, "kind" | "tuning">): PresetName {
  return isGpu(device) ? "standard" : "quick";
}

/** Guidance of an unlabelled network, given the preset's guidance by labels. */
export function unlabelled(guidance: number | undefined): number {
  return guidance === undefined || guidance === 1 ? 1 : guidanceWithoutLabels;
}

/** Peak learning rate of a custom network by adamw, as a share of that of the U-Nets. */
const ownRate = 0.25;

/** Replaces muon by adamw for custom networks, and those so narrow that muon would update no weight. */
export function withOptimizer<T extends Preset>(
  given: { readonly model?: NetworkChoice; readonly filters?: readonly number[] },
  values: T,
): T {
  if (values.optimizer !== "muon") return values;
  const { filters = values.filters, model } = given;
  if (model?.kind === "module") return { ...values, optimizer: "adamw", lr: ownRate * values.lr };
  const isWide = (channels: number | undefined) => channels !== undefined && channels >= fewestChannels;
  // The residual network has a convolution within each level; the base network only has them between levels.
  const isBase = model?.name === "base";
  const hasWeights = filters.some((channels, i) => isWide(channels) && (!isBase || isWide(filters[i + 1])));
  return hasWeights ? values : { ...values, optimizer: "adamw" };
}
