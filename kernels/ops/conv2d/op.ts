import { describeValue, isCount, refuse, refuseUnknown } from "../../core/checks.ts";
import { defineOp, type Op } from "../../op.ts";
import { makeHistory, Tensor } from "../../core/tensor.ts";
import { sameShape, type Shape, ShapeError } from "../../core/shape.ts";
import type { Dims } from "../../devices/device.ts";
import { add } from "../elementwise/binary.ts";
import { reshape, zeros } from "../layout.ts";
import { sum } from "../reduce/reduce.ts";
import {
  convolutionCalls,
  convolve,
  convolvedSize,
  correlate,
  type Geometry,
  geometryAttributes,
  plainGeometry,
  spanOf,
  weightGradientCalls,
} from "./geometry.ts";
import { convolutionKernels, weightGradientKernels, weightRun } from "./products.ts";
import type { Terms } from "./tiles.ts";
import { convolutionPasses, weightGradientPasses } from "./winograd/targets.ts";

/*
 * One convolution. Fix its geometry and write x * w for it, y *' w for its transpose (what each element of y gives to
 * the elements of x that it was made from), and x . y for the weights' part: the sums of x times y over all places where
 * a weight joins them. The three are one trilinear form, <x * w, y> = <x, y *' w> = <w, x . y>, read by different
 * arguments. So each is linear in its arguments, and the gradients of all are among them:
 *
 *   y = x * w     dx = dy *' w    dw = x . dy
 *   x = y *' w    dy = dx * w     dw = dx . y
 *   w = x . y     dx = y *' dw    dy = x * dw
 *
 * `transposed` distinguishes * from *' in the ops below, whose x is their input and y their output; geometry and
 * weights [K, C / groups, R, S] are those of * in both. A transpose gets the size of its result as an attribute, since
 * a stride may leave pixels unused.
 */

/** The attributes of the ops that convolve: their geometry, and the size of the result. */
const attributes = { ...geometryAttributes, transposed: "u32", P: "u32", Q: "u32" } as const;
type Convolution = { readonly [name in keyof typeof attributes]: number };

type Signature<Added extends string = ""> = `x[N, C, H, W], w[A, D, R, S]${Added} -> y[N, K, P, Q]`;

/** Declaration fields of an op that convolves. */
function fields(terms: Terms) {
  return {
    attributes,
    derive({ N, B = 1, C, A, D, groups, transposed }: Dims) {
      const op = transposed ? "convTranspose2d" : "conv2d";
      const [takes, K] = transposed ? [A, D * groups] : [D * groups, A];
      if (C % groups !== 0 || K % groups !== 0) {
        refuse(ShapeError, `run ${op}: groups is ${groups} for ${C} to ${K} channels`, "a divisor of both");
      }
      if (C !== takes) {
        const shares = groups > 1 && !transposed ? `, ${D} in each of ${groups} groups` : "";
        refuse(ShapeError, `run ${op}: w takes ${takes} channels${shares}`, `${C}, as x has`);
      }
      if (B !== 1 && B !== N) {
        refuse(ShapeError, `run ${op}: bias has ${B} rows for a batch of ${N}`, "one row, or one per image");
      }
      return { K };
    },
    ...convolutionKernels(terms, (dims, tuning) => convolutionPasses(dims, tuning, terms)),
    multiplyAdds: ({ N, C, H, W, K, P, Q, D, R, S, transposed }: Dims) =>
      N * D * R * S * (transposed ? C * H * W : K * P * Q),
    wasm: convolutionCalls,
  } as const;
}

/** The gradients of x and w. */
function gradientsOf(
  { x, w, dy }: Readonly<Record<"x" | "w" | "dy", Tensor>>,
  { transposed, P: _, Q: __, ...geometry }: Convolution,
) {
  return {
    x: () => unbiased(dy, w, { ...geometry, transposed: 1 - transposed }, x.shape),
    w: () => transposed ? weightGradient(dy, x, w.shape, geometry) : weightGradient(x, dy, w.shape, geometry),
  };
}

/** The gradients of x, w and a bias for all images or one for each. */
function allGradients(saved: Readonly<Record<"x" | "w" | "bias" | "dy", Tensor>>, given: Convolution) {
  const { bias, dy } = saved;
  return {
    ...gradientsOf(saved, given),
    bias: () => reshape(sum(dy, bias.shape[0] === 1 ? [0, 2, 3] : [2, 3]), bias.shape),
  };
}

