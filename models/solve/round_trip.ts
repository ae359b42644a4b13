import { mean, scope, sqrt, square, subtract, type Tensor } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { VelocityField } from "../flow/field.ts";
import { rejectUnknown } from "../names.ts";
import { Batches } from "./batches.ts";
import { inner } from "./divergence.ts";
import type { FollowOptions } from "./geometry.ts";
import { freshRows, joined } from "./joined.ts";
import { Sampler, samplerOptions, tableauOf } from "./sampler.ts";
import { timesOf } from "./time_grids.ts";

/** Round-trip error of a solver. */
export interface RoundTrip {
  /** Error of each sample, data -> noise -> data: the root mean square over its elements. */
  readonly error: Float32Array;
  /** Evaluations of the field for each sample, there and back. */
  readonly evaluations: number;
}

/**
 * Maps data to noise and back, and measures the error: sqrt(mean (x - x1)^2) of each sample. The flow itself loses
 * nothing, so this is the error of the solver and of f32.
 *
 * @param x1 data, f32[N, ...]
 * @param options times from noise to data; the reverse pass runs first
 * @throws {RangeError} if `batch` is not a positive integer
 * @throws {ShapeError} if there are no samples, or the condition does not have one row for each
 * @throws as {@linkcode Sampler}
 */
export async function roundTrip(
  field: VelocityField,
  x1: Tensor,
  options: FollowOptions,
): Promise<RoundTrip> {
  checkTensor("make a round trip", "x1 is", x1);
  rejectUnknown(options, [...samplerOptions, "batch"], "roundTrip()");
  const { batch = 64, condition } = options;
  const [solver, times] = [tableauOf(options), timesOf(options)];
  const batches = new Batches(x1, batch, condition);
  let evaluations = 0;
  const [error] = scope(() => {
    const along = (times: readonly number[]) =>
      new Sampler(batches.field(field), batches.shape, { times, solver });
    const [back, forth] = [along(times.toReversed()), along(times)];
    return joined(Array.from(batches, (part) => {
      const before = back.evaluations + forth.evaluations;
      const lost = subtract(forth.run(back.run(part.x0)), part.x0);
      evaluations = back.evaluations + forth.evaluations - before;
      return [freshRows(sqrt(mean(square(lost), inner(lost.shape))), part)];
    }));
  });
  return { error: await error.read(), evaluations };
}
