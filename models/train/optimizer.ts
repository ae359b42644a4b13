import { add, assign, emaUpdate, multiply, squaredNorm, type Tensor, tensor } from "../../kernels/mod.ts";
import { refuse } from "../../kernels/core/checks.ts";
import { whenRun } from "../../kernels/record/record.ts";
import { rejectUnknown } from "../names.ts";
import {
  checkApart,
  checkNamed,
  flatZeros,
  type NamedTensors,
  rangeOf,
  runsOf,
} from "../nn/flat_parameters.ts";
import { checkState, readState, type State, StateError, writeState } from "../nn/module.ts";
import { checkRate } from "./schedule.ts";
import {
  type OptimizerKind,
  type OptimizerOptions,
  parameterGroups,
  type UpdateRule,
  updateRules,
} from "./update_rules.ts";

/** The state of an optimizer or average, for resuming training exactly. */
export interface OptimizerState {
  /** Steps taken. */
  readonly step: number;
  /** Moments, named `m.<parameter>` and `v.<parameter>`. */
  readonly tensors: State;
}

/**
 * Updates parameters from gradients. `update` uses only device ops and can be recorded; `beforeStep` runs on the host.
 */
export class Optimizer {
  /** The update rule. */
  readonly kind: OptimizerKind;
  #options: Required<OptimizerOptions>;
  #gradients: ReturnType<typeof flatZeros>;
  #parts: readonly UpdatePart[];
  #norm = tensor(new Float32Array(1));
  #step = 0;
  readonly #begun = new BegunStep();

  /** See `optimizer`. */
  constructor(kind: OptimizerKind, parameters: NamedTensors, options: OptimizerOptions) {
    this.kind = kind;
    this.#options = completeSettings(kind, options);
    checkNamed("make an optimizer", parameters);
    if (parameters.size === 0) refuse(RangeError, "make an optimizer: there are no parameters");
    checkApart(parameters);
    const groups = parameterGroups(kind, parameters);
    this.#gradients = flatZeros(parameters, groups.flat());
    this.#parts = updateRules[kind].map((rule, i) =>
      new UpdatePart(rule, groups[i], parameters, this.#gradients.views, this.#options)
    );
  }

  /** Steps begun. */
  get step(): number {
    return this.#step;
  }

