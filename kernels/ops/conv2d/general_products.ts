import { type Product, registerProductWgsl, registerTiles } from "../matmul/product.ts";
import { productKernels } from "../matmul/product_kernels.ts";
import type { ProductSize } from "../matmul/product_tiles.ts";
import type { Dims } from "../../devices/device.ts";

/** Where the taps of a convolution, or of its transpose, read the source[N, C, H, W], as WGSL. */
interface Reading {
  readonly source: string;
  /** Channels in a group and in all, height and width of the source; height and width of the target. */
  readonly lengths: Readonly<Record<"C" | "all" | "H" | "W" | "P" | "Q", string>>;
  /** Source pixels per target pixel. */
  readonly stride: readonly [string, string];
  /** Source position of the first tap of the first target pixel, negated. */
  readonly padding: readonly [string, string];
  /** Zeros that lie between two source pixels, plus one. */
  readonly spread: readonly [string, string];
}

/**
 * The source of a group as a matrix of taps (c, r, s) by pixels (n, p, q), computed on the fly, zero outside. Negative
 * positions wrap to large numbers, which fail the check against H or W.
 */
function patches({ source, lengths, stride, padding, spread }: Reading): string {
  const { C, all, H, W, P, Q } = lengths;
  return `struct Pixel { plane: u32, h: u32, w: u32, image: u32, at: u32 }
fn pixelOf(i: u32, group: u32) -> Pixel {
  let image = i / (${P} * ${Q});
  let at = i % (${P} * ${Q});
  let h = at / ${Q} * ${stride[0]} - ${padding[0]};
  let w = at % ${Q} * ${stride[1]} - ${padding[1]};
  return Pixel((image * ${all} + group * ${C}) * ${H}, h, w, image, at);
}
struct Tap { plane: u32, h: u32, w: u32, c: u32, tap: u32 }
fn tapOf(i: u32) -> Tap {
  let c = i / (dims.R * dims.S);
  let tap = i % (dims.R * dims.S);
  return Tap(c * ${H}, tap / dims.S * dims.dilationH, tap % dims.S * dims.dilationW, c, tap);
}
fn sourceAt(pixel: Pixel, tap: Tap) -> f32 {
  let h = pixel.h + tap.h;
  let w = pixel.w + tap.w;
  let inside = h % ${spread[0]} == 0u && w % ${spread[1]} == 0u && h / ${spread[0]} < ${H} && w / ${
    spread[1]
  } < ${W};
  return select(0.0, ${source}[(pixel.plane + tap.plane + h / ${spread[0]}) * ${W} + w / ${
    spread[1]
  }], inside);
}`;
}

const ofX: Reading = {
  source: "x",
  lengths: { C: "dims.D", all: "dims.C", H: "dims.H", W: "dims.W", P: "dims.P", Q: "dims.Q" },
  stride: ["dims.strideH", "dims.strideW"],
  padding: ["dims.paddingH", "dims.paddingW"],
  spread: ["1u", "1u"],
};

/** Number of channels of y in a group. */
const inGroup = "(dims.K / dims.groups)";

/** y[k, pixel] of each group: weights[k, tap] times patches[tap, pixel], plus the bias. */
const forwardProduct: Product = {
  declarations: patches(ofX),
  rows: inGroup,
  columns: "dims.N * dims.P * dims.Q",
  depth: "dims.D * dims.R * dims.S",
  position: "tapOf(k)",
  a: {
    along: "depth",
    edge: (k) => `(batch * ${inGroup} + ${k}) * dims.D`,
    element: (k) => `w[(${k} + d.c) * dims.R * dims.S + d.tap]`,
  },
  b: { along: "edge", edge: (i) => `pixelOf(${i}, batch)`, element: (pixel) => `sourceAt(${pixel}, d)` },
  columnContext: "let image = column / (dims.P * dims.Q);",
  columnTarget: `(image * dims.K + batch * rows) * dims.P * dims.Q + column % (dims.P * dims.Q)`,
  rowTarget: "row * dims.P * dims.Q",
  target: "y",
  stored: "value + bias[image % dims.B * dims.K + batch * rows + row]",
};

/** x[c, pixel] of each group: the rotated weights[c, tap] times patches[tap, pixel] of y, spread by the strides. */
const transposedProduct: Product = {
  declarations: patches({
    source: "y",
    lengths: { C: inGroup, all: "dims.K", H: "dims.P", W: "dims.Q", P: "dims.H", Q: "dims.W" },
    stride: ["1u", "1u"],
    padding: [
      "(dims.dilationH * (dims.R - 1u) - dims.paddingH)",
      "(dims.dilationW * (dims.S - 1u) - dims.paddingW)",
    ],
    spread: ofX.stride,
  }),
  rows: "dims.D",
  columns: "dims.N * dims.H * dims.W",
  depth: `${inGroup} * dims.R * dims.S`,
  position: "tapOf(k)",
  a: {
    along: "depth",
    edge: (c) => `batch * ${inGroup} * dims.D + ${c}`,
    element: (c) => `w[(${c} + d.c * dims.D + 1u) * dims.R * dims.S - 1u - d.tap]`,
  },
  b: { along: "edge", edge: (i) => `pixelOf(${i}, batch)`, element: (pixel) => `sourceAt(${pixel}, d)` },
  columnContext: "let image = column / (dims.H * dims.W);",
  columnTarget: "(image * dims.C + batch * rows) * dims.H * dims.W + column % (dims.H * dims.W)",
  rowTarget: "row * dims.H * dims.W",
  target: "x",
  stored: "value + bias[batch * rows + row]",
};

/** dw[k, tap] of each group and run of images: dy[k, pixel] times patches[pixel, tap]. */
const weightGradientProduct: Product = {
  declarations: patches(ofX),
  rows: inGroup,
  columns: "dims.D * dims.R * dims.S",
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

/** WebGPU kernels of a product for each group; groups of few channels get tiles of one row. */
function groupedKernels(product: Product, size: (dims: Dims) => ProductSize) {
  const isNarrow = (dims: Dims) => size(dims).rows < 4;
  return productKernels({
    size,
    product: () => product,
    registers: (generic) => [
      { ...generic, fits: (dims) => !isNarrow(dims) },
      {
        tile: "of one row",
        fits: isNarrow,
        invocations: (dims) => registerTiles(size(dims), 1),
        wgsl: () => registerProductWgsl(product, 1),
      },
    ],
  });
}

/** The convolution. */
export const forwardKernels = groupedKernels(
  forwardProduct,
  ({ N, K, P, Q, groups }) => ({ rows: K / groups, columns: N * P * Q, batches: groups }),
);

/** Its transpose. */
export const transposedKernels = groupedKernels(
  transposedProduct,
  ({ N, D, H, W, groups }) => ({ rows: D, columns: N * H * W, batches: groups }),
);

/** Its weight gradient. */
export const weightGradientKernels = groupedKernels(
  weightGradientProduct,
  ({ K, D, R, S, G, groups }) => ({ rows: K / groups, columns: D * R * S, batches: G * groups }),
);
