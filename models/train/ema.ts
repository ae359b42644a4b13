import { assign, emaUpdate, tensor } from "../../kernels/mod.ts";
import { flatZeros, type NamedTensors, rangeOf, runsOf } from "../nn/flat_parameters.ts";
import { readState, writeState } from "../nn/state.ts";
import { BegunStep, type OptimizerState } from "./optimizer.ts";

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
   * @throws {RangeError} if the decay is outside [0, 1)
   */
  constructor(parameters: NamedTensors, { decay }: { decay: number }) {
    if (!(decay >= 0 && decay < 1)) {
      throw new RangeError(`Cannot average: decay is ${decay} (expected 0 <= decay < 1)`);
    }
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

  /** Moves the average towards the parameters, using only device ops. @throws {Error} if it runs before `beforeStep` */
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

  /** Restores a state; `source` is its origin, for messages. @throws {StateError} if it belongs to another network */
  restore({ step, tensors }: OptimizerState, source: string): void {
    writeState(this.values, tensors, source);
    this.#step = step;
    this.#begun.begun = false;
  }
}
