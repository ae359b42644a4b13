import { refuse } from "../../core/checks.ts";
import type { NumberArray } from "../../devices/device.ts";
import { nanWgsl } from "../elementwise/shared.ts";
import { defineOp, type Op } from "../../op.ts";
import { checkTensor, type Tensor } from "../../core/tensor.ts";
import { multiply, negate, subtract } from "../elementwise/binary.ts";
import { full, reshape, zeros } from "../layout.ts";
import { sameShape, ShapeError, sizeOf } from "../../core/shape.ts";
import { mean, runSumKernels, spreadChunks, sum, sumChunks } from "./reduce.ts";
import { exp } from "../elementwise/unary.ts";
import { matmulTransposedA, matmulTransposedB } from "../matmul/op.ts";

/** The largest number of a row (NaN if any is NaN), and the sum of exp(x - top) over the row. */
function expSum(row: NumberArray): { readonly top: number; readonly total: number } {
  let top = -Infinity;
  let total = 0;
  for (const x of row) top = Math.max(top, x);
  for (const x of row) total += Math.exp(x - top);
  return { top, total };
}

/** WGSL of `topOf` and `sumOfExp`, which do the same for the row starting at `base` in a buffer of [R, C]. */
function expSumWgsl(x: string): string {
  return `${nanWgsl}
fn topOf(base: u32) -> f32 {
  var top = ${x}[base];
  for (var c = 1u; c < dims.C; c++) {
    let v = ${x}[base + c];
    if (!isNan(top) && (v > top || isNan(v))) { top = v; }
  }
  return top;
}
fn sumOfExp(base: u32, top: f32) -> f32 {
  var total = 0.0;
  for (var c = 0u; c < dims.C; c++) { total += expOf(${x}[base + c] - top); }
  return total;
}
`;
}

const softmaxRows = defineOp({
  name: "softmax",
  signature: "x[R, C] -> y[R, C]",
  invocations: ({ R }) => R,
  wgsl: `${nanWgsl}
fn kernel(r: u32) {
  let base = r * dims.C;
  var top = x[base];
  for (var c = 1u; c < dims.C; c++) { top = max(top, x[base + c]); }
  var total = 0.0;
  for (var c = 0u; c < dims.C; c++) { let e = expOf(x[base + c] - top); y[base + c] = e; total += e; }
  for (var c = 0u; c < dims.C; c++) { y[base + c] /= total; }
}`,
  backward: ({ y, dy }) => ({ x: () => softmaxGradient(y, dy) }),
  reference({ x, y }, { R, C }) {
    for (let r = 0; r < R; r++) {
      const { top, total } = expSum(x.subarray(r * C, (r + 1) * C));
      for (let i = r * C; i < (r + 1) * C; i++) y[i] = Math.exp(x[i] - top) / total;
    }
  },
  wasm: "softmax",
  samples: [
    { shapes: { x: [3, 5] } },
    { shapes: { x: [1, 1] } },
    { shapes: { x: [1, 3] }, values: { x: [1000, 999, -1000] } },
  ],
});

/** dx = y (dy - sum(y dy)), row by row. */
export const softmaxGradient: Op<"y[R, C], dy[R, C] -> dx[R, C]"> = defineOp({
  name: "softmaxGradient",
  signature: "y[R, C], dy[R, C] -> dx[R, C]",
  invocations: ({ R }) => R,
  wgsl: `fn kernel(r: u32) {
  let base = r * dims.C;
  var dot = 0.0;
  for (var c = 0u; c < dims.C; c++) { dot += y[base + c] * dy[base + c]; }
  for (var c = 0u; c < dims.C; c++) { dx[base + c] = y[base + c] * (dy[base + c] - dot); }
}`,
  backward: ({ y, dy, ddx }) => ({
    y: () => {
      const total = (a: Tensor, b: Tensor) => sum(multiply(a, b), [1], true);
      return subtract(multiply(ddx, subtract(dy, total(y, dy))), multiply(dy, total(y, ddx)));
    },
    dy: () => softmaxGradient(y, ddx),
  }),
  reference({ y, dy, dx }, { R, C }) {
    for (let r = 0; r < R; r++) {
      let dot = 0;
      for (let c = 0; c < C; c++) dot += y[r * C + c] * dy[r * C + c];
      for (let c = 0; c < C; c++) dx[r * C + c] = y[r * C + c] * (dy[r * C + c] - dot);
    }
  },
  wasm: "softmaxGradient",
  samples: [{ shapes: { y: [3, 5], dy: [3, 5] } }],
});

