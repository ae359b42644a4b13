import { checkCount, refuseUnknown } from "../../core/checks.ts";
import { ShapeError } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { Dims } from "../../devices/device.ts";
import { defineOp, type Op } from "../../op.ts";
import { zeros } from "../layout/fill.ts";

/** Size and stride of the windows, and pixels of zeros around the image. */
const attributes = { size: "u32", stride: "u32", padding: "u32" } as const;

const pool: Op<"x[N, C, H, W] -> y[N, C, P, Q]", typeof attributes> = defineOp({
  name: "averagePool2d",
  signature: "x[N, C, H, W] -> y[N, C, P, Q]",
  attributes,
  derive({ H, W, size, stride, padding }) {
    if (Math.min(H, W) + 2 * padding < size) {
      throw new ShapeError(
        `Cannot run averagePool2d: images of ${H} x ${W} with padding ${padding} have no window of ${size} x ${size}`,
      );
    }
    const windows = (length: number) => Math.floor((length + 2 * padding - size) / stride) + 1;
    return { P: windows(H), Q: windows(W) };
  },
  wgsl: `fn kernel(i: u32) {
  let top = i32(i / dims.Q % dims.P * dims.stride) - i32(dims.padding);
  let left = i32(i % dims.Q * dims.stride) - i32(dims.padding);
  let plane = i / (dims.P * dims.Q) * dims.H * dims.W;
  var sum = 0.0;
  for (var h = u32(max(top, 0)); h < min(dims.H, u32(top + i32(dims.size))); h++) {
    for (var w = u32(max(left, 0)); w < min(dims.W, u32(left + i32(dims.size))); w++) {
      sum += x[plane + h * dims.W + w];
    }
  }
  y[i] = sum / f32(dims.size * dims.size);
}`,
  backward: ({ x, dy }, { size, stride, padding }) => ({
    x: () => poolGradient(dy, { size, stride, padding, H: x.shape[2], W: x.shape[3] }),
  }),
  reference({ x, y }, dims) {
    y.fill(0);
    eachPixel(dims, (window, pixel) => y[window] += x[pixel] / dims.size ** 2);
  },
  wasm: "averagePool2d",
  samples: [
    { shapes: { x: [2, 3, 4, 6] }, attributes: { size: 2, stride: 2, padding: 0 } },
    { shapes: { x: [1, 2, 7, 13] }, attributes: { size: 3, stride: 2, padding: 1 } },
    { shapes: { x: [2, 1, 5, 9] }, attributes: { size: 3, stride: 1, padding: 0 } },
    { shapes: { x: [1, 2, 5, 9] }, attributes: { size: 3, stride: 2, padding: 1 } },
    { shapes: { x: [1, 2, 5, 5] }, attributes: { size: 2, stride: 3, padding: 1 } },
  ],
});

/** Gradient of `averagePool2d`: each pixel gets its share of the windows that it is in. */
const poolGradient: Op<"dy[N, C, P, Q] -> dx[N, C, H, W]", typeof attributes & { H: "u32"; W: "u32" }> =
  defineOp({
    name: "averagePool2dGradient",
    signature: "dy[N, C, P, Q] -> dx[N, C, H, W]",
    attributes: { ...attributes, H: "u32", W: "u32" },
    wgsl: `
// The first window along an axis that covers position i, and the one after the last of n.
fn first(i: u32) -> u32 {
  let at = i + dims.padding + 1u;
  return select(0u, (at - dims.size + dims.stride - 1u) / dims.stride, at > dims.size);
}
fn end(i: u32, n: u32) -> u32 { return min(n, (i + dims.padding) / dims.stride + 1u); }
fn kernel(i: u32) {
  let h = i / dims.W % dims.H;
  let w = i % dims.W;
  let plane = i / (dims.H * dims.W) * dims.P * dims.Q;
  var sum = 0.0;
  for (var p = first(h); p < end(h, dims.P); p++) {
    for (var q = first(w); q < end(w, dims.Q); q++) { sum += dy[plane + p * dims.Q + q]; }
  }
  dx[i] = sum / f32(dims.size * dims.size);
}`,
    empty: zeros,
    backward: ({ ddx }, { size, stride, padding }) => ({ dy: () => pool(ddx, { size, stride, padding }) }),
    reference({ dy, dx }, dims) {
      dx.fill(0);
      eachPixel(dims, (window, pixel) => dx[pixel] += dy[window] / dims.size ** 2);
    },
    wasm: "averagePool2dGradient",
    samples: [
      { shapes: { dy: [2, 3, 2, 3] }, attributes: { size: 2, stride: 2, padding: 0, H: 4, W: 6 } },
      { shapes: { dy: [1, 2, 4, 7] }, attributes: { size: 3, stride: 2, padding: 1, H: 7, W: 13 } },
      { shapes: { dy: [1, 2, 2, 2] }, attributes: { size: 2, stride: 3, padding: 1, H: 5, W: 5 } },
    ],
  });

/** Calls `use` for each window and each of its pixels inside the image. */
function eachPixel(
  { N, C, H, W, P, Q, size, stride, padding }: Dims,
  use: (window: number, pixel: number) => void,
): void {
  for (let i = 0; i < N * C * P * Q; i++) {
    const plane = Math.floor(i / (P * Q)), top = Math.floor(i / Q) % P * stride - padding;
    const left = i % Q * stride - padding;
    for (let h = Math.max(0, top); h < Math.min(H, top + size); h++) {
      for (let w = Math.max(0, left); w < Math.min(W, left + size); w++) use(i, (plane * H + h) * W + w);
    }
  }
}

/**
 * Mean of each window of size x size pixels, as PyTorch's `avg_pool2d`: padding counts as zeros, and rows and columns
 * that fill no window are dropped.
 *
 * @param x f32[N, C, H, W]
 * @param size height and width of a window
 * @param options `stride` from window to window, by default `size`, and `padding`, pixels on every side, by default 0 and
 * at most size / 2
 * @returns f32[N, C, P, Q] with P = floor((H + 2 padding - size) / stride) + 1, and Q likewise
 * @throws {ShapeError} if x does not have four axes, or an image is smaller than a window
 * @throws {RangeError} if a number is out of range
 * @throws {TypeError} if an option is unknown
 */
export function averagePool2d(
  x: Tensor,
  size: number,
  { stride = size, padding = 0, ...unknown }: { stride?: number; padding?: number } = {},
): Tensor {
  refuseUnknown("run averagePool2d", unknown, ["stride", "padding"]);
  checkCount("run averagePool2d", "size", size);
  checkCount("run averagePool2d", "stride", stride);
  checkCount("run averagePool2d", "padding", padding, 0, Math.floor(size / 2));
  return pool(x, { size, stride, padding });
}
