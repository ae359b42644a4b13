import { matmulTransposedB, record, tensor, UserError } from "../../kernels/mod.ts";
import { describeValue, isCount, refuse } from "../../kernels/core/checks.ts";
import { yieldToEvents } from "../../kernels/devices/device.ts";

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

/** Checks points before measuring; `task` and `name` are for the message. */
export function checkPoints(task: string, name: string, { values, rows, width }: Points, least = 1): void {
  if (!isCount(rows) || !isCount(width, 1) || values.length !== rows * width) {
    const are = `${values.length} values in ${rows} rows of ${width}`;
    refuse(MeasureError, `${task}: ${name} are ${are}`, "rows times width values, and a width of at least 1");
  }
  if (rows < least) {
    const few = `${rows} ${name} of ${width} values (expected at least ${least})`;
    refuse(MeasureError, `${task}: there are ${few}; use more`);
  }
  let at = 0;
  while (at < values.length && Number.isFinite(values[at])) at++;
  if (at === values.length) return;
  const where = `value ${at % width} of ${name} ${Math.floor(at / width)}`;
  const hint = "the network that made them is damaged or has diverged";
  refuse(MeasureError, `${task}: ${where} is ${values[at]} (expected finite numbers); ${hint}`);
}

/** Checks two sets of points before comparing them. */
export function checkPair(task: string, reference: Points, samples: Points, least = 1): void {
  checkPoints(task, "reference points", reference, least);
  checkPoints(task, "samples", samples, least);
  if (reference.width === samples.width) return;
  const widths = `${samples.width} values each, and reference points ${reference.width}`;
  const hint = "the same width, from the same network or images of the same size";
  refuse(MeasureError, `${task}: samples have ${widths}`, hint);
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

/** Unit roundoff of f32: the largest relative error of one operation. */
const unit = 2 ** -24;
/** Largest absolute error of a product that underflows in f32. */
const lost = 2 ** -125;

/** Called with two rows near each other and their squared distance. */
type Visit = (i: number, j: number, squared: number) => void;
/** Called with the number of pairs compared since the last call. Throw to stop. */
export type OnPairs = (more: number) => void;

/**
 * Calls `visit` for all rows i of a and j of b with |a_i - b_j|^2 < limits[i]; for each i, j increases.
 *
 * Computes |a|^2 - 2 a b + |b|^2 on the device; minus its error bound, it is a lower bound that rules out most pairs.
 * For the remaining pairs, it sums squared differences in f64. So the result is exact, even for copies, where the
 * formula cancels.
 *
 * @param limits f64[N]; `visit` may lower the limit of its row to save work
 *
 * Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1, for the error of a product
 */
export async function eachNearPair(
  a: Points,
  b: Points,
  limits: Float64Array,
  visit: Visit,
  onPairs: OnPairs = () => {},
): Promise<void> {
  const mean = columnMeans(b);
  const scale = 2 ** -Math.ceil(Math.log2(Math.max(largest(a, mean), largest(b, mean)) || 1));
  const [movedA, movedB] = [moved(a, mean, scale), moved(b, mean, scale)];
  const norms = { a: normsOf(movedA), b: normsOf(movedB) };
  // An f32 product is off by at most F unit |a| |b|; rounding the centred points adds less than 4 unit (|a| + |b|)^2.
  const slack = (a.width / 2 + 4) * unit;
  const least = 2 * a.width * lost;
  const visitRow = ({ a: { from }, b: columns, values, stride }: ProductBlock, i: number) => {
    const norm = norms.a[i];
    const at = (i - from) * stride - columns.from;
    let limit = limits[i] * scale * scale;
    for (let j = columns.from; j < columns.to; j++) {
      const other = norms.b[j];
      const error = slack * (norm + other) * (norm + other) + least;
      if (norm * norm + other * other - 2 * values[at + j] - error >= limit) continue;
      const squared = squaredDistance(a, i, b, j);
      if (squared >= limits[i]) continue;
      visit(i, j, squared);
      limit = limits[i] * scale * scale;
    }
  };
  for await (const block of productBlocks(movedA, movedB)) {
    for (let i = block.a.from; i < block.a.to; i++) visitRow(block, i);
    onPairs((block.a.to - block.a.from) * (block.b.to - block.b.from));
  }
}

/** The largest magnitude of the points minus a mean. */
function largest({ values, rows, width }: Points, mean: Float64Array): number {
  let most = 0;
  for (let n = 0, at = 0; n < rows; n++) {
    for (let f = 0; f < width; f++, at++) most = Math.max(most, Math.abs(values[at] - mean[f]));
  }
  return most;
}

/** Points minus a mean, so that products cancel less, scaled to fit f32. */
function moved({ values, rows, width }: Points, mean: Float64Array, scale: number): Points {
  const result = new Float32Array(values.length);
  for (let n = 0, at = 0; n < rows; n++) {
    for (let f = 0; f < width; f++, at++) result[at] = (values[at] - mean[f]) * scale;
  }
  return { values: result, rows, width };
}

function normsOf({ values, rows, width }: Points): Float64Array {
  const norms = new Float64Array(rows);
  for (let n = 0, at = 0; n < rows; n++) {
    let sum = 0;
    for (let f = 0; f < width; f++, at++) sum += values[at] * values[at];
    norms[n] = Math.sqrt(sum);
  }
  return norms;
}

/** Rows of a and of b per block: at most 16 MiB of products. */
const blockRows = { a: 1024, b: 4096 };

/** A block of inner products of rows of a and b. */
export interface ProductBlock {
  /** Rows of a. */
  readonly a: RowRange;
  /** Rows of b. */
  readonly b: RowRange;
  /** f32; the product of rows i and j is at (i - a.from) stride + j - b.from. The next block overwrites it. */
  readonly values: Float32Array;
  /** Elements from one row of `values` to the next. */
  readonly stride: number;
}

/** A range of rows. */
export interface RowRange {
  /** The first row. */
  readonly from: number;
  /** The row after the last one. */
  readonly to: number;
}

/**
 * All inner products, a b^T, computed on the current device in blocks of bounded size. For each row of a, the rows of b
 * come in increasing order.
 *
 * @param a f32[N, F]
 * @param b f32[M, F]
 */
export async function* productBlocks(a: Points, b: Points): AsyncGenerator<ProductBlock> {
  const rows = Math.min(blockRows.a, a.rows);
  const stride = Math.min(blockRows.b, b.rows);
  const blocks = {
    a: tensor(new Float32Array(rows * a.width), [rows, a.width]),
    b: tensor(new Float32Array(stride * b.width), [stride, b.width]),
  };
  const step = record(() => matmulTransposedB(blocks.a, blocks.b));
  for (const columns of spans(b.rows, stride)) {
    blocks.b.write(filled(b, columns, stride));
    for (const span of spans(a.rows, rows)) {
      blocks.a.write(filled(a, span, rows));
      step.run();
      yield { a: span, b: columns, values: await step.result.read(), stride };
      await yieldToEvents();
    }
  }
}

function* spans(rows: number, most: number): Generator<RowRange> {
  for (let from = 0; from < rows; from += most) yield { from, to: Math.min(from + most, rows) };
}

/** A range of rows, padded with zeros to `rows` rows. */
function filled({ values, width }: Points, { from, to }: RowRange, rows: number): Float32Array {
  const part = values.subarray(from * width, to * width);
  if (to - from === rows) return part;
  const padded = new Float32Array(rows * width);
  padded.set(part);
  return padded;
}

/** The nearest reference points of each query, nearest first. */
export interface Neighbours {
  /** Neighbours per query. */
  readonly k: number;
  /** Rows of the reference, u32[N, k]; ties in order of the rows. */
  readonly indices: Uint32Array;
  /** Squared Euclidean distances to them, f64[N, k]. */
  readonly squared: Float64Array;
}

/**
 * Finds the k nearest reference points of each query, exactly; inner products are computed on the current device. Extra
 * memory is bounded. A query that is itself a reference point is its own neighbour, at distance 0.
 *
 * @param queries f32[N, F]
 * @param references f32[M, F]
 * @param onPairs called with the number of pairs compared since the last call, N M in total; throw to stop
 */
export async function nearestNeighbours(
  queries: Points,
  references: Points,
  k: number,
  onPairs?: OnPairs,
): Promise<Neighbours> {
  const task = "find nearest neighbours";
  checkPair(task, references, queries);
  if (!Number.isInteger(k) || k < 1 || k > references.rows) {
    const range = `from 1 to ${references.rows}, the number of reference points`;
    refuse(MeasureError, `${task}: k is ${describeValue(k)}`, `a whole number ${range}`);
  }
  const indices = new Uint32Array(queries.rows * k);
  const squared = new Float64Array(queries.rows * k).fill(Infinity);
  const limits = new Float64Array(queries.rows).fill(Infinity);
  await eachNearPair(queries, references, limits, (i, j, distance) => {
    const first = i * k;
    let at = first + k - 1;
    for (; at > first && squared[at - 1] > distance; at--) {
      squared[at] = squared[at - 1];
      indices[at] = indices[at - 1];
    }
    squared[at] = distance;
    indices[at] = j;
    limits[i] = squared[first + k - 1];
  }, onPairs);
  return { k, indices, squared };
}
