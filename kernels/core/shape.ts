import { describeValue, isCount, refuse, UserError } from "./checks.ts";

/** The lengths of a tensor's axes, outermost first. */
export type Shape = readonly number[];

/** Thrown if the shapes of tensors do not fit an op; the message names the op, the shapes and the rule. */
export class ShapeError extends UserError {
  /** Class name, kept in minified code. */
  override name = "ShapeError";
}

/** Number of elements of a shape; 1 for a scalar, `[]`. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** The number of elements of a shape of whole numbers; all others are refused. */
export function checkedSizeOf(shape: Shape): number {
  if (!Array.isArray(shape)) {
    refuse(ShapeError, `make a tensor of shape ${describeValue(shape)}`, "a list of lengths, such as [2, 3]");
  }
  const size = sizeOf(shape);
  if (Number.isSafeInteger(size) && shape.every((length) => isCount(length))) return size;
  const shown = shape.map(describeValue).join(", ");
  refuse(ShapeError, `make a tensor of shape [${shown}]`, "whole numbers of at least 0");
}

/** Whether two shapes are the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}

/** A shape as shown in messages: `f32[2, 3]`. */
export function showShape(shape: Shape, type = "f32"): string {
  return `${type}[${shape.join(", ")}]`;
}

/** The shape that `a` and `b` broadcast to: axes are aligned at the end, and an axis of length 1 stretches. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const m = a[axis - rank + a.length] ?? 1;
    const n = b[axis - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      const shapes = `${showShape(a)} with ${showShape(b)}`;
      refuse(ShapeError, `broadcast ${shapes}: lengths ${m} and ${n} meet`, "equal lengths or 1");
    }
    return m === 1 ? n : m;
  });
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/** Strides that read a tensor of `shape` as if it had been broadcast to `target`: 0 along every stretched axis. */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const strides = stridesOf(shape);
  return target.map((_, axis) => {
    const own = axis - target.length + shape.length;
    return own < 0 || shape[own] === 1 ? 0 : strides[own];
  });
}

/** An axis counted from the end if negative, as a plain index; `of` names the caller in the error. */
export function axisOf(axis: number, rank: number, of: string): number {
  const plain = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || plain < 0 || plain >= rank) {
    const expected = rank > 0 ? `an axis from ${-rank} to ${rank - 1}` : "a tensor with axes";
    refuse(ShapeError, `run ${of}: axis ${axis} is outside a tensor of rank ${rank}`, expected);
  }
  return plain;
}
