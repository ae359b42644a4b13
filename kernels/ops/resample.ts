import { defineOp, type Op } from "../op.ts";
import { checkCount, describeValue, isCount, refuse, refuseUnknown } from "../core/checks.ts";
import { ShapeError } from "../core/shape.ts";
import { checkTensor, type Tensor } from "../core/tensor.ts";
import type { WasmCall } from "../devices/cpu/wasm_call.ts";
import type { Dims, NumberArray } from "../devices/device.ts";
import { full, zeros } from "./layout.ts";
import { nanWgsl } from "./elementwise/shared.ts";
import { conv2d } from "./conv2d/op.ts";
import { addCall } from "./elementwise/binary.ts";

/**
 * Source pixel of target pixel `o`: s = max((o + 0.5) in / out - 0.5, 0), between rows floor(s) and floor(s) + 1.
 * This is PyTorch's `align_corners=False`.
 */
const sourceWgsl = `fn source(o: u32, inLength: u32, outLength: u32) -> f32 {
  return max((f32(o) + 0.5) * f32(inLength) / f32(outLength) - 0.5, 0.0);
}`;
const source = (o: number, inLength: number, outLength: number) =>
  Math.max((o + 0.5) * inLength / outLength - 0.5, 0);

const resize: Op<"x[N, C, H, W] -> y[N, C, P, Q]", { P: "u32"; Q: "u32" }> = defineOp({
  name: "resizeBilinear",
  signature: "x[N, C, H, W] -> y[N, C, P, Q]",
  attributes: { P: "u32", Q: "u32" },
  wgsl: `${sourceWgsl}
fn kernel(i: u32) {
  let q = i % dims.Q;
  let p = i / dims.Q % dims.P;
  let plane = i / (dims.P * dims.Q) * dims.H * dims.W;
  let h = source(p, dims.H, dims.P);
  let w = source(q, dims.W, dims.Q);
  let top = plane + u32(h) * dims.W;
  let bottom = plane + min(u32(h) + 1u, dims.H - 1u) * dims.W;
  let left = u32(w);
  let right = min(left + 1u, dims.W - 1u);
  y[i] = mix(mix(x[top + left], x[top + right], fract(w)), mix(x[bottom + left], x[bottom + right], fract(w)), fract(h));
}`,
  backward: ({ x, dy }) => ({ x: () => resizeBilinearGradient(dy, { H: x.shape[2], W: x.shape[3] }) }),
  reference({ x, y }, dims) {
    y.fill(0);
    eachTap(dims, (target, origin, weight) => y[target] += weight * x[origin]);
  },
  wasm: ({ x, y }, dims) => resizeCall(x, y, dims, 0),
  samples: [
    { shapes: { x: [2, 2, 3, 4] }, attributes: { P: 7, Q: 5 } },
    { shapes: { x: [1, 2, 6, 6] }, attributes: { P: 7, Q: 7 } },
    { shapes: { x: [1, 1, 7, 5] }, attributes: { P: 3, Q: 5 } },
    { shapes: { x: [1, 1, 1, 1] }, attributes: { P: 2, Q: 3 } },
  ],
});

