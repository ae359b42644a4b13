import { checkCount } from "../../kernels/core/count.ts";
import { assignment } from "./assignment.ts";

/** Which data is paired with which noise, and the cost. */
export interface Pairing {
  /** Index in the batch of the data paired with row n of the noise, u32[N]. */
  readonly order: Uint32Array<ArrayBuffer>;
  /** Squared distance of noise and data, the mean over pairs and elements. */
  readonly cost: number;
  /** The same without reordering. */
  readonly independentCost: number;
}

/**
 * Pairs noise with data so that the sum of squared distances is least.
 *
 * @param x0 noise, f32[N, P]
 * @param x1 data, f32[N, P]
 * @param N examples in the batch
 * @param labels of the data, u32[N]: if given, data is exchanged within its class only, so that every label keeps its place
 * @throws {RangeError} if N is not a positive integer, or the arrays do not hold N rows of one length
 * Source: Tong et al. 2023, arXiv:2302.00482, section 4.2; Pooladian et al. 2023, arXiv:2304.14772; within classes Cheng
 * and Schwing 2025, arXiv:2503.10636
 */
export function transport(x0: Float32Array, x1: Float32Array, N: number, labels?: Uint32Array): Pairing {
  checkCount("pair noise with data", "N", N);
  const hasRows = x0.length > 0 && x0.length % N === 0 && x1.length === x0.length;
  if (!hasRows || labels && labels.length !== N) {
    throw new RangeError(
      `Cannot pair noise with data: ${x0.length} and ${x1.length} values${
        labels ? ` and ${labels.length} labels` : ""
      } in ${N} rows (expected as many of each, f32[N, P])`,
    );
  }
  const places = Array.from({ length: N }, (_, n) => n);
  const groups = Map.groupBy(places, (n) => labels?.[n] ?? 0).values();
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

/** |x0 - x1|^2 of each noise and each data at some places, f64[n, n]. */
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
