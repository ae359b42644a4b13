import { add, assign, multiply, squaredNorm, type Tensor, tensor } from "../../kernels/mod.ts";
import { rejectUnknown, unknownName } from "../nearest.ts";
import type { FlatParameters } from "./flat_parameters.ts";
import { type State, StateError } from "../files/state.ts";
import {
  type OptimizerKind,
  optimizerKinds,
  type OptimizerOptions,
  type UpdateRule,
  updateRules,
} from "./update_rules.ts";

/** The state of an optimizer or average, to resume training exactly. */
export interface OptimizerState {
  /** Steps taken. */
  readonly step: number;
  /** Moments, named `m.<parameter>` and `v.<parameter>`. */
  readonly tensors: State;
}

/** Updates flat parameters from gradients. `update` is device ops only, for recorded steps; `beforeStep` runs on the host. */
export class Optimizer {
  /** Its update rule. */
  readonly kind: OptimizerKind;
  #options: Required<OptimizerOptions>;
  #parameters: FlatParameters;
  #gradients: FlatParameters;
  #moments: ReadonlyMap<string, FlatParameters>;
  #settings = tensor(new Float32Array(8));
  #norm = tensor(new Float32Array(1));
  #step = 0;

  /** See `optimizer`. */
  constructor(kind: OptimizerKind, parameters: FlatParameters, options: OptimizerOptions) {
    const defaults = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, momentum: 0.9, clip: 0, lossScale: 1 };
    const complete = { ...defaults, weightDecay: kind === "adamw" ? 0.01 : 0, ...options };
    rejectUnknown(options, ["learningRate", "weightDecay", ...Object.keys(defaults)], "an optimizer");
    for (const [name, value] of Object.entries(complete)) {
      if (Number.isFinite(value) && value >= 0) continue;
      throw new TypeError(`Cannot make an optimizer: ${name} is ${value} (expected a number of at least 0)`);
    }
    if (complete.lossScale === 0) {
      throw new TypeError("Cannot make an optimizer: lossScale is 0 (expected a number above 0)");
    }
    this.kind = kind;
    this.#options = complete;
    this.#parameters = parameters;
    this.#gradients = parameters.like();
    this.#moments = new Map(updateRules[kind].moments.map((moment) => [moment, parameters.like()]));
  }

  /** Steps begun. */
  get step(): number {
    return this.#step;
  }

  /**
   * Begins a step: counts it and writes its settings. Call it before each run of `update`.
   *
   * @param learningRate of this step
   */
  beforeStep(learningRate: number = this.#options.learningRate): void {
    this.#step++;
    this.#settings.write(
      Float32Array.from(updateRules[this.kind].settings(this.#options, learningRate, this.#step)),
    );
  }

  /**
   * Updates the parameters in place.
   *
   * @param gradients one per parameter, in the order of the parameters
   * @throws {RangeError} if there are more or fewer gradients than parameters
   */
  update(gradients: readonly Tensor[]): void {
    const { views, chunks } = this.#gradients;
    if (gradients.length !== views.size) {
      throw new RangeError(`Cannot update ${views.size} parameters with ${gradients.length} gradients`);
    }
    [...views.values()].forEach((view, i) => assign(view, gradients[i]));
    const { lossScale } = this.#options;
    if (lossScale !== 1) { for (const chunk of chunks) assign(chunk, multiply(chunk, 1 / lossScale)); }
    assign(this.#norm, chunks.map(squaredNorm).reduce((a, b) => add(a, b)));
    const { update }: UpdateRule = updateRules[this.kind];
    this.#parameters.chunks.forEach((p, i) => {
      const moments = this.#moments.values().map((moment) => moment.chunks[i]).toArray();
      update(p, moments, chunks[i], this.#norm, this.#settings);
    });
  }

  /** Squared global norm of the latest step's gradient, before clipping, f32[1] on the device; the next step overwrites it. */
  get squaredNorm(): Tensor {
    return this.#norm;
  }

  /** Global gradient norm of the latest step, before clipping. */
  async gradientNorm(): Promise<number> {
    return Math.sqrt((await this.#norm.read())[0]);
  }

  /** Copies the state to the host. Moments are named `m.<parameter>` and `v.<parameter>`. */
  async state(): Promise<OptimizerState> {
    const step = this.#step;
    const states = Array.from(this.#moments, async ([moment, flat]) => {
      return Array.from(await flat.state(), ([name, value]) => [`${moment}.${name}`, value] as const);
    });
    return { step, tensors: new Map((await Promise.all(states)).flat()) };
  }

  /**
   * Restores a state.
   *
   * @param source where the state comes from, for messages
   * @throws {StateError} if it belongs to another optimizer or network
   */
  restore({ step, tensors }: OptimizerState, source: string): void {
    const moments = [...this.#moments.keys()];
    const parts = new Map(moments.map((moment) => [moment, new Map() as State]));
    for (const [name, value] of tensors) {
      const [moment, ...parameter] = name.split(".");
      const part = parts.get(moment);
      if (!part) {
        throw new StateError(
          `Cannot load ${source}: "${name}" is not a moment of ${this.kind} (expected ${moments.join(", ")})`,
        );
      }
      part.set(parameter.join("."), value);
    }
    for (const [moment, flat] of this.#moments) flat.load(parts.get(moment)!, `${moment} of ${source}`);
    this.#step = step;
  }
}

/**
 * Creates an optimizer with the semantics of PyTorch's.
 *
 * @param kind `adamw`, `adam` (weight decay added to the gradient) or `sgd`
 * @param parameters see `flatten`
 * @throws {TypeError} if the kind or a setting is unknown, or a setting is negative
 * Source: Loshchilov and Hutter 2017, arXiv:1711.05101; Kingma and Ba 2014, arXiv:1412.6980
 */
export function optimizer(
  kind: OptimizerKind,
  parameters: FlatParameters,
  options: OptimizerOptions,
): Optimizer {
  if (Object.hasOwn(updateRules, kind)) return new Optimizer(kind, parameters, options);
  throw new TypeError(unknownName("optimizer", kind, optimizerKinds));
}
