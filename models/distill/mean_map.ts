import {
  add,
  full,
  jvp,
  less,
  meanSquaredError,
  multiply,
  randomUniform,
  subtract,
  type Tensor,
  tensor,
  where,
} from "../../kernels/mod.ts";
import { meanVelocityOf, type VelocityField, velocityOf } from "../flow/field.ts";
import { guided } from "../flow/guidance.ts";
import { logitNormal, perRow, type TimeDistribution } from "../flow/path.ts";
import { noneOf, objectiveFor } from "../nets/networks.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";
import { streams } from "../random.ts";
import { PairDraw } from "../train/batches.ts";
import type { StepLoss } from "../train/trainer.ts";
import { detached, type Distillation } from "./distillation.ts";

/**
 * The mean velocity u, and its derivative along the flow, Du/Dt = du/dx v + du/dt - du/dd, in one pass. No gradient
 * flows through the derivative.
 *
 * @param v the velocity at x, f32[N, ...]
 * @param t, d f32[N]
 * @returns f32[N, ...] each
 */
export function alongFlow(
  field: VelocityField,
  x: Tensor,
  t: Tensor,
  d: Tensor,
  v: Tensor,
  condition?: Tensor,
): readonly [u: Tensor, slope: Tensor] {
  const [u, slope] = jvp(
    (x, t, d) => meanVelocityOf(field, x, t, d, condition),
    [x, t, d],
    [v, full(t.shape, 1), full(d.shape, -1)],
  );
  return [u, detached(slope)];
}

/** Share of the points that are noise, where sampling starts. */
const starting = 0.25;
/** Share of the steps of length 0, which learn the velocity itself. */
const still = 0.5;

/**
 * Times of which a share is 0; half of the rest are uniform, half near the middle.
 *
 * @param choiceKey decides which are 0, u32[3]; another key than that of the times, or these would depend on the choice
 */
function startingTimes(choiceKey: Tensor): TimeDistribution {
  return {
    draw(key, n) {
      const isUniform = tensor(Uint32Array.from({ length: n }, (_, i) => i % 2));
      const t = where(isUniform, randomUniform(key, [n]), logitNormal({ mean: 0, scale: 1 }).draw(key, n));
      return where(less(randomUniform(choiceKey, [n]), starting), 0, t);
    },
  };
}

/** Uniform in [0, 1) if u is uniform in [share, 1). */
function stretched(u: Tensor, share: number): Tensor {
  return multiply(subtract(u, share), 1 / (1 - share));
}

/**
 * A flow map by the mean rule: the mean velocity from t to t + d obeys u = v + d Du/Dt, so the target is
 * sg[v + d Du/Dt] with the teacher's velocity v, and at d = 0 the velocity itself, to the bit. The map may take the
 * teacher's guidance as an input.
 *
 * Source: Geng et al. 2025, arXiv:2505.13447, equation 6; with a teacher Sabour et al. 2025, arXiv:2506.14603
 */
export class MeanMapLoss implements StepLoss {
  readonly #distillation: Distillation;
  readonly #pairs: PairDraw;
  readonly #lengthKey = tensor(new Uint32Array(3));
  readonly #guidanceKey = tensor(new Uint32Array(3));
  readonly #choiceKey = tensor(new Uint32Array(3));
  readonly #times = startingTimes(this.#choiceKey);

  /** Prepares the draw of the points. */
  constructor(distillation: Distillation) {
    this.#distillation = distillation;
    this.#pairs = new PairDraw(distillation.source, distillation.batchSize, streams);
  }

  /** Sets the examples and random numbers of the next run. */
  write(examples: Uint32Array, seed: number, step: number): void {
    this.#pairs.write(examples, seed, step);
    this.#lengthKey.write(Uint32Array.of(seed, streams.stepLengths, step));
    this.#guidanceKey.write(Uint32Array.of(seed, streams.guidance, step));
    this.#choiceKey.write(Uint32Array.of(seed, streams.timeChoice, step));
  }

  /** The loss, f32[]. */
  loss(_averaged: NamedTensors, batchSize?: number): Tensor {
    const { xt, t, condition, v, map } = this.points(batchSize);
    const d = this.lengths(t);
    const [u, slope] = alongFlow(map, xt, t, d, v, condition);
    return meanSquaredError(u, detached(add(v, multiply(slope, perRow(d, slope)))));
  }

  /** Points f32[N, ...] on the way from noise to data at times f32[N], the teacher's velocity there, and the map. */
  protected points(
    batchSize?: number,
  ): Record<"xt" | "t" | "v", Tensor> & {
    readonly condition: Tensor | undefined;
    readonly map: VelocityField;
  } {
    const { path } = objectiveFor(this.#distillation.student);
    const { x0, x1, t, condition } = this.#pairs.pairs({ times: this.#times }, batchSize);
    const { xt } = path.at(x0, x1, t);
    const [map, teacher] = this.#guided(t);
    return { xt, t, condition, v: detached(velocityOf(teacher, xt, t, condition)), map };
  }

  /** Lengths of steps from t, f32[N]: 0 for half of them, 1 - t for 15 %, uniform in [0, 1 - t) for the rest. */
  protected lengths(t: Tensor): Tensor {
    const u = randomUniform(this.#lengthKey, t.shape);
    const whole = still + 0.3 * (1 - still);
    const part = where(less(u, whole), 1, stretched(u, whole));
    return where(less(u, still), 0, multiply(part, subtract(1, t)));
  }

  /**
   * Student and teacher at scales uniform in [1, `maxGuidance`], one for each time; unchanged if the student has no
   * such input.
   */
  #guided(t: Tensor): readonly [student: VelocityField, teacher: VelocityField] {
    const { student, teacher } = this.#distillation;
    const { maxGuidance } = student;
    if (maxGuidance === undefined) return [student, teacher];
    const scale = add(multiply(randomUniform(this.#guidanceKey, t.shape), maxGuidance - 1), 1);
    const how = { scale, none: noneOf(student) };
    return [guided(student, how), guided(teacher, how)];
  }
}
