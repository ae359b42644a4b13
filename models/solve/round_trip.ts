import { mean, scope, slice, sqrt, square, subtract, type Tensor } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/check_tensor.ts";
import type { VelocityField } from "../flow/field.ts";
import { inner } from "./divergence.ts";
import type { FollowOptions } from "./geometry.ts";
import { RowBatches } from "./row_batches.ts";
import { checkBatch, Sampler, tableauOf } from "./sampler.ts";
import { timesOf } from "./time_grids.ts";
import { evaluations } from "./tableau.ts";

/** How well a solver finds the way back. */
export interface RoundTrip {
  /** Error of each sample, data -> noise -> data: the root mean square over its elements. */
  readonly error: Float32Array;
  /** Evaluations of the field for each sample, there and back. */
  readonly evaluations: number;
}

/**
 * Leads data to noise and back, and measures what is lost: sqrt(mean (x - x1)^2) of each sample. The flow itself loses
 * nothing, so this is the error of the solver and of f32.
 *
 * @param x1 data, f32[N, ...]
 * @param options the times of the way from noise to data; they are followed back first
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
  checkBatch(x1.shape);
  const { batch = 64, condition } = options;
  const [solver, times] = [tableauOf(options), timesOf(options)];
  const [N, ...shape] = x1.shape;
  const [error] = scope(() => {
    const batches = new RowBatches(field, N, batch, condition);
    const along = (times: readonly number[]) =>
      new Sampler(batches.field, [batches.length, ...shape], { times, solver });
    const [back, forth] = [along(times.toReversed()), along(times)];
    return batches.join((from) => {
      const x = slice(x1, 0, from, batches.length);
      const lost = subtract(forth.run(back.run(x)), x);
      return [sqrt(mean(square(lost), inner(x.shape)))];
    });
  });
  return { error: await error.read(), evaluations: 2 * evaluations(solver, times.length - 1) };
}
