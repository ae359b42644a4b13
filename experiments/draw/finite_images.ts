import { RunError } from "../run/atomic_write.ts";

/**
 * Checks what a network has drawn before it is kept or shown.
 *
 * @param task what cannot be done otherwise, for the error
 * @returns the values
 * @throws {RunError} if a value is not finite
 */
export function finiteImages(task: string, values: Float32Array): Float32Array {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return values;
  throw new RunError(
    `Cannot ${task}: the network gives ${
      values[at]
    } (expected finite numbers); its weights are damaged or have ` +
      "diverged: use other weights, or train with a smaller --lr or --clip 1",
  );
}