/** Softmax over the last axis: exp(x) / sum(exp(x)). */
export function softmax(x: Tensor): Tensor {
  return alongRows("softmax", softmaxRows, x);
}

/** Runs an op on rows [R, C] along the last axis. */
function alongRows(name: string, op: (x: Tensor) => Tensor, x: Tensor): Tensor {
  const C = x.shape.at(-1);
  if (C === undefined) refuse(ShapeError, `run ${name}: x ${x} has no axis`, "at least one");
  return reshape(op(reshape(x, [sizeOf(x.shape.slice(0, -1)), C])), x.shape);
}

const logSoftmaxRows = defineOp({
  name: "logSoftmax",
  signature: "x[R, C] -> y[R, C]",
  invocations: ({ R }) => R,
  wgsl: `${expSumWgsl("x")}
fn kernel(r: u32) {
  let base = r * dims.C;
  let top = topOf(base);
  let rest = logOf(sumOfExp(base, top));
  for (var c = 0u; c < dims.C; c++) { y[base + c] = x[base + c] - top - rest; }
}`,
  backward: ({ y, dy }) => ({ x: () => logSoftmaxGradient(y, dy) }),
  reference({ x, y }, { R, C }) {
    for (let r = 0; r < R; r++) {
      const { top, total } = expSum(x.subarray(r * C, (r + 1) * C));
      for (let i = r * C; i < (r + 1) * C; i++) y[i] = x[i] - top - Math.log(total);
    }
  },
  wasm: "logSoftmax",
  samples: [
    { shapes: { x: [3, 5] } },
    { shapes: { x: [1, 1] } },
    { shapes: { x: [2, 9] } },
    { shapes: { x: [1, 3] }, values: { x: [120, 119, 100] } },
  ],
});

/** dx = dy - exp(y) sum(dy), row by row. */
const logSoftmaxGradient: Op<"y[R, C], dy[R, C] -> dx[R, C]"> = defineOp({
  name: "logSoftmaxGradient",
  signature: "y[R, C], dy[R, C] -> dx[R, C]",
  invocations: ({ R }) => R,
  wgsl: `${nanWgsl}
fn kernel(r: u32) {
  let base = r * dims.C;
  var total = 0.0;
  for (var c = 0u; c < dims.C; c++) { total += dy[base + c]; }
  for (var c = 0u; c < dims.C; c++) { dx[base + c] = dy[base + c] - expOf(y[base + c]) * total; }
}`,
  backward({ y, dy, ddx }) {
    const weighted = () => multiply(ddx, exp(y));
    return {
      y: () => negate(multiply(weighted(), sum(dy, [1], true))),
      dy: () => subtract(ddx, sum(weighted(), [1], true)),
    };
  },
  reference({ y, dy, dx }, { R, C }) {
    for (let r = 0; r < R; r++) {
      let total = 0;
      for (let i = r * C; i < (r + 1) * C; i++) total += dy[i];
      for (let i = r * C; i < (r + 1) * C; i++) dx[i] = dy[i] - Math.exp(y[i]) * total;
    }
  },
  wasm: "logSoftmaxGradient",
  samples: [{ shapes: { y: [3, 5], dy: [3, 5] } }, { shapes: { y: [1, 1], dy: [1, 1] } }],
});

/**
 * Logarithm of the softmax over the last axis, x - log(sum(exp(x))), without overflow. A row that contains NaN is all
 * NaN.
 */
export function logSoftmax(x: Tensor): Tensor {
  return alongRows("logSoftmax", logSoftmaxRows, x);
}