/** The tangent of the result: the op is linear in each of its inputs, so it is the same op on their tangents. */
function tangentOf(
  { x, w, bias, y }: Readonly<Record<"x" | "w" | "bias" | "y", Tensor>>,
  tangents: Readonly<Partial<Record<"x" | "w" | "bias" | "residual", Tensor>>>,
  given: Convolution,
): Tensor {
  const convolved = (x: Tensor, w: Tensor, rows = zeros([1, bias.shape[1]]), residual?: Tensor) =>
    residual ? convolutionAdd(x, w, rows, residual, given) : convolution(x, w, rows, given);
  const { x: tx, w: tw, bias: rows, residual } = tangents;
  if (tx && tw) return convolved(tx, w, undefined, convolved(x, tw, rows, residual));
  if (tx) return convolved(tx, w, rows, residual);
  if (tw) return convolved(x, tw, rows, residual);
  const spread = residual ?? zeros(y.shape);
  return rows ? add(spread, reshape(rows, [...rows.shape, 1, 1])) : spread;
}

const unit = plainGeometry(0);
const strided = { ...unit, strideH: 2, strideW: 3, paddingH: 2, paddingW: 1 };
const dilated = { ...unit, dilationH: 2, dilationW: 3, paddingH: 1, paddingW: 4, groups: 2 };
const halved = { ...unit, strideH: 2, strideW: 2 };
function withResult({ x, w, ...geometry }: Geometry & { readonly x: Shape; readonly w: Shape }) {
  const [N, , H, W] = x;
  const [K, , R, S] = w;
  const { P, Q } = convolvedSize({ H, W, R, S, ...geometry });
  return { x, w, y: [N, K, P, Q], geometry };
}
/** Convolutions that are plain, then those that are not, then some that cut x into tiles, or nearly. */
const cases = [
  { x: [2, 3, 5, 6], w: [5, 3, 3, 3], ...plainGeometry(1) },
  { x: [2, 2, 9, 15], w: [4, 2, 3, 3], ...plainGeometry(1) },
  { x: [1, 5, 3, 4], w: [6, 5, 1, 1], ...unit },
  { x: [1, 2, 7, 8], w: [3, 2, 5, 3], ...unit, paddingH: 2 },
  { x: [5, 9, 5, 7], w: [10, 9, 7, 7], ...plainGeometry(2) },
  { x: [3, 1, 4, 5], w: [1, 1, 3, 3], ...unit },
  { x: [1, 1, 1, 1], w: [1, 1, 3, 3], ...plainGeometry(1) },
  { x: [2, 4, 6, 10], w: [6, 4, 3, 2], ...strided, strideW: 2 },
  { x: [1, 6, 9, 8], w: [10, 3, 3, 3], ...dilated },
  { x: [2, 5, 6, 9], w: [5, 1, 7, 5], ...unit, paddingH: 3, paddingW: 2, groups: 5 }, // one channel per group
  { x: [1, 3, 5, 14], w: [6, 1, 3, 3], ...strided, dilationW: 2, groups: 3 },
  { x: [1, 2, 2, 3], w: [5, 2, 1, 2], ...unit, strideH: 3, paddingH: 2, paddingW: 5 }, // rows read nothing
  { x: [3, 19, 3, 3], w: [13, 19, 2, 2], ...unit, strideH: 2 }, // deeper than a slice of a tile
  { x: [4, 14, 4, 10], w: [20, 14, 6, 4], ...unit, paddingH: 1, paddingW: 6, dilationW: 2 }, // larger than x
  { x: [2, 4, 6, 10], w: [19, 4, 2, 2], ...halved },
  { x: [1, 1, 2, 2], w: [1, 1, 2, 2], ...halved },
  { x: [1, 3, 4, 9], w: [9, 3, 2, 3], ...halved, strideW: 3 },
  { x: [2, 3, 5, 7], w: [6, 3, 2, 2], ...halved }, // a row and a column left over
  { x: [1, 2, 6, 6], w: [5, 2, 3, 3], ...plainGeometry(1), strideH: 3, strideW: 3 }, // tiles with padding
  { x: [2, 2, 9, 12], w: [4, 1, 7, 7], ...plainGeometry(3), groups: 2 }, // depthwise: tiles of seven rows, then two
  { x: [1, 2, 10, 17], w: [4, 1, 5, 5], ...plainGeometry(2), groups: 2 },
  { x: [22, 3, 8, 9], w: [3, 1, 3, 3], ...plainGeometry(1), groups: 3 }, // several planes in a task
  { x: [1, 8, 6, 5], w: [2, 4, 3, 3], ...plainGeometry(1), groups: 2 }, // the transpose: one channel to four
].map(withResult);
/** Enough small images for the weight gradient to take two at a time. */
const many = withResult({ x: [35, 2, 7, 11], w: [4, 2, 3, 3], ...plainGeometry(1), strideH: 2, strideW: 2 });
const sizeOf = ([, , P, Q]: Shape) => ({ P, Q });
const forwards = cases.map(({ x, w, y, geometry }) => ({
  shapes: { x, w },
  attributes: { ...geometry, transposed: 0, ...sizeOf(y) },
}));
const backwards = cases.map(({ x, w, y, geometry }) => ({
  shapes: { x: y, w },
  attributes: { ...geometry, transposed: 1, ...sizeOf(x) },
}));
const biased = [...forwards, ...backwards].map(({ shapes, attributes }, i) => {
  const K = attributes.transposed ? shapes.w[1] * attributes.groups : shapes.w[0];
  return { shapes: { ...shapes, bias: [i % 2 ? 1 : shapes.x[0], K] }, attributes };
});

