import type { Dims, NumberArray } from "../../../devices/device.ts";
import type { Convolution } from "../tiles.ts";
import { repeatLines } from "../../matmul/product.ts";
import { bothSides, inTwoDimensions, pixelOf, stepsWgsl, targetMatrix } from "./transforms.ts";
import { defineOp } from "../../../op.ts";
import { forwardConvolution, turnedConvolution } from "../convolution_kernels.ts";
import { tilesOf } from "./inputs.ts";

/**
 * Each invocation computes a 4x4 tile of a channel from m[G, 36, channels, T]. If the image is uneven or a result is
 * not finite, it computes the tile tap by tap instead, because the transform overflows earlier than the convolution.
 */
function targetWgsl({ source, target, lengths, padding, weight, bias, addend }: Convolution): string {
  const { C, H, W, K, P, Q } = lengths;
  const plus = `${bias ? " + offset" : ""}${addend ? ` + ${addend}` : ""}`;
  const pixels = (line: (i: number, j: number) => string) =>
    repeatLines(4, (i) => repeatLines(4, (j) => line(i, j)));
  return `${stepsWgsl}
fn kernel(i: u32) {
  let count = dims.down * dims.across;
  let tile = i % count;
  let k = i / count % ${K};
  let n = i / (count * ${K});
  let stride = ${K} * dims.T;
  let base = (n / dims.run * 36u * ${K} + k) * dims.T + n % dims.run * count + tile;
${inTwoDimensions("targetStep", (r, s) => `m[base + ${6 * r + s}u * stride]`)}
  let p0 = tile / dims.across * 4u;
  let q0 = tile % dims.across * 4u;
  let origin = ((n * ${K} + k) * ${P} + p0) * ${Q} + q0;
${bias ? `  let offset = ${bias("n", "k")};` : ""}
  var largest = 0u;
${pixels((r, s) => `  largest = max(largest, bitcast<u32>(row_${r}[${s}]) & 0x7fffffffu);`)}
${
    pixels((r, s) =>
      `  if (p0 + ${r}u < ${P} && q0 + ${s}u < ${Q}) { let to = origin + ${r}u * ${Q} + ${s}u; ` +
      `${target}[to] = row_${r}[${s}]${plus}; }`
    )
  }
  let isExact = uneven[n] == 0u && largest < 0x7f800000u;
  for (var at = 0u; at < select(16u, 0u, isExact); at++) {
    let p = p0 + at / 4u;
    let q = q0 + at % 4u;
    if (p < ${P} && q < ${Q}) {
      var sum = 0.0;
      for (var c = 0u; c < ${C}; c++) {
        for (var tap = 0u; tap < 9u; tap++) {
          let h = p + tap / 3u - ${padding};
          let w_ = q + tap % 3u - ${padding};
          if (h < ${H} && w_ < ${W}) {
            sum += ${source}[((n * ${C} + c) * ${H} + h) * ${W} + w_] * ${weight("k", "c", "tap")};
          }
        }
      }
      let to = origin + at / 4u * ${Q} + at % 4u;
      ${target}[to] = sum${plus};
    }
  }
}`;
}

/** Buffers of a convolution from source[N, C, H, W] to target[N, K, P, Q], by role. */
interface Arrays {
  readonly m: NumberArray;
  readonly source: NumberArray;
  readonly target: NumberArray;
  readonly uneven: NumberArray;
  readonly weight: (k: number, c: number, r: number, s: number) => number;
  readonly offset: (n: number, k: number, to: number) => number;
}

/** Reference of `targetWgsl`. */
function makeTarget(
  { m, source, target, uneven, weight, offset }: Arrays,
  { N, C, H, W, K, P, Q, T, padding, run, down, across }: Dims,
): void {
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      for (let tile = 0; tile < down * across; tile++) {
        const t = n % run * down * across + tile;
        const from = (Math.floor(n / run) * 36 * K + k) * T + t;
        const made = bothSides(targetMatrix, (r, s) => m[from + (6 * r + s) * K * T]);
        const isExact = uneven[n] === 0 && made.every(Number.isFinite);
        made.forEach((value, i) => {
          const p = 4 * Math.floor(tile / across) + Math.floor(i / 4), q = 4 * (tile % across) + i % 4;
          if (p >= P || q >= Q) return;
          let sum = 0;
          for (let c = 0; !isExact && c < C; c++) {
            const pixel = pixelOf(source, (n * C + c) * H * W, H, W);
            for (let r = 0; r < 3; r++) {
              for (let s = 0; s < 3; s++) {
                const [h, w] = [p + r - padding, q + s - padding];
                if (h >= 0 && h < H && w >= 0 && w < W) sum += pixel(h, w) * weight(k, c, r, s);
              }
            }
          }
          const to = ((n * K + k) * P + p) * Q + q;
          target[to] = (isExact ? value : sum) + offset(n, k, to);
        });
      }
    }
  }
}

