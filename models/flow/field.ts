import type { Shape, Tensor } from "../../kernels/mod.ts";
import { refuse } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { whenRun } from "../../kernels/record/record.ts";
import { Module } from "../nn/module.ts";
import type { Path } from "./path.ts";

/** A velocity field v(x, t), or v(x, t, c) with a condition: x f32[N, ...], t f32[N] in [0, 1] -> the shape of x. */
export interface VelocityField {
  /**
   * The velocity, using only device ops, so that it can be recorded.
   *
   * @param condition one row per x, such as class labels u32[N], if the field takes one
   */
  velocity(x: Tensor, t: Tensor, condition?: Tensor): Tensor;
  /**
   * The mean velocity u(x, t, d) on the way from t to t + d, in a flow map: x + d u is the point at t + d, in one
   * evaluation. u(x, t, 0) is the velocity.
   *
   * @param d f32[N], with t + d at most 1
   * @param guidance f32[N] from 1 to `maxGuidance`, for a map that takes it as an input; by default 1
   */
  readonly meanVelocity?:
    | ((x: Tensor, t: Tensor, d: Tensor, condition?: Tensor, guidance?: Tensor) => Tensor)
    | undefined;
  /** Largest guidance that the mean velocity takes as an input, if it does; `guided` uses it then. */
  readonly maxGuidance?: number | undefined;
  /** Whether guidance changed the velocity. If so, no likelihood can be computed. */
  readonly guided?: boolean | undefined;
  /**
   * Whether it is learned, by default whether it is a `Module`. At t = 1 no noise is left for a network to see, so samplers
   * evaluate nothing there: see `last` of their options.
   */
  readonly learned?: boolean | undefined;
  /** Its probability path; by default the straight one. */
  readonly path?: Path | undefined;
  /** Shape of one sample, such as [C, H, W], for `sample()`; by default that of its training data. */
  readonly shape?: Shape | undefined;
  /** Number of classes, if its condition is labels u32[N]; the label `classes` then means "none", for guidance. */
  readonly classes?: number | undefined;
}

/** A network whose encoder gives features of images, such as a U-Net. */
export interface ImageEncoder {
  /**
   * Features of images, without a label: one tensor f32[N, ...] per level of the encoder.
   *
   * @param images f32[N, C, H, W]
   * @param t f32[N]; near 1 for images without noise
   */
  encode(images: Tensor, t: Tensor): readonly Tensor[];
}

/** The path of a field, if it has one. */
export function pathOf({ path }: VelocityField): Path | undefined {
  // Strings and arrays have an at() method, too.
  const isPath = typeof path?.at === "function" && !(Symbol.iterator in Object(path));
  if (path === undefined || isPath) return path;
  const why = "its path is not a path from noise to data";
  refuse(TypeError, `use the field: ${why} (expected a path such as linearPath); rename the member`);
}

/** The shape of one example of each field's training data, where it is known. */
export const trainedShapes: WeakMap<VelocityField, Shape> = new WeakMap();

/**
 * Fields that `fit` began to train in this turn of the event loop: sampling from one now means that `fit` was not
 * awaited.
 */
export const justBegun: WeakSet<VelocityField> = new WeakSet();

/** The properties that a wrapper of a field copies from it. */
export function traitsOf(
  field: VelocityField,
): Omit<VelocityField, "velocity" | "meanVelocity" | "maxGuidance"> {
  const { guided, shape = trainedShapes.get(field) } = checkedField(field);
  return { guided, learned: isLearned(field), path: pathOf(field), shape };
}

/** Whether a field is a network, or made of one. */
export function isLearned(field: VelocityField): boolean {
  return field.learned ?? field instanceof Module;
}

/** The velocity of a field, with its shape checked: a wrong one could broadcast and silently give wrong results. */
export function velocityOf(field: VelocityField, x: Tensor, t: Tensor, condition?: Tensor): Tensor {
  const v: unknown = checkedField(field).velocity(x, t, condition);
  return checkTensor("use the field", `velocity() of x ${x} returned`, v, x.shape);
}

/** The mean velocity of a flow map, with its shape checked. */
export function meanVelocityOf(
  field: VelocityField,
  x: Tensor,
  t: Tensor,
  d: Tensor,
  condition?: Tensor,
  guidance?: Tensor,
): Tensor {
  const { meanVelocity } = checkedField(field);
  if (!meanVelocity) {
    refuse(
      TypeError,
      `jump from t to t + d: the field has no mean velocity${field.guided ? " with guidance" : ""}`,
      "a flow map, such as those of the task distill",
    );
  }
  const u: unknown = meanVelocity.call(field, x, t, d, condition, guidance);
  return checkTensor("use the field", `meanVelocity() of x ${x} returned`, u, x.shape);
}

function checkedField(field: VelocityField): VelocityField {
  if (typeof field?.velocity === "function") return field;
  refuse(TypeError, "use the field: it has no velocity", "an object with velocity(x, t)");
}

/**
 * A velocity field that counts how often it is evaluated, each time on a whole batch. A recorded step counts when it runs,
 * not when it is traced: tracing computes nothing.
 */
export function counted(field: VelocityField): VelocityField & { readonly evaluations: number } {
  let evaluations = 0;
  const count = () => whenRun(() => evaluations++);
  return {
    ...traitsOf(field),
    get evaluations() {
      return evaluations;
    },
    velocity(x, t, condition) {
      count();
      return velocityOf(field, x, t, condition);
    },
    ...field.meanVelocity && {
      meanVelocity(x, t, d, condition) {
        count();
        return meanVelocityOf(field, x, t, d, condition);
      },
    },
  };
}
