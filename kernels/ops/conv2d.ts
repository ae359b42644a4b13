import type { Dims, NumberArray } from "../devices/device.ts";
import { defineOp } from "../op.ts";
import { ShapeError } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { convolutionWgsl, pixelTiles, weightGradientWgsl, weightTiles } from "./conv2d_tiles.ts";
import { reshape } from "./movement.ts";
import { sum } from "./reduce.ts";
import { imagesPerRun } from "./runs.ts";

/** Target[n, k, p, q] = sum over c, r, s of source[n, c, p + r - padding, q + s - padding] w(k, c, r, s) + bias. */
function convolve(
  source: NumberArray,
  target: NumberArray,
  { N, C, H, W, K, P, Q, R, S, padding }: Dims,
  weight: (k: number, c: number, r: number, s: number) => number,
  bias: (n: number, k: number) => number,
): void {
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      for (let p = 0; p < P; p++) {
        for (let q = 0; q < Q; q++) {
          let total = bias(n, k);
          for (let c = 0; c < C; c++) {
            for (let r = 0; r < R; r++) {
              const h = p + r - padding;
              if (h < 0 || h >= H) continue;
              for (let s = 0; s < S; s++) {
                const w = q + s - padding;
                if (w >= 0 && w < W) total += source[((n * C + c) * H + h) * W + w] * weight(k, c, r, s);
              }
            }
          }
          target[((n * K + k) * P + p) * Q + q] = total;
        }
      }
    }
  }
}

const convolution = defineOp({
  name: "conv2d",
  signature: "x[N, C, H, W], w[K, C, R, S], bias[B, K] -> y[N, K, P, Q]",
  attributes: { padding: "u32" },
  derive: ({ N, B, H, W, R, S, padding }) => {
    if (B !== 1 && B !== N) {
      throw new ShapeError(`Cannot run conv2d: ${B} rows of biases for ${N} images (expected 1 or ${N})`);
    }
    return { P: H + 2 * padding - R + 1, Q: W + 2 * padding - S + 1 };
  },
  specialise: ["R", "S"],
  invocations: ({ N, K, P, Q }, tuning) => N * Math.ceil(K / 4) * pixelTiles(P, Q, tuning),
  wgsl: (tuning, { R, S }) =>
    convolutionWgsl(tuning, {
      R,
      S,
      source: "x",
      target: "y",
      lengths: { C: "dims.C", H: "dims.H", W: "dims.W", K: "dims.K", P: "dims.P", Q: "dims.Q" },
      padding: "dims.padding",
      weight: (k, c, tap) => `w[(${k} * dims.C + ${c}) * ${R * S}u + ${tap}u]`,
      bias: "bias[n % dims.B * dims.K + k]",
    }),
  backward: ({ x, w, bias, dy }, { padding }) => ({
    x: () => inputGradient(dy, w, { padding, H: x.shape[2], W: x.shape[3] }),
    w: () => weightGradient(x, dy, w, padding),
    bias: () => sum(dy, bias.shape[0] === 1 ? [0, 2, 3] : [2, 3]),
  }),
  reference: ({ x, w, bias, y }, dims) => {
    const { B, C, K, R, S } = dims;
    convolve(x, y, dims, (k, c, r, s) => w[((k * C + c) * R + r) * S + s], (n, k) => bias[n % B * K + k]);
  },
  samples: [
    { shapes: { x: [2, 3, 5, 6], w: [5, 3, 3, 3], bias: [1, 5] }, attributes: { padding: 1 } },
    { shapes: { x: [2, 2, 9, 15], w: [4, 2, 3, 3], bias: [2, 4] }, attributes: { padding: 1 } },
    { shapes: { x: [1, 5, 3, 4], w: [6, 5, 1, 1], bias: [1, 6] }, attributes: { padding: 0 } },
    { shapes: { x: [1, 2, 7, 8], w: [3, 2, 5, 5], bias: [1, 3] }, attributes: { padding: 2 } },
    { shapes: { x: [1, 1, 4, 5], w: [1, 1, 3, 3], bias: [1, 1] }, attributes: { padding: 0 } },
    { shapes: { x: [1, 1, 1, 1], w: [1, 1, 3, 3], bias: [1, 1] }, attributes: { padding: 1 } },
  ],
});

