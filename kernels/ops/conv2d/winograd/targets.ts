import type { Dims, NumberArray } from "../../../devices/device.ts";
import type { Convolution } from "../tiles.ts";
import { repeatLines } from "../../matmul/product.ts";
import { convolve, convolveTransposed } from "../reference.ts";
import { bothSides, inTwoDimensions, stepsWgsl, targetMatrix } from "./transforms.ts";
import { defineOp } from "../../../op.ts";
import { forwardConvolution, turnedConvolution } from "../convolution_kernels.ts";
import { tilesOf } from "./inputs.ts";

/**
 * Each invocation computes a 4x4 tile of a channel from m[36, channels, T]. If the image is uneven or a result is
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
  let base = k * dims.T + n * count + tile;
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

/** Reference: overwrites target[N, K, P, Q], which was computed tap by tap, where the transform is exact. */
function transformTarget(
  m: NumberArray,
  target: NumberArray,
  uneven: NumberArray,
  { N, K, P, Q, T, down, across }: Dims,
  offset: (n: number, k: number, to: number) => number = () => 0,
): void {
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      for (let tile = 0; tile < down * across; tile++) {
        const from = k * T + n * down * across + tile;
        const made = bothSides(targetMatrix, (r, s) => m[from + (6 * r + s) * K * T]);
        if (uneven[n] !== 0 || !made.every(Number.isFinite)) continue;
        made.forEach((value, i) => {
          const p = 4 * Math.floor(tile / across) + Math.floor(i / 4), q = 4 * (tile % across) + i % 4;
          const to = ((n * K + k) * P + p) * Q + q;
          if (p < P && q < Q) target[to] = value + offset(n, k, to);
        });
      }
    }
  }
}

const taps = { R: 3, S: 3 };

/** Declaration fields of the ops that compute y. */
const forward = {
  attributes: { padding: "u32" },
  derive({ H, W, padding }: Readonly<Record<string, number>>) {
    const [P, Q] = [H + 2 * padding - 2, W + 2 * padding - 2];
    return { P, Q, ...tilesOf(P, Q) };
  },
  invocations: ({ N, K, down, across }: Dims) => N * K * down * across,
} as const;

function forwardReference(
  { m, x, w, y, uneven }: Readonly<Record<"m" | "x" | "w" | "y" | "uneven", NumberArray>>,
  dims: Dims,
  offset: (n: number, k: number, to: number) => number,
): void {
  convolve(x, w, y, { ...dims, ...taps }, offset);
  transformTarget(m, y, uneven, dims, offset);
}

const shapes = { m: [36, 3, 6], x: [3, 2, 5, 3], w: [3, 2, 3, 3], uneven: [3] };
const sample = { attributes: { padding: 1 }, values: { uneven: [0, 1, 0] } };

/** y = A' m A + bias. */
export const biasedTarget = defineOp({
  ...forward,
  name: "winogradBiasedTarget",
  signature: "m[36, K, T], x[N, C, H, W], w[K, C, 3, 3], bias[B, K], uneven:u32[N] -> y[N, K, P, Q]",
  wgsl: targetWgsl(forwardConvolution(taps)),
  reference: ({ bias, ...arrays }, dims) =>
    forwardReference(arrays, dims, (n, k) => bias[n % dims.B * dims.K + k]),
  samples: [{ ...sample, shapes: { ...shapes, bias: [3, 3] } }],
});

/** y = A' m A + bias + residual. */
export const addedTarget = defineOp({
  ...forward,
  name: "winogradAddedTarget",
  signature:
    "m[36, K, T], x[N, C, H, W], w[K, C, 3, 3], bias[B, K], residual[N, K, P, Q], uneven:u32[N] -> y[N, K, P, Q]",
  wgsl: targetWgsl(forwardConvolution(taps, "residual[to]")),
  reference: ({ bias, residual, ...arrays }, dims) =>
    forwardReference(arrays, dims, (n, k, to) => bias[n % dims.B * dims.K + k] + residual[to]),
  samples: [{ ...sample, shapes: { ...shapes, bias: [1, 3], residual: [3, 3, 5, 3] } }],
});

/** dx = A' m A, where m are the products of dy's tiles with the rotated weights. */
export const turnedTarget = defineOp({
  name: "winogradTurnedTarget",
  signature: "m[36, C, T], dy[N, K, P, Q], w[K, C, 3, 3], uneven:u32[N] -> dx[N, C, H, W]",
  attributes: { padding: "u32", H: "u32", W: "u32" },
  derive: ({ H, W, padding }) => ({ turned: 2 - padding, ...tilesOf(H, W) }),
  invocations: ({ N, C, down, across }) => N * C * down * across,
  wgsl: targetWgsl(turnedConvolution(taps)),
  reference({ m, dy, w, uneven, dx }, dims) {
    convolveTransposed(dy, w, dx, { ...dims, ...taps });
    transformTarget(m, dx, uneven, { ...dims, K: dims.C, P: dims.H, Q: dims.W });
  },
  samples: [{
    shapes: { m: [36, 2, 6], dy: [3, 3, 5, 3], w: [3, 2, 3, 3], uneven: [3] },
    values: { uneven: [0, 1, 0] },
    attributes: { padding: 1, H: 5, W: 3 },
  }],
});
