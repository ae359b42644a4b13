import {
  add,
  assign,
  multiply,
  randomNormalRows,
  record,
  type RecordedStep,
  reshape,
  type Shape,
  subtract,
  type Tensor,
  tensor,
  zeros,
} from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { checkCount, maxU32 } from "../../kernels/core/checks.ts";
import { pathOf, type VelocityField } from "../flow/field.ts";
import { linearPath, type Path } from "../flow/path.ts";
import { rejectUnknown } from "../names.ts";
import { checkedSeed, streams } from "../random.ts";
import { CountedField } from "./counted_field.ts";
import { OneRun } from "./one_run.ts";
import { checkBatch } from "./sampler.ts";
import { timesOf, type TimesOptions, timesOptions } from "./time_grids.ts";

/** Options of the stochastic sampler. */
export interface StochasticOptions extends TimesOptions {
  /** Strength of the diffusion: g(t)^2 = noise (1 - t). By default 1; with 0 the steps are Euler's. */
  readonly noise?: number;
  /** Seed of the noise on the way, an integer in [0, 2^32); by default 0. */
  readonly seed?: number;
  /** Condition of the field, one row per sample. */
  readonly condition?: Tensor;
  /**
   * The path that the field was trained on; by default its own, which is linear where it says nothing. Only the linear
   * path is taken.
   */
  readonly path?: Path;
}

/** Options of one run. */
export interface StochasticRunOptions {
  /** Number of the first sample in the batch; sample n meets the same noise in any batch. By default 0. */
  readonly from?: number;
  /** Called after every step with the share of the steps that is done; a promise is waited for. */
  readonly onProgress?: (share: number) => void | Promise<void>;
}

/**
 * Samples by a stochastic differential equation with the marginals of the flow, from the same velocity.
 *
 * On the linear path the velocity implies both ends, E[x0 | x] = x - t v and E[x1 | x] = x + (1 - t) v, and the score
 * -E[x0 | x] / (1 - t). With g(t)^2 = noise (1 - t),
 *
 *     dx = (v + g^2 / 2 score) dt + g dW = (v - noise / 2 (x - t v)) dt + sqrt(noise (1 - t)) dW
 *
 * needs no division at either end. Each step is one of Euler and Maruyama; the last one adds no noise, but goes
 * straight to E[x1 | x]. New noise corrects errors that a deterministic solver would carry to the end.
 *
 * It holds for the linear path from standard normal noise and fields that give the velocity. There is no way back: time
 * runs from noise to data.
 *
 * Source: Ma et al. 2024, SiT, arXiv:2401.08740, with the diffusion coefficient w = noise sigma
 */
export class StochasticSampler {
  /** The times of the steps. */
  readonly times: readonly number[];
  readonly #field: CountedField;
  readonly #noise: number;
  readonly #seed: number;
  readonly #x: Tensor;
  readonly #t: Tensor;
  readonly #dt: Tensor;
  readonly #strength: Tensor;
  readonly #key: Tensor;
  readonly #rows: Tensor;
  readonly #step: RecordedStep<Tensor>;
  readonly #last: RecordedStep<Tensor>;
  readonly #oneRun = new OneRun();