/** For each source pixel, adds up the target pixels that read it. */
const resizeBilinearGradient: Op<"dy[N, C, P, Q] -> dx[N, C, H, W]", { H: "u32"; W: "u32" }> = defineOp({
  name: "resizeBilinearGradient",
  signature: "dy[N, C, P, Q] -> dx[N, C, H, W]",
  attributes: { H: "u32", W: "u32" },
  wgsl: `${sourceWgsl}
fn weight(o: u32, i: u32, inLength: u32, outLength: u32) -> f32 {
  let s = source(o, inLength, outLength);
  let low = u32(s);
  return select(0.0, 1.0 - fract(s), low == i) + select(0.0, fract(s), min(low + 1u, inLength - 1u) == i);
}
// Whether target pixel o reads source pixel i, even with weight 0.
fn reads(o: u32, i: u32, inLength: u32, outLength: u32) -> bool {
  let low = u32(source(o, inLength, outLength));
  return low == i || min(low + 1u, inLength - 1u) == i;
}
// The first target pixel that may read source pixel i, less one in case of rounding.
fn first(i: u32, inLength: u32, outLength: u32) -> u32 {
  return u32(max((f32(i) - 0.5) * f32(outLength) / f32(inLength) - 1.5, 0.0));
}
fn last(i: u32, inLength: u32, outLength: u32) -> u32 {
  return min(u32((f32(i) + 1.5) * f32(outLength) / f32(inLength)) + 1u, outLength - 1u);
}
fn kernel(i: u32) {
  let w = i % dims.W;
  let h = i / dims.W % dims.H;
  let plane = i / (dims.H * dims.W) * dims.P * dims.Q;
  var total = 0.0;
  for (var p = first(h, dims.H, dims.P); p <= last(h, dims.H, dims.P); p++) {
    if (!reads(p, h, dims.H, dims.P)) { continue; }
    let down = weight(p, h, dims.H, dims.P);
    for (var q = first(w, dims.W, dims.Q); q <= last(w, dims.W, dims.Q); q++) {
      if (reads(q, w, dims.W, dims.Q)) { total += down * weight(q, w, dims.W, dims.Q) * dy[plane + p * dims.Q + q]; }
    }
  }
  dx[i] = total;
}`,
  empty: zeros,
  backward: ({ dy, ddx }) => ({ dy: () => resize(ddx, { P: dy.shape[2], Q: dy.shape[3] }) }),
  reference({ dy, dx }, dims) {
    dx.fill(0);
    eachTap(dims, (target, origin, weight) => dx[origin] += weight * dy[target]);
  },
  wasm: ({ dy, dx }, dims) => resizeCall(dx, dy, dims, 1),
  samples: [
    { shapes: { dy: [2, 2, 7, 5] }, attributes: { H: 3, W: 4 } },
    { shapes: { dy: [1, 1, 3, 3] }, attributes: { H: 7, W: 8 } },
    { shapes: { dy: [1, 1, 2, 3] }, attributes: { H: 1, W: 1 } },
  ],
});

function resizeCall(x: number, y: number, { N, C, H, W, P, Q }: Dims, gradient: number): readonly WasmCall[] {
  return [{ kernel: "resizeBilinear", args: { x, y, N, C, H, W, P, Q, gradient } }];
}

/** Visits every (target pixel, source pixel, weight) of a resize. */
function eachTap(
  { N, C, H, W, P, Q }: Dims,
  tap: (target: number, origin: number, weight: number) => void,
): void {
  for (let plane = 0; plane < N * C; plane++) {
    for (let p = 0; p < P; p++) {
      for (let q = 0; q < Q; q++) {
        const h = source(p, H, P), w = source(q, W, Q);
        for (const [r, down] of [[0, 1 - h % 1], [1, h % 1]]) {
          for (const [s, across] of [[0, 1 - w % 1], [1, w % 1]]) {
            const origin = Math.min(Math.floor(h) + r, H - 1) * W + Math.min(Math.floor(w) + s, W - 1);
            tap((plane * P + p) * Q + q, plane * H * W + origin, down * across);
          }
        }
      }
    }
  }
}

/**
 * Bilinear resize to `height` x `width`, without aligned corners, like PyTorch's default.
 *
 * @param x f32[N, C, H, W]
 * @returns f32[N, C, height, width]; x itself if it has that size
 */
export function resizeBilinear(x: Tensor, height: number, width: number): Tensor {
  if (!isCount(height, 1) || !isCount(width, 1)) {
    const size = `${describeValue(height)} x ${describeValue(width)}`;
    refuse(ShapeError, `run resizeBilinear: x ${x} to ${size}`, "whole numbers of at least 1");
  }
  const same = x.shape.length === 4 && x.shape[2] === height && x.shape[3] === width;
  return same ? x : resize(x, { P: height, Q: width });
}

/** Whether b > a, with NaN above all numbers, so that a window with NaN has NaN as its maximum. */
const isLarger = (b: number, a: number) => b > a || (Number.isNaN(b) && !Number.isNaN(a));

/** Visits each result with the indices of its window's pixels, in tie-breaking order. */
function eachWindow(
  { N, C, H, W, P, Q }: Dims,
  visit: (result: number, pixels: readonly number[]) => void,
): void {
  for (let i = 0; i < N * C * P * Q; i++) {
    const base = (Math.floor(i / (P * Q)) * H + Math.floor(i / Q) % P * 2) * W + i % Q * 2;
    visit(i, [base, base + 1, base + W, base + W + 1]);
  }
}