/** Sums of (a - b)^2 over runs of `chunk` elements, in one pass and with few enough terms for f32. */
const squaredErrors = defineOp({
  name: "squaredErrors",
  signature: "a[n], b[n] -> y[S]",
  attributes: { chunk: "u32" },
  derive: ({ n, chunk }) => ({ S: Math.max(1, Math.ceil(n / chunk)) }),
  ...runSumKernels({
    begin: `  let first = i * dims.chunk;
  let count = min(dims.chunk, dims.n - first);`,
    term: "(a[first + r] - b[first + r]) * (a[first + r] - b[first + r])",
    lengths: ["S"],
  }),
  empty: zeros,
  backward: ({ a, b, dy }, { chunk }) => ({
    a: () => squaredErrorsGradient(a, b, dy, { chunk }),
    b: () => negate(squaredErrorsGradient(a, b, dy, { chunk })),
  }),
  reference({ a, b, y }, { n, chunk }) {
    y.fill(0);
    for (let j = 0; j < n; j++) y[Math.floor(j / chunk)] += (a[j] - b[j]) ** 2;
  },
  wasm: "squaredErrors",
  samples: [
    { shapes: { a: [10], b: [10] }, attributes: { chunk: 4 } },
    { shapes: { a: [1], b: [1] }, attributes: { chunk: 1 } },
    { shapes: { a: [300], b: [300] }, attributes: { chunk: 200 } },
  ],
});

/** da = 2 (a - b) dy, with the dy of the element's run. */
const squaredErrorsGradient: Op<"a[n], b[n], dy[S] -> da[n]", { chunk: "u32" }> = defineOp({
  name: "squaredErrorsGradient",
  signature: "a[n], b[n], dy[S] -> da[n]",
  attributes: { chunk: "u32" },
  wgsl: "fn kernel(i: u32) { da[i] = 2.0 * (a[i] - b[i]) * dy[i / dims.chunk]; }",
  backward({ a, b, dy, dda }, { chunk }) {
    const [n] = a.shape;
    const ofErrors = () => {
      const spread = spreadChunks(reshape(dy, [1, dy.size, 1]), { chunk, R: n });
      return multiply(multiply(dda, 2), reshape(spread, [n]));
    };
    return {
      a: ofErrors,
      b: () => negate(ofErrors()),
      dy: () => {
        const terms = multiply(multiply(subtract(a, b), 2), dda);
        return reshape(sumChunks(reshape(terms, [1, n, 1]), { chunk }), dy.shape);
      },
    };
  },
  reference({ a, b, dy, da }, { n, chunk }) {
    for (let j = 0; j < n; j++) da[j] = 2 * (a[j] - b[j]) * dy[Math.floor(j / chunk)];
  },
  wasm: "squaredErrorsGradient",
  samples: [{ shapes: { a: [10], b: [10], dy: [3] }, attributes: { chunk: 4 } }],
});

/**
 * Mean of (a - b)^2 over all elements.
 *
 * @returns f32[]; NaN if there are no elements
 */
export function meanSquaredError(a: Tensor, b: Tensor): Tensor {
  if (!sameShape(a.shape, b.shape)) refuse(ShapeError, `run meanSquaredError: a ${a}, b ${b}`, "one shape");
  const chunk = Math.min(Math.max(Math.ceil(Math.sqrt(a.size)), 32), 1024);
  return multiply(sum(squaredErrors(reshape(a, [a.size]), reshape(b, [b.size]), { chunk })), 1 / a.size);
}

const labels = Uint32Array.of(2, 0, 4);

