import type { Product } from "../matmul/product.ts";

/**
 * A kernel of 2 x 2 with stride 2 covers each pixel of y exactly once, so all three passes are plain products between
 * x[c, pixel] and y[tap, pixel], tap = (k, a, b): no taps overlap, no edges.
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
export const forwardProduct: Product = {
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
export const inputGradientProduct: Product = {
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
export const weightGradientProduct: Product = {
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