/** Index of the largest of some elements: the first of equal ones, or the first NaN. */
const largestOf = (x: NumberArray, pixels: readonly number[]) =>
  pixels.reduce((a, b) => isLarger(x[b], x[a]) ? b : a);

/** Maximum of each 2x2 window, stride 2; drops an odd last row or column. A window with NaN gives NaN. */
export const maxPool2d: Op<"x[N, C, H, W] -> y[N, C, P, Q]"> = defineOp({
  name: "maxPool2d",
  signature: "x[N, C, H, W] -> y[N, C, P, Q]",
  derive: ({ H, W }) => ({ P: Math.floor(H / 2), Q: Math.floor(W / 2) }),
  wgsl: `${nanWgsl}
fn kernel(i: u32) {
  let q = i % dims.Q;
  let p = i / dims.Q % dims.P;
  let base = (i / (dims.P * dims.Q) * dims.H + 2u * p) * dims.W + 2u * q;
  y[i] = larger(larger(x[base], x[base + 1u]), larger(x[base + dims.W], x[base + dims.W + 1u]));
}`,
  backward: ({ x, dy }) => ({
    x(before?: Tensor) {
      if (before && dy.size === 0) return before;
      return before ? maxPool2dGradientAdd(x, dy, before) : maxPool2dGradient(x, dy);
    },
  }),
  reference: ({ x, y }, dims) => eachWindow(dims, (i, pixels) => y[i] = x[largestOf(x, pixels)]),
  wasm: "maxPool2d",
  samples: [[2, 3, 4, 6], [1, 2, 7, 5], [1, 1, 2, 2]].map((x) => ({ shapes: { x } })),
});

/** WGSL of the gradient, which starts at a value. */
const gradientWgsl = (start: string) =>
  `${nanWgsl}
fn kernel(i: u32) {
  let w = i % dims.W;
  let h = i / dims.W % dims.H;
  let nc = i / (dims.W * dims.H);
  let p = h / 2u;
  let q = w / 2u;
  var gradient = ${start};
  if (p < dims.P && q < dims.Q) {
    let base = (nc * dims.H + 2u * p) * dims.W + 2u * q;
    let v = array(x[base], x[base + 1u], x[base + dims.W], x[base + dims.W + 1u]);
    var best = 0u;
    var top = v[0];
    if (isLarger(v[1], top)) { top = v[1]; best = 1u; }
    if (isLarger(v[2], top)) { top = v[2]; best = 2u; }
    if (isLarger(v[3], top)) { best = 3u; }
    if (best == h % 2u * 2u + w % 2u) { gradient += dy[(nc * dims.P + p) * dims.Q + q]; }
  }
  dx[i] = gradient;
}`;

const gradientSamples = [
  { shapes: { x: [2, 3, 5, 6], dy: [2, 3, 2, 3] } },
  { shapes: { x: [1, 1, 2, 2], dy: [1, 1, 1, 1] }, values: { x: [1, 1, 1, 1] }, smooth: false },
];

/** Gradient of `maxPool2d`: dy goes to the first maximum of its window, or to its first NaN. */
const maxPool2dGradient: Op<"x[N, C, H, W], dy[N, C, P, Q] -> dx[N, C, H, W]"> = defineOp({
  name: "maxPool2dGradient",
  signature: "x[N, C, H, W], dy[N, C, P, Q] -> dx[N, C, H, W]",
  wgsl: gradientWgsl("0.0"),
  empty: zeros,
  backward: ({ x, ddx }) => ({ x: () => zeros(x.shape), dy: () => pickMaxima(x, ddx) }),
  reference({ x, dy, dx }, dims) {
    dx.fill(0);
    eachWindow(dims, (i, pixels) => dx[largestOf(x, pixels)] = dy[i]);
  },
  wasm: "maxPool2dGradient",
  samples: gradientSamples,
});

