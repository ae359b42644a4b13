import { describeValue, isCount, refuseOthers } from "../../core/checks.ts";
import { ShapeError } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import type { Dims } from "../../devices/device.ts";

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
  /** Number of groups of channels, each convolved on its own; as many as channels: a depthwise convolution. */
  readonly groups?: number | undefined;
}

/** Attributes of a convolution of any kind. */
export const geometryAttributes = {
  strideH: "u32",
  strideW: "u32",
  paddingH: "u32",
  paddingW: "u32",
  dilationH: "u32",
  dilationW: "u32",
  groups: "u32",
} as const;

/** Their values. */
export type Geometry = { readonly [name in keyof typeof geometryAttributes]: number };

/** Both numbers of an option. @throws {ShapeError} if it is something else */
export function pairOf(task: string, name: string, given: unknown, least: number): readonly [number, number] {
  const pair = Array.isArray(given) ? given : [given, given];
  if (pair.length === 2 && pair.every((value) => isCount(value, least, 2 ** 16))) {
    return [pair[0], pair[1]];
  }
  const shown = Array.isArray(given) ? `[${given.map(describeValue).join(", ")}]` : describeValue(given);
  throw new ShapeError(
    `Cannot ${task}: ${name} is ${shown} (expected a whole number of at least ${least}, or two: [vertical, horizontal])`,
  );
}

/**
 * The attributes that options ask for; stride and dilation are 1 by default, padding is 0.
 *
 * @param others options that the caller has taken out, for messages
 * @throws {ShapeError} if a number is out of range
 * @throws {TypeError} if an option is unknown
 */
export function geometryOf(
  task: string,
  { stride = 1, padding = 0, dilation = 1, groups = 1, ...unknown }: ConvolutionOptions,
  others: readonly string[] = [],
): Geometry {
  refuseOthers(task, unknown, ["stride", "padding", "dilation", "groups", ...others]);
  if (!isCount(groups, 1)) {
    throw new ShapeError(
      `Cannot ${task}: groups is ${describeValue(groups)} (expected a whole number of at least 1)`,
    );
  }
  const [strideH, strideW] = pairOf(task, "stride", stride, 1);
  const [paddingH, paddingW] = pairOf(task, "padding", padding, 0);
  const [dilationH, dilationW] = pairOf(task, "dilation", dilation, 1);
  return { strideH, strideW, paddingH, paddingW, dilationH, dilationW, groups };
}

/** @throws {TypeError} if a bias is given that is no tensor, such as options */
export function checkBias(task: string, bias: unknown): void {
  if (bias === undefined || bias instanceof Tensor) return;
  throw new TypeError(
    `Cannot ${task}: bias is ${bias} (expected a tensor, or undefined for none; options come after it)`,
  );
}

/** Pixels that a kernel of R taps covers. */
export const spanOf = (R: number, dilation: number): number => dilation * (R - 1) + 1;

/** Height and width of a convolution's result; less than 1 if the kernel is larger than the padded image. */
export function convolvedSize({ H, W, R, S, ...dims }: Dims): { P: number; Q: number } {
  const { strideH, strideW, paddingH, paddingW, dilationH, dilationW } = dims;
  return {
    P: Math.floor((H + 2 * paddingH - spanOf(R, dilationH)) / strideH) + 1,
    Q: Math.floor((W + 2 * paddingW - spanOf(S, dilationW)) / strideW) + 1,
  };
}
