import {
  gradients,
  type MemoryPlan,
  multiply,
  planMemory,
  put,
  randomNormal,
  randomUniform,
  record,
  type RecordedStep,
  reshape,
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import {
  createModel,
  Ema,
  type FlatParameters,
  flatten,
  flowMatchingLoss,
  type Model,
  type ModelOptions,
  namedParameters,
  type Optimizer,
  optimizer,
  withParameters,
} from "../../models/mod.ts";
import { streams } from "../../models/streams.ts";
import type { TrainingConfig } from "../settings/tasks/train_config.ts";
import type { ImageSource } from "../data/image_source.ts";
import { networkTypes } from "../settings/tasks/networks.ts";

/** Losses that may wait on the device. */
export const maxOpenLosses = 256;

/** The network of a configuration, for images of some channels. */
export function modelOptions(
  { model, filters, tEmb, attn, groups }: Pick<
    TrainingConfig,
    "model" | "filters" | "tEmb" | "attn" | "groups"
  >,
  channels: number,
): ModelOptions {
  return {
    type: networkTypes[model],
    filters: [...filters],
    tEmb,
    channels,
    attn,
    groups,
  };
}

/** A network in training: one recorded step, and all that changes from step to step in small tensors. */
export class Trainer {
  readonly model: Model;
  readonly options: ModelOptions;
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly flat: FlatParameters;
  readonly optimizer: Optimizer;
  readonly ema: Ema | undefined;
  readonly #config: TrainingConfig;
  readonly #source: ImageSource;
  readonly #lossScale: number;
  readonly #indices: Tensor;
  readonly #noiseKey = tensor(new Uint32Array(3));
  readonly #timeKey = tensor(new Uint32Array(3));
  readonly #losses = tensor(new Float32Array(maxOpenLosses));
  readonly #lossIndex = tensor(new Uint32Array(1));
  #recorded: RecordedStep<Tensor> | undefined;
  #read: number;

  constructor(config: TrainingConfig, source: ImageSource) {
    this.#config = config;
    this.#source = source;
    this.options = modelOptions(config, source.shape[0]);
    this.model = createModel(this.options, config.seed);
    this.parameters = namedParameters(this.model);
    this.flat = flatten(this.parameters);
    this.#lossScale = lossScaleOf(config, source);
    const lossScale = this.#lossScale;
    this.optimizer = optimizer(config.optimizer, this.flat, { ...optimizerOptions(config), lossScale });
    this.ema = config.ema > 0 ? new Ema(this.flat, { decay: config.ema }) : undefined;
    this.#indices = tensor(new Uint32Array(config.batchSize));
    this.#read = this.step;
  }

  /** Steps taken. */
  get step(): number {
    return this.optimizer.step;
  }

  /** What a step of a batch size would need, without running it. */
  plan(batchSize: number): MemoryPlan {
    const { precision } = this.#config;
    return planMemory(() => this.#work(tensor(new Uint32Array(batchSize))), { precision });
  }

  /**
   * Compiles the kernels of a step, so that the first one need not wait for them.
   *
   * @param progress hears how many are done, of how many
   */
  async compile(progress: (done: number, all: number) => void): Promise<void> {
    await this.#step().compile(progress);
  }

  /** Queues a training step on images of given indices, u32[batchSize]. */
  queueStep(images: Uint32Array, learningRate: number): void {
    const recorded = this.#step();
    const { seed } = this.#config;
    const step = this.step;
    this.#indices.write(images);
    this.#noiseKey.write(Uint32Array.of(seed, streams.noise, step));
    this.#timeKey.write(Uint32Array.of(seed, streams.time, step));
    this.#lossIndex.write(Uint32Array.of(step % maxOpenLosses));
    this.optimizer.beforeStep(learningRate);
    this.ema?.beforeStep();
    recorded.run();
  }

  /** Losses of the steps queued since the last call, in order; at most `maxOpenLosses` steps may be. */
  async losses(): Promise<number[]> {
    const from = this.#read;
    const to = this.#read = this.step;
    const ring = await this.#losses.read();
    return Array.from({ length: to - from }, (_, i) => ring[(from + i) % maxOpenLosses]);
  }

  /** Goes on counting from the optimizer's step, after it was restored. */
  restored(): void {
    this.#read = this.step;
  }

  /** The weights to use: the averaged ones if there are any. */
  get bestWeights(): FlatParameters {
    return this.ema?.values ?? this.flat;
  }

  /** Runs a synchronous function with the weights to use. */
  withBestWeights<T>(run: () => T): T {
    return withParameters(this.parameters, this.bestWeights, run);
  }

  #step(): RecordedStep<Tensor> {
    return this.#recorded ??= record(() => this.#work(this.#indices), {
      precision: this.#config.precision,
    });
  }

  #work(indices: Tensor): Tensor {
    const x1 = this.#source.batch(indices);
    const x0 = randomNormal(this.#noiseKey, x1.shape);
    const t = randomUniform(this.#timeKey, [indices.size]);
    const loss = flowMatchingLoss(this.model, x0, x1, t);
    const scaled = this.#lossScale === 1 ? loss : multiply(loss, this.#lossScale);
    this.optimizer.update(gradients(scaled, [...this.parameters.values()]));
    this.ema?.update();
    put(this.#losses, reshape(loss, [1]), this.#lossIndex);
    return loss;
  }
}

/**
 * What the loss of a step in f16 is multiplied by: half its number of terms, as a power of two, which makes the first
 * gradient, 2 (v - u) / terms, about v - u.
 */
function lossScaleOf({ precision, batchSize }: TrainingConfig, { shape }: ImageSource): number {
  if (precision === "f32") return 1;
  const terms = shape.reduce((product, length) => product * length, batchSize);
  return 2 ** Math.round(Math.log2(terms / 2));
}

function optimizerOptions({ lr, weightDecay, momentum, beta1, beta2, eps, clip }: TrainingConfig) {
  return { learningRate: lr, weightDecay, momentum, beta1, beta2, epsilon: eps, clip };
}
