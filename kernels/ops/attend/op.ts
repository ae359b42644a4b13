import type { Dims, NumberArray, Tuning } from "../../devices/device.ts";
import { defineOp } from "../../op.ts";
import { checkTensor, type Tensor } from "../../core/tensor.ts";
import { sameShape, ShapeError } from "../../core/shape.ts";
import {
  attendGroups,
  attendKeyValueGradientWgsl,
  attendLanes,
  attendQueryGradientWgsl,
  attendWgsl,
} from "./wgsl.ts";
import { pullBack } from "../../autograd/gradients.ts";
import { withoutHistory } from "../../autograd/history.ts";
import { multiply } from "../elementwise/binary.ts";
import { matmulTransposedA, matmulTransposedB } from "../matmul/op.ts";
import { softmax } from "../reduce/softmax.ts";

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
function attendReference(arrays: Arrays<"q" | "k" | "v" | "y" | "stats">, dims: Dims): void {
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

function queryGradientReference(
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

function keyValueGradientReference(
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

/** WebGPU kernels of attention: workgroups, with the number of lanes compiled in. */
function attentionKernels(wgsl: (lanes: number) => string) {
  return {
    specialise: ({ C, L }: Dims) => ({ lanes: attendLanes(C, L) }),
    workgroups: ({ N, C, L }: Dims) => ({ count: attendGroups(N, L), lanes: attendLanes(C, L) }),
    wgsl: (_: Tuning, { lanes }: Dims) => wgsl(lanes),
  };
}

/**
 * y[n, c, i] = sum over j of p[i, j] v[n, c, j], with p[i, j] = exp(scale q_i k_j - stats[n, i, 0]) / stats[n, i, 1]:
 * the softmax over j, whose maximum and sum are stored for the gradients instead of p.
 */
const attention = defineOp({
  name: "attend",
  signature: "q[N, C, L], k[N, C, L], v[N, C, L] -> y[N, C, L], stats[N, L, 2]",
  attributes: { scale: "f32" },
  ...attentionKernels(attendWgsl),
  backward({ q, k, v, y, stats, dy }, { scale }) {
    let ofQueries: [Tensor, Tensor] | undefined;
    let ofKeys: [Tensor, Tensor] | undefined;
    const [sums, result] = [withoutHistory(stats), withoutHistory(y)];
    const queries = () => ofQueries ??= queryGradient(q, k, v, result, sums, dy, { scale });
    const keys = () =>
      ofKeys ??= keyValueGradient(q, k, v, sums, withoutHistory(queries()[1]), dy, { scale });
    return { q: () => queries()[0], k: () => keys()[0], v: () => keys()[1] };
  },
  composite: (inputs, { scale }) => [ofProducts(inputs, scale)],
  reference: attendReference,
  multiplyAdds: ({ N, C, L }) => 2 * N * C * L * L,
  samples: [
    { shapes: { q: [2, 5, 9], k: [2, 5, 9], v: [2, 5, 9] }, attributes: { scale: 0.5 } },
    { shapes: { q: [1, 67, 133], k: [1, 67, 133], v: [1, 67, 133] }, attributes: { scale: 0.3 } }, // several chunks
    { shapes: { q: [1, 1, 1], k: [1, 1, 1], v: [1, 1, 1] }, attributes: { scale: 1 } },
  ],
});

/** A sample of both gradients, with plausible statistics of a softmax. */
const gradientSample = (N: number, C: number, L: number) => ({
  shapes: {
    ...Object.fromEntries(["q", "k", "v", "y", "dy"].map((name) => [name, [N, C, L]])),
    stats: [N, L, 2],
    dots: [N, L],
  },
  attributes: { scale: 0.5 },
  values: { stats: Array.from({ length: N * L * 2 }, (_, i) => i % 2 === 0 ? i % 5 : 3 + i % 7) },
});

/** Declaration fields shared by both gradients. */
const gradientForm = <Reference>(wgsl: (lanes: number) => string, reference: Reference) => ({
  ...attentionKernels(wgsl),
  reference,
  attributes: { scale: "f32" },
  samples: [gradientSample(2, 5, 9), gradientSample(1, 67, 133)],
} as const);

type Queries = Readonly<Record<"q" | "k" | "v", Tensor>>;

/** Attention by products, which stores the weights. */
function ofProducts({ q, k, v }: Queries, scale: number): Tensor {
  return matmulTransposedB(v, softmax(multiply(matmulTransposedA(q, k), scale)));
}

/** Gradients of attention by products. */
function gradientsOfProducts(inputs: Queries, dy: Tensor, scale: number, by: readonly Tensor[]) {
  return pullBack(new Map([[ofProducts(inputs, scale), dy]]), by).map((gradient) => gradient!);
}

/** dq, and `dots`, the sum over c of dy y of each query, which the gradients of k and v need. */
const queryGradient = defineOp({
  name: "attendQueryGradient",
  signature:
    "q[N, C, L], k[N, C, L], v[N, C, L], y[N, C, L], stats[N, L, 2], dy[N, C, L] -> dq[N, C, L], dots[N, L]",
  ...gradientForm(attendQueryGradientWgsl, queryGradientReference),
  multiplyAdds: ({ N, C, L }) => 3 * N * C * L * L,
  composite: (inputs, { scale }) => gradientsOfProducts(inputs, inputs.dy, scale, [inputs.q]),
});

/** dk and dv in one op, because both need the weights. */
const keyValueGradient = defineOp({
  name: "attendKeyValueGradient",
  signature:
    "q[N, C, L], k[N, C, L], v[N, C, L], stats[N, L, 2], dots[N, L], dy[N, C, L] -> dk[N, C, L], dv[N, C, L]",
  ...gradientForm(attendKeyValueGradientWgsl, keyValueGradientReference),
  multiplyAdds: ({ N, C, L }) => 4 * N * C * L * L,
  composite: (inputs, { scale }) => gradientsOfProducts(inputs, inputs.dy, scale, [inputs.k, inputs.v]),
});

/**
 * Attention between all positions: v softmax(scale q^T k)^T. On GPUs the [L, L] weights are stored only for second
 * derivatives and for `jvp`.
 *
 * @param q f32[N, C, L]; k and v have the same shape
 * @param options the scale, by default 1 / sqrt(C)
 * @returns f32[N, C, L]
 * @throws {ShapeError} if the shapes differ
 * Source: Milakov and Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, options: { scale?: number } = {}): Tensor {
  for (const [name, x] of Object.entries({ q, k, v })) checkTensor("run attend", `${name} is`, x);
  if (q.shape.length !== 3 || !sameShape(q.shape, k.shape) || !sameShape(q.shape, v.shape)) {
    throw new ShapeError(`Cannot run attend: q ${q}, k ${k}, v ${v} (expected one shape [N, C, L])`);
  }
  const { scale = 1 / Math.sqrt(q.shape[1]) } = options;
  if (!q.device.tuning.software) return attention(q, k, v, { scale })[0];
  // Without workgroup memory, storing the weights is 3 to 4 times faster than computing them twice (lavapipe).
  return ofProducts({ q, k, v }, scale);
}
