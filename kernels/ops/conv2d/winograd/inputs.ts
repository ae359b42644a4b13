import { defineOp } from "../../../op.ts";
import { repeatLines } from "../../matmul/product.ts";
import {
  bothSides,
  centre,
  huge,
  inTwoDimensions,
  pixelOf,
  rootOf,
  sourceMatrix,
  stepsWgsl,
  targetMatrix,
  togetherWgsl,
  transposed,
  weightMatrix,
} from "./transforms.ts";
import type { Dims, NumberArray } from "../../../devices/device.ts";

/** Tiles of 4x4 pixels that cover an image. */
export function tilesOf(P: number, Q: number): { down: number; across: number; tiles: number } {
  const [down, across] = [P, Q].map((length) => Math.ceil(Math.max(0, length) / 4));
  return { down, across, tiles: down * across };
}

/** Lanes of a workgroup that transforms tiles. */
const lanes = 64;

/** How workgroups share the tiles of N images: whole images side by side, or the tiles of one in turn. */
function layoutOf(N: number, tiles: number) {
  const segment = Math.max(1, Math.min(tiles, lanes));
  const images = Math.floor(lanes / segment);
  return {
    segment,
    images,
    blocks: Math.ceil(N / images),
    reach: Math.floor(2 ** Math.ceil(Math.log2(segment)) / 2),
  };
}

/**
 * Number of slices of the channels, whose tiles are measured separately: enough to keep a GPU busy. On software
 * adapters 0: there an invocation transforms a tile, and `tileSizes` measures them.
 */
export function slicesOf(N: number, C: number, tiles: number, software: boolean): number {
  return software ? 0 : Math.max(1, Math.min(C, 32, Math.ceil(512 / layoutOf(N, tiles).blocks)));
}

/** Factor of transformed weights above the limit: they overflow, so that the target is computed tap by tap. */
const greatest = 3e38;

/** A tensor whose tiles are transformed: names of buffers, and WGSL of lengths. */
interface Source {
  readonly step: "sourceStep" | "gradientStep";
  readonly from: string;
  readonly to: string;
  readonly sizes: string;
  readonly channels: string;
  readonly height: string;
  readonly width: string;
  /** Offset of the first tile's row and column. */
  readonly before: string;
}

/**
 * WGSL of `transform_x(group, lane)` for a source x: lanes transform tiles of some channels of their image, and note the
 * sizes of these tiles. Images past the last are zeros.
 */
function transformWgsl({ step, from, to, sizes, channels: C, height, width, before }: Source): string {
  const side = step === "sourceStep" ? 6 : 4;
  return `
fn tile_${from}(n: u32, c: u32, tile: u32, to: u32) -> f32 {
  let h = tile / dims.across * 4u - ${before};
  let w = tile % dims.across * 4u - ${before};
  let base = ((n * ${C} + c) * ${height} + h) * ${width} + w;
${
    repeatLines(side, (j) =>
      `  let down_${j} = h + ${j}u < ${height} && n < dims.N;
  let across_${j} = w + ${j}u < ${width};`)
  }
${
    inTwoDimensions(
      step,
      (r, s) => `select(0.0, ${from}[base + ${r}u * ${width} + ${s}u], down_${r} && across_${s})`,
    )
  }
  let stride = ${C} * dims.T;
${repeatLines(36, (e) => `  ${to}[to + ${e}u * stride] = row_${Math.floor(e / 6)}[${e % 6}];`)}
  return abs(row_${Math.floor(centre / 6)}[${centre % 6}]);
}
fn transform_${from}(group: u32, lane: u32) {
  let slice = group % dims.S;
  let n = group / dims.S * dims.images + lane / dims.segment;
  let first = lane % dims.segment;
  let isActive = lane < dims.images * dims.segment && n < dims.E / 36u * dims.run;
  let channels = (${C} + dims.S - 1u) / dims.S;
  let last = min(${C}, (slice + 1u) * channels);
  let corner = n / dims.run * 36u * ${C} * dims.T + n % dims.run * dims.tiles;
  var all = vec2f();
  for (var c = slice * channels; c < select(0u, last, isActive); c++) {
    for (var tile = first; tile < dims.tiles; tile += dims.segment) {
      let size = tile_${from}(n, c, tile, corner + c * dims.T + tile);
      all = together(all, vec2f(size, sqrt(sqrt(size))));
    }
  }
  parts[lane] = all;
  workgroupBarrier();
  for (var reach = dims.reach; reach > 0u; reach /= 2u) {
    if (first < reach && first + reach < dims.segment && isActive) {
      parts[lane] = together(parts[lane], parts[lane + reach]);
    }
    workgroupBarrier();
  }
  if (first == 0u && isActive && n < dims.N) {
    ${sizes}[2u * (n * dims.S + slice)] = parts[lane].x;
    ${sizes}[2u * (n * dims.S + slice) + 1u] = parts[lane].y;
  }
}`;
}

