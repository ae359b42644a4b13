import type { Dims, NumberArray } from "../../devices/device.ts";
import { defineOp, type Op } from "../../op.ts";
import { makeHistory } from "../../autograd/history.ts";
import { Tensor } from "../../core/tensor.ts";
import { zeros } from "../layout/fill.ts";
import {
  convolutionKernels,
  forwardConvolution,
  multiplyAdds,
  turnedConvolution,
  weightGradientProduct,
  winograd,
} from "./convolution_kernels.ts";
import { weightGradientWgsl, weightTiles } from "./tiles.ts";
import { forwardCalls, inputGradientCalls, weightGradientCalls } from "./wasm.ts";
import { forwardPasses, inputGradientPasses, weightGradientPasses } from "./winograd/passes.ts";
import { productKernels } from "../matmul/product_kernels.ts";
import { fewestGroups, imagesPerRun } from "../matmul/product_tiles.ts";
import { sum } from "../reduce/reduce.ts";

/**
 * Target[n, k, p, q] = sum over c, r, s of source[n, c, p + r - padding, q + s - padding] w(k, c, r, s)
 * + start(n, k, at).
 */
export function convolve(
  source: NumberArray,
  target: NumberArray,
  { N, C, H, W, K, P, Q, R, S, padding }: Dims,
  weight: (k: number, c: number, r: number, s: number) => number,
  start: (n: number, k: number, at: number) => number,
): void {
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      for (let p = 0; p < P; p++) {
        for (let q = 0; q < Q; q++) {
          const at = ((n * K + k) * P + p) * Q + q;
          let total = start(n, k, at);
          for (let c = 0; c < C; c++) {
            for (let r = 0; r < R; r++) {
              const h = p + r - padding;
              if (h < 0 || h >= H) continue;
              for (let s = 0; s < S; s++) {
                const w = q + s - padding;
                if (w >= 0 && w < W) total += source[((n * C + c) * H + h) * W + w] * weight(k, c, r, s);
              }
            }
          }
          target[at] = total;
        }
      }
    }
  }
}

/** The convolution without bias. It and the gradients below are each other's rules, so they stand together. */
const unbiased: Op<"x[N, C, H, W], w[K, C, R, S] -> y[N, K, P, Q]", { padding: "u32" }> = defineOp({
  name: "conv2dUnbiased",
  signature: "x[N, C, H, W], w[K, C, R, S] -> y[N, K, P, Q]",
  attributes: { padding: "u32" },
  derive: ({ H, W, R, S, padding }) => ({ P: H + 2 * padding - R + 1, Q: W + 2 * padding - S + 1 }),
  ...convolutionKernels(forwardConvolution, ({ N, K, P, Q }) => ({ N, K, P, Q }), forwardPasses),
  multiplyAdds,
  empty: zeros,
  backward: ({ x, w, dy }, { padding }) => ({
    x: () => inputGradient(dy, w, { padding, H: x.shape[2], W: x.shape[3] }),
    w: () => weightGradient(x, dy, w, padding),
  }),
  reference({ x, w, y }, dims) {
    const { C, R, S } = dims;
    convolve(x, y, dims, (k, c, r, s) => w[((k * C + c) * R + r) * S + s], () => 0);
  },
  wasm: (addresses, dims) => forwardCalls({ ...addresses, bias: 0, residual: 0 }, { ...dims, B: 1 }),
  samples: [
    { shapes: { x: [2, 3, 5, 6], w: [5, 3, 3, 3] }, attributes: { padding: 1 } },
    { shapes: { x: [1, 5, 3, 4], w: [6, 5, 1, 1] }, attributes: { padding: 0 } },
  ],
});

/**
 * dx is a convolution of dy, padded by R - 1 - padding, with the weights rotated by 180 degrees, in and out swapped.
 */
export const inputGradient: Op<
  "dy[N, K, P, Q], w[K, C, R, S] -> dx[N, C, H, W]",
  { padding: "u32"; H: "u32"; W: "u32" }