const crossEntropyRows = defineOp({
  name: "crossEntropy",
  signature: "logits[N, C], labels:u32[N] -> y[N]",
  wgsl: `${expSumWgsl("logits")}
fn kernel(n: u32) {
  let base = n * dims.C;
  let label = labels[n];
  let top = topOf(base);
  if (label < dims.C) { y[n] = logOf(sumOfExp(base, top)) - (logits[base + label] - top); }
  else { y[n] = bitcast<f32>(label | 0x7fc00000u); } // NaN
}`,
  backward: ({ logits, labels, dy }) => ({ logits: () => crossEntropyGradient(logits, labels, dy) }),
  reference({ logits, labels, y }, { N, C }) {
    for (let n = 0; n < N; n++) {
      const row = logits.subarray(n * C, (n + 1) * C);
      const { top, total } = expSum(row);
      y[n] = labels[n] < C ? Math.log(total) - (row[labels[n]] - top) : NaN;
    }
  },
  wasm: "crossEntropy",
  samples: [
    { shapes: { logits: [3, 5], labels: [3] }, values: { labels } },
    { shapes: { logits: [1, 1], labels: [1] }, values: { labels: Uint32Array.of(0) } },
    { shapes: { logits: [3, 9], labels: [3] }, values: { labels } },
    {
      shapes: { logits: [2, 3], labels: [2] },
      values: { logits: [1000, 999, -1000, -1000, -1001, -999], labels: Uint32Array.of(1, 0) },
    },
  ],
});

/** dlogits = (softmax(logits) - one-hot label) dy, row by row. */
const crossEntropyGradient: Op<"logits[N, C], labels:u32[N], dy[N] -> dlogits[N, C]"> = defineOp({
  name: "crossEntropyGradient",
  signature: "logits[N, C], labels:u32[N], dy[N] -> dlogits[N, C]",
  invocations: ({ N }) => N,
  wgsl: `${expSumWgsl("logits")}
fn kernel(n: u32) {
  let base = n * dims.C;
  let label = labels[n];
  let top = topOf(base);
  let total = sumOfExp(base, top);
  for (var c = 0u; c < dims.C; c++) {
    let share = expOf(logits[base + c] - top) / total - select(0.0, 1.0, c == label);
    dlogits[base + c] = select(bitcast<f32>(label | 0x7fc00000u), share * dy[n], label < dims.C);
  }
}`,
  backward: ({ logits, labels, dy, ddlogits }) => ({
    logits: () => multiply(softmaxGradient(softmax(logits), ddlogits), reshape(dy, [dy.size, 1])),
    dy() {
      const slopes = crossEntropyGradient(logits, labels, full(dy.shape, 1));
      return sum(multiply(ddlogits, slopes), [1]);
    },
  }),
  reference({ logits, labels, dy, dlogits }, { N, C }) {
    for (let n = 0; n < N; n++) {
      const row = logits.subarray(n * C, (n + 1) * C);
      const { top, total } = expSum(row);
      row.forEach((x, c) => {
        const share = Math.exp(x - top) / total - (c === labels[n] ? 1 : 0);
        dlogits[n * C + c] = labels[n] < C ? share * dy[n] : NaN;
      });
    }
  },
  wasm: "crossEntropyGradient",
  samples: [
    { shapes: { logits: [3, 5], labels: [3], dy: [3] }, values: { labels } },
    { shapes: { logits: [1, 1], labels: [1], dy: [1] }, values: { labels: Uint32Array.of(0) } },
  ],
});

/**
 * Cross entropy of class labels, the mean over n of -log(softmax(logits)[n, labels[n]]), without overflow.
 *
 * @param logits f32[N, C]
 * @param labels u32[N], each below C. An op cannot fail on values on the device, so a label of C or more makes the loss, and
 * the gradient of its row, NaN
 * @returns f32[]; NaN if there are no rows
 */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  return mean(crossEntropyRows(logits, labels));
}

/**
 * Attention between all positions: v softmax(scale q^T k)^T.
 *
 * @param q f32[N, C, L]; k and v have the same shape
 * @param options the scale, by default 1 / sqrt(C)
 * @returns f32[N, C, L]
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, options: { scale?: number } = {}): Tensor {
  for (const [name, x] of Object.entries({ q, k, v })) checkTensor("run attend", `${name} is`, x);
  if (q.shape.length !== 3 || !sameShape(q.shape, k.shape) || !sameShape(q.shape, v.shape)) {
    refuse(ShapeError, `run attend: q ${q}, k ${k}, v ${v}`, "one shape [N, C, L]");
  }
  const { scale = 1 / Math.sqrt(q.shape[1]) } = options;
  return matmulTransposedB(v, softmax(multiply(matmulTransposedA(q, k), scale)));
}
