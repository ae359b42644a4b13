import { defineOp, type Op } from "../op.ts";
import { makeHistory } from "../autograd/history.ts";
import type { Dims } from "../devices/device.ts";
import { sameShape, ShapeError } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { zeros } from "./layout/fill.ts";
import { generalConvTranspose2d } from "./conv2d/general_op.ts";
import {
  checkBias,
  type ConvolutionOptions,
  geometryOf,
  pairOf,
  type PerAxis,
  spanOf,
} from "./conv2d/geometry.ts";
import { correlation } from "./conv2d/wasm.ts";
import { sum } from "./reduce/reduce.ts";
import type { Product } from "./matmul/product.ts";
import { imagesPerRun, productKernels } from "./matmul/product_kernels.ts";

/**
 * A 2 x 2 kernel with stride 2 covers each pixel of y exactly once, so all three passes are plain products between x[c,
 * pixel] and y[tap, pixel], tap = (k, a, b): without overlapping taps or edges.
 */
const declarations = `struct Pixel { x: u32, y: u32 } // index in x[n, 0, h, w] and in y[n, 0, 2 h, 2 w]
fn pixelOf(i: u32) -> Pixel {
  let pixels = dims.H * dims.W;
  let image = i / pixels;
  let at = i % pixels;
  return Pixel(
    image * dims.C * pixels + at,
    (image * dims.K * dims.P + at / dims.W * 2u) * dims.Q + at % dims.W * 2u,
  );
}
fn tapOf(i: u32) -> u32 { return (i / 4u * dims.P + i / 2u % 2u) * dims.Q + i % 2u; }`;

/** y[tap, pixel] = sum over c of w[c, tap] x[c, pixel] + bias. */
const forwardProduct: Product = {
  declarations,
  rows: "4u * dims.K",
  columns: "dims.N * dims.H * dims.W",
  depth: "dims.C",
  position: "k",
  a: { along: "edge", edge: (tap) => tap, element: (tap) => `w[d * 4u * dims.K + ${tap}]` },
  b: {
    along: "edge",
    edge: (i) => `pixelOf(${i}).x`,
    element: (pixel) => `x[${pixel} + d * dims.H * dims.W]`,
  },
  columnTarget: "pixelOf(column).y",
  rowTarget: "tapOf(row)",
  target: "y",
  stored: "value + bias[row / 4u]",
};

/** dx[c, pixel] = sum over taps of w[c, tap] dy[tap, pixel]. */
const inputGradientProduct: Product = {
  declarations,
  rows: "dims.C",
  columns: "dims.N * dims.H * dims.W",
  depth: "4u * dims.K",
  position: "k",
  a: { along: "depth", edge: (c) => c, element: (c) => `w[${c} * 4u * dims.K + d]` },
  b: { along: "edge", edge: (i) => `pixelOf(${i}).y`, element: (pixel) => `dy[${pixel} + tapOf(d)]` },
  columnTarget: "pixelOf(column).x",
  rowTarget: "row * dims.H * dims.W",
  target: "dx",
};

/** dw[c, tap] = sum over the pixels of a run of images of x[c, pixel] dy[tap, pixel]. */
const weightGradientProduct: Product = {
  declarations,
  rows: "dims.C",
  columns: "4u * dims.K",
  depth: "min(dims.run, dims.N - batch * dims.run) * dims.H * dims.W",
  position: "pixelOf(batch * dims.run * dims.H * dims.W + k)",
  a: { along: "depth", edge: (c) => `${c} * dims.H * dims.W`, element: (c) => `x[d.x + ${c}]` },
  b: { along: "depth", edge: (i) => `tapOf(${i})`, element: (tap) => `dy[d.y + ${tap}]` },
  columnTarget: "batch * rows * columns + column",
  rowTarget: "row * columns",
  target: "dw",
};

/** Visits the terms of the sums: the indices of their elements in x, y and w, and the image. */
function eachTerm(
  { N, C, H, W, K, P, Q }: Dims,
  term: (x: number, y: number, w: number, n: number) => void,
): void {
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      for (let at = 0; at < K * P * Q; at++) {
        const [k, p, q] = [Math.floor(at / (P * Q)), Math.floor(at / Q) % P, at % Q];
        const x = ((n * C + c) * H + (p >> 1)) * W + (q >> 1), w = (c * K + k) * 4 + p % 2 * 2 + q % 2;
        term(x, n * K * P * Q + at, w, n);
      }
    }
  }
}

