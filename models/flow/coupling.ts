import { normals } from "../../kernels/mod.ts";
import { checkCount, refuse } from "../../kernels/core/checks.ts";
import { streams } from "../random.ts";

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
 *
 * Source: Tong et al. 2023, arXiv:2302.00482, section 4.2; Pooladian et al. 2023, arXiv:2304.14772; within classes
 * Cheng and Schwing 2025, arXiv:2503.10636
 */
export function transport(x0: Float32Array, x1: Float32Array, N: number, labels?: Uint32Array): Pairing {
  checkCount("pair noise with data", "N", N);
  const hasRows = x0.length > 0 && x0.length % N === 0 && x1.length === x0.length;
  if (!hasRows || labels && labels.length !== N) {
    const counts = `${x0.length} and ${x1.length} values${labels ? ` and ${labels.length} labels` : ""}`;
    refuse(RangeError, `pair noise with data: ${counts} in ${N} rows`, "the same number of each, f32[N, P]");
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
 *
 * Source: Jonker and Volgenant 1987; as shortest augmenting paths Crouse 2016, doi:10.1109/TAES.2016.140952
 */
export function assignment(cost: Float64Array, n: number): Uint32Array<ArrayBuffer> {
  checkCount("assign rows to columns", "n", n, 0);
  if (cost.length !== n * n || !cost.every(Number.isFinite)) {
    refuse(RangeError, `assign ${n} rows by ${cost.length} costs`, `${n * n} finite numbers`);
  }
  const none = -1;
  const [u, v] = [new Float64Array(n), new Float64Array(n)];
  const rowOf = new Int32Array(n).fill(none);
  const columnOf = new Int32Array(n).fill(none);
  for (let start = 0; start < n; start++) {
    const distance = new Float64Array(n).fill(Infinity); // from the new row to each column
    const from = new Int32Array(n).fill(none); // the row before each column
    const reached = new Uint8Array(n);
    let row = start;
    let length = 0;
    let end = none;
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

/** Identifies the noise of a training step. */
export interface NoiseDraw {
  /** Integer in [0, 2^32). */
  readonly seed: number;
  /** The step, from 0. */
  readonly step: number;
}

/** Examples in host memory, for couplings. */
export interface HostExamples {
  /** Elements per example. */
  readonly size: number;
  /**
   * Data at the given indices in the network's units, f32[N, size]; if the data is augmented, as it is at the step of
   * `draw`.
   */
  values(examples: Uint32Array, draw?: NoiseDraw): Float32Array<ArrayBuffer>;
  /** Labels at the given indices, u32[N], if the data has labels. */
  labels?(examples: Uint32Array): Uint32Array<ArrayBuffer>;
}

/** Pairs data with noise. */
export interface Coupling {
  /** Data that it needs in host memory; by default none. */
  readonly sees?: "values" | "labels";
  /**
   * Reorders a batch: example n is paired with row n of the noise.
   *
   * @param examples indices of a batch, u32[N]
   * @param draw the noise of the step
   * @param data the examples, if the coupling sees them
   * @returns the same examples, reordered
   */
  pair(examples: Uint32Array<ArrayBuffer>, draw: NoiseDraw, data?: HostExamples): Uint32Array<ArrayBuffer>;
}

/** Noise and data are drawn independently. */
export const independentCoupling: Coupling = { pair: (examples) => examples };

/** Largest batch for transport. A larger one would take longer than a training step. */
export const maxPaired = 256;

/** Input of {@linkcode pairTransport}, which can be sent to a worker. */
export interface TransportBatch {
  /** The noise of the step. */
  readonly draw: NoiseDraw;
  /** The data, f32[N, P]. */
  readonly values: Float32Array<ArrayBuffer>;
  /** Labels u32[N], to pair within each class only. */
  readonly labels?: Uint32Array<ArrayBuffer>;
  /** N. */
  readonly count: number;
}

/** Exact transport between a batch and its noise, over all examples or within each class. */
export interface TransportCoupling extends Coupling {
  /** The values, and the labels if it pairs within classes. */
  readonly sees: "values" | "labels";
  /** The input of {@linkcode pairTransport}, so that a worker can run it. */
  batch(examples: Uint32Array, draw: NoiseDraw, data: HostExamples | undefined): TransportBatch;
}

/** Draws the noise of a step as the device does, to 1e-5, and pairs a batch with it. */
export function pairTransport({ draw: { seed, step }, values, labels, count }: TransportBatch): Pairing {
  return transport(normals(seed, streams.noise, step, values.length), values, count, labels);
}

function transportCoupling(sees: "values" | "labels"): TransportCoupling {
  const batch: TransportCoupling["batch"] = (examples, draw, data) => {
    const labels = sees === "labels" ? data?.labels?.(examples) : undefined;
    if (!data || (sees === "labels" && !labels)) {
      refuse(TypeError, `pair data with noise: the coupling needs the ${sees} of the data on the host`);
    }
    if (examples.length > maxPaired) {
      refuse(RangeError, `pair ${examples.length} examples by transport`, `batches of at most ${maxPaired}`);
    }
    return { draw, values: data.values(examples, draw), count: examples.length, ...labels && { labels } };
  };
  return {
    sees,
    batch,
    pair: (examples, draw, data) =>
      pairTransport(batch(examples, draw, data)).order.map((at) => examples[at]),
  };
}

/** Exact minibatch transport: pairs a batch with its noise so that the sum of squared distances is smallest. */
export const transportPairs: TransportCoupling = transportCoupling("values");

/** Transport within each class, so that the noise of an example does not depend on its label. */
export const classTransportPairs: TransportCoupling = transportCoupling("labels");

/** The couplings by name. */
export const couplings = {
  independent: {
    doc: "noise and data are drawn independently",
    settings: {},
    make: (): Coupling => independentCoupling,
  },
  ot: {
    doc: "exact optimal transport in each batch, of at most 256 images",
    settings: {},
    make: (): Coupling => transportPairs,
  },
  class_ot: {
    doc: "the same within each class, for data with labels",
    settings: {},
    make: (): Coupling => classTransportPairs,
  },
} as const;
