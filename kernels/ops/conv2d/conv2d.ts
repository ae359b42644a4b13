import { describeValue, isCount, refuse, refuseUnknown } from "../../core/checks.ts";
import { sameShape, ShapeError } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { zeros } from "../layout/fill.ts";
import { reshape } from "../layout/movement.ts";
import { convolvedSize, type Geometry, spanOf } from "./geometry.ts";
import { convolution, convolutionAdd } from "./op.ts";

/** One number for both axes of an image, or [vertical, horizontal]. */
export type PerAxis = number | readonly [vertical: number, horizontal: number];

/** How a convolution moves over an image, as in PyTorch. */
export interface ConvolutionOptions {
  /** Pixels from one output to the next. */
  readonly stride?: PerAxis | undefined;
  /** Zero pixels on each side. */
  readonly padding?: PerAxis | undefined;
  /** Pixels from one tap of the kernel to the next. */
  readonly dilation?: PerAxis | undefined;
  /** Number of groups of channels, each convolved on its own; one group per channel is a depthwise convolution. */
  readonly groups?: number | undefined;
}

/** Options of a transposed convolution, as in PyTorch; the stride is 2 by default. */
export interface TransposedConvolutionOptions extends ConvolutionOptions {
  /** Rows and columns added at the bottom and right of the result, fewer than the stride. */
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
 * @param residual tensor of the result's shape, added to it
 * @param stride pixels from one output to the next, 1 by default: one number, or [vertical, horizontal]
 * @param padding zero pixels on each side, 0 by default: one number, or [vertical, horizontal]
 * @param dilation pixels from one tap to the next, 1 by default: one number, or [vertical, horizontal]
 * @param groups number of groups of channels, each convolved on its own; 1 by default, C for a depthwise convolution
 * @returns f32[N, K, P, Q], where P = floor((H + 2 padding - dilation (R - 1) - 1) / stride) + 1, and Q likewise
 */
export function conv2d(
  x: Tensor,
  w: Tensor,
  bias?: Tensor,
  { residual, ...options }: ConvolutionOptions & { readonly residual?: Tensor } = {},
): Tensor {
  const task = "run conv2d", geometry = geometryOf(task, options, ["residual"]);
  checkImages(task, x, w);
  const [N, , H, W] = x.shape, [K, , R, S] = w.shape;
  const { P, Q } = convolvedSize({ H, W, R, S, ...geometry });
  if (P < 1 || Q < 1) {
    const { paddingH, paddingW, dilationH, dilationW } = geometry;
    const expected = `at most ${H + 2 * paddingH} x ${W + 2 * paddingW}, the size of x ${x} with padding`;
    const covered = `${spanOf(R, dilationH)} x ${spanOf(S, dilationW)} pixels`;
    refuse(ShapeError, `${task}: w ${w} covers ${covered}`, expected);
  }
  const attributes = { ...geometry, transposed: 0, P, Q }, rows = biasRows(task, bias, K);
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
 * @param stride pixels of the result from one pixel of x to the next, 2 by default (1 in PyTorch); one number, or
 * [vertical, horizontal], like all options except the groups
 * @param padding pixels cut off each side of the result, 0 by default
 * @param outputPadding rows and columns added at the bottom and right of the result, 0 by default
 * @param dilation pixels from one tap to the next, 1 by default
 * @param groups number of groups of channels, 1 by default
 * @returns f32[N, K, P, Q], where P = stride (H - 1) + dilation (R - 1) + 1 - 2 padding + outputPadding, and Q likewise
 */
export function convTranspose2d(
  x: Tensor,
  w: Tensor,
  bias?: Tensor,
  { outputPadding = 0, stride = 2, ...options }: TransposedConvolutionOptions = {},
): Tensor {
  const task = "run convTranspose2d", geometry = geometryOf(task, { stride, ...options }, ["outputPadding"]);
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