/** Every input pixel becomes 2 x 2 output pixels. */
const transposed: Op<"x[N, C, H, W], w[C, K, 2, 2], bias[K] -> y[N, K, P, Q]"> = defineOp({
  name: "convTranspose2d",
  signature: "x[N, C, H, W], w[C, K, 2, 2], bias[K] -> y[N, K, P, Q]",
  derive: ({ H, W }) => ({ P: 2 * H, Q: 2 * W }),
  ...productKernels({
    size: ({ N, K, H, W }) => ({ rows: 4 * K, columns: N * H * W, batches: 1 }),
    product: () => forwardProduct,
  }),
  backward: ({ x, w, dy }) => ({
    x: () => inputGradient(dy, w),
    w: () => weightGradient(x, dy, w),
    bias: () => sum(dy, [0, 2, 3]),
  }),
  reference({ x, w, bias, y }, dims) {
    const { K, P, Q } = dims;
    y.forEach((_, i) => y[i] = bias[Math.floor(i / (P * Q)) % K]);
    eachTerm(dims, (x_, y_, w_) => y[y_] += x[x_] * w[w_]);
  },
  wasm: "convTranspose2d",
  multiplyAdds: ({ N, C, K, P, Q }) => N * C * K * P * Q,
  samples: [
    { shapes: { x: [2, 19, 3, 5], w: [19, 4, 2, 2], bias: [4] } }, // deeper than a slice of any tile
    { shapes: { x: [1, 1, 1, 1], w: [1, 1, 2, 2], bias: [1] } },
    { shapes: { x: [1, 9, 2, 5], w: [9, 6, 2, 2], bias: [6] } },
  ],
});

/** dx[n, c, h, w] = sum over k and the four taps of dy w. */
const inputGradient: Op<"dy[N, K, P, Q], w[C, K, 2, 2] -> dx[N, C, H, W]"> = defineOp({
  name: "convTranspose2dInputGradient",
  signature: "dy[N, K, P, Q], w[C, K, 2, 2] -> dx[N, C, H, W]",
  derive: ({ P, Q }) => ({ H: P / 2, W: Q / 2 }),
  ...productKernels({
    size: ({ N, C, H, W }) => ({ rows: C, columns: N * H * W, batches: 1 }),
    product: () => inputGradientProduct,
  }),
  empty: zeros,
  backward: ({ dy, w, ddx }) => ({ dy: () => unbiased(ddx, w), w: () => weightGradient(ddx, dy, w) }),
  reference({ dy, w, dx }, dims) {
    dx.fill(0);
    eachTerm(dims, (x_, y_, w_) => dx[x_] += dy[y_] * w[w_]);
  },
  wasm: "convTranspose2dInputGradient",
  samples: [{ shapes: { dy: [2, 5, 10, 14], w: [3, 5, 2, 2] } }, {
    shapes: { dy: [1, 2, 2, 2], w: [5, 2, 2, 2] },
  }],
});

/** Weight gradient of each run of `run` images; the runs are summed afterwards. */
const weightGradientRuns = defineOp({
  name: "convTranspose2dWeightGradient",
  signature: "x[N, C, H, W], dy[N, K, P, Q] -> dw[G, C, K, 2, 2]",
  attributes: { run: "u32" },
  derive({ N, H, W, P, Q, run }) {
    if (P !== 2 * H || Q !== 2 * W) {
      throw new ShapeError(
        `Cannot run convTranspose2dWeightGradient: dy has ${P} x ${Q} pixels for ${H} x ${W} of x (expected twice as many)`,
      );
    }
    return { G: Math.max(1, Math.ceil(N / run)) };
  },
  ...productKernels({
    size: ({ G, C, K }) => ({ rows: C, columns: 4 * K, batches: G }),
    product: () => weightGradientProduct,
  }),
  empty: zeros,
  reference({ x, dy, dw }, dims) {
    const weights = dims.C * dims.K * 4;
    dw.fill(0);
    eachTerm(dims, (x_, y_, w_, n) => dw[Math.floor(n / dims.run) * weights + w_] += x[x_] * dy[y_]);
  },
  wasm: ({ x, dy, dw }, { N, C, H, W, K, G, run }) =>
    correlation([x, dy, dw], { N, M: C, H, W, K: 4 * K, groups: G, run, folded: 1 }),
  samples: [
    { shapes: { x: [3, 3, 3, 5], dy: [3, 9, 6, 10] }, attributes: { run: 2 } },
    { shapes: { x: [3, 2, 2, 3], dy: [3, 1, 4, 6] }, attributes: { run: 2 } },
  ],
});

