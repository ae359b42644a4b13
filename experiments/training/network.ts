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

/** The settings that say which network it is. */
export type NetworkConfig = Pick<TrainingConfig, "model" | "filters" | "tEmb" | "attn" | "groups">;

/** A network in training. */
export interface Network {
  readonly options: ModelOptions;
  /** As it is trained. */
  readonly model: Model;
  /** The same network with the averaged weights, as they are at any time; the model itself where none are averaged. */
  readonly averaged: Model;
  readonly trainer: Trainer;
  /** Number of its weights. */
  readonly size: number;
}

/** Options of the network of a configuration, for images of some channels. */
export function modelOptions(
  { model, filters, tEmb, attn, groups }: NetworkConfig,
  channels: number,
): ModelOptions {
  return { type: modelTypeOf(model), filters: [...filters], tEmb, channels, attn, groups };
}

/** Makes the network of a configuration, ready to be trained. */
export function makeNetwork(config: TrainingConfig, source: ImageSource): Network {
  const { lr, weightDecay, momentum, beta1, beta2, eps, clip } = config;
  const { batchSize, seed, optimizer, ema, precision } = config;
  const options = modelOptions(config, source.shape[0]);
  const model = createModel(options, seed);
  const trainer = new Trainer(model, source, {
    ...{ batchSize, seed, optimizer, ema, precision, objective: objectiveOf(config) },
    ...{ learningRate: lr, weightDecay, momentum, beta1, beta2, epsilon: eps, clip },
  });
  return {
    options,
    model,
    averaged: ema > 0 ? withWeights(options, trainer) : model,
    trainer,
    size: trainer.parameters.values().reduce((sum, { size }) => sum + size, 0),
  };
}

/** Another network of the same options whose weights are the averaged ones. */
function withWeights(options: ModelOptions, { averaged }: Trainer): Model {
  let model!: Model;
  scope(() => { // its own weights go at once
    model = createModel(options, blankInitialiser);
    shareParameters(namedParameters(model), averaged);
  });
  return model;
}