/** dx is a convolution of dy with the weights turned by half and in and out swapped, padded by R - 1 - padding. */
const inputGradient = defineOp({
  name: "conv2dInputGradient",
  signature: "dy[N, K, P, Q], w[K, C, R, S] -> dx[N, C, H, W]",
  attributes: { padding: "u32", H: "u32", W: "u32" },
  derive: ({ R, padding }) => ({ turned: R - 1 - padding }),
  specialise: ["R", "S"],
  invocations: ({ N, C, H, W }, tuning) => N * Math.ceil(C / 4) * pixelTiles(H, W, tuning),
  wgsl: (tuning, { R, S }) =>
    convolutionWgsl(tuning, {
      R,
      S,
      source: "dy",
      target: "dx",
      lengths: { C: "dims.K", H: "dims.P", W: "dims.Q", K: "dims.C", P: "dims.H", Q: "dims.W" },
      padding: "dims.turned",
      weight: (k, c, tap) => `w[(${c} * dims.C + ${k}) * ${R * S}u + ${R * S - 1 - tap}u]`,
    }),
  reference: ({ dy, w, dx }, { N, K, P, Q, C, H, W, R, S, turned }) => {
    const dims = { N, C: K, H: P, W: Q, K: C, P: H, Q: W, R, S, padding: turned };
    convolve(dy, dx, dims, (k, c, r, s) => w[((c * C + k) * R + R - 1 - r) * S + S - 1 - s], () => 0);
  },
  samples: [
    { shapes: { dy: [2, 5, 5, 6], w: [5, 3, 3, 3] }, attributes: { padding: 1, H: 5, W: 6 } },
    { shapes: { dy: [1, 3, 2, 3], w: [3, 6, 3, 3] }, attributes: { padding: 0, H: 4, W: 5 } },
    { shapes: { dy: [1, 2, 7, 8], w: [2, 5, 5, 5] }, attributes: { padding: 2, H: 7, W: 8 } },
  ],
});

/** Weight gradient of runs of `run` images each; the runs are summed after, so that there is work for every core. */
const weightGradientRuns = defineOp({
  name: "conv2dWeightGradient",
  signature: "x[N, C, H, W], dy[N, K, P, Q] -> dw[G, K, C, R, S]",
  attributes: { R: "u32", S: "u32", padding: "u32", run: "u32" },
  derive: ({ N, run }) => ({ G: Math.ceil(N / run) }),
  specialise: ["R", "S"],
  invocations: ({ G, K, C, R }, tuning) => G * weightTiles(K, C, R, tuning),
  wgsl: (tuning, { R, S }) => weightGradientWgsl(tuning, R, S),
  reference({ x, dy, dw }, { N, C, H, W, K, P, Q, R, S, padding, run }) {
    dw.fill(0);
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) {
        for (let c = 0; c < C; c++) {
          for (let r = 0; r < R; r++) {
            for (let s = 0; s < S; s++) {
              let total = 0;
              for (let p = Math.max(0, padding - r); p < Math.min(P, H + padding - r); p++) {
                for (let q = Math.max(0, padding - s); q < Math.min(Q, W + padding - s); q++) {
                  total += dy[((n * K + k) * P + p) * Q + q] *
                    x[((n * C + c) * H + p + r - padding) * W + q + s - padding];
                }
              }
              dw[(((Math.floor(n / run) * K + k) * C + c) * R + r) * S + s] += total;
            }
          }
        }
      }
    }
  },
  samples: [
    { shapes: { x: [3, 3, 5, 6], dy: [3, 5, 5, 6] }, attributes: { R: 3, S: 3, padding: 1, run: 2 } },
    { shapes: { x: [2, 2, 9, 15], dy: [2, 4, 9, 15] }, attributes: { R: 3, S: 3, padding: 1, run: 1 } },
    { shapes: { x: [1, 5, 3, 4], dy: [1, 6, 3, 4] }, attributes: { R: 1, S: 1, padding: 0, run: 1 } },
    { shapes: { x: [2, 3, 7, 8], dy: [2, 2, 7, 8] }, attributes: { R: 5, S: 5, padding: 2, run: 2 } },
    { shapes: { x: [1, 1, 4, 5], dy: [1, 1, 2, 3] }, attributes: { R: 3, S: 3, padding: 0, run: 1 } },
  ],
});

function weightGradient(x: Tensor, dy: Tensor, w: Tensor, padding: number): Tensor {
  const [K, C, R, S] = w.shape;
  const { tuning } = x.device;
  const run = imagesPerRun(x.shape[0], weightTiles(K, C, R, tuning), tuning);
  return sum(weightGradientRuns(x, dy, { R, S, padding, run }), [0]);
}

/**
 * Two-dimensional convolution (cross-correlation), stride 1.
 *
 * @param x f32[N, C, H, W]
 * @param w f32[K, C, R, S]
 * @param bias f32[K], or f32[N, K] for a bias of each image (how a time embedding enters)
 * @param padding pixels of zeros on each side; R - 1 at most
 * @returns f32[N, K, H + 2 padding - R + 1, W + 2 padding - S + 1]
 * @throws {ShapeError} if channels do not fit or the kernel is larger than the padded image
 */
export function conv2d(
  x: Tensor,
  w: Tensor,
  bias: Tensor,
  { padding = 0 }: { padding?: number } = {},
): Tensor {
  const [, , R, S] = w.shape;
  const [, , H, W] = x.shape;
  if (padding > Math.min(R, S) - 1 || H + 2 * padding < R || W + 2 * padding < S) {
    throw new ShapeError(`Cannot run conv2d: padding ${padding} does not suit w ${w} on x ${x}`);
  }
  if (R !== S) throw new ShapeError(`Cannot run conv2d: w ${w} is not square`);
  return convolution(x, w, bias.shape.length === 1 ? reshape(bias, [1, bias.size]) : bias, { padding });
}
