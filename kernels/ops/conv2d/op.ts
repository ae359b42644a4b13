import type { Dims } from "../../devices/device.ts";
import { defineOp, type Op } from "../../op.ts";
import { makeHistory } from "../../autograd/history.ts";
import { Tensor } from "../../core/tensor.ts";
import { zeros } from "../layout/fill.ts";
import {
  canUnroll,
  convolutionKernels,
  forwardConvolution,
  turnedConvolution,
  weightGradientProduct,
  winograd,
} from "./convolution_kernels.ts";
import { weightGradientWgsl, weightTiles } from "./tiles.ts";
import { generalConv2d } from "./general_op.ts";
import {
  checkBias,
  type ConvolutionOptions,
  convolvedSize,
  type Geometry,
  geometryOf,
  spanOf,
} from "./geometry.ts";
import { convolve, convolveTransposed, correlate } from "./reference.ts";
import { forwardCalls, inputGradientCalls, weightGradientCalls } from "./wasm.ts";
import { forwardPasses, inputGradientPasses, weightGradientPasses } from "./winograd/passes.ts";
import { imagesPerRun, productKernels } from "../matmul/product_kernels.ts";
import { sum } from "../reduce/reduce.ts";
import { sameShape, type Shape, ShapeError } from "../../core/shape.ts";
import { add } from "../elementwise/binary.ts";
import { reshape } from "../layout/movement.ts";

/**
 * dx: dy, padded by R - 1 - padding, convolved with the weights rotated by 180 degrees and in and out channels swapped.
 */
const inputGradient: Op<
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
    dy: () => unbiased(ddx, w, padding),
    w: () => weightGradient(ddx, dy, w, padding),
  }),
  reference: ({ dy, w, dx }, dims) => convolveTransposed(dy, w, dx, dims),
  wasm: inputGradientCalls,
  samples: [
    { shapes: { dy: [2, 5, 5, 6], w: [5, 3, 3, 3] }, attributes: { padding: 1, H: 5, W: 6 } },
    { shapes: { dy: [1, 3, 2, 3], w: [3, 6, 3, 3] }, attributes: { padding: 0, H: 4, W: 5 } },
    { shapes: { dy: [1, 2, 7, 8], w: [2, 5, 5, 5] }, attributes: { padding: 2, H: 7, W: 8 } },
    { shapes: { dy: [3, 10, 4, 6], w: [10, 9, 7, 7] }, attributes: { padding: 2, H: 6, W: 8 } },
  ],
});

/** Weight gradient of each run of `run` images; summed afterwards, which gives every core work. */
const weightGradientRuns = defineOp({
  name: "conv2dWeightGradient",
  signature: "x[N, C, H, W], dy[N, K, P, Q] -> dw[G, K, C, R, S]",
  attributes: { R: "u32", S: "u32", padding: "u32", run: "u32" },
  derive: ({ N, run }) => ({ G: Math.max(1, Math.ceil(N / run)) }),
  ...productKernels({
    specialise: ["R", "S"],
    size: ({ G, K, C, R, S }) => ({ rows: K, columns: C * R * S, batches: G }),
    product: ({ R, S }) => weightGradientProduct(R, S),
    registers: (generic) => [
      {
        fits: canUnroll,
        invocations: ({ G, K, C, R }) => G * weightTiles(K, C, R),
        wgsl: ({ R, S }) => weightGradientWgsl(R, S),
      },
      { ...generic, tile: "8x8", fits: (dims) => !canUnroll(dims) },
    ],
    other: winograd(weightGradientPasses),
  }),
  empty: zeros,
  reference: ({ x, dy, dw }, dims) => correlate(x, dy, dw, dims),
  wasm: weightGradientCalls,
  samples: [
    { shapes: { x: [3, 3, 5, 6], dy: [3, 5, 5, 6] }, attributes: { R: 3, S: 3, padding: 1, run: 2 } },
    { shapes: { x: [2, 2, 9, 15], dy: [2, 4, 9, 15] }, attributes: { R: 3, S: 3, padding: 1, run: 1 } },
    { shapes: { x: [1, 5, 3, 4], dy: [1, 6, 3, 4] }, attributes: { R: 1, S: 1, padding: 0, run: 1 } },
    { shapes: { x: [2, 3, 7, 8], dy: [2, 2, 7, 8] }, attributes: { R: 5, S: 5, padding: 2, run: 2 } },
    { shapes: { x: [1, 1, 4, 5], dy: [1, 1, 2, 3] }, attributes: { R: 3, S: 3, padding: 0, run: 1 } },
    { shapes: { x: [5, 9, 5, 7], dy: [5, 10, 3, 5] }, attributes: { R: 7, S: 7, padding: 2, run: 3 } },
  ],
});