/** WGSL that transforms tile i of all. */
const anyTileWgsl = (from: string, channels: string) =>
  `let t = i % dims.T;
    let c = i / dims.T % ${channels};
    let g = i / (dims.T * ${channels});
    _ = tile_${from}(g * dims.run + t / dims.tiles, c, t % dims.tiles, (g * 36u * ${channels} + c) * dims.T + t);`;

const sharedWgsl = `${togetherWgsl}
var<workgroup> parts: array<vec2f, ${lanes}>;
${stepsWgsl}`;

/** Reference: transforms all tiles of images[N, C, H, W] to [E, C, T], and measures them by image and slice. */
function transformTiles(
  image: NumberArray,
  target: NumberArray,
  sizes: NumberArray,
  { N, C, H, W, T, S, run, tiles, across }: Dims,
  matrix: readonly (readonly number[])[],
  before: number,
): void {
  target.fill(0);
  sizes.fill(0);
  const isMeasured = sizes.length > 0;
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      const pixel = pixelOf(image, (n * C + c) * H * W, H, W);
      const at = 2 * (n * S + Math.floor(c / Math.ceil(C / S)));
      for (let tile = 0; tile < tiles; tile++) {
        const h = 4 * Math.floor(tile / across) - before;
        const w = 4 * (tile % across) - before;
        const t = n % run * tiles + tile;
        const made = bothSides(matrix, (r, s) => pixel(h + r, w + s));
        made.forEach((value, e) => target[((Math.floor(n / run) * 36 + e) * C + c) * T + t] = value);
        if (!isMeasured) continue;
        sizes[at] = Math.max(sizes[at], Math.abs(made[centre]));
        sizes[at + 1] += rootOf(made[centre]);
      }
    }
  }
}

/**
 * The factors of a convolution's products: v[e] = B' d B of the overlapping 6x6 tiles of the source x, with their sizes
 * (see `isEven`), and u[e] = G g G' of the weights, a matrix from the channels of x to those of the result.
 *
 * @param padding zero pixels on each side
 * @param turned 1 for the input gradient: rotates the weights by 180 degrees and swaps in and out channels
 * @param S slices of the channels, or 0
 */