/** The same, added to the gradient so far: saves a pass. */
const maxPool2dGradientAdd: Op<"x[N, C, H, W], dy[N, C, P, Q], before[N, C, H, W] -> dx[N, C, H, W]"> =
  defineOp({
    name: "maxPool2dGradientAdd",
    signature: "x[N, C, H, W], dy[N, C, P, Q], before[N, C, H, W] -> dx[N, C, H, W]",
    wgsl: gradientWgsl("before[i]"),
    backward: ({ x, ddx }) => ({
      x: () => zeros(x.shape),
      dy: () => pickMaxima(x, ddx),
      before: () => ddx,
    }),
    reference({ x, dy, before, dx }, dims) {
      dx.set(before);
      eachWindow(dims, (i, pixels) => dx[largestOf(x, pixels)] += dy[i]);
    },
    wasm: ({ x, dy, before, dx }, { N, C, H, W, P, Q }) => [
      { kernel: "maxPool2dGradient", args: { x, dy, dx, N, C, H, W, P, Q } },
      addCall(dx, before, N * C * H * W),
    ],
    samples: gradientSamples.map(({ shapes, ...more }) => ({
      ...more,
      shapes: { ...shapes, before: shapes.x },
    })),
  });

/** The elements of d at the first maximum of x in each window; `maxPool2dGradient` is its gradient. */
const pickMaxima: Op<"x[N, C, H, W], d[N, C, H, W] -> y[N, C, P, Q]"> = defineOp({
  name: "pickMaxima",
  signature: "x[N, C, H, W], d[N, C, H, W] -> y[N, C, P, Q]",
  derive: ({ H, W }) => ({ P: Math.floor(H / 2), Q: Math.floor(W / 2) }),
  wgsl: `${nanWgsl}
fn kernel(i: u32) {
  let base = (i / (dims.P * dims.Q) * dims.H + i / dims.Q % dims.P * 2u) * dims.W + i % dims.Q * 2u;
  let at = array(base, base + 1u, base + dims.W, base + dims.W + 1u);
  var best = at[0];
  if (isLarger(x[at[1]], x[best])) { best = at[1]; }
  if (isLarger(x[at[2]], x[best])) { best = at[2]; }
  if (isLarger(x[at[3]], x[best])) { best = at[3]; }
  y[i] = d[best];
}`,
  backward: ({ x, dy }) => ({ x: () => zeros(x.shape), d: () => maxPool2dGradient(x, dy) }),
  reference: ({ x, d, y }, dims) => eachWindow(dims, (i, pixels) => y[i] = d[largestOf(x, pixels)]),
  wasm: "pickMaxima",
  samples: [{ shapes: { x: [2, 3, 5, 6], d: [2, 3, 5, 6] } }],
});

/**
 * Mean of each window of size x size pixels, as PyTorch's `avg_pool2d`: padding counts as zeros, and rows and columns
 * that fill no window are dropped.
 *
 * @param x f32[N, C, H, W]
 * @param size height and width of a window
 * @param options `stride` from window to window, by default `size`, and `padding`, pixels on every side, by default 0 and
 * at most size / 2
 * @returns f32[N, C, P, Q] with P = floor((H + 2 padding - size) / stride) + 1, and Q likewise
 */
export function averagePool2d(
  x: Tensor,
  size: number,
  { stride = size, padding = 0, ...unknown }: { stride?: number; padding?: number } = {},
): Tensor {
  const task = "run averagePool2d";
  refuseUnknown(task, unknown, ["stride", "padding"]);
  checkTensor(task, "x is", x);
  checkCount(task, "size", size);
  checkCount(task, "stride", stride);
  checkCount(task, "padding", padding, 0, Math.floor(size / 2));
  if (x.shape.length !== 4) refuse(ShapeError, `${task}: x is ${x}`, "x[N, C, H, W]");
  const [N, C, H, W] = x.shape;
  if (Math.min(H, W) + 2 * padding < size) {
    const window = `no window of ${size} x ${size}`;
    refuse(ShapeError, `${task}: ${H} x ${W} pixels with padding ${padding} have ${window}`);
  }
  const windows = (length: number) => Math.floor((length + 2 * padding - size) / stride) + 1;
  if (N * C === 0) return zeros([N, C, windows(H), windows(W)]);
  return conv2d(x, full([C, 1, size, size], 1 / size ** 2), undefined, { stride, padding, groups: C });
}