/**
 * The weight gradient of all images. The runs are an implementation detail, so the whole has its own gradient rules.
 */
function weightGradient(x: Tensor, dy: Tensor, w: Tensor, padding: number): Tensor {
  const [K, C, R, S] = w.shape;
  const run = imagesPerRun(
    x.shape[0],
    { rows: K, columns: C * R * S },
    x.device.tuning,
    weightTiles(K, C, R),
  );
  const dw = sum(weightGradientRuns(x, dy, { R, S, padding, run }), [0]);
  const history = makeHistory({
    op: "conv2dWeightGradient",
    output: "dw",
    names: ["x", "dy"],
    inputs: [x, dy],
    rules: (_, ddw) => ({
      x: () => inputGradient(dy, ddw, { padding, H: x.shape[2], W: x.shape[3] }),
      dy: () => unbiased(x, ddw, padding),
    }),
  });
  return new Tensor(dw.storage, dw.shape, dw.type, dw.offset, history);
}

/**
 * Declaration fields of convolutions with and without a residual; `addend` is WGSL of the residual at the index `to`.
 */
function convolutionFields(name: string, addend?: string) {
  return {
    attributes: { padding: "u32" },
    derive: ({ N, B, H, W, R, S, padding }: Record<string, number>) => {
      if (B !== 1 && B !== N) {
        throw new ShapeError(`Cannot run ${name}: ${B} rows of biases for ${N} images (expected 1 or ${N})`);
      }
      return { P: H + 2 * padding - R + 1, Q: W + 2 * padding - S + 1 };
    },
    ...convolutionKernels(
      (dims) => forwardConvolution(dims, addend),
      ({ N, K, P, Q }) => ({ N, K, P, Q }),
      (dims, tuning) => forwardPasses(dims, tuning, { hasResidual: addend !== undefined }),
    ),
    multiplyAdds: ({ N, K, C, R, S, P, Q }: Dims) => N * K * P * Q * C * R * S,
  } as const;
}

/** Gradients of all inputs but the residual. */
function backward(
  { x, w, bias, dy }: Record<"x" | "w" | "bias" | "dy", Tensor>,
  { padding }: { padding: number },
) {
  return {
    x: () => inputGradient(dy, w, { padding, H: x.shape[2], W: x.shape[3] }),
    w: () => weightGradient(x, dy, w, padding),
    bias: () => reshape(sum(dy, bias.shape[0] === 1 ? [0, 2, 3] : [2, 3]), bias.shape),
  };
}

const sampleOf = (x: Shape, w: Shape, rows: number, padding: number, residual?: Shape) => ({
  shapes: { x, w, bias: [rows, w[0]], ...residual && { residual } },
  attributes: { padding },
});

const convolution: Op<"x[N, C, H, W], w[K, C, R, S], bias[B, K] -> y[N, K, P, Q]", { padding: "u32" }> =
  defineOp({
    ...convolutionFields("conv2d"),
    name: "conv2d",
    signature: "x[N, C, H, W], w[K, C, R, S], bias[B, K] -> y[N, K, P, Q]",
    backward,
    reference({ x, w, bias, y }, dims) {
      convolve(x, w, y, dims, (n, k) => bias[n % dims.B * dims.K + k]);
    },
    wasm: (addresses, dims) => forwardCalls({ ...addresses, residual: 0 }, dims),
    samples: [
      sampleOf([2, 3, 5, 6], [5, 3, 3, 3], 1, 1),
      sampleOf([2, 2, 9, 15], [4, 2, 3, 3], 2, 1),
      sampleOf([1, 5, 3, 4], [6, 5, 1, 1], 1, 0),
      sampleOf([1, 2, 7, 8], [3, 2, 5, 5], 1, 2),
      sampleOf([3, 10, 5, 7], [9, 10, 7, 7], 3, 3),
      sampleOf([1, 1, 4, 5], [1, 1, 3, 3], 1, 0),
      sampleOf([1, 1, 1, 1], [1, 1, 3, 3], 1, 1),
    ],
  });