  /**
   * Records a step, and the last one.
   *
   * @param shape [N, C, H, W] of a batch
   * @throws {RangeError} if `steps` is not a positive integer, the times do not increase in [0, 1], the seed is not an integer
   * in [0, 2^32), or the noise is negative or so strong that a step would overshoot
   * @throws {TypeError} if an option is unknown, the path is not linear, the grid is unknown, not exactly one of `steps` and `times` is given, or the field gives no tensor
   * @throws {ShapeError} if the batch is empty, or a velocity does not have its shape
   */
  constructor(model: VelocityField, shape: Shape, options: StochasticOptions) {
    const { noise = 1, seed = 0, condition, path = linearPath, ...when } = options;
    rejectUnknown(when, timesOptions, "a stochastic sampler");
    if (path !== linearPath || (pathOf(model) ?? linearPath) !== linearPath) {
      throw new TypeError(
        "Cannot sample by a stochastic solver on this path: it takes the score that a velocity implies on another " +
          "(expected the linear path)",
      );
    }
    const times = this.times = timesOf(when);
    if (times[0] > times[1]) {
      throw new RangeError(
        `Cannot sample by a stochastic solver from t = ${times[0]} to ${
          times.at(-1)
        } (expected increasing times)`,
      );
    }
    checkNoise(noise, times);
    this.#noise = noise;
    this.#seed = checkedSeed(seed);
    checkBatch(shape);
    const N = shape[0];
    const field = this.#field = new CountedField(model);
    const x = this.#x = zeros(shape);
    const t = this.#t = tensor(new Float32Array(N));
    const dt = this.#dt = tensor(new Float32Array(N));
    const strength = this.#strength = tensor(new Float32Array(N));
    const key = this.#key = tensor(new Uint32Array(3));
    const rows = this.#rows = tensor(new Uint32Array(N));
    const each = (t: Tensor) => reshape(t, shape.map((_, axis) => axis === 0 ? N : 1));
    this.#step = record(() => {
      const v = field.velocity(x, t, condition);
      const x0 = subtract(x, multiply(v, each(t)));
      const drift = subtract(v, multiply(x0, noise / 2));
      const dW = multiply(randomNormalRows(key, rows, shape), each(strength));
      return assign(x, add(add(x, multiply(drift, each(dt))), dW));
    });
    this.#last = record(() => {
      return assign(x, add(x, multiply(field.velocity(x, t, condition), each(dt))));
    });
  }

  /** How often the field was evaluated so far, each time on a whole batch: once a step. */
  get evaluations(): number {
    return this.#field.evaluations;
  }

  /**
   * Samples a batch. One run at a time: it works on the sampler's own state.
   *
   * @param x0 noise, f32[N, C, H, W]
   * @returns data of the same shape
   * @throws {ShapeError} if x0 does not have the shape of the sampler
   * @throws {RangeError} if `from` is not a whole number
   * @throws {TypeError} if an option is unknown
   * @throws {Error} if a run is in progress
   */
  run(x0: Tensor, options: StochasticRunOptions = {}): Promise<Tensor> {
    return this.#oneRun.take(() => this.#run(x0, options));
  }

  async #run(x0: Tensor, { from = 0, onProgress, ...others }: StochasticRunOptions): Promise<Tensor> {
    rejectUnknown(others, ["from", "onProgress"], "a run");
    checkTensor("sample", "x0 is", x0, this.#x.shape);
    checkCount("sample", "from", from, 0, maxU32);
    const { times } = this;
    const steps = times.length - 1;
    const fill = (into: Tensor, value: number) => into.write(new Float32Array(into.size).fill(value));
    assign(this.#x, x0);
    this.#rows.write(Uint32Array.from({ length: this.#rows.size }, (_, n) => from + n));
    for (let i = 0; i < steps; i++) {
      const [t, dt] = [times[i], times[i + 1] - times[i]];
      fill(this.#t, t);
      fill(this.#dt, dt);
      fill(this.#strength, Math.sqrt(this.#noise * (1 - t) * dt));
      this.#key.write(Uint32Array.of(this.#seed, streams.diffusion, i));
      (i < steps - 1 ? this.#step : this.#last).run();
      await onProgress?.((i + 1) / steps);
    }
    return add(this.#x, 0);
  }
}

/**
 * The strongest noise that steps take: with more, the longest would overshoot.
 *
 * @param times ends of the steps, increasing
 */
export function mostNoise(times: readonly number[]): number {
  return 2 / times.slice(1).reduce((longest, t, i) => Math.max(longest, t - times[i]), 0);
}

/** @throws {RangeError} if the noise is negative, or so strong that a step would overshoot */
function checkNoise(noise: number, times: readonly number[]): void {
  const most = mostNoise(times);
  if (noise >= 0 && noise <= most) return;
  throw new RangeError(
    `Cannot sample with noise ${noise} in ${times.length - 1} steps ` +
      `(expected 0 to ${Number(most.toPrecision(3))}, 2 by the longest step, or more steps)`,
  );
}
