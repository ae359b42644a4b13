import {
  add,
  less,
  multiply,
  randomUniform,
  subtract,
  type Tensor,
  tensor,
  where,
} from "../../kernels/mod.ts";
import { type VelocityField, velocityOf } from "../flow/field.ts";
import { objectiveFor } from "../nets/networks.ts";
import { logitNormal, type TimeDistribution } from "../flow/time_distribution.ts";
import type { Module } from "../nn/module.ts";
import { streams } from "../random.ts";
import type { BatchSource } from "../train/batch_source.ts";
import { PairDraw } from "../train/pair_draw.ts";

/** What the stages of a distillation share. */
export interface Distillation {
  /** The flow map in training; it starts with the teacher's weights. */
  readonly student: Module & VelocityField;
  /** The flow to imitate, with its guidance. */
  readonly teacher: VelocityField;
  /** Training images, with labels as the condition if the student has classes. */
  readonly source: BatchSource;
  /** Examples per step. */
  readonly batchSize: number;
}

/** Points on the way from noise to data, f32[N, ...], with times f32[N], and the teacher's velocity there. */
export interface TaughtPoints {
  readonly xt: Tensor;
  readonly t: Tensor;
  readonly condition: Tensor | undefined;
  /** The teacher's velocity; no gradient flows through it. */
  readonly v: Tensor;
}

/** Times of which a share is 0, where sampling starts; half of the others are uniform, half in the middle. */
export function startingTimes(share: number): TimeDistribution {
  const middle = logitNormal({ mean: 0, scale: 1 });
  return {
    draw(key, n) {
      const u = randomUniform(key, [n]);
      const isUniform = tensor(Uint32Array.from({ length: n }, (_, i) => i % 2));
      const t = where(isUniform, divideTail(u, share), middle.draw(key, n));
      return where(less(u, share), 0, t);
    },
  };
}

/** Uniform in [0, 1) if u is uniform in [share, 1). */
function divideTail(u: Tensor, share: number): Tensor {
  return multiply(subtract(u, share), 1 / (1 - share));
}

/** Draws points and asks the teacher for the velocity there. */
export class TaughtDraw {
  readonly #distillation: Distillation;
  readonly #times: TimeDistribution;
  readonly #pairs: PairDraw;
  readonly #lengthKey = tensor(new Uint32Array(3));

  /** @param startShare share of the points that are noise, at t = 0 */
  constructor(distillation: Distillation, startShare: number) {
    const { source, batchSize } = distillation;
    this.#distillation = distillation;
    this.#times = startingTimes(startShare);
    this.#pairs = new PairDraw(source, batchSize, streams);
  }

  /** Sets the examples and random numbers of the next run. */
  write(examples: Uint32Array, seed: number, step: number): void {
    this.#pairs.write(examples, seed, step);
    this.#lengthKey.write(Uint32Array.of(seed, streams.stepLengths, step));
  }

  /** The points, by device ops only. */
  points(batchSize?: number): TaughtPoints {
    const { student, teacher } = this.#distillation;
    const { path } = objectiveFor(student);
    const indices = batchSize === undefined ? undefined : tensor(new Uint32Array(batchSize));
    const { x0, x1, t, condition } = this.#pairs.pairs({ times: this.#times }, indices);
    const { xt } = path.at(x0, x1, t);
    return { xt, t, condition, v: constant(velocityOf(teacher, xt, t, condition)) };
  }

  /**
   * Lengths of steps from t, f32[N]: 0 for a share, 1 - t for 30 % of the others, uniform in [0, 1 - t) for the rest.
   */
  lengths(t: Tensor, still: number): Tensor {
    const u = randomUniform(this.#lengthKey, t.shape);
    const whole = still + 0.3 * (1 - still);
    const part = where(less(u, whole), 1, divideTail(u, whole));
    return where(less(u, still), 0, multiply(part, subtract(1, t)));
  }
}

/** A value through which no gradient flows. */
export function constant(x: Tensor): Tensor {
  x.detach();
  return x;
}

/** x + d v with one d per row of x. */
export function moved(x: Tensor, v: Tensor, d: Tensor): Tensor {
  return add(x, multiply(v, d));
}