/** A plain or transposed convolution, plus a bias for all images or one for each. */
export const convolution: Op<Signature<", bias[B, K]">, typeof attributes> = defineOp({
  ...fields(["bias"]),
  name: "conv2d",
  signature: "x[N, C, H, W], w[A, D, R, S], bias[B, K] -> y[N, K, P, Q]",
  backward: allGradients,
  forward: tangentOf,
  reference: ({ bias, ...arrays }, dims) => convolve(arrays, dims, (n, k) => bias[n % dims.B * dims.K + k]),
  samples: biased,
});

/** A convolution plus another tensor, such as a residual connection; saves a pass over y. */
const convolutionAdd: Op<Signature<", bias[B, K], residual[N, K, P, Q]">, typeof attributes> = defineOp({
  ...fields(["bias", "residual"]),
  name: "conv2dAdd",
  signature: "x[N, C, H, W], w[A, D, R, S], bias[B, K], residual[N, K, P, Q] -> y[N, K, P, Q]",
  backward: (saved, given) => ({ ...allGradients(saved, given), residual: () => saved.dy }),
  forward: tangentOf,
  reference: ({ bias, residual, ...arrays }, dims) =>
    convolve(arrays, dims, (n, k, at) => bias[n % dims.B * dims.K + k] + residual[at]),
  samples: [0, 2, 7, 19, 27].map((i) => biased[i]).map(({ shapes, attributes }) => {
    const residual = [shapes.x[0], shapes.bias[1], attributes.P, attributes.Q];
    return { shapes: { ...shapes, residual }, attributes };
  }),
});

/** A convolution without bias: the input gradient of its transpose. */
const inputGradient: Op<Signature, typeof attributes> = defineOp({
  ...fields([]),
  name: "conv2dInputGradient",
  signature: "x[N, C, H, W], w[A, D, R, S] -> y[N, K, P, Q]",
  empty: zeros,
  backward: gradientsOf,
  reference: (arrays, dims) => convolve(arrays, dims),
  samples: [...[0, 1, 2, 3, 7, 10].map((i) => backwards[i]), ...forwards.slice(14)],
});

/** Weight gradient of each run of `run` images, summed afterwards, so that every core has work. */
const weightGradientRuns = defineOp({
  name: "conv2dWeightGradient",
  signature: "x[N, C, H, W], dy[N, K, P, Q] -> dw[G, K, D, R, S]",
  attributes: { ...geometryAttributes, R: "u32", S: "u32", run: "u32" },
  derive: ({ N, C, run, groups }) => ({ D: C / groups, G: Math.max(1, Math.ceil(N / run)) }),
  ...weightGradientKernels(weightGradientPasses),
  multiplyAdds: ({ N, K, D, R, S, P, Q }) => N * K * D * R * S * P * Q,
  empty: zeros,
  reference: correlate,
  wasm: weightGradientCalls,
  samples: [...cases, many].map(({ x, w: [, , R, S], y, geometry }) => ({
    shapes: { x, dy: y },
    attributes: { ...geometry, R, S, run: Math.ceil(x[0] / 2) },
  })),
});

