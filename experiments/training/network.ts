import { sourcesOf } from "../../kernels/autograd/gradients.ts";
import { describeValue } from "../../kernels/core/checks.ts";
import { gradients, multiply, planMemory, scope, sum, Tensor, tensor, zeros } from "../../kernels/mod.ts";
import {
  blankInitialiser,
  createModel,
  independentCoupling,
  isMuonWeight,
  type Model,
  type ModelOptions,
  modelTypeOf,
  namedParameters,
  shareParameters,
  type Stage,
  Trainer,
} from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { type ChosenNetwork, chosenNetwork, moduleError } from "../networks/own_network.ts";
import { ConfigError } from "../cli/settings.ts";
import { objectiveOf } from "../settings/objective.ts";
import type { Terminal } from "../cli/output.ts";
import type { RunConfig } from "../settings/run_config.ts";

/** The stages of a distillation for a trainer, and the work before the first step. */
export interface PreparedStages {
  readonly stages: readonly Stage[];
  /** Draws or reads the pairs, and encodes the images, that stages need, until it is stopped. */
  prepare(needed: {
    readonly run: string;
    readonly signal: AbortSignal;
    readonly say: (message: string) => void;
    readonly terminal: Terminal | undefined;
  }): Promise<void>;
}

/** The network and the stages of a distillation. */
export interface DistilledNetwork {
  /** Makes the network, with the weights of the teacher. */
  make(options: ModelOptions, initial: Parameters<typeof createModel>[1]): Model;
  stages(network: Model): PreparedStages;
}

/** The settings of a network. */
type NetworkSettings = Pick<RunConfig, UNetSettings | "model" | "path" | "prediction" | "distillation">;
type UNetSettings = "filters" | "tEmb" | "attn" | "groups" | "timeEmbedding";

/** [C, H, W] of images. */
type ImageShape = ImageSource["shape"];

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
  { model, filters, tEmb, attn, groups, timeEmbedding, distillation, ...config }: NetworkSettings,
  shape: ImageShape,
  classes = 0,
): ModelOptions {
  const path = config.path.name;
  const prediction = config.prediction.name;
  const flowMap = distillation !== null;
  if (model.kind === "module") {
    const { make, digest, options, file: name } = chosenNetwork(model)!;
    return { type: "own", name, make, digest, options, shape, classes, flowMap, path, prediction };
  }
  return {
    type: modelTypeOf(model.name),
    filters: [...filters],
    tEmb,
    channels: shape[0],
    attn,
    groups,
    classes,
    timeEmbedding,
    flowMap,
    maxGuidance: distillation?.maxGuidance ?? 1,
    path,
    prediction,
  };
}

/**
 * Makes the network and trainer of a configuration.
 *
 * @param initial source of the weights; by default the configuration's seed
 * @param write replaces weights before their average begins
 */
export function makeNetwork(
  config: RunConfig,
  source: ImageSource,
  initial: Parameters<typeof createModel>[1] = config.seed,
  distilled?: DistilledNetwork,
  write: (model: Model) => void = () => {},
): Network {
  const { lr, muonLr, weightDecay, momentum, beta1, beta2, eps, clip } = config;
  const { batchSize, seed, optimizer, ema, precision, labelDropout } = config;
  const options = modelOptions(config, source.shape, source.classes);
  const model = distilled ? distilled.make(options, initial) : createModel(options, initial);
  write(model);
  if (optimizer === "muon" && !namedParameters(model).values().some(({ shape }) => isMuonWeight(shape))) {
    const setting = config.model.kind === "module" ? config.model.file : `--filters ${config.filters}`;
    throw new ConfigError(
      `Cannot use --optimizer muon with ${setting}: it is for convolutions of 3x3 between at least 8 channels, and there is ` +
        "none (use adamw)",
    );
  }
  const prepared = distilled?.stages(model);
  const trainer = new Trainer(model, source.augmented(config), {
    batchSize,
    seed,
    optimizer,
    ema,
    precision,
    ...prepared
      ? { stages: prepared.stages }
      : { objective: { ...objectiveOf(config), coupling: independentCoupling } }, // `PairedBatches` pairs
    ...source.classes > 0 && !prepared && { labelDropout },
    learningRate: lr,
    muonFactor: muonLr / lr,
    weightDecay,
    momentum,
    beta1,
    beta2,
    epsilon: eps,
    clip,
  });
  return {
    options,
    model,
    averaged: ema > 0 ? averagedModel(options, trainer) : model,
    trainer,
    size: trainer.parameters.values().reduce((sum, { size }) => sum + size, 0),
    prepare: prepared?.prepare,
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

/** Images of the trial, more than one, so that a network that mixes them up is noticed. */
const N = 2;

/**
 * Tries out a custom network without computing anything, before files are written: creates it, and traces its velocity
 * and gradients. Returns whether its velocity depends on labels.
 */
export function tryNetwork(
  { file }: ChosenNetwork,
  config: NetworkSettings,
  size: ImageShape,
  classes: number,
): boolean {
  const check = (holds: boolean, why: () => string) => {
    if (!holds) throw new ConfigError(`Cannot use ${file}: ${why()}`);
  };
  let usesLabels = false;
  let doing = "making the network: ";
  try {
    planMemory(() => {
      const model = createModel(modelOptions(config, size, classes), blankInitialiser);
      const parameters = namedParameters(model);
      check(
        parameters.size > 0,
        () => "its network has no parameters (expected layers or tensors as fields)",
      );
      const [x, t] = [zeros([N, ...size]), zeros([N])];
      const labels = classes > 0 ? tensor(new Uint32Array(N)) : undefined;
      doing = "its velocity: ";
      const velocity = model.velocity(x, t, labels);
      const sources = sourcesOf(velocity);
      usesLabels = labels !== undefined && sources.has(labels);
      for (const [name, parameter] of parameters) {
        check(
          parameter.size === 0 || sources.has(parameter),
          () =>
            `its velocity does not depend on "${name}", ${parameter} (expected every parameter in use; keep what is ` +
            "not trained in a #private field)",
        );
      }
      check(sources.has(t), () => "its velocity does not depend on t (expected v(x, t))");
      if (config.distillation) {
        const d = zeros([N]);
        doing = "its mean velocity: ";
        const usesStep = sourcesOf(model.meanVelocity!(x, t, d, labels)).has(d);
        check(usesStep, () => "its mean velocity does not depend on d (expected u(x, t, d))");
        doing = "its features: ";
        const features: unknown = model.encode?.(x, t) ?? [];
        check(
          Array.isArray(features) &&
            features.every((space) => space instanceof Tensor && space.shape[0] === N),
          () =>
            `encode() of x ${x} returned ${describeValue(features)} (expected a list of tensors [${N}, ...])`,
        );
      }
      doing = "the gradient of its velocity: ";
      gradients(sum(multiply(velocity, velocity)), [...parameters.values()]);
    });
  } catch (error) {
    throw moduleError(file, doing, error);
  }
  return usesLabels;
}
