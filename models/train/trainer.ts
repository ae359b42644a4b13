import {
  type CompileProgress,
  gradients,
  type MemoryPlan,
  multiply,
  planMemory,
  put,
  record,
  type RecordedStep,
  reshape,
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import type { State } from "../files/state.ts";
import type { VelocityField } from "../flow/field.ts";
import { flowMatching, lossOf, type Objective } from "../flow/objective.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { streams } from "../random/streams.ts";
import type { BatchSource } from "./batch_source.ts";
import { Ema } from "./ema.ts";
import { type FlatParameters, flatten, withParameters } from "./flat_parameters.ts";
import { type Optimizer, optimizer } from "./optimizer.ts";
import { PairDraw } from "./pair_draw.ts";
import type { OptimizerKind, OptimizerOptions } from "./update_rules.ts";

/** How a network is trained. */
export interface TrainerOptions extends OptimizerOptions {
  /** Examples a step. */
  readonly batchSize: number;
  /** Of noise and times: integer in [0, 2^32). */
  readonly seed: number;
  /** By default `adamw`. */
  readonly optimizer?: OptimizerKind;
  /** By default flow matching on straight paths. */
  readonly objective?: Objective;
  /** Decay of the averaged weights a step; 0, none. */
  readonly ema?: number;
  /** How activations are kept; by default `f32`. */
  readonly precision?: "f32" | "f16";
}

/** All that training goes on from, on the host. */
export interface TrainerState {
  /** Steps taken. */
  readonly step: number;
  /** The parameters by name. */
  readonly parameters: State;
  /** What the optimizer keeps, named `<moment>.<parameter>`. */
  readonly optimizer: State;
  /** The averaged parameters, if they are averaged. */
  readonly ema?: State;
}

/** A network in training: one recorded step, and all that changes from step to step in small tensors. */
export class Trainer {
  /** Losses that may wait on the device. */
  static readonly maxOpenLosses = 256;
  /** The network's parameters by name. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** The same, laid end to end. */
  readonly flat: FlatParameters;
  readonly #model: VelocityField;
  readonly #objective: Objective;
  readonly #optimizer: Optimizer;
  readonly #ema: Ema | undefined;
  readonly #draw: PairDraw;
  readonly #seed: number;
  readonly #precision: "f32" | "f16";
  readonly #lossScale: number;
  readonly #losses = tensor(new Float32Array(Trainer.maxOpenLosses));
  readonly #lossIndex = tensor(new Uint32Array(1));
  #recorded: RecordedStep<Tensor> | undefined;
  #read = 0;

  /**
   * Prepares training; the parameters of the model move into flat memory.
   *
   * @throws {TypeError} if the optimizer or a setting of it is unknown
   * @throws {RangeError} if the model has no parameters
   */
  constructor(model: Module & VelocityField, source: BatchSource, options: TrainerOptions) {
    const {
      batchSize,
      seed,
      optimizer: kind = "adamw",
      objective = flowMatching,
      ema = 0,
      precision = "f32",
      ...rule
    } = options;
    this.#model = model;
    this.#objective = objective;
    this.#seed = seed;
    this.#precision = precision;
    this.#lossScale = precision === "f16" ? lossScaleOf(batchSize, source) : 1;
    this.parameters = namedParameters(model);
    this.flat = flatten(this.parameters);
    this.#optimizer = optimizer(kind, this.flat, { ...rule, lossScale: this.#lossScale });
    this.#ema = ema > 0 ? new Ema(this.flat, { decay: ema }) : undefined;
    this.#draw = new PairDraw(source, batchSize, streams);
  }

  /** Steps queued. */
  get step(): number {
    return this.#optimizer.step;
  }

  /** What a step of a batch size would need, without running it. */
  plan(batchSize: number): MemoryPlan {
    return planMemory(() => this.#work(tensor(new Uint32Array(batchSize))), { precision: this.#precision });
  }

  /**
   * Compiles the kernels of a step, so that the first one need not wait for them.
   *
   * @param progress hears how many are done, of how many
   */
  async compile(progress?: CompileProgress): Promise<void> {
    await this.#step().compile(progress);
  }

  /** Queues a training step on examples of given indices, u32[batchSize]. */
  queueStep(examples: Uint32Array<ArrayBuffer>, learningRate: number): void {
    const recorded = this.#step();
    const [seed, step] = [this.#seed, this.step];
    this.#draw.write(this.#objective.coupling.pair(examples, { seed, step }), seed, step);
    this.#lossIndex.write(Uint32Array.of(step % Trainer.maxOpenLosses));
    this.#optimizer.beforeStep(learningRate);
    this.#ema?.beforeStep();
    recorded.run();
  }

  /** Losses of the steps queued since the last call, in order: the latest `maxOpenLosses` if there are more. */
  async losses(): Promise<number[]> {
    const to = this.step;
    const from = Math.max(this.#read, to - Trainer.maxOpenLosses);
    this.#read = to;
    const ring = await this.#losses.read();
    return Array.from({ length: to - from }, (_, i) => ring[(from + i) % Trainer.maxOpenLosses]);
  }

  /** The weights to sample with: the averaged ones, or the latest where none are averaged. */
  get averaged(): FlatParameters {
    return this.#ema?.values ?? this.flat;
  }

  /** Runs a synchronous function with the weights to sample with. */
  withAveraged<T>(run: () => T): T {
    return withParameters(this.parameters, this.averaged, run);
  }

  /** Copies all that training goes on from to the host, as it is at the moment of the call. */
  async state(): Promise<TrainerState> {
    const [parameters, rule, ema] = [this.flat.state(), this.#optimizer.state(), this.#ema?.state()];
    return {
      step: this.step,
      parameters: await parameters,
      optimizer: (await rule).tensors,
      ...ema && { ema: (await ema).tensors },
    };
  }

  /**
   * Goes on from a state.
   *
   * @param source where the state comes from, for messages
   * @throws {StateError} if it is that of another network or optimizer
   */
  restore({ step, parameters, optimizer, ema }: TrainerState, source: string): void {
    this.flat.load(parameters, source);
    this.#optimizer.restore({ step, tensors: optimizer }, source);
    this.#ema?.restore({ step, tensors: ema ?? new Map() }, source);
    this.#read = step;
  }

  #step(): RecordedStep<Tensor> {
    return this.#recorded ??= record(() => this.#work(), { precision: this.#precision });
  }

  #work(indices?: Tensor): Tensor {
    const loss = lossOf(this.#objective, this.#model, this.#draw.pairs(this.#objective, indices));
    const scaled = this.#lossScale === 1 ? loss : multiply(loss, this.#lossScale);
    this.#optimizer.update(gradients(scaled, [...this.parameters.values()]));
    this.#ema?.update();
    put(this.#losses, reshape(loss, [1]), this.#lossIndex);
    return loss;
  }
}

/**
 * What the loss of a step in f16 is multiplied by: half its number of terms, as a power of two, which makes the first
 * gradient, 2 (v - u) / terms, about v - u.
 */
function lossScaleOf(batchSize: number, { shape }: BatchSource): number {
  const terms = shape.reduce((product, length) => product * length, batchSize);
  return 2 ** Math.round(Math.log2(terms / 2));
}
