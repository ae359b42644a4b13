import { scope } from "../../kernels/mod.ts";
import {
  blankInitialiser,
  createModel,
  independentCoupling,
  isMuonWeight,
  type Model,
  type ModelOptions,
  modelTypeOf,
  namedParameters,
  paths,
  predictions,
  shareParameters,
  Trainer,
} from "../../models/mod.ts";
import type { ImageSize } from "../../viz/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { chosenNetwork } from "../networks/own_network.ts";
import { ConfigError } from "../cli/setting.ts";
import { ownModel } from "../cli/model_setting.ts";
import { objectiveOf } from "../cli/training_config.ts";
import { variantName } from "../cli/variant.ts";
import type { TrainingConfig } from "../cli/training.ts";
import { stageProgress, type Terminal } from "../cli/progress.ts";
import { distillationStages, makeStudent, type PreparedStages } from "./distillation.ts";
import type { Teacher } from "../run/weights.ts";

/** The settings of a network. */
export type NetworkSettings = Pick<
  TrainingConfig,
  | "model"
  | "filters"
  | "tEmb"
  | "attn"
  | "groups"
  | "timeEmbedding"
  | "path"
  | "prediction"
  | "teacher"
  | "maxGuidance"
>;

/** A network in training. */
export interface Network {
  readonly options: ModelOptions;
  /** The network with the trained weights. */
  readonly model: Model;
  /** The network with the averaged weights; `model` itself without averaging. */
  readonly averaged: Model;
  readonly trainer: Trainer;
  /** Number of parameters. */
  readonly size: number;
  /** Work before the first step, if there is any. */
  readonly prepare?: PreparedStages["prepare"];
}

/** Options of the configured network for images of a size in `classes` classes. */
export function modelOptions(
  { model, filters, tEmb, attn, groups, timeEmbedding, teacher, maxGuidance, ...config }: NetworkSettings,
  shape: ImageSize,
  classes = 0,
): ModelOptions {
  const [path, prediction] = [variantName(paths, config.path), variantName(predictions, config.prediction)];
  const own = chosenNetwork(model);
  const flowMap = teacher !== null;
  if (own) {
    const { make, digest, options, file: name } = own;
    return { type: "own", name, make, digest, options, shape, classes, flowMap, path, prediction };
  }
  return {
    ...{
      type: modelTypeOf(model),
      filters: [...filters],
      tEmb,
      channels: shape[0],
      attn,
      groups,
      classes,
      timeEmbedding,
      flowMap,
      maxGuidance,
    },
    path,
    prediction,
  };
}

/**
 * Makes the network and trainer of a configuration.
 *
 * @param initial source of the weights; by default the configuration's seed
 * @param distilled the teacher of a distillation, and the training images
 * @param write replaces weights before their average begins
 * @throws {ConfigError} if the optimizer's own rule would apply to none of the weights
 */
export function makeNetwork(
  config: TrainingConfig,
  source: ImageSource,
  initial: Parameters<typeof createModel>[1] = config.seed,
  distilled?: { readonly teacher: Teacher; readonly images: Uint32Array },
  write: (model: Model) => void = () => {},
): Network {
  const { lr, muonLr, weightDecay, momentum, beta1, beta2, eps, clip } = config;
  const { batchSize, seed, optimizer, ema, precision, labelDropout } = config;
  const options = modelOptions(config, source.shape, source.classes);
  const model = distilled ? makeStudent(distilled.teacher, options, initial) : createModel(options, initial);
  write(model);
  if (optimizer === "muon" && !namedParameters(model).values().some(({ shape }) => isMuonWeight(shape))) {
    const setting = ownModel(config.model)?.file ?? `--filters ${config.filters}`;
    throw new ConfigError(
      `Cannot use --optimizer muon with ${setting}: it is for convolutions of 3x3 between at least 8 channels, and there is ` +
        "none (use adamw)",
    );
  }
  const prepared = distilled &&
    distillationStages(config, distilled.teacher, model, source, distilled.images);
  const trainer = new Trainer(model, source.augmented(config), {
    ...{ batchSize, seed, optimizer, ema, precision },
    ...prepared
      ? { stages: prepared.stages }
      : { objective: { ...objectiveOf(config), coupling: independentCoupling } }, // `PairedBatches` pairs
    ...source.classes > 0 && !prepared && { labelDropout },
    ...{ learningRate: lr, muonFactor: muonLr / lr, weightDecay, momentum, beta1, beta2, epsilon: eps, clip },
  });
  return {
    options,
    model,
    averaged: ema > 0 ? averagedModel(options, trainer) : model,
    trainer,
    size: trainer.parameters.values().reduce((sum, { size }) => sum + size, 0),
    ...prepared && { prepare: prepared.prepare },
  };
}

function averagedModel(options: ModelOptions, { averaged }: Trainer): Model {
  let model!: Model;
  const make = () => {
    model = createModel(options, blankInitialiser);
    shareParameters(namedParameters(model), averaged);
  };
  // A scope frees the weights that it does not use, and with them what a custom network keeps in #private fields.
  if (options.type === "own") make();
  else scope(make);
  return model;
}

/** Compiles the kernels of a training step; shows progress if that takes a while, as on a first start. */
export async function compileKernels(trainer: Trainer, terminal: Terminal | undefined): Promise<void> {
  const progress = stageProgress("compiling kernels", terminal);
  await trainer.compile(progress.update);
  progress.end();
}