export const convolutionInputs = defineOp({
  name: "winogradInputs",
  signature: "x[N, J, H, W], w[K, C, 3, 3] -> v[E, J, T], u[36, I, J], sizes[N, S, 2]",
  attributes: { padding: "u32", turned: "u32", S: "u32" },
  derive({ N, H, W, K, C, padding, turned }) {
    const tiles = tilesOf(H + 2 * padding - 2, W + 2 * padding - 2);
    return { E: 36, T: N * tiles.tiles, I: turned ? C : K, run: N, ...tiles, ...layoutOf(N, tiles.tiles) };
  },
  specialise: ({ turned, S }) => ({ turned, isMeasured: S > 0 ? 1 : 0 }),
  invocations: ({ J, T, K, C }) => J * T + K * C,
  workgroups: ({ blocks, S, K, C }) =>
    S > 0 ? { count: blocks * S + Math.ceil(K * C / lanes), lanes } : undefined,
  wgsl: (_, { turned, isMeasured }) =>
    `${sharedWgsl}
${
      transformWgsl({
        step: "sourceStep",
        from: "x",
        to: "v",
        sizes: "sizes",
        channels: "dims.J",
        height: "dims.H",
        width: "dims.W",
        before: "dims.padding",
      })
    }
fn transformWeights(i: u32) {
  let k = ${turned ? "i % dims.K" : "i / dims.C"};
  let c = ${turned ? "i / dims.K" : "i % dims.C"};
  let base = (k * dims.C + c) * 9u;
${inTwoDimensions("weightStep", (r, s) => `w[base + ${turned ? 8 - 3 * r - s : 3 * r + s}u]`)}
  var top = 0.0;
  for (var tap = 0u; tap < 9u; tap++) { top = max(top, abs(w[base + tap])); }
  let scale = select(1.0, ${greatest}, top >= ${huge});
${repeatLines(36, (e) => `  u[${e}u * dims.K * dims.C + i] = scale * row_${Math.floor(e / 6)}[${e % 6}];`)}
}
${
      isMeasured
        ? `fn kernel(group: u32, lane: u32) {
  let transforms = dims.blocks * dims.S;
  if (group < transforms) { transform_x(group, lane); }
  else {
    let i = (group - transforms) * ${lanes}u + lane;
    if (i < dims.K * dims.C) { transformWeights(i); }
  }
}`
        : `fn kernel(i: u32) {
  let transforms = dims.J * dims.T;
  if (i < transforms) { ${anyTileWgsl("x", "dims.J")} }
  else { transformWeights(i - transforms); }
}`
    }`,
  reference({ x, w, v, u, sizes }, dims) {
    const { K, C, J, padding, turned } = dims;
    transformTiles(x, v, sizes, { ...dims, C: J }, sourceMatrix, padding);
    for (let k = 0; k < K; k++) {
      for (let c = 0; c < C; c++) {
        const from = (k * C + c) * 9;
        const pair = turned ? c * K + k : k * C + c;
        const scale = w.slice(from, from + 9).some((value) => Math.abs(value) >= huge) ? Infinity : 1;
        bothSides(weightMatrix, (r, s) => w[from + (turned ? 8 - 3 * r - s : 3 * r + s)])
          .forEach((value, e) => u[e * K * C + pair] = scale * value);
      }
    }
  },
  samples: [
    { shapes: { x: [3, 2, 5, 9], w: [3, 2, 3, 3] }, attributes: { padding: 1, turned: 0, S: 1 } },
    { shapes: { x: [1, 5, 7, 6], w: [5, 2, 3, 3] }, attributes: { padding: 0, turned: 1, S: 2 } },
    { shapes: { x: [2, 3, 37, 33], w: [23, 3, 3, 3] }, attributes: { padding: 1, turned: 0, S: 2 } },
    { shapes: { x: [2, 1, 1, 1], w: [1, 1, 3, 3] }, attributes: { padding: 2, turned: 0, S: 0 } },
    { shapes: { x: [3, 2, 5, 9], w: [2, 3, 3, 3] }, attributes: { padding: 1, turned: 1, S: 0 } },
  ],
});

/**
 * The factors of a weight gradient's products: v = B' d B of the 6x6 tiles of x and z = A d A' of the 4x4 tiles of dy,
 * both with their sizes. Tiles of a group g of `run` images follow one another in v[36 g + e].
 */
