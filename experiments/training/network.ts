import { scope } from "../../kernels/mod.ts";
import {
  blankInitialiser,
  createModel,
  type Model,
  type ModelOptions,
  modelTypeOf,
  namedParameters,
  shareParameters,
  Trainer,
} from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { objectiveOf } from "../settings/tasks/objective.ts";
import type { TrainingConfig } from "../settings/tasks/train.ts";

/** The settings of a network. */
export type NetworkConfig = Pick<TrainingConfig, "model" | "filters" | "tEmb" | "attn" | "groups">;

/** A network in training. */
export interface Network {
  readonly options: ModelOptions;
  /** The network with the trained weights. */
  readonly model: Model;
  /** The network with the current averaged weights; `model` itself without averaging. */
  readonly averaged: Model;
  readonly trainer: Trainer;
  /** Number of parameters. */
  readonly size: number;
}

/** The options of a configured network for images of `channels` channels, and of so many classes. */
export function modelOptions(
  { model, filters, tEmb, attn, groups }: NetworkConfig,
  channels: number,
  classes = 0,
): ModelOptions {
  return { type: modelTypeOf(model), filters: [...filters], tEmb, channels, attn, groups, classes };
}

/** Makes the network and trainer of a configuration. */
export function makeNetwork(config: TrainingConfig, source: ImageSource): Network {
  const { lr, weightDecay, momentum, beta1, beta2, eps, clip } = config;
  const { batchSize, seed, optimizer, ema, precision, labelDropout } = config;
  const options = modelOptions(config, source.shape[0], source.classes);
  const model = createModel(options, seed);
  const trainer = new Trainer(model, source, {
    ...{ batchSize, seed, optimizer, ema, precision, objective: objectiveOf(config) },
    ...source.classes > 0 && { labelDropout },
    ...{ learningRate: lr, weightDecay, momentum, beta1, beta2, epsilon: eps, clip },
  });
  return {
    options,
    model,
    averaged: ema > 0 ? averagedModel(options, trainer) : model,
    trainer,
    size: trainer.parameters.values().reduce((sum, { size }) => sum + size, 0),
  };
}

/** A second network that shares the averaged weights. */
function averagedModel(options: ModelOptions, { averaged }: Trainer): Model {
  let model!: Model;
  scope(() => { // frees its own weights
    model = createModel(options, blankInitialiser);
    shareParameters(namedParameters(model), averaged);
  });
  return model;
}
