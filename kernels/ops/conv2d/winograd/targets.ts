import type { Dims, NumberArray } from "../../../devices/device.ts";
import type { Convolution } from "../tiles.ts";
import { withVariants } from "../../../kernel_variants.ts";
import { repeatGrid, repeatLines } from "../../matmul/product.ts";
import { convolve, convolveTransposed } from "../reference.ts";
import { bothSides, inTwoDimensions, stepsWgsl, targetMatrix } from "./transforms.ts";
import { defineOp } from "../../../op.ts";
import { forwardConvolution, turnedConvolution } from "../convolution_kernels.ts";
import { evennessWgsl, isEven, sizesWgsl } from "./evenness.ts";
import { tilesOf } from "./inputs.ts";

/** Lanes of a workgroup, a tile each. */
const lanes = 256;
const sharedPixels = 16 * lanes;

/** How workgroups share tiles: whole images side by side, or one in strips of `rows` rows of tiles. */
function stripsOf(N: number, down: number, across: number) {
  const rows = Math.max(1, Math.min(down, Math.floor(lanes / Math.max(1, across))));
  const strips = Math.ceil(down / rows), segment = rows * across;
  const images = strips === 1 ? Math.max(1, Math.floor(lanes / segment)) : 1;
  return { rows, strips, images, blocks: Math.ceil(N / images) };
}

/**
 * WGSL of a 4x4 tile of a channel, from m[36, channels, T]. If the image is uneven or a result is not finite, the tile
 * is computed tap by tap instead, because the transform overflows earlier than the convolution.
 *
 * @param into WGSL of the array that takes the pixels, and of the index of the tile's first there
 */
function tileWgsl(conv: Convolution, into: string, start: string): string {
  const { source, lengths: { C, H, W, K, P, Q }, padding, weight, bias, addend } = conv;
  const total = `${bias ? " + offset" : ""}${addend ? ` + ${addend}` : ""}`;
  const storePixel = (r: string, s: string, value: string) =>
    `if (p0 + ${r} < ${P} && q0 + ${s} < ${Q}) {
    let to = origin + ${r} * ${Q} + ${s};
    ${into}[to - origin + start] = ${value}${total};
  }`;
  return `  let stride = ${K} * dims.T;
  let base = k * dims.T + n * dims.tiles + tile;
${inTwoDimensions("targetStep", (r, s) => `m[base + ${6 * r + s}u * stride]`)}
  let p0 = tile / dims.across * 4u;
  let q0 = tile % dims.across * 4u;
  let origin = ((n * ${K} + k) * ${P} + p0) * ${Q} + q0;
  let start = ${start};
${bias ? `  let offset = ${bias("n", "k")};` : ""}
  var largest = 0u;
${
    repeatGrid(4, 4, (r, s) =>
      `  largest = max(largest, bitcast<u32>(row_${r}[${s}]) & 0x7fffffffu);
  ${storePixel(`${r}u`, `${s}u`, `row_${r}[${s}]`)}`)
  }
  let isExact = isEven(size, f32(${C} * dims.tiles)) && largest < 0x7f800000u;
  for (var at = 0u; at < select(16u, 0u, isExact); at++) {
    var sum = 0.0;
    for (var c = 0u; c < ${C}; c++) {
      for (var tap = 0u; tap < 9u; tap++) {
        let h = p0 + at / 4u + tap / 3u - ${padding};
        let w_ = q0 + at % 4u + tap % 3u - ${padding};
        if (h < ${H} && w_ < ${W}) {
          sum += ${source}[((n * ${C} + c) * ${H} + h) * ${W} + w_] * ${weight("k", "c", "tap")};
        }
      }
    }
    ${storePixel("at / 4u", "at % 4u", "sum")}
  }`;
}

/**
 * WebGPU kernels of A' m A: an invocation for each tile on software adapters. On GPUs a workgroup computes tiles side by
 * side of a channel in workgroup memory, so that it reads and writes whole lines of memory.
 */
