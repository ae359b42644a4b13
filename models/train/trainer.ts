import {
  type CompileProgress,
  gradients,
  type KernelChoice,
  type MemoryPlan,
  multiply,
  planMemory,
  putAt,
  record,
  type RecordedStep,
  reshape,
  Tensor,
  tensor,
  type TuneOptions,
} from "../../kernels/mod.ts";
import { sourcesOf } from "../../kernels/autograd/gradients.ts";
import { checkCount, isCount, refuse } from "../../kernels/core/checks.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { decodeSafetensors, encodeSafetensors } from "../files/safetensors.ts";
import { trainedShapes, type VelocityField } from "../flow/field.ts";
import { lossOf, type Objective } from "../flow/objective.ts";
import { checkObjective, noneOf, objectiveFor } from "../nets/networks.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";
import { withDropout } from "../nn/layers.ts";
import {
  checkFinite,
  checkState,
  type Module,
  namedParameters,
  readState,
  type State,
  StateError,
  writeState,
} from "../nn/module.ts";
import { checkedSeed, streams } from "../random.ts";
import { type BatchSource, checkSource, PairDraw } from "./batches.ts";
import { Ema, type Optimizer, optimizer } from "./optimizer.ts";
import type { OptimizerKind, OptimizerOptions } from "./update_rules.ts";

/** What a training step minimises. It is recorded: what changes between steps is stored in small tensors. */
export interface StepLoss {
  /** Sets the examples and random numbers of the next run. */
  write(examples: Uint32Array<ArrayBuffer>, seed: number, step: number): void;
  /**
   * The loss f32[], using only device ops.
   *
   * @param averaged the averaged weights, or the weights themselves without averaging
   * @param batchSize another batch size, to plan its memory
   */
  loss(averaged: NamedTensors, batchSize?: number): Tensor;
}

/** Steps of training with losses of their own, which take turns. */
export interface Stage {
  /** Number of steps. */
  readonly steps: number;
  /** At least one. */
  readonly losses: readonly StepLoss[];
}

/** The state of training, in host memory. */
export interface TrainerState {
  /** Steps taken. */
  readonly step: number;
  /** The parameters by name. */
  readonly parameters: State;
  /** Moments of the optimizer, named `<moment>.<parameter>`. */
  readonly optimizer: State;
  /** The averaged parameters, if any. */
  readonly ema?: State;
}

/** The tensors of a state in one map: parameters as `p.<name>`, moments as `o.<name>`, averages as `e.<name>`. */
export function stateTensors({ parameters, optimizer, ema = new Map() }: TrainerState): State {
  const named = (prefix: string, part: State) =>
    Array.from(part, ([name, value]) => [`${prefix}.${name}`, value] as const);
  return new Map([...named("p", parameters), ...named("o", optimizer), ...named("e", ema)]);
}

/** The state after a step, from its tensors in one map, see {@linkcode stateTensors}; other tensors are left out. */
export function trainerStateOf(tensors: State, step: number): TrainerState {
  const part = (prefix: string): State =>
    new Map(
      [...tensors].flatMap(([name, value]) => name.startsWith(`${prefix}.`) ? [[name.slice(2), value]] : []),
    );
  return { step, parameters: part("p"), optimizer: part("o"), ema: part("e") };
}

