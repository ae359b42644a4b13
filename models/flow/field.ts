import type { Shape, Tensor } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { Path } from "./path.ts";

/** A velocity field v(x, t), or v(x, t, c) with a condition: x f32[N, ...], t f32[N] in [0, 1] -> the shape of x. */
export interface VelocityField {
  /**
   * The velocity, from device ops only, so that it can be recorded.
   *
   * @param condition one row per x, such as class labels u32[N], if the field takes one
   */
  velocity(x: Tensor, t: Tensor, condition?: Tensor): Tensor;
  /** Whether guidance changed the velocity: then its likelihood is not that of the model. */
  readonly guided?: boolean | undefined;
  /** The path that it is for; by default the straight one. */
  readonly path?: Path | undefined;
  /** Shape of one sample, such as [C, H, W], for `sample()`; networks of `createModel` and checkpoints have it. */
  readonly shape?: Shape | undefined;
}

/** The path that a field says it is for. @throws {TypeError} if its `path` is something else */
export function pathOf({ path }: VelocityField): Path | undefined {
  // Strings and arrays have a method at() too.
  const isPath = typeof path?.at === "function" && !(Symbol.iterator in Object(path));
  if (path === undefined || isPath) return path;
  throw new TypeError(
    "Cannot use the field: its path is not a path from noise to data (expected one such as linearPath); rename the member",
  );
}

/** What a field that wraps another one takes over from it. */
export function traitsOf(field: VelocityField): Pick<VelocityField, "guided" | "path" | "shape"> {
  const { guided, shape } = field;
  const path = pathOf(field);
  return { ...guided && { guided }, ...path && { path }, ...shape && { shape } };
}

/**
 * The velocity of a field, checked: one of another shape might broadcast and give wrong results silently.
 *
 * @throws {TypeError} if the field gives no tensor, or a promise
 * @throws {ShapeError} if the velocity does not have the shape of x
 */
export function velocityOf(field: VelocityField, x: Tensor, t: Tensor, condition?: Tensor): Tensor {
  if (typeof field?.velocity !== "function") {
    throw new TypeError("Cannot use the field: it has no velocity (expected an object with velocity(x, t))");
  }
  const v: unknown = field.velocity(x, t, condition);
  return checkTensor("use the field", `velocity() of x ${x} returned`, v, x.shape);
}
