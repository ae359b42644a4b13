import { type Product, registerProductWgsl, registerTiles } from "../matmul/product.ts";
import { imagesPerRun, productKernels, type RegisterKernel } from "../matmul/product_kernels.ts";
import { fewestGroups, type ProductSize } from "../matmul/product_tiles.ts";
import type { Dims, Tuning } from "../../devices/device.ts";
import type { KernelVariant, PassesVariant } from "../../op_definition.ts";
import { isPlain, isTiling, swapped } from "./geometry.ts";
import {
  biasAt,
  convolutionTiles,
  convolutionWgsl,
  pairsOf,
  type PixelTile,
  pixelTiles,
  sharedWeightGradientWgsl,
  singleTile,
  startOf,
  storedWgsl,
  type Terms,
  weightGradientWgsl,
  weightTiles,
} from "./tiles.ts";

/**
 * What is compiled into the kernels: taps, by other names where a convolution is not plain, `transposed`, and whether a
 * transposed convolution makes tiles. Other geometry stays in `dims`, so that it costs no more pipelines.
 */
function specialise(dims: Dims): Dims {
  const { R, S, transposed = 0 } = dims;
  if (isPlain(dims)) return { transposed, R, S };
  return {
    transposed,
    tapsH: R,
    tapsW: S,
    tiling: Number(transposed && isTiling(swapped(dims))),
  };
}

/** Number of channels of x and of y in a group. */
const [fromGroup, toGroup] = ["(dims.C / dims.groups)", "(dims.K / dims.groups)"];

/** Number of taps in a row, and of all. */
function tapsOf({ tapsH, tapsW, R = tapsH, S = tapsW }: Dims): readonly [inRow: string, all: string] {
  return [`${S}u`, `${R * S}u`];
}

/**
 * A group of x as a matrix of taps (c, r, s) by pixels (n, p, q) of y, computed on the fly, zero outside. In a transposed
 * convolution, `stride - 1` zeros lie between the pixels of x. Negative positions wrap to large numbers, which fail the
 * check against H or W.
 */
function patches(dims: Dims): string {
  const isPlain = dims.R !== undefined;
  const isSpread = !isPlain && dims.transposed === 1;
  const step = (axis: string) => isPlain || isSpread ? "" : ` * dims.stride${axis}`;
  const dilation = (axis: string) => isPlain ? "" : ` * dims.dilation${axis}`;
  const [inRow, all] = tapsOf(dims);
  const source = isSpread
    ? `let isPixel = h % dims.strideH == 0u && w % dims.strideW == 0u;
  let p = h / dims.strideH;
  let q = w / dims.strideW;
  return select(0.0, x[(pixel.plane + tap.plane + p) * dims.W + q], isPixel && p < dims.H && q < dims.W);`
    : "return select(0.0, x[pixel.origin + tap.offset], h < dims.H && w < dims.W);";
  return `struct Pixel { plane: u32, origin: u32, h: u32, w: u32, image: u32, at: u32 }
fn pixelOf(i: u32, group: u32) -> Pixel {
  let image = i / (dims.P * dims.Q);
  let at = i % (dims.P * dims.Q);
  let h = at / dims.Q${step("H")} - ${startOf(dims, "H")};
  let w = at % dims.Q${step("W")} - ${startOf(dims, "W")};
  let plane = (image * dims.C + group * ${fromGroup}) * dims.H;
  return Pixel(plane, (plane + h) * dims.W + w, h, w, image, at);
}
struct Tap { plane: u32, offset: u32, h: u32, w: u32, c: u32, tap: u32 }
fn tapOf(i: u32) -> Tap {
  let c = i / ${all};
  let tap = i % ${all};
  let h = tap / ${inRow}${dilation("H")};
  let w = tap % ${inRow}${dilation("W")};
  return Tap(c * dims.H, (c * dims.H + h) * dims.W + w, h, w, c, tap);
}
fn sourceAt(pixel: Pixel, tap: Tap) -> f32 {
  let h = pixel.h + tap.h;
  let w = pixel.w + tap.w;
  ${source}
}`;
}

