import { defineOp, type Op } from "../../op.ts";
import { makeHistory } from "../../autograd/history.ts";
import { ShapeError } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import type { Dims } from "../../devices/device.ts";
import { zeros } from "../layout/fill.ts";
import { reshape } from "../layout/movement.ts";
import { imagesPerRun } from "../matmul/product_kernels.ts";
import { sum } from "../reduce/reduce.ts";
import { forwardKernels, transposedKernels, weightGradientKernels } from "./general_products.ts";
import { convolvedSize, type Geometry, geometryAttributes } from "./geometry.ts";
import { convolve, convolveTransposed, correlate } from "./reference.ts";
import { generalCalls, generalWeightGradientCalls, transposedCalls } from "./general_wasm.ts";

/** An op's attributes without others, such as lengths. */
function geometryIn(attributes: Geometry): Geometry {
  const { strideH, strideW, paddingH, paddingW, dilationH, dilationW, groups } = attributes;
  return { strideH, strideW, paddingH, paddingW, dilationH, dilationW, groups };
}

/** @throws {ShapeError} if groups of C and K channels do not fit weights of D */
function checkGroups(op: string, { C, D, K, groups }: Dims): void {
  if (C % groups !== 0 || K % groups !== 0) {
    throw new ShapeError(
      `Cannot run ${op}: ${groups} groups of ${C} channels to ${K} (expected a divisor of both)`,
    );
  }
  if (C === D * groups) return;
  throw new ShapeError(
    `Cannot run ${op}: w takes ${D} channels (expected ${C / groups}: ${C} of x in ${groups} groups)`,
  );
}

const multiplyAdds = ({ N, K, D, R, S, P, Q }: Dims) => N * K * D * R * S * P * Q;

const unit = { strideH: 1, strideW: 1, paddingH: 0, paddingW: 0, dilationH: 1, dilationW: 1, groups: 1 };
const strided = { ...unit, strideH: 2, strideW: 3, paddingH: 2, paddingW: 1 };
const dilated = { ...unit, dilationH: 2, dilationW: 3, paddingH: 1, paddingW: 4, groups: 2 };
/**
 * As deep as no slice of a tile, one channel per group, one of everything, a kernel of which rows read nothing, and one
 * that is larger than the image and its result.
 */
const sampled = [
  { x: [2, 4, 6, 7], w: [6, 4, 3, 2], ...strided },
  { x: [1, 6, 9, 8], w: [10, 3, 3, 3], ...dilated },
  { x: [2, 5, 6, 9], w: [5, 1, 7, 5], ...unit, paddingH: 3, paddingW: 2, groups: 5 },
  { x: [1, 3, 5, 14], w: [6, 1, 3, 3], ...strided, dilationW: 2, groups: 3 },
  { x: [1, 1, 1, 1], w: [1, 1, 1, 1], ...unit },
  { x: [1, 2, 2, 3], w: [5, 2, 1, 2], ...unit, strideH: 3, paddingH: 2, paddingW: 5 },
  { x: [3, 19, 3, 3], w: [13, 19, 2, 2], ...unit, strideH: 2 },
  { x: [4, 14, 4, 10], w: [20, 14, 6, 4], ...unit, paddingH: 1, paddingW: 6, dilationW: 2 },
].map(({ x, w, ...attributes }) => {
  const [N, , H, W] = x, [K, , R, S] = w;
  const { P, Q } = convolvedSize({ H, W, R, S, ...attributes });
  return { x, w, y: [N, K, P, Q], attributes };
});

/** A convolution with any stride, padding, dilation and groups. */
const convolution: Op<
  "x[N, C, H, W], w[K, D, R, S], bias[B, K] -> y[N, K, P, Q]",
  typeof geometryAttributes
