import type { Dims } from "../../devices/device.ts";
import { type Convolution, convolutionWgsl, type PixelTile, pixelTiles, tilesCovering } from "./tiles.ts";
import type { Product } from "../matmul/product.ts";
import type { PassesVariant } from "../../kernel_variants.ts";
import { productKernels } from "../matmul/product_kernels.ts";

/** The convolution with bias[B, K]; `addend` is WGSL to add to the target's element `to`. */
export const forwardConvolution = ({ R, S }: Dims, addend?: string): Convolution => ({
  R,
  S,
  source: "x",
  target: "y",
  lengths: { C: "dims.C", H: "dims.H", W: "dims.W", K: "dims.K", P: "dims.P", Q: "dims.Q" },
  padding: "dims.padding",
  weight: (k, c, tap) => `w[(${k} * dims.C + ${c}) * ${R * S}u + ${tap}]`,
  bias: (n, k) => `bias[${n} % dims.B * dims.K + ${k}]`,
  ...addend && { addend },
});

/**
 * The input gradient: a convolution of dy with the weights rotated by 180 degrees and input and output channels
 * swapped.
 */
export const turnedConvolution = ({ R, S }: Dims): Convolution => ({
  R,
  S,
  source: "dy",
  target: "dx",
  lengths: { C: "dims.K", H: "dims.P", W: "dims.Q", K: "dims.C", P: "dims.H", Q: "dims.W" },
  padding: "dims.turned",
  weight: (k, c, tap) => `w[(${c} * dims.C + ${k}) * ${R * S}u + ${R * S - 1}u - ${tap}]`,
});

/**
 * The source as a matrix of taps (c, r, s) by pixels (n, p, q), computed on the fly: element (tap, pixel) is source[n,
 * c, p + r - padding, q + s - padding], zero outside. Negative indices wrap to large numbers, which fail the check
 * against H or W.
 */
function patches(
  source: string,
  { C, H, W, P, Q }: Omit<Convolution["lengths"], "K">,
  { R, S, padding }: { R: number; S: number; padding: string },
): string {
  return `struct Pixel { origin: u32, h: u32, w: u32, image: u32, at: u32 }
fn pixelOf(i: u32) -> Pixel {
  let image = i / (${P} * ${Q});
  let at = i % (${P} * ${Q});
  let h = at / ${Q} - ${padding};
  let w = at % ${Q} - ${padding};
  return Pixel((image * ${C} * ${H} + h) * ${W} + w, h, w, image, at);
}
struct Tap { offset: u32, c: u32, r: u32, s: u32, tap: u32 }
fn tapOf(i: u32) -> Tap {
  let c = i / ${R * S}u;
  let tap = i % ${R * S}u;
  let r = tap / ${S}u;
  let s = tap % ${S}u;
  return Tap((c * ${H} + r) * ${W} + s, c, r, s, tap);
}
fn sourceAt(pixel: Pixel, tap: Tap) -> f32 {
  let inside = pixel.h + tap.r < ${H} && pixel.w + tap.s < ${W};
  return select(0.0, ${source}[pixel.origin + tap.offset], inside);
}`;
}

/** The convolution as a product, weights[k, tap] times patches[tap, pixel]. */
function convolutionProduct(conv: Convolution): Product {
  const { R, S, source, target, lengths, padding, weight, bias, addend } = conv;
  const { C, K, P, Q } = lengths;
  const terms = ["value", bias?.("image", "row"), addend];
  return {
    declarations: patches(source, lengths, { R, S, padding }),
    rows: K,
    columns: `dims.N * ${P} * ${Q}`,
    depth: `${C} * ${R * S}u`,
    position: "tapOf(k)",
    a: { along: "depth", edge: (k) => k, element: (k) => weight(k, "d.c", "d.tap") },
    b: { along: "edge", edge: (i) => `pixelOf(${i})`, element: (pixel) => `sourceAt(${pixel}, d)` },
    columnContext: `let image = column / (${P} * ${Q});`,
    columnTarget: `image * ${K} * ${P} * ${Q} + column % (${P} * ${Q})`,
    rowTarget: `row * ${P} * ${Q}`,
    target,
    stored: terms.filter((term) => term).join(" + "),
  };
}

/** The weight gradient of a run of images as a product, dy[k, pixel] times patches[pixel, tap]. */
export function weightGradientProduct(R: number, S: number): Product {
  const lengths = { C: "dims.C", H: "dims.H", W: "dims.W", P: "dims.P", Q: "dims.Q" };
  return {
    declarations: patches("x", lengths, { R, S, padding: "dims.padding" }),
    rows: "dims.K",
    columns: `dims.C * ${R * S}u`,
    depth: "min(dims.run, dims.N - batch * dims.run) * dims.P * dims.Q",
    position: "pixelOf(batch * dims.run * dims.P * dims.Q + k)",
    a: {
      along: "depth",
      edge: (k) => k,
      element: (k) => `dy[(d.image * dims.K + ${k}) * dims.P * dims.Q + d.at]`,
    },
    b: { along: "depth", edge: (i) => `tapOf(${i})`, element: (tap) => `sourceAt(d, ${tap})` },
    columnTarget: "batch * rows * columns + column",
    rowTarget: "row * columns",
    target: "dw",
  };
}

/**
 * Winograd as a way to run a convolution with 3x3 taps or one of its gradients. Transforms cost time per channel,
 * products per pair of channels, so it needs enough channels: fewer on software adapters, where arithmetic is
 * expensive, than on GPUs, where memory is.
 */
export function winograd(passes: PassesVariant["passes"]): PassesVariant {
  return {
    name: "winograd",
    fits: ({ R, S, padding }) => R === 3 && S === 3 && padding <= 2,
    isDefault: ({ N, C, K, H, W }, { software }) => C * K / (C + K) >= (software ? 6 : 12) && N * H * W >= 64,
    passes,
  };
}

/** Whether a kernel with all taps in its text is not too long: adapters take minutes to compile one of 7x7. */
export const canUnroll = ({ R, S }: Dims): boolean => R * S <= 25;

/** WebGPU kernels of a convolution to target[N, K, P, Q]: fields of an op's declaration. */
export function convolutionKernels(
  form: (dims: Dims) => Convolution,
  targetOf: (dims: Dims) => { N: number; K: number; P: number; Q: number },
  passes: PassesVariant["passes"],
) {
  const inRegisters = (tile: PixelTile) => ({
    tile: `${tile.height}x${tile.width}`,
    fits: canUnroll,
    invocations: (dims: Dims) => {
      const { N, K, P, Q } = targetOf(dims);
      return N * Math.ceil(K / 4) * tilesCovering(P, Q, tile);
    },
    wgsl: (dims: Dims) => convolutionWgsl(form(dims), tile),
  });
  return productKernels({
    specialise: ["R", "S"],
    size: (dims) => {
      const { N, K, P, Q } = targetOf(dims);
      return { rows: K, columns: N * P * Q, batches: 1 };
    },
    product: (dims) => convolutionProduct(form(dims)),
    registers: (generic) => [
      ...pixelTiles.map(inRegisters),
      { ...generic, tile: "8x8", fits: (dims) => !canUnroll(dims) },
    ],
    other: winograd(passes),
  });
}
