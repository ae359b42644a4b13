import { refuse } from "../../core/checks.ts";
import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims, NumberArray } from "../../devices/device.ts";
import { checkTensor, makeHistory, Tensor, withoutHistory } from "../../core/tensor.ts";
import { defineOp, type Op } from "../../op.ts";
import { withDevice } from "../../core/context.ts";
import { broadcastShapes, type Shape, ShapeError, sizeOf } from "../../core/shape.ts";
import { add, addCall } from "../elementwise/binary.ts";
import { permute, reshape, slice, zeros } from "../layout.ts";
import { type Product, registerProductWgsl, registerTiles, vectorProductWgsl } from "./product.ts";
import { productKernels } from "./product_kernels.ts";
import { sum, sumTo } from "../reduce/reduce.ts";

/** A value for each buffer of a product y = a b. */
type Buffers<T> = Readonly<Record<"a" | "b" | "y", T>>;

/**
 * The three products: strides in elements of a along m and k, and of b along k and n; a string is the name of a dim.
 */
const layouts = {
  matmul: ["K", 1, "N", 1],
  matmulTransposedB: ["K", 1, 1, "K"],
  matmulTransposedA: [1, "M", "N", 1],
} as const;

/** WGSL of an index times its stride. */
const stepOf = (index: string, stride: string | 1) => stride === 1 ? index : `${index} * dims.${stride}`;

function productOf(name: keyof typeof layouts, [a, b]: readonly [string, string] = ["a", "b"]): Product {
  const [am, ak, bk, bn] = layouts[name];
  const indexOfB = (column: string) => `${column} + ${stepOf("d", bk)}`;
  return {
    rows: "dims.M",
    columns: "dims.N",
    depth: "dims.K",
    position: "k",
    a: {
      along: ak === 1 ? "depth" : "edge",
      edge: (m) => `batch % dims.A * dims.M * dims.K + ${stepOf(m, am)}`,
      element: (row) => `${a}[${row} + ${stepOf("d", ak)}]`,
    },
    b: {
      along: bk === 1 ? "depth" : "edge",
      edge: (n) => `batch % dims.B * dims.N * dims.K + ${stepOf(n, bn)}`,
      element: (column) => `${b}[${indexOfB(column)}]`,
      ...bn === 1 && { vector: (column: string) => `${b}[(${indexOfB(column)}) / 4u]` },
    },
    columnTarget: "batch * dims.M * dims.N + column",
    rowTarget: "row * dims.N",
    target: "y",
  };
}

/** WebGPU kernels of a product. */
function kernelsOf(product: Product) {
  const size = ({ Y, M, N }: Dims) => ({ rows: M, columns: N, batches: Y });
  const vectors = ["b", "y", ...product.addend ? [product.addend] : []];
  const hasVectors = ({ N }: Dims) => product.b.vector !== undefined && N % 4 === 0;
  const first = product.b.vector
    ? {
      tile: "8x8 of vectors",
      fits: hasVectors,
      vectors: () => vectors,
      invocations: (dims: Dims) => registerTiles(size(dims)),
      wgsl: () => vectorProductWgsl(product),
    }
    : {
      tile: "16x8",
      fits: ({ M }: Dims) => M > 8,
      invocations: (dims: Dims) => registerTiles(size(dims), 16),
      wgsl: () => registerProductWgsl(product, 16),
    };
  return productKernels({
    size,
    product: () => product,
    hasVectors,
    vectors,
    registers: (generic) => [first, generic],
  });
}

/** Declaration fields shared by the three products. */
function productFields(name: keyof typeof layouts) {
  const stridesIn = (dims: Dims) => layouts[name].map((stride) => stride === 1 ? 1 : dims[stride]);
  return {
    empty: zeros,
    derive: ({ A, B }: Record<string, number>) => {
      if (A !== B && A !== 1 && B !== 1) refuse(ShapeError, `run ${name}: batches of ${A} and ${B}`);
      return { Y: A === 1 ? B : A };
    },
    ...kernelsOf(productOf(name)),
    multiplyAdds: ({ Y, M, N, K }: Dims) => Y * M * N * K,
    reference: (arrays: Buffers<NumberArray>, dims: Dims) => multiplyLoops(arrays, dims, stridesIn(dims)),
    wasm: (buffers: Buffers<number>, dims: Dims): readonly WasmCall[] => [
      productCall(buffers, dims, stridesIn(dims)),
    ],
  };
}