function targetKernels(conv: Convolution, targetOf: (dims: Dims) => { K: number }) {
  const { lengths: { K, P, Q }, target } = conv;
  const shared = `${evennessWgsl}
${stepsWgsl}`;
  return withVariants([
    {
      name: "invocations",
      grid: (dims) => dims.N * targetOf(dims).K * dims.tiles,
      wgsl: () =>
        `${shared}
fn kernel(i: u32) {
  let tile = i % dims.tiles;
  let k = i / dims.tiles % ${K};
  let n = i / (dims.tiles * ${K});
  var size = vec2f();
  for (var at = 2u * n * dims.S; at < 2u * (n + 1u) * dims.S; at += 2u) {
    size = together(size, vec2f(sizes[at], sizes[at + 1u]));
  }
${tileWgsl(conv, target, "origin")}
}`,
    },
    {
      name: `workgroups ${lanes}`,
      fits: ({ across }) => across <= lanes,
      grid: (dims) => ({ count: dims.blocks * dims.strips * targetOf(dims).K, lanes }),
      wgsl: () =>
        `${shared}${sizesWgsl("sizes")}
var<workgroup> pixels: array<f32, ${sharedPixels}>;
fn partAt(i: u32) -> vec2f { return vec2f(pixels[i], pixels[i + ${lanes}u]); }
fn setPart(i: u32, part: vec2f) { pixels[i] = part.x; pixels[i + ${lanes}u] = part.y; }
fn kernel(group: u32, lane: u32) {
  let segment = dims.rows * dims.across;
  let strip = group % dims.strips;
  let k = group / dims.strips % ${K};
  let firstImage = group / (dims.strips * ${K}) * dims.images;
  let image = lane / segment;
  let n = firstImage + image;
  let first = lane % segment;
  let tile = strip * segment + first;
  let isActive = image < dims.images && n < dims.N;
  var part = vec2f();
  if (isActive) { part = of_sizes(n, first, segment); }
  setPart(lane, part);
  workgroupBarrier();
  for (var reach = dims.reach; reach > 0u; reach /= 2u) {
    if (first < reach && first + reach < segment && isActive) {
      setPart(lane, together(partAt(lane), partAt(lane + reach)));
    }
    workgroupBarrier();
  }
  let size = partAt(lane - first);
  workgroupBarrier();
  let top = strip * dims.rows * 4u;
  let area = (min(${P}, top + dims.rows * 4u) - top) * ${Q}; // of a strip
  if (isActive && tile < dims.tiles) {
${tileWgsl(conv, "pixels", `image * area + (p0 - top) * ${Q} + q0`)}
  }
  workgroupBarrier();
  let inverse = 1.0 / f32(area);
  let corner = (firstImage * ${K} + k) * ${P} * ${Q} + top * ${Q};
  let count = min(dims.images, dims.N - firstImage) * area;
  for (var at = lane; at < count; at += ${4 * lanes}u) {
${
          repeatLines(4, (j) =>
            `    { let i = at + ${j * lanes}u; let image = u32((f32(i) + 0.5) * inverse);
    if (i < count) { ${target}[corner + image * ${K} * ${P} * ${Q} + i - image * area] = pixels[i]; } }`)
        }
  }
}`,
    },
  ], ({ across }, { software }) => software || across > lanes ? 0 : 1);
}