/** A convolution as a product for each group: weights[k, tap] times patches[tap, pixel]. */
function convolutionProduct(dims: Dims, terms: Terms): Product {
  const { transposed } = dims;
  const [, taps] = tapsOf(dims);
  return {
    declarations: patches(dims),
    rows: toGroup,
    columns: "dims.N * dims.P * dims.Q",
    depth: `${fromGroup} * ${taps}`,
    position: "tapOf(k)",
    a: {
      along: "depth",
      edge: (k) => transposed ? `batch * ${fromGroup} * dims.D + ${k}` : `(batch * rows + ${k}) * dims.D`,
      element: (k) =>
        transposed
          ? `w[(${k} + d.c * dims.D + 1u) * ${taps} - 1u - d.tap]` // rotated by 180 degrees
          : `w[(${k} + d.c) * ${taps} + d.tap]`,
    },
    b: { along: "edge", edge: (i) => `pixelOf(${i}, batch)`, element: (pixel) => `sourceAt(${pixel}, d)` },
    columnContext: "let n = column / (dims.P * dims.Q);",
    ...terms.includes("bias") && { columnAdded: biasAt("batch * rows") },
    columnTarget: "(n * dims.K + batch * rows) * dims.P * dims.Q + column % (dims.P * dims.Q)",
    rowTarget: "row * dims.P * dims.Q",
    target: "y",
    stored: storedWgsl("value", terms, "bias[added + row]"),
  };
}

/**
 * A transposed convolution that makes a tile of every pixel, without overlap: y[tap, pixel] = sum over c of w[c, tap]
 * x[c, pixel], where a tap is (k, r, s). As a convolution with zeros between its pixels it would take R S times as long.
 */
function tilingProduct(dims: Dims, terms: Terms): Product {
  const [inRow, taps] = tapsOf(dims);
  return {
    declarations: `fn targetOf(i: u32) -> u32 {
  let pixels = dims.H * dims.W;
  let at = i % pixels;
  return (i / pixels * dims.K * dims.P + at / dims.W * dims.R) * dims.Q + at % dims.W * dims.S;
}
fn tapOf(i: u32) -> u32 { return (i / ${taps} * dims.P + i / ${inRow} % ${dims.tapsH}u) * dims.Q + i % ${inRow}; }`,
    rows: `${taps} * dims.K`,
    columns: "dims.N * dims.H * dims.W",
    depth: "dims.C",
    position: "k",
    a: { along: "edge", edge: (tap) => tap, element: (tap) => `w[d * rows + ${tap}]` },
    b: {
      along: "edge",
      edge: (i) => `(${i}) / (dims.H * dims.W) * dims.C * dims.H * dims.W + (${i}) % (dims.H * dims.W)`,
      element: (pixel) => `x[${pixel} + d * dims.H * dims.W]`,
    },
    columnContext: "let n = column / (dims.H * dims.W);",
    ...terms.includes("bias") && { columnAdded: biasAt("0u") },
    columnTarget: "targetOf(column)",
    rowTarget: "tapOf(row)",
    target: "y",
    stored: storedWgsl("value", terms, `bias[added + row / ${taps}]`),
  };
}

/** dw[k, tap] of each group and run of images: dy[k, pixel] times patches[pixel, tap]. */
function weightGradientProduct(dims: Dims): Product {
  return {
    declarations: patches(dims),
    rows: toGroup,
    columns: `${fromGroup} * ${tapsOf(dims)[1]}`,
    depth: "min(dims.run, dims.N - batch / dims.groups * dims.run) * dims.P * dims.Q",
    position: "pixelOf(batch / dims.groups * dims.run * dims.P * dims.Q + k, batch % dims.groups)",
    a: {
      along: "depth",
      edge: (k) => `batch % dims.groups * rows + ${k}`,
      element: (k) => `dy[(d.image * dims.K + ${k}) * dims.P * dims.Q + d.at]`,
    },
    b: { along: "depth", edge: (i) => `tapOf(${i})`, element: (tap) => `sourceAt(d, ${tap})` },
    columnTarget: "batch * rows * columns + column",
    rowTarget: "row * columns",
    target: "dw",
  };
}

const fitsWinograd = (dims: Dims) =>
  isPlain(dims) && dims.R === 3 && dims.S === 3 && dims.paddingH === dims.paddingW && dims.paddingH <= 2;

/**
 * Whether Winograd pays off: transforms cost time per channel, products per pair of channels, so it needs enough
 * channels, fewer on software adapters, where arithmetic is expensive, than on GPUs, where memory is.
 */
const prefersWinograd = ({ N, C, K, H, W }: Dims, { software }: Tuning) =>
  C * K / (C + K) >= (software ? 6 : 12) && N * H * W >= 64;