function unbiased(x: Tensor, w: Tensor): Tensor {
  return transposed(x, w, zeros([w.shape[1]]));
}

/**
 * The weight gradient of all images. The runs are an implementation detail, so the whole has its own gradient rules.
 */
function weightGradient(x: Tensor, dy: Tensor, w: Tensor): Tensor {
  const [C, K] = w.shape;
  const run = imagesPerRun(x.shape[0], { rows: C, columns: 4 * K }, x.device.tuning);
  const dw = sum(weightGradientRuns(x, dy, { run }), [0]);
  const history = makeHistory({
    op: "convTranspose2dWeightGradient",
    output: "dw",
    names: ["x", "dy"],
    inputs: [x, dy],
    rules: (_, ddw) => ({ x: () => inputGradient(dy, ddw), dy: () => unbiased(x, ddw) }),
  });
  return new Tensor(dw.storage, dw.shape, dw.type, dw.offset, history);
}

/** Options of a transposed convolution, as in PyTorch; the stride is 2 by default. */
export interface TransposedConvolutionOptions extends ConvolutionOptions {
  /** Rows and columns added at the bottom and right of the result, fewer than the stride. */
  readonly outputPadding?: PerAxis | undefined;
}

/**
 * Transposed convolution, the transpose of `conv2d` with the same options; by default with stride 2, which doubles height
 * and width with a 2 x 2 kernel.
 *
 * @param x f32[N, C, H, W]
 * @param w f32[C, K / groups, R, S]
 * @param bias f32[K]; none by default
 * @param stride pixels of the result from one pixel of x to the next, 2 by default (1 in PyTorch); one number, or
 * [vertical, horizontal], as all but the groups
 * @param padding pixels cut off each side of the result, 0 by default
 * @param outputPadding rows and columns added at the bottom and right of the result, 0 by default
 * @param dilation pixels from one tap to the next, 1 by default
 * @param groups into which the channels are split, 1 by default
 * @returns f32[N, K, P, Q], where P = stride (H - 1) + dilation (R - 1) + 1 - 2 padding + outputPadding, and Q likewise
 * @throws {ShapeError} if a shape does not fit, C is 0, nothing is left of the result, or an option is no whole number in
 * range
 * @throws {TypeError} if an option is unknown, or the bias is no tensor
 */
export function convTranspose2d(
  x: Tensor,
  w: Tensor,
  bias?: Tensor,
  { outputPadding = 0, stride = 2, ...options }: TransposedConvolutionOptions = {},
): Tensor {
  const task = "run convTranspose2d", dims = geometryOf(task, { stride, ...options }, ["outputPadding"]);
  const extra = pairOf(task, "outputPadding", outputPadding, 0);
  checkBias(task, bias);
  const { strideH, strideW, paddingH, paddingW, dilationH, dilationW, groups } = dims;
  if (extra[0] >= strideH || extra[1] >= strideW) {
    throw new ShapeError(
      `Cannot ${task}: outputPadding is ${outputPadding} (expected less than the stride, ${stride})`,
    );
  }
  const [, , H, W] = x.shape, [, D, R, S] = w.shape;
  const isDoubling = R === 2 && S === 2 && strideH === 2 && strideW === 2 && groups === 1 &&
    Math.max(dilationH, dilationW) === 1 && Math.max(paddingH, paddingW, ...extra) === 0;
  const offsets = bias ?? zeros([D * groups]);
  if (isDoubling || x.shape.length !== 4 || w.shape.length !== 4) return transposed(x, w, offsets);
  const P = strideH * (H - 1) + spanOf(R, dilationH) - 2 * paddingH + extra[0];
  const Q = strideW * (W - 1) + spanOf(S, dilationW) - 2 * paddingW + extra[1];
  if (P < 1 || Q < 1) {
    throw new ShapeError(
      `Cannot ${task}: padding leaves ${P} x ${Q} pixels of the result (expected at least 1 x 1)`,
    );
  }
  if (x.shape[1] !== w.shape[0]) {
    throw new ShapeError(
      `Cannot ${task}: w ${w} takes ${w.shape[0]} channels (expected ${x.shape[1]}, as x ${x} has)`,
    );
  }
  if (bias !== undefined && !sameShape(bias.shape, [D * groups])) {
    throw new ShapeError(
      `Cannot ${task}: bias is ${bias} (expected ${D * groups} numbers, for w ${w} in ${groups} groups)`,
    );
  }
  return generalConvTranspose2d(x, w, offsets, { ...dims, H: P, W: Q });
}