/** A convolution plus another tensor, such as a residual connection; saves a pass over y. */
const convolutionAdd = defineOp({
  ...convolutionFields("conv2dAdd", "residual[to]"),
  name: "conv2dAdd",
  signature: "x[N, C, H, W], w[K, C, R, S], bias[B, K], residual[N, K, P, Q] -> y[N, K, P, Q]",
  backward: (saved, attributes) => ({ ...backward(saved, attributes), residual: () => saved.dy }),
  reference({ x, w, bias, residual, y }, dims) {
    convolve(x, w, y, dims, (n, k, to) => bias[n % dims.B * dims.K + k] + residual[to]);
  },
  wasm: forwardCalls,
  samples: [
    sampleOf([2, 3, 5, 6], [5, 3, 3, 3], 1, 1, [2, 5, 5, 6]),
    sampleOf([2, 2, 9, 6], [4, 2, 1, 1], 2, 0, [2, 4, 9, 6]),
    sampleOf([1, 1, 1, 1], [1, 1, 3, 3], 1, 1, [1, 1, 1, 1]),
    sampleOf([1, 2, 7, 6], [5, 2, 5, 5], 1, 1, [1, 5, 5, 4]),
    sampleOf([5, 9, 8, 6], [13, 9, 7, 7], 1, 3, [5, 13, 8, 6]),
  ],
});

function unbiased(x: Tensor, w: Tensor, padding: number): Tensor {
  return convolution(x, w, zeros([1, w.shape[0]]), { padding });
}

/** @throws {ShapeError} if the kernel is larger than the padded image */
function checkSpan(x: Tensor, w: Tensor, dims: Geometry): void {
  const [, , H, W] = x.shape, [, , R, S] = w.shape, { P, Q } = convolvedSize({ H, W, R, S, ...dims });
  if (P >= 1 && Q >= 1 || x.shape.length !== 4 || w.shape.length !== 4) return;
  const { paddingH, paddingW, dilationH, dilationW } = dims;
  throw new ShapeError(
    `Cannot run conv2d: w ${w} covers ${spanOf(R, dilationH)} x ${spanOf(S, dilationW)} pixels ` +
      `(expected at most ${H + 2 * paddingH} x ${W + 2 * paddingW}, which x ${x} has with its padding)`,
  );
}

/**
 * Two-dimensional convolution (cross-correlation), with PyTorch's options.
 *
 * 3x3 kernels with stride and dilation 1 in one group use Winograd's F(4x4, 3x3): on the CPU device with padding 1, on
 * WebGPU if it is faster. Next to an outlier of L times the typical value of its image, the error is about 2e-6 L of the
 * typical value, at most 2 %. Images with larger outliers, values or weights above 1e15, infinity or NaN are computed
 * tap by tap.
 *
 * @param x f32[N, C, H, W]
 * @param w f32[K, C / groups, R, S]
 * @param bias f32[K] or f32[1, K], or f32[N, K] for one bias per image, such as a time embedding; none by default
 * @param residual tensor of the result's shape, added to it
 * @param stride pixels from one output to the next, 1 by default: one number, or [vertical, horizontal]
 * @param padding zero pixels on each side, 0 by default: one number, or [vertical, horizontal]
 * @param dilation pixels from one tap to the next, 1 by default: one number, or [vertical, horizontal]
 * @param groups into which the channels are split, each convolved on its own; 1 by default, C for a depthwise convolution
 * @returns f32[N, K, P, Q], where P = floor((H + 2 padding - dilation (R - 1) - 1) / stride) + 1, and Q likewise
 * @throws {ShapeError} if channels, groups or biases do not fit, the kernel is larger than the padded image, or an
 * option is no whole number in range
 * @throws {TypeError} if an option is unknown, or the bias is no tensor
 */
export function conv2d(
  x: Tensor,
  w: Tensor,
  bias?: Tensor,
  { residual, ...options }: ConvolutionOptions & { readonly residual?: Tensor } = {},
): Tensor {
  const dims = geometryOf("run conv2d", options, ["residual"]);
  checkBias("run conv2d", bias);
  checkSpan(x, w, dims);
  const rows = bias === undefined
    ? zeros([1, w.shape[0]])
    : bias.shape.length === 1
    ? reshape(bias, [1, bias.size])
    : bias;
  const { strideH, strideW, paddingH: padding, paddingW, dilationH, dilationW, groups } = dims;
  const isPlain = Math.max(strideH, strideW, dilationH, dilationW, groups) === 1 && padding === paddingW &&
    w.shape[2] === w.shape[3] && padding < w.shape[2];
  if (isPlain) {
    return residual
      ? convolutionAdd(x, w, rows, residual, { padding })
      : convolution(x, w, rows, { padding });
  }
  const y = generalConv2d(x, w, rows, dims);
  if (!residual) return y;
  if (sameShape(residual.shape, y.shape)) return add(y, residual);
  throw new ShapeError(`Cannot run conv2d: residual is ${residual} (expected the shape of the result, ${y})`);
}
