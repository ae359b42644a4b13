import {
  add,
  assign,
  multiply,
  randomNormalRows,
  record,
  type RecordedStep,
  type Shape,
  slice,
  subtract,
  type Tensor,
  tensor,
  zeros,
} from "../../kernels/mod.ts";
import { pathOf, type VelocityField } from "../flow/field.ts";
import { linearPath, perRow } from "../flow/path.ts";
import { checkedSeed, streams } from "../random.ts";
import { type ButcherTableau, solverStep } from "./tableau.ts";

/** The state of a batch on the device, and recorded steps that change it. */
export interface BatchSteps {
  /** x, then what else the next step needs. */
  readonly state: readonly Tensor[];
  /**
   * Checks the times of a run. @throws {TypeError | RangeError} if the steps cannot follow them
   */
  check?(times: readonly number[]): void;
  /**
   * Takes step i.
   *
   * @param first whether the state is new, so that its velocity is not known
   * @param row number of the first sample
   * @returns v(x, t) at the start of the step; the next step overwrites it
   */
  take(times: readonly number[], i: number, first: boolean, row: number): Tensor;
}

/** A step that was taken, before its end becomes the new state. */
interface TakenStep {
  readonly x: Tensor;
  readonly v: Tensor;
  readonly nextX: Tensor;
  readonly nextV: Tensor;
}

/** Recorded steps of a Runge-Kutta method, and what is observed of each. */
export class RungeKuttaSteps<T = undefined> implements BatchSteps {
  /** x, and v(x, t) if the solver reuses it or steps are observed. */
  readonly state: readonly Tensor[];
  readonly #t: Tensor;
  readonly #dt: Tensor;
  /** Computes the first velocity, if it is part of the state. */
  readonly #first: RecordedStep<Tensor> | undefined;
  readonly #step: RecordedStep<{ readonly velocity: Tensor; readonly seen: T | undefined }>;

