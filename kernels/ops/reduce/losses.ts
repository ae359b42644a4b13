import { refuse } from "../../core/checks.ts";
import { defineOp, type Op } from "../../op.ts";
import { sameShape, ShapeError } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { multiply, negate, subtract } from "../elementwise/binary.ts";
import { full, zeros } from "../layout/fill.ts";
import { reshape } from "../layout/movement.ts";
import { mean, spreadChunks, sum, sumChunks } from "./reduce.ts";
import { runSumKernels } from "./workgroup_sum.ts";
import { expSum, expSumWgsl, softmax, softmaxGradient } from "./softmax.ts";

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