/** The CPU device's product with these strides. */
function productCall({ a, b, y }: Buffers<number>, dims: Dims, strides: readonly number[]): WasmCall {
  const { A, B, Y, M, N, K } = dims;
  const [am, ak, bk, bn] = strides.map((stride) => 4 * stride);
  return { kernel: "matmul", args: { a, b, bias: 0, y, A, B, Y, M, N, K, am, ak, bk, bn } };
}

/** y = a b with strides of a and b along m, k and n. */
function multiplyLoops(
  { a, b, y }: Buffers<NumberArray>,
  { A, B, Y, M, N, K }: Dims,
  [am, ak, bk, bn]: readonly number[],
): void {
  for (let batch = 0; batch < Y; batch++) {
    const fromA = batch % A * M * K, fromB = batch % B * N * K;
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        let total = 0;
        for (let k = 0; k < K; k++) total += a[fromA + m * am + k * ak] * b[fromB + k * bk + n * bn];
        y[(batch * M + m) * N + n] = total;
      }
    }
  }
}

export const matmulOp = defineOp({
  name: "matmul",
  signature: "a[A, M, K], b[B, K, N] -> y[Y, M, N]",
  ...productFields("matmul"),
  backward: ({ a, b, dy }) => ({
    a: () => sumTo(matmulTransposedB(dy, b), a.shape),
    b: () => sumTo(matmulTransposedA(a, dy), b.shape),
  }),
  samples: [
    { shapes: { a: [1, 9, 37], b: [1, 37, 17] } }, // deeper than a slice of any tile
    { shapes: { a: [2, 1, 1], b: [2, 1, 1] } },
    { shapes: { a: [3, 4, 37], b: [1, 37, 8] } }, // columns in vectors
    { shapes: { a: [1, 17, 3], b: [2, 3, 10] } },
  ],
});

export const matmulTransposedBOp = defineOp({
  name: "matmulTransposedB",
  signature: "a[A, M, K], b[B, N, K] -> y[Y, M, N]",
  ...productFields("matmulTransposedB"),
  backward: ({ a, b, dy }) => ({
    a: () => sumTo(matmul(dy, b), a.shape),
    b: () => sumTo(matmulTransposedA(dy, a), b.shape),
  }),
  samples: [{ shapes: { a: [1, 9, 37], b: [1, 17, 37] } }, { shapes: { a: [2, 3, 4], b: [1, 2, 4] } }],
});

/** Largest number of partial results of a product over a long depth, in numbers: they should stay in caches. */
const MOST_PARTIAL = 2 ** 17;

/**
 * The CPU device's calls for a^T b, the weight gradient of a linear layer: long sums into a small result. They are divided
 * by depth into equal parts, so that all threads have work; how depends on nothing but the sizes, and so do the bits.
 */
function deepProductCalls(buffers: Buffers<number>, dims: Dims): readonly WasmCall[] {
  const { A, B, M, N, K } = dims;
  const strides = [1, M, N, 1];
  const parts = A * B > 1
    ? undefined
    : [8, 4, 2].find((parts) => K % parts === 0 && K >= 192 * parts && M * N * parts <= MOST_PARTIAL);
  if (parts === undefined) return [productCall(buffers, dims, strides)];
  const each = { ...dims, A: parts, B: parts, Y: parts, K: K / parts };
  return [
    productCall({ ...buffers, y: 0 }, each, strides),
    { kernel: "sumParts", args: { y: buffers.y, groups: 1, parts, n: M * N } },
  ];
}

