import { checkCount } from "../../kernels/core/checks.ts";

/** Pairs of data and noise, and their cost. */
export interface Pairing {
  /** Index in the batch of the data paired with row n of the noise, u32[N]. */
  readonly order: Uint32Array<ArrayBuffer>;
  /** Squared distance of noise and data, averaged over pairs and elements. */
  readonly cost: number;
  /** The cost without reordering. */
  readonly independentCost: number;
}

/**
 * Pairs noise with data so that the sum of squared distances is smallest.
 *
 * @param x0 noise, f32[N, P]
 * @param x1 data, f32[N, P]
 * @param N examples in the batch
 * @param labels labels of the data, u32[N], if any; then data is reordered only within each class, so labels keep their
 * places
 * @throws {RangeError} if N is not a positive integer, or the arrays do not hold N rows of one length
 * Source: Tong et al. 2023, arXiv:2302.00482, section 4.2; Pooladian et al. 2023, arXiv:2304.14772; within classes
 * Cheng and Schwing 2025, arXiv:2503.10636
 */
export function transport(x0: Float32Array, x1: Float32Array, N: number, labels?: Uint32Array): Pairing {
  checkCount("pair noise with data", "N", N);
  const hasRows = x0.length > 0 && x0.length % N === 0 && x1.length === x0.length;
  if (!hasRows || labels && labels.length !== N) {
    const counts = `${x0.length} and ${x1.length} values${labels ? ` and ${labels.length} labels` : ""}`;
    throw new RangeError(
      `Cannot pair noise with data: ${counts} in ${N} rows (expected the same number of each, f32[N, P])`,
    );
  }
  const places = Array.from({ length: N }, (_, n) => n);
  const groups = labels
    ? [...new Set(labels)].map((label) => places.filter((n) => labels[n] === label))
    : [places];
  const order = new Uint32Array(N);
  let [cost, independentCost] = [0, 0];
  for (const group of groups) {
    const n = group.length;
    const costs = squaredDistances(x0, x1, x0.length / N, group);
    assignment(costs, n).forEach((column, row) => {
      order[group[row]] = group[column];
      cost += costs[row * n + column] / x0.length;
      independentCost += costs[row * n + row] / x0.length;
    });
  }
  return { order, cost, independentCost };
}

/** |x0 - x1|^2 for all pairs of the given rows, f64[n, n]. */
function squaredDistances(
  x0: Float32Array,
  x1: Float32Array,
  P: number,
  places: readonly number[],
): Float64Array {
  const n = places.length;
  const squares = (x: Float32Array) => places.map((place) => dot(x, place * P, x, place * P, P));
  const [noise, data] = [squares(x0), squares(x1)];
  const costs = new Float64Array(n * n);
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < n; column++) {
      const product = dot(x0, places[row] * P, x1, places[column] * P, P);
      costs[row * n + column] = noise[row] + data[column] - 2 * product;
    }
  }
  return costs;
}

function dot(a: Float32Array, fromA: number, b: Float32Array, fromB: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[fromA + i] * b[fromB + i];
  return sum;
}

/**
 * Solves the linear assignment problem exactly: assigns each row its own column at the least total cost. O(n^3), in
 * f64.
 *
 * Rows are added one by one. Each time, Dijkstra's algorithm in reduced costs, cost - u - v, finds the shortest path
 * from the new row to a free column, alternating between columns and the rows assigned to them. Then each row on the
 * path moves to the next column.
 *
 * @param cost f64[n, n], row-major, finite
 * @returns the column of each row, u32[n]
 * @throws {RangeError} if there are not n^2 costs, or one is not finite
 * Source: Jonker and Volgenant 1987; as shortest augmenting paths Crouse 2016, doi:10.1109/TAES.2016.140952
 */
export function assignment(cost: Float64Array, n: number): Uint32Array<ArrayBuffer> {
  checkCount("assign rows to columns", "n", n, 0);
  if (cost.length !== n * n || !cost.every(Number.isFinite)) {
    throw new RangeError(
      `Cannot assign ${n} rows by ${cost.length} costs (expected ${n * n} finite numbers)`,
    );
  }
  const none = -1;
  const [u, v] = [new Float64Array(n), new Float64Array(n)];
  const rowOf = new Int32Array(n).fill(none);
  const columnOf = new Int32Array(n).fill(none);
  for (let start = 0; start < n; start++) {
    const distance = new Float64Array(n).fill(Infinity); // from the new row to each column
    const from = new Int32Array(n).fill(none); // the row before each column
    const reached = new Uint8Array(n);
    let [row, length, end] = [start, 0, none];
    while (end === none) {
      let next = none;
      for (let column = 0; column < n; column++) {
        if (reached[column]) continue;
        const through = length + cost[row * n + column] - u[row] - v[column];
        if (through < distance[column]) [distance[column], from[column]] = [through, row];
        if (next === none || distance[column] < distance[next]) next = column;
      }
      length = distance[next];
      reached[next] = 1;
      if (rowOf[next] === none) end = next;
      else row = rowOf[next];
    }
    // Reduced costs on the path become 0, and stay at least 0 elsewhere.
    u[start] += length;
    for (let column = 0; column < n; column++) {
      if (!reached[column]) continue;
      const slack = length - distance[column];
      if (rowOf[column] !== none) u[rowOf[column]] += slack;
      v[column] -= slack;
    }
    for (let column = end; column !== none;) {
      row = from[column];
      rowOf[column] = row;
      [columnOf[row], column] = [column, columnOf[row]];
    }
  }
  return Uint32Array.from(columnOf);
}
