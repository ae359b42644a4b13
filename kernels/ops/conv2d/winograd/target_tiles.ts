import type { Dims, NumberArray } from "../../../devices/device.ts";
import type { Convolution } from "../tiles.ts";
import { repeatLines } from "../../matmul/repeat_lines.ts";
import { bothSides, pixelOf, targetMatrix } from "./matrices.ts";
import { inTwoDimensions, stepsInWgsl } from "./two_dimensions.ts";

/**
 * An invocation makes a tile of 4x4 pixels of a channel, from m[G, 36, channels, T]. Where the image is uneven, or a
 * result is not finite, it computes them tap by tap instead: an overflow may be one of the transform alone.
 */
export function targetWgsl({ source, target, lengths, padding, weight, bias, addend }: Convolution): string {
  const { C, H, W, K, P, Q } = lengths;
  const plus = `${bias ? " + offset" : ""}${addend ? ` + ${addend}` : ""}`;
  const pixels = (line: (i: number, j: number) => string) =>
    repeatLines(4, (i) => repeatLines(4, (j) => line(i, j)));
  return `${stepsInWgsl}
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

/** Buffers of a convolution from source[N, C, H, W] to target[N, K, P, Q], whatever an op calls them. */
interface Arrays {
  readonly m: NumberArray;
  readonly source: NumberArray;
  readonly target: NumberArray;
  readonly uneven: NumberArray;
  readonly weight: (k: number, c: number, r: number, s: number) => number;
  readonly offset: (n: number, k: number, to: number) => number;
}

/** The reference of `targetWgsl`. */
export function makeTarget(
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

/** Weights of w[K, C, 3, 3] as a convolution reads them. */
export const plain = (w: NumberArray, { C }: Dims) => (k: number, c: number, r: number, s: number) =>
  w[(k * C + c) * 9 + 3 * r + s];
/** The same for its input gradient: `C` stays that of w. */
export const turned = (w: NumberArray, { C }: Dims) => (k: number, c: number, r: number, s: number) =>
  w[(c * C + k) * 9 + 8 - 3 * r - s];