/** A convolution to the height and width of a shape. */
function unbiased(
  x: Tensor,
  w: Tensor,
  geometry: Geometry & { readonly transposed: number },
  shape: Shape,
): Tensor {
  return inputGradient(x, w, { ...geometry, ...sizeOf(shape) });
}

/** The weight gradient of all images, which has gradient rules of its own: the runs are an implementation detail. */
function weightGradient(x: Tensor, dy: Tensor, [K, D, R, S]: Shape, geometry: Geometry): Tensor {
  const [N, C, H, W] = x.shape;
  const run = weightRun({ N, C, H, W, K, D, R, S, ...geometry }, x.device.tuning);
  const dw = sum(weightGradientRuns(x, dy, { ...geometry, R, S, run }), [0]);
  const history = makeHistory({
    op: "conv2dWeightGradient",
    output: "dw",
    names: ["x", "dy"],
    inputs: [x, dy],
    rules: (_, ddw) => ({
      x: () => unbiased(dy, ddw, { ...geometry, transposed: 1 }, x.shape),
      dy: () => unbiased(x, ddw, { ...geometry, transposed: 0 }, dy.shape),
    }),
  });
  return new Tensor(dw.storage, dw.shape, dw.type, dw.offset, history);
}

/** One number for both axes of an image, or [vertical, horizontal]. */
export type PerAxis = number | readonly [vertical: number, horizontal: number];

/** How a convolution moves over an image, as in PyTorch. */
export interface ConvolutionOptions {
  /** Pixels from one output to the next, 1 by default. */
  readonly stride?: PerAxis | undefined;
  /** Zero pixels on each side, 0 by default. */
  readonly padding?: PerAxis | undefined;
  /** Pixels from one tap of the kernel to the next, 1 by default. */
  readonly dilation?: PerAxis | undefined;
  /** Number of groups of channels, each convolved on its own, 1 by default; C for a depthwise convolution. */
  readonly groups?: number | undefined;
}

/** Options of a transposed convolution, as in PyTorch; the stride is 2 by default. */
export interface TransposedConvolutionOptions extends ConvolutionOptions {
  /** Rows and columns added at the bottom and right of the result, fewer than the stride; 0 by default. */
  readonly outputPadding?: PerAxis | undefined;
}

const showPair = (value: unknown) =>
  Array.isArray(value) ? `[${value.map(describeValue).join(", ")}]` : describeValue(value);

/** Both numbers of an option. */
function pairOf(task: string, name: string, value: unknown, least: number): readonly [number, number] {
  const pair = Array.isArray(value) ? value : [value, value];
  if (pair.length === 2 && pair.every((number) => isCount(number, least, 2 ** 16))) {
    return [pair[0], pair[1]];
  }
  const expected = `a whole number of at least ${least}, or two: [vertical, horizontal]`;
  refuse(ShapeError, `${task}: ${name} is ${showPair(value)}`, expected);
}

/**
 * The attributes that follow from options; stride and dilation are 1 by default, padding is 0.
 *
 * @param handled names of the options that the caller handles, for messages
 */
export function geometryOf(
  task: string,
  { stride = 1, padding = 0, dilation = 1, groups = 1, ...unknown }: ConvolutionOptions,
  handled: readonly string[] = [],
): Geometry {
  refuseUnknown(task, unknown, ["stride", "padding", "dilation", "groups", ...handled]);
  if (!isCount(groups, 1)) {
    refuse(ShapeError, `${task}: groups is ${describeValue(groups)}`, "a whole number of at least 1");
  }
  const [strideH, strideW] = pairOf(task, "stride", stride, 1);
  const [paddingH, paddingW] = pairOf(task, "padding", padding, 0);
  const [dilationH, dilationW] = pairOf(task, "dilation", dilation, 1);
  return { strideH, strideW, paddingH, paddingW, dilationH, dilationW, groups };
}

function checkImages(task: string, x: Tensor, w: Tensor): void {
  if (x.shape.length === 4 && w.shape.length === 4) return;
  refuse(ShapeError, `${task}: x is ${x}, w is ${w}`, "x[N, C, H, W] and w of four axes");
}