/** What a state file holds besides the state. */
export interface StateExtras {
  /** Other tensors; their names begin with none of `p.`, `o.` and `e.`. */
  readonly tensors?: State;
  /** Texts by name. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Encodes the state of a trainer as a safetensors file, for {@linkcode decodeTrainerState}. */
export function encodeTrainerState(
  state: TrainerState,
  { tensors = new Map(), metadata = {} }: StateExtras = {},
): Uint8Array<ArrayBuffer> {
  return encodeSafetensors(new Map([...stateTensors(state), ...tensors]), {
    ...metadata,
    step: `${state.step}`,
  });
}

/**
 * Reads the state of a trainer, for `Trainer.restore()`. Needs no device.
 *
 * @param bytes what `encodeTrainerState` or `FitProgress.state` made
 * @param source origin of the bytes, for messages
 */
export function decodeTrainerState(
  bytes: Uint8Array,
  source: string,
): { readonly state: TrainerState; readonly extras: Required<StateExtras> } {
  const { tensors, metadata } = decodeSafetensors(bytes, source);
  const step = /^\d+$/.test(metadata.step) ? Number(metadata.step) : undefined;
  if (!isCount(step)) {
    const expected = "the result of encodeTrainerState() or progress.state()";
    refuse(StateError, `load ${source}: it does not hold a training state`, expected);
  }
  checkFinite(tensors, source);
  const rest = new Map([...tensors].filter(([name]) => !/^[poe]\./.test(name)));
  return { state: trainerStateOf(tensors, step), extras: { tensors: rest, metadata } };
}

/** Options of a trainer. */
export interface TrainerOptions extends OptimizerOptions {
  /** Examples per step. */
  readonly batchSize: number;
  /** Seed of noise and times, an integer in [0, 2^32). */
  readonly seed: number;
  /** Optimizer; by default `adamw`. */
  readonly optimizer?: OptimizerKind;
  /** Training objective; by default flow matching on the network's own path, normally straight. */
  readonly objective?: Objective;
  /** Stages with losses of their own, instead of an objective. Training ends with the last one. */
  readonly stages?: readonly Stage[];
  /** Decay of the averaged weights per step; by default 0, no averaging. */
  readonly ema?: number;
  /**
   * Probability of replacing each label by "none", for guidance; by default 0. Needs a network with classes, and labels
   * as the source's condition.
   */
  readonly labelDropout?: number;
  /** Storage of activations; by default `f32`. */
  readonly precision?: "f32" | "f16";
}

/** Measurements of training steps, in order. */
export interface StepMeasures {
  /** Loss of each step. */
  readonly losses: number[];
  /** Global norm of each step's gradient, before clipping. */
  readonly gradientNorms: number[];
}

/** Trains a network with one recorded step. What changes between steps is stored in small tensors. */
export class Trainer {
  /** Number of steps whose measurements the device keeps until they are read. */
  static readonly maxOpenLosses = 256;
  /** The network's parameters by name. */
  readonly parameters: NamedTensors;
  readonly #objective: Objective;
  readonly #losses: readonly { readonly from: number; readonly losses: readonly StepLoss[] }[];
  readonly #optimizer: Optimizer;
  readonly #ema: Ema | undefined;
  readonly #seed: number;
  readonly #precision: "f32" | "f16";
  readonly #source: BatchSource;
  readonly #lossScale: number;
  /** Ring buffers of losses and squared gradient norms, read together. */
  readonly #measures = tensor(new Float32Array(2 * Trainer.maxOpenLosses));
  readonly #lossRing = ringOf(this.#measures, 0);
  readonly #squaredNorms = ringOf(this.#measures, Trainer.maxOpenLosses);
  readonly #ringIndex = tensor(new Uint32Array(1));
  readonly #recorded = new Map<StepLoss, RecordedStep<Tensor>>();
  #stepsRead = 0;

  /** Prepares training of the model. The step is recorded on first use. */
  constructor(model: Module & VelocityField, source: BatchSource, options: TrainerOptions) {
    checkSource("train", source, options);
    const {
      batchSize,
      seed,
      optimizer: kind = "adamw",
      objective = objectiveFor(model),
      stages,
      ema = 0,
      labelDropout = 0,
      precision = "f32",
      ...rule
    } = options;
    checkObjective(model, objective);
    this.#objective = objective;
    this.#seed = checkedSeed(seed);
    this.#source = source;
    this.#precision = precision;
    this.#lossScale = precision === "f16" ? lossScaleOf(batchSize, source) : 1;
    this.parameters = namedParameters(model);
    this.#optimizer = optimizer(kind, this.parameters, { ...rule, lossScale: this.#lossScale });
    this.#ema = ema !== 0 ? new Ema(this.parameters, { decay: ema }) : undefined;
    const dropout = labelDropout === 0 ? undefined : { probability: labelDropout, none: noneOf(model) };
    let from = 0;
    this.#losses = stages?.map(({ steps, losses }) => ({ from: (from += steps) - steps, losses })) ??
      [{
        from,
        losses: [new ObjectiveLoss(model, objective, new PairDraw(source, batchSize, streams, dropout))],
      }];
    trainedShapes.set(model, source.shape);
  }

  /** Steps queued. */
  get step(): number {
    return this.#optimizer.step;
  }

  /** Plans the memory of a step with the given batch size, without running it. */
  plan(batchSize: number): MemoryPlan {
    checkCount("plan a step", "batchSize", batchSize);
    const plans = this.#all.map((loss) =>
      planMemory(() => this.#trainingStep(loss, batchSize), { precision: this.#precision })
    );
    return plans.reduce((most, plan) => plan.bytes > most.bytes ? plan : most);
  }

