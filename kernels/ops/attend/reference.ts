import type { Dims, NumberArray } from "../../devices/device.ts";

type Arrays<Names extends string> = Record<Names, NumberArray>;

/** Sum over c of a[n, c, i] b[n, c, j]. */
function dot({ C, L }: Dims, a: NumberArray, b: NumberArray, n: number, i: number, j: number): number {
  let total = 0;
  for (let c = 0; c < C; c++) total += a[(n * C + c) * L + i] * b[(n * C + c) * L + j];
  return total;
}

/** Calls `use` for each query and key, with their softmax weight p. */
function eachWeight(
  { q, k, stats }: Arrays<"q" | "k" | "stats">,
  dims: Dims,
  use: (n: number, i: number, j: number, p: number) => void,
): void {
  const { N, L, scale } = dims;
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < L; i++) {
      const [top, sum] = stats.subarray((n * L + i) * 2);
      for (let j = 0; j < L; j++) use(n, i, j, Math.exp(scale * dot(dims, q, k, n, i, j) - top) / sum);
    }
  }
}

/** to[n, c, i] += factor from[n, c, j] for every c. */
function addColumn(
  { C, L }: Dims,
  n: number,
  [to, i]: [NumberArray, number],
  [from, j]: [NumberArray, number],
  factor: number,
): void {
  for (let c = 0; c < C; c++) to[(n * C + c) * L + i] += factor * from[(n * C + c) * L + j];
}

/** y and the maximum and sum of each query's softmax. */
export function attendReference(arrays: Arrays<"q" | "k" | "v" | "y" | "stats">, dims: Dims): void {
  const { N, L, scale } = dims;
  const { q, k, v, y, stats } = arrays;
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < L; i++) {
      const scores = Float64Array.from({ length: L }, (_, j) => scale * dot(dims, q, k, n, i, j));
      const top = scores.reduce((a, b) => Math.max(a, b));
      stats.set([top, scores.reduce((sum, s) => sum + Math.exp(s - top), 0)], (n * L + i) * 2);
    }
  }
  y.fill(0);
  eachWeight(arrays, dims, (n, i, j, p) => addColumn(dims, n, [y, i], [v, j], p));
}

/** dq, and for each query dot = sum over c of dy y. */
export function queryGradientReference(
  arrays: Arrays<"q" | "k" | "v" | "y" | "stats" | "dy" | "dq" | "dots">,
  dims: Dims,
): void {
  const { v, y, k, dy, dq, dots } = arrays;
  const { N, L, scale } = dims;
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < L; i++) dots[n * L + i] = dot(dims, dy, y, n, i, i);
  }
  dq.fill(0);
  eachWeight(arrays, dims, (n, i, j, p) => {
    const ds = p * (dot(dims, dy, v, n, i, j) - dots[n * L + i]);
    addColumn(dims, n, [dq, i], [k, j], scale * ds);
  });
}

/** dk and dv. */
export function keyValueGradientReference(
  arrays: Arrays<"q" | "k" | "v" | "stats" | "dots" | "dy" | "dk" | "dv">,
  dims: Dims,
): void {
  const { q, v, dots, dy, dk, dv } = arrays;
  const { L, scale } = dims;
  dk.fill(0);
  dv.fill(0);
  eachWeight(arrays, dims, (n, i, j, p) => {
    const ds = p * (dot(dims, dy, v, n, i, j) - dots[n * L + i]);
    addColumn(dims, n, [dv, j], [dy, i], p);
    addColumn(dims, n, [dk, j], [q, i], scale * ds);
  });
}