/** The bias of K channels as rows, of zeros if there is none. */
function biasRows(task: string, bias: Tensor | undefined, K: number): Tensor {
  if (bias === undefined) return zeros([1, K]);
  if (!(bias instanceof Tensor)) {
    const expected = "a tensor, or undefined for none; options come after it";
    refuse(TypeError, `${task}: bias is ${describeValue(bias)}`, expected);
  }
  if (bias.shape.length > 2 || bias.shape.at(-1) !== K) {
    refuse(ShapeError, `${task}: bias is ${bias}`, `f32[${K}], or f32[N, ${K}]`);
  }
  return bias.shape.length === 1 ? reshape(bias, [1, K]) : bias;
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
 * @param options stride, padding, dilation and groups; `residual`, of the result's shape, is added to it
 * @returns f32[N, K, P, Q], where P = floor((H + 2 padding - dilation (R - 1) - 1) / stride) + 1, and Q likewise
 */
export function conv2d(
  x: Tensor,
  w: Tensor,
  bias?: Tensor,
  { residual, ...options }: ConvolutionOptions & { readonly residual?: Tensor } = {},
): Tensor {
  const task = "run conv2d";
  const geometry = geometryOf(task, options, ["residual"]);
  checkImages(task, x, w);
  const [N, , H, W] = x.shape, [K, , R, S] = w.shape;
  const { P, Q } = convolvedSize({ H, W, R, S, ...geometry });
  if (P < 1 || Q < 1) {
    const { paddingH, paddingW, dilationH, dilationW } = geometry;
    const expected = `at most ${H + 2 * paddingH} x ${W + 2 * paddingW}, the size of x ${x} with padding`;
    const covered = `${spanOf(R, dilationH)} x ${spanOf(S, dilationW)} pixels`;
    refuse(ShapeError, `${task}: w ${w} covers ${covered}`, expected);
  }
  const attributes = { ...geometry, transposed: 0, P, Q };
  const rows = biasRows(task, bias, K);
  if (!residual) return convolution(x, w, rows, attributes);
  if (sameShape(residual.shape, [N, K, P, Q])) return convolutionAdd(x, w, rows, residual, attributes);
  refuse(ShapeError, `${task}: residual is ${residual}`, `f32[${N}, ${K}, ${P}, ${Q}], as the result`);
}

/**
 * Transposed convolution, the transpose of `conv2d` with the same options; by default with stride 2, which doubles height
 * and width with a 2 x 2 kernel.
 *
 * @param x f32[N, C, H, W]
 * @param w f32[C, K / groups, R, S]
 * @param bias f32[K], or as in `conv2d`; none by default
 * @param options stride (2 by default, 1 in PyTorch), padding cut off each side of the result, outputPadding, dilation and
 * groups
 * @returns f32[N, K, P, Q], where P = stride (H - 1) + dilation (R - 1) + 1 - 2 padding + outputPadding, and Q likewise
 */
export function convTranspose2d(
  x: Tensor,
  w: Tensor,
  bias?: Tensor,
  { outputPadding = 0, stride = 2, ...options }: TransposedConvolutionOptions = {},
): Tensor {
  const task = "run convTranspose2d";
  const geometry = geometryOf(task, { stride, ...options }, ["outputPadding"]);
  const extra = pairOf(task, "outputPadding", outputPadding, 0);
  checkImages(task, x, w);
  const { strideH, strideW, paddingH, paddingW, dilationH, dilationW, groups } = geometry;
  if (extra[0] >= strideH || extra[1] >= strideW) {
    const expected = `less than the stride, ${showPair(stride)}`;
    refuse(ShapeError, `${task}: outputPadding is ${showPair(outputPadding)}`, expected);
  }
  const [, , H, W] = x.shape, [, D, R, S] = w.shape;
  const P = strideH * (H - 1) + spanOf(R, dilationH) - 2 * paddingH + extra[0];
  const Q = strideW * (W - 1) + spanOf(S, dilationW) - 2 * paddingW + extra[1];
  if (P < 1 || Q < 1) {
    refuse(ShapeError, `${task}: padding leaves ${P} x ${Q} pixels of the result`, "at least 1 x 1");
  }
  return convolution(x, w, biasRows(task, bias, D * groups), { ...geometry, transposed: 1, P, Q });
}
