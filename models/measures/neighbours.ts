import { eachNearPair, type OnPairs } from "./near_pairs.ts";
import { checkPair, MeasureError, type Points } from "./points.ts";

/** The nearest reference points of each query, nearest first. */
export interface Neighbours {
  /** Neighbours of each query. */
  readonly k: number;
  /** Rows of the reference, u32[N, k]; of equally near ones the first comes first. */
  readonly indices: Uint32Array;
  /** Squared Euclidean distances to them, f64[N, k]. */
  readonly squared: Float64Array;
}

/**
 * Finds the k nearest reference points of each query, exactly, with the products on the device in use. Memory beyond
 * the points and the result is bounded. A query that is a reference point itself is its own neighbour, at distance 0.
 *
 * @param queries f32[N, F]
 * @param references f32[M, F]
 * @param onPairs of the N M pairs, how many more have been looked at; what it throws ends the search
 * @throws {MeasureError} if the points are invalid, or k is not a whole number from 1 to M
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
    throw new MeasureError(
      `Cannot ${task}: ${k} are asked for, of ${references.rows} points (expected a whole number of at least 1, and as many points)`,
    );
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