const transposedA = defineOp({
  name: "matmulTransposedA",
  signature: "a[A, K, M], b[B, K, N] -> y[Y, M, N]",
  ...productFields("matmulTransposedA"),
  wasm: deepProductCalls,
  backward: ({ a, b, dy }) => ({
    a: () => sumTo(matmulTransposedB(b, dy), a.shape),
    b: () => sumTo(matmul(a, dy), b.shape),
  }),
  samples: [
    { shapes: { a: [1, 37, 9], b: [1, 37, 17] } },
    { shapes: { a: [2, 37, 3], b: [2, 37, 4] } },
    { shapes: { a: [1, 386, 3], b: [1, 386, 5] } }, // in parts on the CPU device
  ],
});

type ProductOp = typeof matmulOp | typeof matmulTransposedBOp | typeof transposedA;

/** a b added to the gradient so far: saves a pass. */
const matmulAdd: Op<"a[M, K], b[K, N], before[M, N] -> y[M, N]"> = defineOp({
  name: "matmulAdd",
  signature: "a[M, K], b[K, N], before[M, N] -> y[M, N]",
  derive: () => ({ A: 1, B: 1, Y: 1 }),
  ...kernelsOf({ ...productOf("matmul"), addend: "before" }),
  backward: ({ a, b, dy }) => ({
    a: () => matmulTransposedB(dy, b),
    b: () => matmulTransposedA(a, dy),
    before: () => dy,
  }),
  reference({ a, b, before, y }, dims) {
    multiplyLoops({ a, b, y }, dims, [dims.K, 1, dims.N, 1]);
    for (let i = 0; i < y.length; i++) y[i] += before[i];
  },
  wasm: ({ before, ...buffers }, dims) => [
    productCall(buffers as Buffers<number>, dims, [dims.K, 1, dims.N, 1]),
    addCall(buffers.y, before, dims.M * dims.N),
  ],
  samples: [17, 8].map((N) => ({ shapes: { a: [9, 37], b: [37, N], before: [9, N] } })),
});

const linearOp = defineOp({
  name: "linear",
  signature: "x[M, K], w[N, K], bias[N] -> y[M, N]",
  derive: () => ({ A: 1, B: 1, Y: 1 }),
  ...kernelsOf({
    ...productOf("matmulTransposedB", ["x", "w"]),
    columnAdded: "bias[column]",
    stored: "value + added",
  }),
  backward: ({ x, w, dy }) => ({
    x: (before?: Tensor) => before ? matmulAdd(dy, w, before) : matmul(dy, w),
    w: () => matmulTransposedA(dy, x),
    bias: () => sum(dy, [0]),
  }),
  multiplyAdds: ({ M, N, K }) => M * N * K,
  reference({ x, w, bias, y }, dims) {
    multiplyLoops({ a: x, b: w, y }, dims, [dims.K, 1, 1, dims.K]);
    for (let i = 0; i < y.length; i++) y[i] += bias[i % dims.N];
  },
  wasm: ({ x: a, w: b, bias, y }, { A, B, Y, M, N, K }) => [{
    kernel: "matmul",
    args: { a, b, bias, y, A, B, Y, M, N, K, am: 4 * K, ak: 4, bk: 4, bn: 4 * K },
  }],
  samples: [{ shapes: { x: [9, 37], w: [17, 37], bias: [17] } }, {
    shapes: { x: [1, 3], w: [2, 3], bias: [2] },
  }],
});

/**
 * Matrix product over the last two axes; earlier axes are batches and broadcast.
 *
 * @param a f32[..., M, K]
 * @param b f32[..., K, N]
 * @returns f32[..., M, N]
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  return batched(matmulOp, a, b, true);
}

/** a b^T over the last two axes: f32[..., M, K] and f32[..., N, K] to f32[..., M, N]; see `matmul`. */
export function matmulTransposedB(a: Tensor, b: Tensor): Tensor {
  return batched(matmulTransposedBOp, a, b, true);
}

/** a^T b over the last two axes: f32[..., K, M] and f32[..., K, N] to f32[..., M, N]; see `matmul`. */
export function matmulTransposedA(a: Tensor, b: Tensor): Tensor {
  return batched(transposedA, a, b, false);
}

