import { meanOf, type Points, squaredDistance } from "./points.ts";
import { type ProductBlock, productBlocks } from "./products.ts";

/** Half the distance from 1 to the next number of f32: the relative error of one operation. */
const unit = 2 ** -24;
/** What a product of f32 may lose if it is too small for it. */
const lost = 2 ** -125;

/** A pair of rows that are near each other, and their squared distance. */
export type Visit = (i: number, j: number, squared: number) => void;
/** Called with how many more pairs have been looked at; what it throws ends the work. */
export type OnPairs = (more: number) => void;

/**
 * Calls `visit` for each row i of a and row j of b with |a_i - b_j|^2 < limits[i], for a given i in the order of j.
 *
 * |a|^2 - 2 a b + |b|^2 from products of the device rules out most pairs: less its error bound, it is a bound from
 * below. The distances of the others are computed as sums of squared differences in f64, so that the result is exact,
 * also for copies, where the formula cancels.
 *
 * @param limits f64[N]; `visit` may lower those of its row, which spares work
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
  const mean = meanOf(b);
  const scale = 2 ** -Math.ceil(Math.log2(Math.max(largest(a, mean), largest(b, mean)) || 1));
  const [movedA, movedB] = [moved(a, mean, scale), moved(b, mean, scale)];
  const norms = { a: normsOf(movedA), b: normsOf(movedB) };
  // A product of f32 is off by F unit |a| |b| at most; rounding the moved points adds less than 4 unit (|a| + |b|)^2.
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

/** The largest magnitude of points less a mean. */
function largest({ values, rows, width }: Points, mean: Float64Array): number {
  let most = 0;
  for (let n = 0, at = 0; n < rows; n++) {
    for (let f = 0; f < width; f++, at++) most = Math.max(most, Math.abs(values[at] - mean[f]));
  }
  return most;
}

/** Points less a mean, so that products of small numbers lose less, and scaled so that they fit into f32. */
function moved({ values, rows, width }: Points, mean: Float64Array, scale: number): Points {
  const result = new Float32Array(values.length);
  for (let n = 0, at = 0; n < rows; n++) {
    for (let f = 0; f < width; f++, at++) result[at] = (values[at] - mean[f]) * scale;
  }
  return { values: result, rows, width };
}

/** Euclidean norms of the rows, f64[N]. */
function normsOf({ values, rows, width }: Points): Float64Array {
  const norms = new Float64Array(rows);
  for (let n = 0, at = 0; n < rows; n++) {
    let sum = 0;
    for (let f = 0; f < width; f++, at++) sum += values[at] * values[at];
    norms[n] = Math.sqrt(sum);
  }
  return norms;
}