  /** Begins a step and sets its learning rate; call it before each run of `update`. */
  beforeStep(learningRate: number = this.#options.learningRate): void {
    checkRate("begin a step", "the learning rate", learningRate);
    this.#step++;
    this.#begun.begun = true;
    for (const part of this.#parts) part.beforeStep(learningRate, this.#step);
  }

  /**
   * Updates the parameters in place.
   *
   * @param gradients one per parameter, in the order of the parameters
   */
  update(gradients: readonly Tensor[]): void {
    const { views, chunks } = this.#gradients;
    if (gradients.length !== views.size) {
      refuse(RangeError, `update ${views.size} parameters with ${gradients.length} gradients`);
    }
    this.#begun.check("update");
    [...views.values()].forEach((view, i) => assign(view, gradients[i]));
    const { lossScale } = this.#options;
    if (lossScale !== 1) chunks.forEach((chunk) => assign(chunk, multiply(chunk, 1 / lossScale)));
    assign(this.#norm, chunks.map(squaredNorm).reduce((a, b) => add(a, b)));
    for (const part of this.#parts) part.update(this.#norm);
  }

  /** Squared global norm of the latest gradient, before clipping, f32[1]. The next step overwrites it. */
  get squaredNorm(): Tensor {
    return this.#norm;
  }

  /** Global norm of the latest gradient, before clipping. */
  async gradientNorm(): Promise<number> {
    return Math.sqrt((await this.#norm.read())[0]);
  }

  /** Copies the state to the host. Moments are named `m.<parameter>` and `v.<parameter>`. */
  async state(): Promise<OptimizerState> {
    const step = this.#step;
    const states = Array.from(this.#moments, async ([moment, flat]) => {
      return Array.from(await readState(flat), ([name, value]) => [`${moment}.${name}`, value] as const);
    });
    return { step, tensors: new Map((await Promise.all(states)).flat()) };
  }

  /**
   * Restores a state. If refused, nothing changes.
   *
   * @param source origin of the state, for messages
   */
  restore({ step, tensors }: OptimizerState, source: string): void {
    const moments = new Set(this.#moments.map(([moment]) => moment));
    const parts = this.#moments.map(() => new Map() as State);
    for (const [name, value] of tensors) {
      const [moment, ...rest] = name.split(".");
      const parameter = rest.join(".");
      if (!moments.has(moment)) {
        const known = [...moments].join(", ");
        refuse(StateError, `load ${source}: "${name}" is not a moment of ${this.kind}`, `${known}`);
      }
      const same = (i: number) => this.#moments[i][0] === moment;
      const at = this.#moments.findIndex(([, flat], i) => same(i) && flat.has(parameter));
      // An unknown name goes to the first part, which refuses it.
      parts[at < 0 ? this.#moments.findIndex((_, i) => same(i)) : at].set(parameter, value);
    }
    const from = (moment: string) => `${moment} of ${source}`;
    this.#moments.forEach(([moment, flat], i) => checkState(flat, parts[i], from(moment)));
    this.#moments.forEach(([moment, flat], i) => writeState(flat, parts[i], from(moment)));
    this.#step = step;
    this.#begun.begun = false;
  }

  /** The moments of all parts. A name may occur more than once. */
  get #moments(): (readonly [moment: string, values: NamedTensors])[] {
    return this.#parts.flatMap(({ moments }) => [...moments]);
  }
}

/**
 * Creates an optimizer with the semantics of PyTorch's.
 *
 * @param kind `adamw`, `adam` (weight decay added to the gradient), `sgd`, or `muon` (for the weights of hidden
 * convolutions, with `adamw` for the rest)
 * @param parameters by name, see `namedParameters`. For your own network, call `flatten` first: updates are faster
 *
 * Source: Loshchilov and Hutter 2017, arXiv:1711.05101; Kingma and Ba 2014, arXiv:1412.6980; Jordan et al. 2024,
 * github.com/KellerJordan/Muon
 */
export function optimizer(
  kind: OptimizerKind,
  parameters: NamedTensors,
  options: OptimizerOptions,
): Optimizer {
  return new Optimizer(kind, parameters, options);
}

/** One update rule with its parameters and moments. */
class UpdatePart {
  /** Moments by name. */
  readonly moments: ReadonlyMap<string, NamedTensors>;
  readonly #rule: UpdateRule;
  readonly #names: readonly string[];
  readonly #parameters: NamedTensors;
  readonly #gradients: NamedTensors;
  readonly #options: Required<OptimizerOptions>;
  readonly #settings = tensor(new Float32Array(8));
  readonly #directions: readonly ((norm: Tensor, settings: Tensor) => void)[];

  /** Makes the moments, initially zero, of the parameters with given names, in memory order of the gradients. */
  constructor(
    rule: UpdateRule,
    names: readonly string[],
    parameters: NamedTensors,
    gradients: NamedTensors,
    options: Required<OptimizerOptions>,
  ) {
    this.#rule = rule;
    this.#names = names;
    this.#parameters = parameters;
    this.#gradients = gradients;
    this.#options = options;
    const own = new Map([...parameters].filter(([name]) => names.includes(name)));
    this.moments = new Map(rule.moments.map((moment) => [moment, flatZeros(own, names).views]));
    const { direction } = rule;
    const areAlike = (a: string, b: string) =>
      direction?.key(own.get(a)!.shape) === direction?.key(own.get(b)!.shape) &&
      gradients.get(a)!.offset + own.get(a)!.size === gradients.get(b)!.offset; // without a gap
    const groups = direction ? runsOf(names, this.#own, areAlike) : [];
    this.#directions = groups.map((run) => {
      const [g, ...moments] = this.#own.map((values) => rangeOf(values, run));
      return direction!.bind({ g, moments, shape: own.get(run[0])!.shape, count: run.length }, options);
    });
  }

  /** Sets the settings of a step, counted from 1. */
  beforeStep(learningRate: number, step: number): void {
    const values = new Float32Array(8);
    values.set(this.#rule.settings(this.#options, learningRate, step));
    this.#settings.write(values);
  }

  /** Updates parameters and moments in place, using only device ops. `norm` is the gradient's squared norm, f32[1]. */
  update(norm: Tensor): void {
    for (const direct of this.#directions) direct(norm, this.#settings);
    const update = this.#rule.update(norm, this.#settings);
    for (const run of runsOf(this.#names, [this.#parameters, ...this.#own])) {
      const [g, ...moments] = this.#own.map((values) => rangeOf(values, run));
      update({ p: rangeOf(this.#parameters, run), g, moments });
    }
  }

  get #own(): readonly NamedTensors[] {
    return [this.#gradients, ...this.moments.values()];
  }
}

/** Guards against updates before the first step, which would have no settings. */
export class BegunStep {
  /** Whether a step has begun since the state was made or restored. */
  begun = false;

  /** Adds a check to an update, also to a recorded one: it throws an Error if no step has begun. */
  check(task: string): void {
    whenRun(() => {
      if (this.begun) return;
      refuse(Error, `${task}: no step has begun`, "beforeStep() before each");
    });
  }
}

/** Fills in defaults. */
function completeSettings(kind: OptimizerKind, options: OptimizerOptions): Required<OptimizerOptions> {
  const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const defaults = { ...adam, momentum: 0.9, muonFactor: 10, clip: 0, lossScale: 1 };
  const decoupled = kind === "adamw" || kind === "muon";
  const complete = { ...defaults, weightDecay: decoupled ? 0.01 : 0, ...options };
  rejectUnknown(options, ["learningRate", "weightDecay", ...Object.keys(defaults)], "an optimizer");
  for (const [name, value] of Object.entries(complete)) {
    const { fits, range } = limitOf(name, value);
    if (fits && value < Infinity) continue;
    refuse(TypeError, `make an optimizer: ${name} is ${value}`, `a number ${range}`);
  }
  return complete;
}

/** Which numbers an option may be, and whether a value is one. */
function limitOf(option: string, value: number): { readonly fits: boolean; readonly range: string } {
  if (option === "beta1" || option === "beta2") {
    return { fits: value >= 0 && Math.fround(value) < 1, range: "from 0 to below 1" };
  }
  if (option === "lossScale") return { fits: value > 0, range: "above 0" };
  return { fits: value >= 0, range: "of at least 0" };
}

/**
 * Exponential moving average of parameters, e = d e + (1 - d) p, with d = min(decay, (1 + k) / (10 + k)) after k steps.
 *
 * Source: Polyak and Juditsky 1992; the warm-up follows TensorFlow's ExponentialMovingAverage
 */
export class Ema {
  /** Averages by parameter name; use them with `withParameters`. */
  readonly values: NamedTensors;
  readonly #parameters: NamedTensors;
  readonly #decay: number;
  readonly #settings = tensor(new Float32Array(1));
  #step = 0;
  readonly #begun = new BegunStep();

  /**
   * Starts from the current parameters.
   *
   * @param decay share of the average kept by each step, in [0, 1)
   */
  constructor(parameters: NamedTensors, { decay }: { decay: number }) {
    if (!(decay >= 0 && decay < 1)) refuse(RangeError, `average: decay is ${decay}`, "0 <= decay < 1");
    this.#parameters = parameters;
    this.#decay = decay;
    this.values = flatZeros(parameters).views;
    for (const [name, e] of this.values) assign(e, parameters.get(name)!);
  }

  /** Begins a step and sets its decay; call it before each run of `update`. */
  beforeStep(): void {
    const k = this.#step++;
    this.#begun.begun = true;
    this.#settings.write(Float32Array.of(Math.min(this.#decay, (1 + k) / (10 + k))));
  }

  /** Moves the average towards the parameters, using only device ops. */
  update(): void {
    this.#begun.check("average");
    for (const run of runsOf(this.values.keys(), [this.values, this.#parameters])) {
      emaUpdate(rangeOf(this.values, run), rangeOf(this.#parameters, run), this.#settings);
    }
  }

  /** Copies the average to the host, by parameter names. */
  async state(): Promise<OptimizerState> {
    const step = this.#step;
    return { step, tensors: await readState(this.values) };
  }

  /** Restores a state; `source` is its origin, for messages. */
  restore({ step, tensors }: OptimizerState, source: string): void {
    writeState(this.values, tensors, source);
    this.#step = step;
    this.#begun.begun = false;
  }
}