/** Reads weights w[K, C, 3, 3] for a convolution. */
const plain = (w: NumberArray, { C }: Dims) => (k: number, c: number, r: number, s: number) =>
  w[(k * C + c) * 9 + 3 * r + s];
/** Reads them for its input gradient; `C` is still that of w. */
const turned = (w: NumberArray, { C }: Dims) => (k: number, c: number, r: number, s: number) =>
  w[(c * C + k) * 9 + 8 - 3 * r - s];

const taps = { R: 3, S: 3 };
const attributes = { padding: "u32", run: "u32" } as const;

/** Declaration fields of the ops that compute y. */
const forward = {
  attributes,
  derive({ H, W, padding }: Readonly<Record<string, number>>) {
    const [P, Q] = [H + 2 * padding - 2, W + 2 * padding - 2];
    return { P, Q, ...tilesOf(P, Q) };
  },
  invocations: ({ N, K, down, across }: Dims) => N * K * down * across,
} as const;

const shapes = { m: [2, 36, 3, 4], x: [3, 2, 5, 3], w: [3, 2, 3, 3], uneven: [3] };
const sample = { attributes: { padding: 1, run: 2 }, values: { uneven: [0, 1, 0] } };

/** y = A' m A + bias. */
export const biasedTarget = defineOp({
  ...forward,
  name: "winogradBiasedTarget",
  signature: "m[G, 36, K, T], x[N, C, H, W], w[K, C, 3, 3], bias[B, K], uneven:u32[N] -> y[N, K, P, Q]",
  wgsl: targetWgsl(forwardConvolution(taps)),
  reference({ m, x, w, bias, uneven, y }, dims) {
    const offset = (n: number, k: number) => bias[n % dims.B * dims.K + k];
    makeTarget({ m, source: x, target: y, uneven, weight: plain(w, dims), offset }, dims);
  },
  samples: [{ ...sample, shapes: { ...shapes, bias: [3, 3] } }],
});

/** y = A' m A + bias + residual. */
export const addedTarget = defineOp({
  ...forward,
  name: "winogradAddedTarget",
  signature:
    "m[G, 36, K, T], x[N, C, H, W], w[K, C, 3, 3], bias[B, K], residual[N, K, P, Q], uneven:u32[N] -> y[N, K, P, Q]",
  wgsl: targetWgsl(forwardConvolution(taps, "residual[to]")),
  reference({ m, x, w, bias, residual, uneven, y }, dims) {
    const offset = (n: number, k: number, to: number) => bias[n % dims.B * dims.K + k] + residual[to];
    makeTarget({ m, source: x, target: y, uneven, weight: plain(w, dims), offset }, dims);
  },
  samples: [{ ...sample, shapes: { ...shapes, bias: [1, 3], residual: [3, 3, 5, 3] } }],
});

/** dx = A' m A, where m are the products of dy's tiles with the rotated weights. */
export const turnedTarget = defineOp({
  name: "winogradTurnedTarget",
  signature: "m[G, 36, C, T], dy[N, K, P, Q], w[K, C, 3, 3], uneven:u32[N] -> dx[N, C, H, W]",
  attributes: { ...attributes, H: "u32", W: "u32" },
  derive: ({ H, W, padding }) => ({ turned: 2 - padding, ...tilesOf(H, W) }),
  invocations: ({ N, C, down, across }) => N * C * down * across,
  wgsl: targetWgsl(turnedConvolution(taps)),
  reference: ({ m, dy, w, uneven, dx }, { K, C, P, Q, H, W, ...dims }) =>
    makeTarget(
      { m, source: dy, target: dx, uneven, weight: turned(w, { C }), offset: () => 0 },
      { ...dims, C: K, H: P, W: Q, K: C, P: H, Q: W, padding: dims.turned },
    ),
  samples: [
    {
      shapes: { m: [2, 36, 2, 4], dy: [3, 3, 5, 3], w: [3, 2, 3, 3], uneven: [3] },
      values: { uneven: [0, 1, 0] },
      attributes: { padding: 1, run: 2, H: 5, W: 3 },
    },
  ],
});
