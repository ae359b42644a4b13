import { UserError } from "../../kernels/mod.ts";
import { isCount } from "../../kernels/core/checks.ts";

/** Thrown if a measure cannot be computed. */
export class MeasureError extends UserError {
  /** Name of the error. */
  override name = "MeasureError";
}

/** Images or their features in host memory, one per row. */
export interface Points {
  /** f32[N, F], row-major. */
  readonly values: Float32Array;
  /** Number of points, N. */
  readonly rows: number;
  /** Numbers per point, F. */
  readonly width: number;
}

/**
 * Checks points before measuring; `task` and `name` are for the message.
 *
 * @throws {MeasureError} if there are fewer than `least`, the values do not fill the rows, or one is NaN or infinite
 */
export function checkPoints(task: string, name: string, { values, rows, width }: Points, least = 1): void {
  if (!isCount(rows) || !isCount(width, 1) || values.length !== rows * width) {
    throw new MeasureError(
      `Cannot ${task}: ${name} are ${values.length} values in ${rows} rows of ${width} ` +
        "(expected rows times width values, and a width of at least 1)",
    );
  }
  if (rows < least) {
    throw new MeasureError(
      `Cannot ${task}: there are ${rows} ${name} of ${width} values (expected at least ${least}); use more`,
    );
  }
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new MeasureError(
    `Cannot ${task}: value ${at % width} of ${name} ${Math.floor(at / width)} is ${values[at]} ` +
      "(expected finite numbers); the network that made them is damaged or has diverged",
  );
}

/** Checks two sets of points before comparing them. @throws {MeasureError} as `checkPoints`, or if widths differ */
export function checkPair(task: string, reference: Points, samples: Points, least = 1): void {
  checkPoints(task, "reference points", reference, least);
  checkPoints(task, "samples", samples, least);
  if (reference.width === samples.width) return;
  throw new MeasureError(
    `Cannot ${task}: samples have ${samples.width} values each, and reference points ${reference.width} ` +
      "(expected the same width, from the same network or images of the same size)",
  );
}

/** Squared Euclidean distance of row i of a and row j of b, in f64; exactly 0 for copies. */
export function squaredDistance(a: Points, i: number, b: Points, j: number): number {
  const { width } = a;
  const [fromA, fromB] = [i * width, j * width];
  let sum = 0;
  for (let f = 0; f < width; f++) {
    const difference = a.values[fromA + f] - b.values[fromB + f];
    sum += difference * difference;
  }
  return sum;
}

/** The means of the columns of at least one point, f64[F]. */
export function columnMeans({ values, rows, width }: Points): Float64Array<ArrayBuffer> {
  const mean = new Float64Array(width);
  for (let n = 0, at = 0; n < rows; n++) for (let f = 0; f < width; f++) mean[f] += values[at++];
  return mean.map((sum) => sum / rows);
}

/** The points at the given indices. */
export function pickPoints({ values, width }: Points, indices: ArrayLike<number>): Points {
  const taken = new Float32Array(indices.length * width);
  for (let n = 0; n < indices.length; n++) {
    taken.set(values.subarray(indices[n] * width, (indices[n] + 1) * width), n * width);
  }
  return { values: taken, rows: indices.length, width };
}