/** Reference: overwrites target[N, K, P, Q], which was computed tap by tap, where the transform is exact. */
function transformTarget(
  m: NumberArray,
  target: NumberArray,
  sizes: NumberArray,
  { N, C, K, P, Q, T, S, tiles, across }: Dims,
  offset: (n: number, k: number, to: number) => number = () => 0,
): void {
  for (let n = 0; n < N; n++) {
    if (!isEven(sizes, n, S, C * tiles)) continue;
    for (let k = 0; k < K; k++) {
      for (let tile = 0; tile < tiles; tile++) {
        const from = k * T + n * tiles + tile;
        const made = bothSides(targetMatrix, (r, s) => m[from + (6 * r + s) * K * T]);
        if (!made.every(Number.isFinite)) continue;
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

/** The tiles of a target[N, channels, P, Q], with the sizes of S slices of the source. */
function targetLayout(N: number, P: number, Q: number, S: number) {
  const { down, across, tiles } = tilesOf(P, Q), layout = stripsOf(N, down, across);
  const sharing = Math.min(S, layout.rows * across); // lanes that have sizes of slices
  return { down, across, tiles, ...layout, reach: Math.floor(2 ** Math.ceil(Math.log2(sharing)) / 2) };
}

/** Declaration fields of the ops that compute y. */
const forward = {
  attributes: { padding: "u32" },
  derive({ N, H, W, S, padding }: Readonly<Record<string, number>>) {
    const [P, Q] = [H + 2 * padding - 2, W + 2 * padding - 2];
    return { P, Q, ...targetLayout(N, P, Q, S) };
  },
} as const;

function forwardReference(
  { m, x, w, y, sizes }: Readonly<Record<"m" | "x" | "w" | "y" | "sizes", NumberArray>>,
  dims: Dims,
  offset: (n: number, k: number, to: number) => number,
): void {
  convolve(x, w, y, { ...dims, ...taps }, offset);
  transformTarget(m, y, sizes, dims, offset);
}

/** Even sizes of the two channels of images with two tiles, but for the second image. */
const sizes = [1, 2, 1, 2, 1, 2, 5000, 8.4, 0, 0, 1, 2.5];
const shapes = { m: [36, 3, 6], x: [3, 2, 5, 3], w: [3, 2, 3, 3], sizes: [3, 2, 2] };
const sample = { attributes: { padding: 1 }, values: { sizes } };

/** y = A' m A + bias. */
export const biasedTarget = defineOp({
  ...forward,
  name: "winogradBiasedTarget",
  signature: "m[36, K, T], x[N, C, H, W], w[K, C, 3, 3], bias[B, K], sizes[N, S, 2] -> y[N, K, P, Q]",
  ...targetKernels(forwardConvolution(taps), ({ K }) => ({ K })),
  reference: ({ bias, ...arrays }, dims) =>
    forwardReference(arrays, dims, (n, k) => bias[n % dims.B * dims.K + k]),
  samples: [{ ...sample, shapes: { ...shapes, bias: [3, 3] } }],
});

/** y = A' m A + bias + residual. */
export const addedTarget = defineOp({
  ...forward,
  name: "winogradAddedTarget",
  signature:
    "m[36, K, T], x[N, C, H, W], w[K, C, 3, 3], bias[B, K], residual[N, K, P, Q], sizes[N, S, 2] -> y[N, K, P, Q]",
  ...targetKernels(forwardConvolution(taps, "residual[to]"), ({ K }) => ({ K })),
  reference: ({ bias, residual, ...arrays }, dims) =>
    forwardReference(arrays, dims, (n, k, to) => bias[n % dims.B * dims.K + k] + residual[to]),
  samples: [{ ...sample, shapes: { ...shapes, bias: [1, 3], residual: [3, 3, 5, 3] } }],
});

/** dx = A' m A, where m are the products of dy's tiles with the rotated weights. */
export const turnedTarget = defineOp({
  name: "winogradTurnedTarget",
  signature: "m[36, C, T], dy[N, K, P, Q], w[K, C, 3, 3], sizes[N, S, 2] -> dx[N, C, H, W]",
  attributes: { padding: "u32", H: "u32", W: "u32" },
  derive: ({ N, H, W, S, padding }) => ({ turned: 2 - padding, ...targetLayout(N, H, W, S) }),
  ...targetKernels(turnedConvolution(taps), ({ C }) => ({ K: C })),
  reference({ m, dy, w, sizes, dx }, dims) {
    convolveTransposed(dy, w, dx, { ...dims, ...taps });
    transformTarget(m, dx, sizes, { ...dims, C: dims.K, K: dims.C, P: dims.H, Q: dims.W });
  },
  samples: [{
    shapes: { m: [36, 2, 6], dy: [3, 3, 5, 3], w: [3, 2, 3, 3], sizes: [3, 2, 2] },
    values: { sizes },
    attributes: { padding: 1, H: 5, W: 3 },
  }],
});