> = defineOp({
  name: "generalConv2d",
  signature: "x[N, C, H, W], w[K, D, R, S], bias[B, K] -> y[N, K, P, Q]",
  attributes: geometryAttributes,
  derive(dims: Dims) {
    checkGroups("conv2d", dims);
    const { B, N } = dims;
    if (B !== 1 && B !== N) {
      throw new ShapeError(`Cannot run conv2d: ${B} rows of biases for ${N} images (expected 1 or ${N})`);
    }
    return convolvedSize(dims);
  },
  ...forwardKernels,
  multiplyAdds,
  backward: ({ x, w, bias, dy }, attributes) => ({
    x: () => transposed(dy, w, attributes, x.shape),
    w: () => weightGradient(x, dy, w, attributes),
    bias: () => reshape(sum(dy, bias.shape[0] === 1 ? [0, 2, 3] : [2, 3]), bias.shape),
  }),
  reference: ({ x, w, bias, y }, dims) => convolve(x, w, y, dims, (n, k) => bias[n % dims.B * dims.K + k]),
  wasm: generalCalls,
  samples: sampled.map(({ x, w, attributes }, i) => ({
    shapes: { x, w, bias: [i % 2 ? 1 : x[0], w[0]] },
    attributes,
  })),
});

/**
 * The transpose of a convolution: what y gives to x, plus a bias. It is the input gradient, and a transposed convolution
 * of y.
 */
const transposedConvolution: Op<
  "y[N, K, P, Q], w[K, D, R, S], bias[C] -> x[N, C, H, W]",
  typeof geometryAttributes & { H: "u32"; W: "u32" }
> = defineOp({
  name: "generalConvTranspose2d",
  signature: "y[N, K, P, Q], w[K, D, R, S], bias[C] -> x[N, C, H, W]",
  attributes: { ...geometryAttributes, H: "u32", W: "u32" },
  derive(dims: Dims) {
    checkGroups("convTranspose2d", { ...dims, C: dims.D * dims.groups });
    return { C: dims.D * dims.groups };
  },
  ...transposedKernels,
  multiplyAdds,
  backward: ({ y, w, dx }, attributes) => ({
    y: () => convolution(dx, w, zeros([1, w.shape[0]]), geometryIn(attributes)),
    w: () => weightGradient(dx, y, w, attributes),
    bias: () => sum(dx, [0, 2, 3]),
  }),
  reference: ({ y, w, bias, x }, dims) => convolveTransposed(y, w, x, dims, (c) => bias[c]),
  wasm: transposedCalls,
  samples: sampled.map(({ x, w, y, attributes }) => ({
    shapes: { y, w, bias: [x[1]] },
    attributes: { ...attributes, H: x[2], W: x[3] },
  })),
});

/** Weight gradient of each run of `run` images; summed afterwards, which gives every core work. */
const weightGradientRuns = defineOp({
  name: "generalConv2dWeightGradient",
  signature: "x[N, C, H, W], dy[N, K, P, Q] -> dw[G, K, D, R, S]",
  attributes: { ...geometryAttributes, R: "u32", S: "u32", run: "u32" },
  derive: ({ N, C, run, groups }) => ({ D: C / groups, G: Math.max(1, Math.ceil(N / run)) }),
  ...weightGradientKernels,
  empty: zeros,
  reference: ({ x, dy, dw }, dims) => correlate(x, dy, dw, dims),
  wasm: generalWeightGradientCalls,
  samples: sampled.map(({ x, w: [, , R, S], y, attributes }, i) => ({
    shapes: { x, dy: y },
    attributes: { ...attributes, R, S, run: 1 + i % 2 },
  })),
});

/** The weight gradient of all images, which has gradient rules of its own: the runs are an implementation detail. */
function weightGradient(x: Tensor, dy: Tensor, w: Tensor, attributes: Geometry): Tensor {
  const [K, D, R, S] = w.shape, moves = geometryIn(attributes);
  const run = imagesPerRun(x.shape[0], { rows: K, columns: D * R * S }, x.device.tuning);
  const dw = sum(weightGradientRuns(x, dy, { ...moves, R, S, run }), [0]);
  const history = makeHistory({
    op: "generalConv2dWeightGradient",
    output: "dw",
    names: ["x", "dy"],
    inputs: [x, dy],
    rules: (_, ddw) => ({
      x: () => transposed(dy, ddw, moves, x.shape),
      dy: () => convolution(x, ddw, zeros([1, K]), moves),
    }),
  });
  return new Tensor(dw.storage, dw.shape, dw.type, dw.offset, history);
}

/** The input gradient, of the shape of the input. */
function transposed(dy: Tensor, w: Tensor, attributes: Geometry, [, C, H, W]: readonly number[]): Tensor {
  return transposedConvolution(dy, w, zeros([C]), { ...geometryIn(attributes), H, W });
}

export { convolution as generalConv2d, transposedConvolution as generalConvTranspose2d };