/** Whether a kernel may unroll all taps: adapters take minutes to compile 7x7 of them. */
const unrolls = (dims: Dims) => isPlain(dims) && dims.R * dims.S <= 25;

/** Whether a product wastes most of a tile, and a kernel for single channels is worth timing. */
const isThin = (dims: Dims) => isPlain(dims) && dims.R * dims.S <= 16 && Math.min(dims.C, dims.K) <= 4;

/** Whether there is a single channel on one side, so that only neighbouring weights share a pair of channels. */
const hasSingle = (dims: Dims) => isThin(dims) && Math.min(dims.C, dims.K) === 1;

/**
 * The kernels of an op, the first in registers for convolutions that are unrolled. Groups of few channels get tiles of
 * one row.
 */
function kernelsOf(
  size: (dims: Dims) => ProductSize,
  product: (specialised: Dims) => Product,
  unrolled: readonly Omit<RegisterKernel, "fits">[],
  single: Omit<KernelVariant, "fits" | "specialise"> & { readonly isDefault: (dims: Dims) => boolean },
  passes: PassesVariant["passes"],
) {
  const isNarrow = (dims: Dims) => size(dims).rows < 4;
  return productKernels({
    specialise,
    size,
    product,
    registers: (generic) => [
      ...unrolled.map((kernel): RegisterKernel => ({ ...kernel, fits: unrolls })),
      { ...generic, tile: "8x8", fits: (dims) => !unrolls(dims) && !isNarrow(dims) },
      {
        tile: "of one row",
        fits: (dims) => !unrolls(dims) && isNarrow(dims),
        invocations: (dims) => registerTiles(size(dims), 1),
        wgsl: (dims) => registerProductWgsl(product(dims), 1),
      },
    ],
    special: { ...single, specialise, fits: isThin },
    other: { name: "winograd", fits: fitsWinograd, isDefault: prefersWinograd, passes },
  });
}

/** WebGPU kernels of a convolution, plain or transposed: fields of an op's declaration. */
export function convolutionKernels(terms: Terms, passes: PassesVariant["passes"]) {
  const inRegisters = (tile: PixelTile) => ({
    tile: `${tile.height}x${tile.width}`,
    invocations: (dims: Dims) => convolutionTiles(dims, tile),
    wgsl: (dims: Dims) => convolutionWgsl(dims, tile, terms),
  });
  return kernelsOf(
    (dims) => {
      const { N, H, W, K, P, Q, R, S, groups } = dims;
      return specialise(dims).tiling
        ? { rows: R * S * K, columns: N * H * W, batches: 1 }
        : { rows: K / groups, columns: N * P * Q, batches: groups };
    },
    (dims) => dims.tiling ? tilingProduct(dims, terms) : convolutionProduct(dims, terms),
    pixelTiles.map(inRegisters),
    {
      name: "single channels",
      isDefault: (dims) => hasSingle(dims) && dims.K === 1,
      grid: (dims) => convolutionTiles(dims, singleTile),
      wgsl: (dims) => convolutionWgsl(dims, singleTile, terms),
    },
    passes,
  );
}

/** WebGPU kernels of the weight gradient. */
export function weightGradientKernels(passes: PassesVariant["passes"]) {
  return kernelsOf(
    ({ K, D, R, S, G, groups }) => ({ rows: K / groups, columns: D * R * S, batches: G * groups }),
    weightGradientProduct,
    [{
      invocations: ({ G, K, C, R }) => G * weightTiles(K, C, R),
      wgsl: ({ R, S }) => weightGradientWgsl(R, S),
    }],
    { name: "pairs of channels", isDefault: hasSingle, grid: pairsOf, wgsl: sharedWeightGradientWgsl },
    passes,
  );
}

/** Images per partial sum of the weight gradient: it is one product, or 36 by Winograd's transforms. */
export function weightRun(dims: Dims, tuning: Tuning): number {
  const { N, K, C, D, R, S } = dims, { software } = tuning;
  const size = fitsWinograd(dims) && prefersWinograd(dims, tuning)
    ? { rows: K, columns: D, batches: 36 }
    : { rows: K, columns: D * R * S, batches: 1 };
  const inRegisters = unrolls(dims) ? weightTiles(K, D, R) : registerTiles(size);
  return imagesPerRun(N, software ? inRegisters : hasSingle(dims) ? K * C : fewestGroups(size), tuning);
}
