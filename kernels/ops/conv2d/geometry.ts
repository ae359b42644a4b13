import type { Dims } from "../../devices/device.ts";

/** How a convolution moves over an image: attributes of its ops. */
export const geometryAttributes = {
  strideH: "u32",
  strideW: "u32",
  paddingH: "u32",
  paddingW: "u32",
  dilationH: "u32",
  dilationW: "u32",
  groups: "u32",
} as const;

/** The numbers behind `geometryAttributes`. */
export type Geometry = { readonly [name in keyof typeof geometryAttributes]: number };

/** A convolution that visits every pixel, with zeros on all sides. */
export const plainGeometry = (padding: number): Geometry => ({
  strideH: 1,
  strideW: 1,
  paddingH: padding,
  paddingW: padding,
  dilationH: 1,
  dilationW: 1,
  groups: 1,
});

/** Whether a convolution visits every pixel of neighbouring rows and columns, in one group of channels. */
export function isPlain({ strideH, strideW, dilationH, dilationW, groups }: Dims): boolean {
  return Math.max(strideH, strideW, dilationH, dilationW, groups) === 1;
}

/** Whether a convolution cuts x[N, C, H, W] into one tile of R x S pixels for every pixel of y[N, K, P, Q]. */
export function isTiling({ H, W, P, Q, R, S, ...dims }: Dims): boolean {
  const { strideH, strideW, paddingH, paddingW, dilationH, dilationW, groups } = dims;
  return strideH === R && strideW === S && paddingH === 0 && paddingW === 0 && dilationH === 1 &&
    dilationW === 1 && groups === 1 && H === R * P && W === S * Q;
}

/** Pixels that R taps cover along an axis. */
export const spanOf = (R: number, dilation: number): number => dilation * (R - 1) + 1;

/** Height and width of a convolution's result; less than 1 if the kernel is larger than the padded image. */
export function convolvedSize({ H, W, R, S, ...dims }: Dims): { P: number; Q: number } {
  const { strideH, strideW, paddingH, paddingW, dilationH, dilationW } = dims;
  return {
    P: Math.floor((H + 2 * paddingH - spanOf(R, dilationH)) / strideH) + 1,
    Q: Math.floor((W + 2 * paddingW - spanOf(S, dilationW)) / strideW) + 1,
  };
}

/** The convolution that a transposed one is the transpose of. */
export const swapped = ({ C, H, W, K, P, Q, ...dims }: Dims): Dims => ({
  ...dims,
  C: K,
  H: P,
  W: Q,
  K: C,
  P: H,
  Q: W,
});
