import { sameShape, type Shape, ShapeError, showShape } from "./shape.ts";
import { Tensor } from "./tensor.ts";

/**
 * Checks what a function that is not ours gave: a tensor of f32, and of a shape if one is given.
 *
 * @param task what needs it, as in `Cannot ${task}`
 * @param subject what gave it, with its verb: `velocity() returned`
 * @throws {TypeError} if it is not a tensor, such as a promise of one
 * @throws {ShapeError} if it is a tensor of another type or shape
 */
export function checkTensor(task: string, subject: string, given: unknown, shape?: Shape): Tensor {
  const expected = shape ? showShape(shape) : "a tensor";
  if (!(given instanceof Tensor)) {
    const isPromise = typeof given === "object" && given !== null && "then" in given;
    throw new TypeError(
      `Cannot ${task}: ${subject} ${describeValue(given)} (expected ${expected}${
        isPromise ? ", at once: it may not be asynchronous" : ""
      })`,
    );
  }
  if (!shape || (given.type === "f32" && sameShape(given.shape, shape))) return given;
  throw new ShapeError(`Cannot ${task}: ${subject} ${given} (expected ${expected})`);
}

/** What a value is, in a few words, for messages. */
export function describeValue(value: unknown): string {
  if (typeof value !== "object" || value === null) {
    return typeof value === "function" ? "a function" : `${value}`;
  }
  if ("then" in value) return "a promise";
  return Array.isArray(value) ? "an array" : `an object of type ${value.constructor?.name ?? "Object"}`;
}