export const gradientInputs = defineOp({
  name: "winogradGradientInputs",
  signature: "x[N, C, H, W], dy[N, K, P, Q] -> v[E, C, T], z[E, K, T], sizesX[N, S, 2], sizesDy[N, S, 2]",
  attributes: { padding: "u32", run: "u32", S: "u32" },
  derive({ N, P, Q, run }) {
    const tiles = tilesOf(P, Q), runs = Math.ceil(N / run);
    return { E: 36 * runs, T: run * tiles.tiles, ...tiles, ...layoutOf(runs * run, tiles.tiles) };
  },
  specialise: ({ S }) => ({ isMeasured: S > 0 ? 1 : 0 }),
  invocations: ({ E, C, K, T }) => E / 36 * (C + K) * T,
  workgroups: ({ blocks, S }) => S > 0 ? { count: 2 * blocks * S, lanes } : undefined,
  wgsl: (_, { isMeasured }) =>
    `${sharedWgsl}
${
      transformWgsl({
        step: "sourceStep",
        from: "x",
        to: "v",
        sizes: "sizesX",
        channels: "dims.C",
        height: "dims.H",
        width: "dims.W",
        before: "dims.padding",
      })
    }
${
      transformWgsl({
        step: "gradientStep",
        from: "dy",
        to: "z",
        sizes: "sizesDy",
        channels: "dims.K",
        height: "dims.P",
        width: "dims.Q",
        before: "0u",
      })
    }
${
      isMeasured
        ? `fn kernel(group: u32, lane: u32) {
  let transforms = dims.blocks * dims.S;
  if (group < transforms) { transform_x(group, lane); }
  else { transform_dy(group - transforms, lane); }
}`
        : `fn kernel(j: u32) {
  let ofX = dims.E / 36u * dims.C * dims.T;
  var i = j;
  if (j < ofX) { ${anyTileWgsl("x", "dims.C")} }
  else { i -= ofX; ${anyTileWgsl("dy", "dims.K")} }
}`
    }`,
  reference({ x, dy, v, z, sizesX, sizesDy }, dims) {
    const { K, P, Q, padding } = dims;
    transformTiles(x, v, sizesX, dims, sourceMatrix, padding);
    transformTiles(dy, z, sizesDy, { ...dims, C: K, H: P, W: Q }, transposed(targetMatrix), 0);
  },
  samples: [
    { shapes: { x: [3, 2, 5, 9], dy: [3, 3, 5, 9] }, attributes: { padding: 1, run: 2, S: 2 } },
    { shapes: { x: [1, 3, 3, 6], dy: [1, 1, 1, 4] }, attributes: { padding: 0, run: 1, S: 1 } },
    { shapes: { x: [3, 2, 5, 9], dy: [3, 3, 5, 9] }, attributes: { padding: 1, run: 2, S: 0 } },
    { shapes: { x: [1, 1, 33, 36], dy: [1, 2, 35, 38] }, attributes: { padding: 2, run: 1, S: 1 } },
  ],
});

/** The sizes of transformed tiles, by image. */
export const tileSizes = defineOp({
  name: "winogradSizes",
  signature: "v[E, C, T] -> sizes[N, 1, 2]",
  attributes: { N: "u32", run: "u32" },
  derive: ({ T, run }) => ({ tiles: T / run }),
  invocations: ({ N }) => N,
  wgsl: `${togetherWgsl}
fn kernel(n: u32) {
  let base = (n / dims.run * 36u + ${centre}u) * dims.C * dims.T + n % dims.run * dims.tiles;
  var all = vec2f();
  for (var i = 0u; i < dims.C * dims.tiles; i++) {
    let size = abs(v[base + i / dims.tiles * dims.T + i % dims.tiles]);
    all = together(all, vec2f(size, sqrt(sqrt(size))));
  }
  sizes[2u * n] = all.x;
  sizes[2u * n + 1u] = all.y;
}`,
  reference({ v, sizes }, { N, C, T, run, tiles }) {
    sizes.fill(0);
    for (let n = 0; n < N; n++) {
      for (let i = 0; i < C * tiles; i++) {
        const row = (Math.floor(n / run) * 36 + centre) * C + Math.floor(i / tiles);
        const value = v[row * T + n % run * tiles + i % tiles];
        sizes[2 * n] = Math.max(sizes[2 * n], Math.abs(value));
        sizes[2 * n + 1] += rootOf(value);
      }
    }
  },
  samples: [
    { shapes: { v: [72, 2, 6] }, attributes: { N: 3, run: 2 } },
    { shapes: { v: [36, 1, 1] }, attributes: { N: 1, run: 1 } },
  ],
});