/** @param inRows whether rows of a make rows of the result, so that a single b multiplies the rows of all batches */
function batched(product: ProductOp, a: Tensor, b: Tensor, inRows: boolean): Tensor {
  for (const [name, given] of Object.entries({ a, b })) checkTensor("multiply matrices", `${name} is`, given);
  if (a.shape.length < 2 || b.shape.length < 2) {
    refuse(ShapeError, `multiply ${a} and ${b} as matrices`, "at least two axes each");
  }
  const batches = [a, b].map((x) => x.shape.slice(0, -2));
  const batch = broadcastShapes(batches[0], batches[1]);
  if (inRows && sizeOf(batches[1]) === 1) {
    const rows = sizeOf(a.shape.slice(0, -1));
    const K = a.shape.at(-1)!;
    const y = inParts(product, reshape(a, [1, rows, K]), reshape(b, [1, ...b.shape.slice(-2)]));
    return reshape(y, [...batch, a.shape.at(-2)!, y.shape[2]]);
  }
  // The kernels handle full batches and single matrices; other batches are expanded first.
  const flat = [a, b].map((x, k) => {
    const expanded = sizeOf(batches[k]) === 1 || sizeOf(batches[k]) === sizeOf(batch) ? x : repeat(x, batch);
    return reshape(expanded, [sizeOf(expanded.shape.slice(0, -2)), ...x.shape.slice(-2)]);
  });
  const y = inParts(product, flat[0], flat[1]);
  return reshape(y, [...batch, ...y.shape.slice(1)]);
}

/** Deepest product in one sum, which keeps f32 accurate, and the depth of the parts of deeper ones. */
const DEEPEST = 2 ** 15, PART = 2 ** 13;

/** A product; a deep one as a sum of parts, with the gradients of the whole. */
function inParts(product: ProductOp, a: Tensor, b: Tensor): Tensor {
  const axes = product === transposedA ? [1, 1] : product === matmulOp ? [2, 1] : [2, 2];
  const K = a.shape[axes[0]];
  if (K <= DEEPEST || K !== b.shape[axes[1]]) return product(a, b);
  const parts = Array.from({ length: Math.ceil(K / PART) }, (_, i) => {
    const [left, right] = [a, b].map((x, k) =>
      slice(withoutHistory(x), axes[k], i * PART, Math.min(PART, K - i * PART))
    );
    return product(left, right);
  });
  const { storage, shape } = parts.reduce((sum, part) => add(sum, part));
  const { name, backward } = product.definition;
  const history = makeHistory({
    op: name,
    output: "y",
    names: ["a", "b"],
    inputs: [a, b],
    rules: ({ a, b }, dy) => backward!({ a, b, dy, y: dy }, {}),
  });
  return new Tensor(storage, shape, "f32", 0, history);
}

function repeat(x: Tensor, batch: Shape): Tensor {
  return withDevice(x.device, () => add(zeros([...batch, 1, 1]), x));
}

/** x with its last two axes swapped. */
export function transpose(x: Tensor): Tensor {
  const rank = x.shape.length;
  if (rank < 2) refuse(ShapeError, `transpose ${x}`, "at least two axes");
  return permute(x, [...x.shape.keys()].map((axis) => axis < rank - 2 ? axis : 2 * rank - 3 - axis));
}

/**
 * x w^T + bias, for each row along the last axis of x.
 *
 * @param x f32[..., I]
 * @param w f32[O, I]
 * @param bias f32[O]
 * @returns f32[..., O]
 */
export function linear(x: Tensor, w: Tensor, bias: Tensor): Tensor {
  for (const [name, given] of Object.entries({ x, w, bias })) checkTensor("run linear", `${name} is`, given);
  if (bias.shape.length !== 1 || bias.shape[0] !== w.shape[0]) {
    refuse(ShapeError, `run linear: bias is ${bias} for w ${w}`, `f32[${w.shape[0]}]`);
  }
  const [I] = x.shape.slice(-1);
  if (I === undefined) refuse(ShapeError, `run linear: x ${x} has no axis`, "f32[..., I]");
  if (I > DEEPEST) return add(matmulTransposedB(x, w), bias);
  const leading = x.shape.slice(0, -1);
  if (leading.length === 1) return linearOp(x, w, bias); // no view, so that its rule can add to the gradient so far
  return reshape(linearOp(reshape(x, [sizeOf(leading), I]), w, bias), [...leading, w.shape[0]]);
}