  /**
   * Records the steps.
   *
   * @param observe what to compute of each step on the device; the velocity at its end is computed, too, then
   */
  constructor(
    tableau: ButcherTableau,
    field: VelocityField,
    shape: Shape,
    { condition, observe }: {
      readonly condition?: Tensor | undefined;
      readonly observe?: (step: TakenStep) => T;
    } = {},
  ) {
    const t = this.#t = tensor(new Float32Array(shape[0]));
    const dt = this.#dt = tensor(new Float32Array(shape[0]));
    const x = zeros(shape);
    if (!tableau.firstSameAsLast && !observe) {
      this.state = [x];
      this.#step = record(() => {
        const next = solverStep(tableau, field, x, t, dt, { condition });
        const velocity = next.v.storage === x.storage ? copyOf(next.v) : next.v; // x itself, or a view of it, changes
        assign(x, next.x);
        return { velocity, seen: undefined };
      });
      return;
    }
    const v = zeros(shape);
    this.state = [x, v];
    this.#first = record(() => assign(v, field.velocity(x, t, condition)));
    this.#step = record(() => {
      const next = solverStep(tableau, field, x, t, dt, { condition, first: v });
      const nextV = tableau.firstSameAsLast ? next.last : field.velocity(next.x, add(t, dt), condition);
      const velocity = copyOf(v);
      const seen = observe?.({ x, v, nextX: next.x, nextV });
      assign(x, next.x);
      assign(v, nextV);
      return { velocity, seen };
    });
  }

  /** What was observed of the last step; the next one overwrites it. */
  get seen(): T {
    return this.#step.result.seen!;
  }

  take(times: readonly number[], i: number, first: boolean): Tensor {
    fill(this.#t, times[i]);
    fill(this.#dt, times[i + 1] - times[i]);
    if (first) this.#first?.run();
    this.#step.run();
    return this.#step.result.velocity;
  }
}

/** How noise is added. */
export interface NoiseOptions {
  /** Strength of the diffusion: g(t)^2 = noise (1 - t). By default 1; with 0 the steps are Euler's. */
  readonly noise?: number | undefined;
  /** Seed of the noise, an integer in [0, 2^32); by default 0. */
  readonly seed?: number | undefined;
  /** Condition of the field, one row per sample. */
  readonly condition?: Tensor | undefined;
}

/**
 * Recorded steps of a stochastic differential equation with the marginals of the flow, from the same velocity.
 *
 * On the linear path the velocity implies both ends, E[x0 | x] = x - t v and E[x1 | x] = x + (1 - t) v, and the score
 * -E[x0 | x] / (1 - t). With g(t)^2 = noise (1 - t),
 *
 *     dx = (v + g^2 / 2 score) dt + g dW = (v - noise / 2 (x - t v)) dt + sqrt(noise (1 - t)) dW
 *
 * needs no division at either end. Each step is one of Euler and Maruyama; the last one adds no noise, but goes straight
 * to E[x1 | x]. New noise corrects errors that a deterministic solver would carry to the end.
 *
 * It holds for the linear path from standard normal noise. Time runs from noise to data; there is no way back.
 *
 * Source: Ma et al. 2024, SiT, arXiv:2401.08740, with the diffusion coefficient w = noise sigma
 */
export class StochasticSteps implements BatchSteps {
  readonly state: readonly [x: Tensor];
  readonly #noise: number;
  readonly #seed: number;
  readonly #t: Tensor;
  readonly #dt: Tensor;
  readonly #strength: Tensor;
  readonly #key = tensor(new Uint32Array(3));
  readonly #rows: Tensor;
  readonly #step: RecordedStep<Tensor>;
  readonly #last: RecordedStep<Tensor>;

  /** Records a step, and the last one. @throws {TypeError} if the field is for another path than the linear one */
  constructor(field: VelocityField, shape: Shape, { noise = 1, seed = 0, condition }: NoiseOptions) {
    if ((pathOf(field) ?? linearPath) !== linearPath) {
      throw new TypeError(
        "Cannot sample with noise: the field is for another path, on which a velocity implies another score " +
          "(expected the linear path)",
      );
    }
    this.#noise = noise;
    this.#seed = checkedSeed(seed);
    const [t, dt, strength] = [0, 0, 0].map(() => tensor(new Float32Array(shape[0])));
    [this.#t, this.#dt, this.#strength] = [t, dt, strength];
    const [x, key, rows] = [zeros(shape), this.#key, tensor(new Uint32Array(shape[0]))];
    [this.state, this.#rows] = [[x], rows];
    this.#step = record(() => {
      const v = field.velocity(x, t, condition);
      const velocity = v.storage === x.storage ? copyOf(v) : v;
      const x0 = subtract(x, multiply(v, perRow(t, x)));
      const drift = subtract(v, multiply(x0, noise / 2));
      const dW = multiply(randomNormalRows(key, rows, shape), perRow(strength, x));
      assign(x, add(add(x, multiply(drift, perRow(dt, x))), dW));
      return velocity;
    });
    this.#last = record(() => {
      const v = field.velocity(x, t, condition);
      const velocity = v.storage === x.storage ? copyOf(v) : v;
      assign(x, add(x, multiply(v, perRow(dt, x))));
      return velocity;
    });
  }

  check(times: readonly number[]): void {
    if (times[0] > times[1]) {
      throw new TypeError(
        `Cannot go from t = ${times[0]} to ${
          times.at(-1)
        } with noise (expected increasing times, or another solver)`,
      );
    }
    const most = mostNoise(times);
    if (this.#noise >= 0 && this.#noise <= most) return;
    throw new RangeError(
      `Cannot sample with noise ${this.#noise} in ${times.length - 1} steps ` +
        `(expected 0 to ${Number(most.toPrecision(3))}, 2 by the longest step, or more steps)`,
    );
  }

  take(times: readonly number[], i: number, _first: boolean, row: number): Tensor {
    const [t, dt] = [times[i], times[i + 1] - times[i]];
    fill(this.#t, t);
    fill(this.#dt, dt);
    fill(this.#strength, Math.sqrt(this.#noise * (1 - t) * dt));
    this.#key.write(Uint32Array.of(this.#seed, streams.diffusion, i));
    this.#rows.write(Uint32Array.from({ length: this.#rows.size }, (_, n) => row + n));
    const step = i + 2 < times.length ? this.#step : this.#last;
    step.run();
    return step.result;
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

/** Writes one number everywhere. */
function fill(x: Tensor, value: number): void {
  x.write(new Float32Array(x.size).fill(value));
}

/** A copy that later steps do not overwrite. */
export function copyOf(x: Tensor): Tensor {
  return slice(x, 0, 0, x.shape[0]);
}
