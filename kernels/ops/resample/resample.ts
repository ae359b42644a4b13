import { defineOp, type Op } from "../../op.ts";
import { describeValue, isCount, refuse } from "../../core/checks.ts";
import { ShapeError } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims } from "../../devices/device.ts";
import { zeros } from "../layout/fill.ts";

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
