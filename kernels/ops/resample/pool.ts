import { defineOp, type Op } from "../../op.ts";

/** Offsets of the four pixels in a 2x2 window, in the order in which ties are decided: the first maximum wins. */
const window = [[0, 0], [0, 1], [1, 0], [1, 1]] as const;

/**
 * Largest of each 2x2 window, stride 2; an odd last row or column is dropped.
 *
 * @throws {ShapeError} if x is not f32[N, C, H, W]
 */
export const maxPool2d: Op<"x[N, C, H, W] -> y[N, C, P, Q]"> = defineOp({
  name: "maxPool2d",
  signature: "x[N, C, H, W] -> y[N, C, P, Q]",
  derive: ({ H, W }) => ({ P: Math.floor(H / 2), Q: Math.floor(W / 2) }),
  wgsl: `fn kernel(i: u32) {
  let q = i % dims.Q;
  let p = i / dims.Q % dims.P;
  let base = (i / (dims.P * dims.Q) * dims.H + 2u * p) * dims.W + 2u * q;
  y[i] = max(max(x[base], x[base + 1u]), max(x[base + dims.W], x[base + dims.W + 1u]));
}`,
  backward: ({ x, dy }) => ({ x: () => maxPool2dGradient(x, dy) }),
  reference({ x, y }, { N, C, H, W, P, Q }) {
    for (let nc = 0; nc < N * C; nc++) {
      for (let p = 0; p < P; p++) {
        for (let q = 0; q < Q; q++) {
          y[(nc * P + p) * Q + q] = Math.max(
            ...window.map(([r, s]) => x[(nc * H + 2 * p + r) * W + 2 * q + s]),
          );
        }
      }
    }
  },
  wasm: "maxPool2d",
  samples: [{ shapes: { x: [2, 3, 4, 6] } }, { shapes: { x: [1, 2, 7, 5] } }, {
    shapes: { x: [1, 1, 2, 2] },
  }],
});

/** dy goes to the first maximum of its window. */
const maxPool2dGradient = defineOp({
  name: "maxPool2dGradient",
  signature: "x[N, C, H, W], dy[N, C, P, Q] -> dx[N, C, H, W]",
  wgsl: `fn kernel(i: u32) {
  let w = i % dims.W;
  let h = i / dims.W % dims.H;
  let nc = i / (dims.W * dims.H);
  let p = h / 2u;
  let q = w / 2u;
  var gradient = 0.0;
  if (p < dims.P && q < dims.Q) {
    let base = (nc * dims.H + 2u * p) * dims.W + 2u * q;
    let v = array(x[base], x[base + 1u], x[base + dims.W], x[base + dims.W + 1u]);
    var best = 0u;
    var top = v[0];
    if (v[1] > top) { top = v[1]; best = 1u; }
    if (v[2] > top) { top = v[2]; best = 2u; }
    if (v[3] > top) { best = 3u; }
    if (best == h % 2u * 2u + w % 2u) { gradient = dy[(nc * dims.P + p) * dims.Q + q]; }
  }
  dx[i] = gradient;
}`,
  reference({ x, dy, dx }, { N, C, H, W, P, Q }) {
    dx.fill(0);
    for (let nc = 0; nc < N * C; nc++) {
      for (let p = 0; p < P; p++) {
        for (let q = 0; q < Q; q++) {
          const at = window.map(([r, s]) => (nc * H + 2 * p + r) * W + 2 * q + s);
          const best = at.reduce((a, b) => x[b] > x[a] ? b : a);
          dx[best] = dy[(nc * P + p) * Q + q];
        }
      }
    }
  },
  wasm: "maxPool2dGradient",
  samples: [
    { shapes: { x: [2, 3, 5, 6], dy: [2, 3, 2, 3] } },
    { shapes: { x: [1, 1, 2, 2], dy: [1, 1, 1, 1] }, values: { x: [1, 1, 1, 1] } },
  ],
});