  /** Compiles the kernels of a step in advance. */
  async compile(progress?: CompileProgress): Promise<void> {
    for (const loss of this.#all) await this.#step(loss).compile(progress);
  }

  /** Measures and chooses the fastest kernels for a step; see `RecordedStep.tune()`. */
  async tune(options?: TuneOptions): Promise<KernelChoice[]> {
    const choices = [];
    for (const loss of this.#all) choices.push(...await this.#step(loss).tune(options));
    return choices;
  }

  /** Queues a training step. */
  queueStep(examples: Uint32Array<ArrayBuffer>, learningRate: number): void {
    const seed = this.#seed;
    const step = this.step;
    const loss = this.#lossAt(step);
    const recorded = this.#step(loss);
    loss.write(this.#objective.coupling.pair(examples, { seed, step }, this.#source.host), seed, step);
    this.#ringIndex.write(Uint32Array.of(step % Trainer.maxOpenLosses));
    this.#optimizer.beforeStep(learningRate);
    this.#ema?.beforeStep();
    recorded.run();
  }

  /** Losses of the steps queued since the last reading, in order; at most the latest `maxOpenLosses`. */
  async losses(): Promise<number[]> {
    return (await this.measures()).losses;
  }

  /** Like `losses()`, with gradient norms; call one or the other. */
  async measures(): Promise<StepMeasures> {
    const most = Trainer.maxOpenLosses;
    const to = this.step;
    const from = Math.max(this.#stepsRead, to - most);
    this.#stepsRead = to;
    const rings = await this.#measures.read();
    const places = Array.from({ length: to - from }, (_, i) => (from + i) % most);
    return {
      losses: places.map((place) => rings[place]),
      gradientNorms: places.map((place) => Math.sqrt(rings[most + place])),
    };
  }

  /** The weights for sampling, see `withParameters`: averaged, or the latest without averaging. */
  get averaged(): NamedTensors {
    return this.#ema?.values ?? this.parameters;
  }

  /** Copies the state to the host. Steps queued later do not affect the copy. */
  async state(): Promise<TrainerState> {
    const { step } = this;
    const [parameters, rule, ema] = await Promise.all([
      readState(this.parameters),
      this.#optimizer.state(),
      this.#ema?.state(),
    ]);
    return { step, parameters, optimizer: rule.tensors, ...ema && { ema: ema.tensors } };
  }

  /**
   * Restores a state; if refused, nothing changes.
   *
   * @param source origin of the state, for messages
   */
  restore({ step, parameters, optimizer, ema = new Map() }: TrainerState, source: string): void {
    checkState(this.parameters, parameters, source);
    if (this.#ema) checkState(this.#ema.values, ema, source);
    this.#optimizer.restore({ step, tensors: optimizer }, source);
    writeState(this.parameters, parameters, source);
    this.#ema?.restore({ step, tensors: ema }, source);
    this.#stepsRead = step;
  }

  get #all(): StepLoss[] {
    return [...new Set(this.#losses.flatMap(({ losses }) => losses))];
  }

  #lossAt(step: number): StepLoss {
    const { from, losses } = this.#losses.filter(({ from }) => from <= step).at(-1)!;
    return losses[(step - from) % losses.length];
  }

  #step(loss: StepLoss): RecordedStep<Tensor> {
    const recorded = this.#recorded.get(loss) ??
      record(() => this.#trainingStep(loss), { precision: this.#precision });
    this.#recorded.set(loss, recorded);
    return recorded;
  }

  #checkUsed(loss: Tensor): void {
    const used = sourcesOf(loss);
    const idle = [...this.parameters].find(([, parameter]) => parameter.size > 0 && !used.has(parameter));
    if (!idle) return;
    const [name, parameter] = idle;
    const why = `the velocity does not depend on "${name}", ${parameter}`;
    const hint = "use its layer there, or remove it from the module";
    refuse(TypeError, `train: ${why} (expected velocity() to use every parameter); ${hint}`);
  }

  #trainingStep(stepLoss: StepLoss, batchSize?: number): Tensor {
    const loss = stepLoss.loss(this.averaged, batchSize);
    this.#checkUsed(loss);
    const scaled = this.#lossScale === 1 ? loss : multiply(loss, this.#lossScale);
    this.#optimizer.update(gradients(scaled, [...this.parameters.values()]));
    this.#ema?.update();
    putAt(this.#lossRing, reshape(loss, [1]), this.#ringIndex);
    putAt(this.#squaredNorms, this.#optimizer.squaredNorm, this.#ringIndex);
    return loss;
  }
}

/** The loss of an objective on pairs of noise and data. */
class ObjectiveLoss implements StepLoss {
  readonly #model: VelocityField;
  readonly #objective: Objective;
  readonly #draw: PairDraw;
  #drawn = { seed: 0, step: 0 };

  constructor(model: VelocityField, objective: Objective, draw: PairDraw) {
    this.#model = model;
    this.#objective = objective;
    this.#draw = draw;
  }

  write(examples: Uint32Array, seed: number, step: number): void {
    this.#draw.write(examples, seed, step);
    this.#drawn = { seed, step };
  }

  loss(_averaged: NamedTensors, batchSize?: number): Tensor {
    const pairs = this.#draw.pairs(this.#objective, batchSize);
    return withDropout(() => this.#drawn, () => lossOf(this.#objective, this.#model, pairs));
  }
}

/** A view of one ring buffer. */
function ringOf({ storage }: Tensor, offset: number): Tensor {
  return new Tensor(storage, [Trainer.maxOpenLosses], "f32", offset);
}

/** Loss scale for f16: about half the terms, a power of two, so that the first gradient, 2 (v - u) / terms, is v - u. */
function lossScaleOf(batchSize: number, { shape }: BatchSource): number {
  return 2 ** Math.round(Math.log2(batchSize * sizeOf(shape) / 2));
}
