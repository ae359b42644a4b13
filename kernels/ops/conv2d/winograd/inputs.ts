import { defineOp } from "../../../op.ts";
import { zeros } from "../../layout/fill.ts";
import { repeatLines } from "../../matmul/product.ts";
import {
  bothSides,
  inTwoDimensions,
  pixelOf,
  sourceMatrix,
  stepsWgsl,
  targetMatrix,
  transposed,
  weightMatrix,
} from "./transforms.ts";
import type { NumberArray } from "../../../devices/device.ts";

/**
 * u[e] = G g G' of the weights of every pair of channels, a matrix from source channels J to target channels I.
 *
 * @param turned 1 for the input gradient: rotates the weights by 180 degrees and swaps in and out channels
 */
export const weightTransform = defineOp({
  name: "winogradWeights",
  signature: "w[K, C, 3, 3] -> u[36, I, J]",
  attributes: { turned: "u32" },
  derive: ({ K, C, turned }) => ({ I: turned ? C : K, J: turned ? K : C }),
  specialise: ["turned"],
  invocations: ({ K, C }) => K * C,
  wgsl: (_, { turned }) =>
    `${stepsWgsl}
fn kernel(i: u32) {
  let k = ${turned ? "i % dims.J" : "i / dims.J"};
  let c = ${turned ? "i / dims.J" : "i % dims.J"};
  let base = (k * dims.C + c) * 9u;
${inTwoDimensions("weightStep", (r, s) => `w[base + ${turned ? 8 - 3 * r - s : 3 * r + s}u]`)}
${repeatLines(36, (e) => `  u[${e}u * dims.K * dims.C + i] = row_${Math.floor(e / 6)}[${e % 6}];`)}
}`,
  empty: zeros,
  reference({ w, u }, { K, C, turned }) {
    for (let k = 0; k < K; k++) {
      for (let c = 0; c < C; c++) {
        const from = (k * C + c) * 9;
        const pair = turned ? c * K + k : k * C + c;
        bothSides(weightMatrix, (r, s) => w[from + (turned ? 8 - 3 * r - s : 3 * r + s)])
          .forEach((value, e) => u[e * K * C + pair] = value);
      }
    }
  },
  samples: [
    { shapes: { w: [3, 2, 3, 3] }, attributes: { turned: 0 } },
    { shapes: { w: [2, 5, 3, 3] }, attributes: { turned: 1 } },
  ],
});

/** Tiles of 4x4 pixels that cover an image. */
export function tilesOf(P: number, Q: number): { down: number; across: number } {
  return { down: Math.ceil(Math.max(0, P) / 4), across: Math.ceil(Math.max(0, Q) / 4) };
}

/**
 * Each invocation transforms a tile of a channel. Images past the last are zeros.
 *
 * @param side pixels along a side of a tile
 * @param before offset of the first tile's row and column, in WGSL
 */
function transformWgsl(step: "sourceStep" | "gradientStep", side: 4 | 6, before: string): string {
  return `${stepsWgsl}
fn kernel(i: u32) {
  let t = i % dims.T;
  let c = i / dims.T % dims.C;
  let g = i / (dims.T * dims.C);
  let count = dims.down * dims.across;
  let n = g * dims.run + t / count;
  let h = t % count / dims.across * 4u - ${before};
  let w = t % dims.across * 4u - ${before};
  let base = ((n * dims.C + c) * dims.H + h) * dims.W + w;
${
    repeatLines(side, (j) =>
      `  let down_${j} = h + ${j}u < dims.H && n < dims.N;
  let across_${j} = w + ${j}u < dims.W;`)
  }
${inTwoDimensions(step, (r, s) => `select(0.0, x[base + ${r}u * dims.W + ${s}u], down_${r} && across_${s})`)}
  let stride = dims.C * dims.T;
  let to = (g * 36u * dims.C + c) * dims.T + t;
${repeatLines(36, (e) => `  v[to + ${e}u * stride] = row_${Math.floor(e / 6)}[${e % 6}];`)}
}`;
}

/** Reference: transforms all tiles of images[N, C, H, W] to [E, C, T]. */
function transformTiles(
  image: NumberArray,
  target: NumberArray,
  { N, C, H, W, T, run, down, across }: Readonly<Record<string, number>>,
  matrix: readonly (readonly number[])[],
  before: number,
): void {
  target.fill(0);
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      const pixel = pixelOf(image, (n * C + c) * H * W, H, W);
      for (let tile = 0; tile < down * across; tile++) {
        const h = 4 * Math.floor(tile / across) - before, w = 4 * (tile % across) - before;
        const t = n % run * down * across + tile;
        bothSides(matrix, (r, s) => pixel(h + r, w + s)).forEach((value, e) =>
          target[((Math.floor(n / run) * 36 + e) * C + c) * T + t] = value
        );
      }
    }
  }
}

/**
 * v[36 g + e] = B' d B of the overlapping 6x6 tiles of a source. A group g is `run` images, whose tiles follow one
 * another.
 *
 * @param padding zero pixels on each side
 */
export const sourceTransform = defineOp({
  name: "winogradSource",
  signature: "x[N, C, H, W] -> v[E, C, T]",
  attributes: { padding: "u32", run: "u32" },
  derive({ N, H, W, padding, run }) {
    const { down, across } = tilesOf(H + 2 * padding - 2, W + 2 * padding - 2);
    return { E: 36 * Math.ceil(N / run), T: run * down * across, down, across };
  },
  invocations: ({ E, C, T }) => E / 36 * C * T,
  wgsl: transformWgsl("sourceStep", 6, "dims.padding"),
  empty: zeros,
  reference: ({ x, v }, dims) => transformTiles(x, v, dims, sourceMatrix, dims.padding),
  samples: [
    { shapes: { x: [3, 2, 5, 9] }, attributes: { padding: 1, run: 2 } },
    { shapes: { x: [1, 3, 7, 6] }, attributes: { padding: 0, run: 1 } },
    { shapes: { x: [2, 1, 1, 1] }, attributes: { padding: 2, run: 2 } },
  ],
});

/** v[36 g + e] = A x A' of the 4x4 tiles of an output gradient x, for the weight gradient. */
export const gradientTransform = defineOp({
  name: "winogradGradient",
  signature: "x[N, C, H, W] -> v[E, C, T]",
  attributes: { run: "u32" },
  derive({ N, H, W, run }) {
    const { down, across } = tilesOf(H, W);
    return { E: 36 * Math.ceil(N / run), T: run * down * across, down, across };
  },
  invocations: ({ E, C, T }) => E / 36 * C * T,
  wgsl: transformWgsl("gradientStep", 4, "0u"),
  empty: zeros,
  reference: ({ x, v }, dims) => transformTiles(x, v, dims, transposed(targetMatrix), 0),
  samples: [
    { shapes: { x: [3, 2, 5, 9] }, attributes: { run: 2 } },
    { shapes: { x: [1, 3, 1, 4] }, attributes: { run: 1 } },
  ],
});