> = defineOp({
  name: "conv2dInputGradient",
  signature: "dy[N, K, P, Q], w[K, C, R, S] -> dx[N, C, H, W]",
  attributes: { padding: "u32", H: "u32", W: "u32" },
  derive: ({ R, padding }) => ({ turned: R - 1 - padding }),
  ...convolutionKernels(
    turnedConvolution,
    ({ N, C, H, W }) => ({ N, K: C, P: H, Q: W }),
    inputGradientPasses,
  ),
  empty: zeros,
  backward: ({ dy, w, ddx }, { padding }) => ({
    dy: () => unbiased(ddx, w, { padding }),
    w: () => weightGradient(ddx, dy, w, padding),
  }),
  reference: ({ dy, w, dx }, { N, K, P, Q, C, H, W, R, S, turned }) => {
    const dims = { N, C: K, H: P, W: Q, K: C, P: H, Q: W, R, S, padding: turned };
    convolve(dy, dx, dims, (k, c, r, s) => w[((c * C + k) * R + R - 1 - r) * S + S - 1 - s], () => 0);
  },
  wasm: inputGradientCalls,
  samples: [
    { shapes: { dy: [2, 5, 5, 6], w: [5, 3, 3, 3] }, attributes: { padding: 1, H: 5, W: 6 } },
    { shapes: { dy: [1, 3, 2, 3], w: [3, 6, 3, 3] }, attributes: { padding: 0, H: 4, W: 5 } },
    { shapes: { dy: [1, 2, 7, 8], w: [2, 5, 5, 5] }, attributes: { padding: 2, H: 7, W: 8 } },
  ],
});

/** Weight gradient of runs of `run` images each; summed afterwards, which gives every core work. */
const weightGradientRuns = defineOp({
  name: "conv2dWeightGradient",
  signature: "x[N, C, H, W], dy[N, K, P, Q] -> dw[G, K, C, R, S]",
  attributes: { R: "u32", S: "u32", padding: "u32", run: "u32" },
  derive: ({ N, run }) => ({ G: Math.max(1, Math.ceil(N / run)) }),
  ...productKernels({
    specialise: ["R", "S"],
    size: ({ G, K, C, R, S }) => ({ rows: K, columns: C * R * S, batches: G }),
    product: ({ R, S }) => weightGradientProduct(R, S),
    registers: [{
      invocations: ({ G, K, C, R }) => G * weightTiles(K, C, R),
      wgsl: ({ R, S }) => weightGradientWgsl(R, S),
    }],
    other: winograd(weightGradientPasses),
  }),
  empty: zeros,
  reference({ x, dy, dw }, { N, C, H, W, K, P, Q, R, S, padding, run }) {
    dw.fill(0);
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) {
        for (let c = 0; c < C; c++) {
          for (let r = 0; r < R; r++) {
            for (let s = 0; s < S; s++) {
              let total = 0;
              for (let p = Math.max(0, padding - r); p < Math.min(P, H + padding - r); p++) {
                for (let q = Math.max(0, padding - s); q < Math.min(Q, W + padding - s); q++) {
                  total += dy[((n * K + k) * P + p) * Q + q] *
                    x[((n * C + c) * H + p + r - padding) * W + q + s - padding];
                }
              }
              dw[(((Math.floor(n / run) * K + k) * C + c) * R + r) * S + s] += total;
            }
          }
        }
      }
    }
  },
  wasm: weightGradientCalls,
  samples: [
    { shapes: { x: [3, 3, 5, 6], dy: [3, 5, 5, 6] }, attributes: { R: 3, S: 3, padding: 1, run: 2 } },
    { shapes: { x: [2, 2, 9, 15], dy: [2, 4, 9, 15] }, attributes: { R: 3, S: 3, padding: 1, run: 1 } },
    { shapes: { x: [1, 5, 3, 4], dy: [1, 6, 3, 4] }, attributes: { R: 1, S: 1, padding: 0, run: 1 } },
    { shapes: { x: [2, 3, 7, 8], dy: [2, 2, 7, 8] }, attributes: { R: 5, S: 5, padding: 2, run: 2 } },
    { shapes: { x: [1, 1, 4, 5], dy: [1, 1, 2, 3] }, attributes: { R: 3, S: 3, padding: 0, run: 1 } },
  ],
});

/** The runs are an implementation detail, so the gradients of the whole have rules of their own. */
export function weightGradient(x: Tensor, dy: Tensor, w: Tensor, padding: number): Tensor {
  const [K, C, R, S] = w.shape;
  const { software } = x.device.tuning;
  const tiles = software ? weightTiles(K, C, R) : fewestGroups({ rows: K, columns: C * R * S, batches: 1 });
  const run = imagesPerRun(x.shape[0], tiles, x.device.tuning);
  const dw = sum(weightGradientRuns(x, dy, { R, S, padding, run }), [0]);
  const history = makeHistory({
    op: "conv2dWeightGradient",
    output: "dw",
    names: ["x", "dy"],
    inputs: [x, dy],
    rules: (_, ddw) => ({
      x: () => inputGradient(dy, ddw, { padding, H: x.shape[2], W: x.shape[3] }),
      dy: () => unbiased(x, ddw, { padding }),
    }),
  });
  return new Tensor(dw.storage, dw.shape, dw.type, dw.offset, history);
}
