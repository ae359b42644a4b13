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
import { guided } from "../flow/guidance.ts";
import { logitNormal, type TimeDistribution } from "../flow/path.ts";
import { noneOf, objectiveFor } from "../nets/networks.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";
import type { Module } from "../nn/module.ts";
import { streams } from "../random.ts";
import { type BatchSource, PairDraw } from "../train/batches.ts";
import type { StepLoss } from "../train/trainer.ts";

/** What the stages of a distillation share. */
export interface Distillation {
  /** The flow map in training; it starts with the teacher's weights. */
  readonly student: Module & VelocityField;
  /** The flow to imitate, with its guidance; unguided if the student takes guidance as an input. */
  readonly teacher: VelocityField;
  /** Training images, with labels as the condition if the student has classes. */
  readonly source: BatchSource;
  /** Examples per step. */
  readonly batchSize: number;
}

/** Points on the way from noise to data, f32[N, ...], with times f32[N], and the teacher's velocity there. */
export interface TaughtPoints {
  /** f32[N, ...]. */
  readonly xt: Tensor;
  /** f32[N] in [0, 1]. */
  readonly t: Tensor;
  /** One row per point, if the network takes labels. */
  readonly condition: Tensor | undefined;
  /** The teacher's velocity; no gradient flows through it. */
  readonly v: Tensor;
  /** The flow map in training, at a guidance drawn for each point if it takes one as an input. */
  readonly map: VelocityField;
}

/** Times of which a share is 0, where sampling starts; half of the rest are uniform, half near the middle. */
function startingTimes(share: number): TimeDistribution {
  const middle = logitNormal({ mean: 0, scale: 1 });
  return {
    draw(key, n) {
      const u = randomUniform(key, [n]);
      const isUniform = tensor(Uint32Array.from({ length: n }, (_, i) => i % 2));
      const t = where(isUniform, stretched(u, share), middle.draw(key, n));
      return where(less(u, share), 0, t);
    },
  };
}

/** Uniform in [0, 1) if u is uniform in [share, 1). */
function stretched(u: Tensor, share: number): Tensor {
  return multiply(subtract(u, share), 1 / (1 - share));
}

/** A loss at points where the teacher's velocity is evaluated. */
export abstract class TaughtLoss implements StepLoss {
  /** The flow map in training. */
  protected readonly student: Distillation["student"];
  readonly #teacher: VelocityField;
  readonly #times: TimeDistribution;
  readonly #pairs: PairDraw;
  readonly #lengthKey = tensor(new Uint32Array(3));
  readonly #guidanceKey = tensor(new Uint32Array(3));

  /**
   * Prepares the draw of the points.
   *
   * @param startShare share of the points that are noise, at t = 0
   */
  constructor({ student, teacher, source, batchSize }: Distillation, startShare: number) {
    this.student = student;
    this.#teacher = teacher;
    this.#times = startingTimes(startShare);
    this.#pairs = new PairDraw(source, batchSize, streams);
  }

  /** The loss, f32[]. */
  abstract loss(averaged: NamedTensors, batchSize?: number): Tensor;

  /** Sets the examples and random numbers of the next run. */
  write(examples: Uint32Array, seed: number, step: number): void {
    this.#pairs.write(examples, seed, step);
    this.#lengthKey.write(Uint32Array.of(seed, streams.stepLengths, step));
    this.#guidanceKey.write(Uint32Array.of(seed, streams.guidance, step));
  }

  /** Draws points, using only device ops. */
  protected points(batchSize?: number): TaughtPoints {
    const { path } = objectiveFor(this.student);
    const { x0, x1, t, condition } = this.#pairs.pairs({ times: this.#times }, batchSize);
    const { xt } = path.at(x0, x1, t);
    const [map, teacher] = this.#guided(t);
    return { xt, t, condition, v: detached(velocityOf(teacher, xt, t, condition)), map };
  }

  /**
   * Student and teacher at scales uniform in [1, `maxGuidance`], one for each time; unchanged if the student has no
   * such input.
   */
  #guided(t: Tensor): readonly [student: VelocityField, teacher: VelocityField] {
    const [student, teacher] = [this.student, this.#teacher];
    const { maxGuidance } = student;
    if (maxGuidance === undefined) return [student, teacher];
    const scale = add(multiply(randomUniform(this.#guidanceKey, t.shape), maxGuidance - 1), 1);
    const how = { scale, none: noneOf(student) };
    return [guided(student, how), guided(teacher, how)];
  }

  /**
   * Lengths of steps from t, f32[N]: 0 for a share, 1 - t for 30 % of the remaining ones, uniform in [0, 1 - t) for the
   * rest.
   */
  protected lengths(t: Tensor, still: number): Tensor {
    const u = randomUniform(this.#lengthKey, t.shape);
    const whole = still + 0.3 * (1 - still);
    const part = where(less(u, whole), 1, stretched(u, whole));
    return where(less(u, still), 0, multiply(part, subtract(1, t)));
  }
}

/** The tensor itself, detached: no gradient flows through it. */
export function detached(x: Tensor): Tensor {
  x.detach();
  return x;
}
