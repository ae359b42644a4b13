import type { Dims, NumberArray, Pass, Tuning } from "../../../devices/device.ts";
import { convolve, correlate, plainGeometry } from "../geometry.ts";
import { biasAt, storedWgsl, type Terms, weightAt } from "../tiles.ts";
import { Passes, withVariants } from "../../../op_definition.ts";
import { repeatGrid, repeatLines } from "../../matmul/product.ts";
import {
  bothSides,
  evennessWgsl,
  inTwoDimensions,
  isEven,
  sizesWgsl,
  stepsWgsl,
  targetMatrix,
  transposed,
  weightMatrix,
} from "./transforms.ts";
import { defineOp } from "../../../op.ts";
import { convolutionInputs, gradientInputs, slicesOf, tileSizes, tilesOf } from "./inputs.ts";
import { matmulOp, matmulTransposedBOp } from "../../matmul/op.ts";

/** Lanes of a workgroup: a tile each, or a pair of channels. */
const lanes = 256;
const sharedPixels = 16 * lanes;

/** How workgroups share tiles: whole images side by side, or one in strips of `rows` rows of tiles. */
function stripsOf(N: number, down: number, across: number) {
  const rows = Math.max(1, Math.min(down, Math.floor(lanes / Math.max(1, across))));
  const strips = Math.ceil(down / rows);
  const segment = rows * across;
  const images = strips === 1 ? Math.max(1, Math.floor(lanes / segment)) : 1;
  return { rows, strips, images, blocks: Math.ceil(N / images) };
}

/**
 * WGSL of a 4x4 tile of a channel, from m[36, channels, T]. If the image is uneven or a result is not finite, the tile
 * is computed tap by tap instead, because the transform overflows earlier than the convolution.
 *
 * @param into WGSL of the array that takes the pixels, and of the index of the tile's first there
 */
function tileWgsl({ transposed }: Dims, terms: Terms, into: string, start: string): string {
  const weight = weightAt({ R: 3, S: 3, transposed }, "k", "c", "tap");
  const storePixel = (r: string, s: string, value: string) =>
    `if (p0 + ${r} < dims.P && q0 + ${s} < dims.Q) {
    let to = origin + ${r} * dims.Q + ${s};
    ${into}[to - origin + start] = ${storedWgsl(value, terms, "offset")};
  }`;
  return `  let stride = dims.K * dims.T;
  let base = k * dims.T + n * dims.tiles + tile;
${inTwoDimensions("targetStep", (r, s) => `m[base + ${6 * r + s}u * stride]`)}
  let p0 = tile / dims.across * 4u;
  let q0 = tile % dims.across * 4u;
  let origin = ((n * dims.K + k) * dims.P + p0) * dims.Q + q0;
  let start = ${start};
${terms.includes("bias") ? `  let offset = bias[${biasAt("k")}];` : ""}
  var largest = 0u;
${
    repeatGrid(4, 4, (r, s) =>
      `  largest = max(largest, bitcast<u32>(row_${r}[${s}]) & 0x7fffffffu);
  ${storePixel(`${r}u`, `${s}u`, `row_${r}[${s}]`)}`)
  }
  let isExact = isEven(size, f32(dims.C * dims.tiles)) && largest < 0x7f800000u;
  for (var at = 0u; at < select(16u, 0u, isExact); at++) {
    var sum = 0.0;
    for (var c = 0u; c < dims.C; c++) {
      for (var tap = 0u; tap < 9u; tap++) {
        let h = p0 + at / 4u + tap / 3u - dims.before;
        let w_ = q0 + at % 4u + tap % 3u - dims.before;
        if (h < dims.H && w_ < dims.W) {
          sum += x[((n * dims.C + c) * dims.H + h) * dims.W + w_] * ${weight};
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
function targetKernels(terms: Terms) {
  const specialise = ({ transposed }: Dims) => ({ transposed });
  const shared = `${evennessWgsl}
${stepsWgsl}`;
  return withVariants([
    {
      name: "invocations",
      grid: (dims) => dims.N * dims.K * dims.tiles,
      specialise,
      wgsl: (dims) =>
        `${shared}
fn kernel(i: u32) {
  let tile = i % dims.tiles;
  let k = i / dims.tiles % dims.K;
  let n = i / (dims.tiles * dims.K);
  var size = vec2f();
  for (var at = 2u * n * dims.S; at < 2u * (n + 1u) * dims.S; at += 2u) {
    size = together(size, vec2f(sizes[at], sizes[at + 1u]));
  }
${tileWgsl(dims, terms, "y", "origin")}
}`,
    },
    {
      name: `workgroups ${lanes}`,
      fits: ({ across }) => across <= lanes,
      grid: (dims) => ({ count: dims.blocks * dims.strips * dims.K, lanes }),
      specialise,
      wgsl: (dims) =>
        `${shared}${sizesWgsl("sizes")}
var<workgroup> pixels: array<f32, ${sharedPixels}>;
fn partAt(i: u32) -> vec2f { return vec2f(pixels[i], pixels[i + ${lanes}u]); }
fn setPart(i: u32, part: vec2f) { pixels[i] = part.x; pixels[i + ${lanes}u] = part.y; }
fn kernel(group: u32, lane: u32) {
  let segment = dims.rows * dims.across;
  let strip = group % dims.strips;
  let k = group / dims.strips % dims.K;
  let firstImage = group / (dims.strips * dims.K) * dims.images;
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
  let area = (min(dims.P, top + dims.rows * 4u) - top) * dims.Q; // of a strip
  if (isActive && tile < dims.tiles) {
${tileWgsl(dims, terms, "pixels", `image * area + (p0 - top) * dims.Q + q0`)}
  }
  workgroupBarrier();
  let inverse = 1.0 / f32(area);
  let corner = (firstImage * dims.K + k) * dims.P * dims.Q + top * dims.Q;
  let count = min(dims.images, dims.N - firstImage) * area;
  for (var at = lane; at < count; at += ${4 * lanes}u) {
${
          repeatLines(4, (j) =>
            `    { let i = at + ${j * lanes}u; let image = u32((f32(i) + 0.5) * inverse);
    if (i < count) { y[corner + image * dims.K * dims.P * dims.Q + i - image * area] = pixels[i]; } }`)
        }
  }
}`,
    },
  ], ({ across }, { software }) => software || across > lanes ? 0 : 1);
}

/**
 * Reference: the convolution tap by tap, overwritten by the transformed m where that is exact.
 *
 * @param offset what is added to element `to` of y
 */
function reference(
  { m, x, w, y, sizes }: Readonly<Record<"m" | "x" | "w" | "y" | "sizes", NumberArray>>,
  dims: Dims,
  offset?: (n: number, k: number, to: number) => number,
): void {
  const { N, C, K, P, Q, T, S, tiles, across, padding } = dims;
  convolve({ x, w, y }, { ...dims, ...plainGeometry(padding), R: 3, S: 3 }, offset);
  for (let n = 0; n < N; n++) {
    if (!isEven(sizes, n, S, C * tiles)) continue;
    for (let k = 0; k < K; k++) {
      for (let tile = 0; tile < tiles; tile++) {
        const from = k * T + n * tiles + tile;
        const made = bothSides(targetMatrix, (r, s) => m[from + (6 * r + s) * K * T]);
        if (!made.every(Number.isFinite)) continue;
        made.forEach((value, i) => {
          const p = 4 * Math.floor(tile / across) + Math.floor(i / 4);
          const q = 4 * (tile % across) + i % 4;
          const to = ((n * K + k) * P + p) * Q + q;
          if (p < P && q < Q) y[to] = value + (offset?.(n, k, to) ?? 0);
        });
      }
    }
  }
}

/** Declaration fields of an op that computes y of a convolution with zeros around x, plain or transposed. */
function fields(terms: Terms) {
  return {
    attributes: { padding: "u32", transposed: "u32" },
    derive({ N, H, W, S, padding, transposed }: Readonly<Record<string, number>>) {
      const before = transposed ? 2 - padding : padding;
      const P = H + 2 * before - 2, Q = W + 2 * before - 2;
      const { down, across, tiles } = tilesOf(P, Q);
      const layout = stripsOf(N, down, across);
      const sharing = Math.min(S, layout.rows * across); // lanes that have sizes of slices
      const reach = Math.floor(2 ** Math.ceil(Math.log2(sharing)) / 2);
      return { P, Q, before, down, across, tiles, ...layout, reach };
    },
    ...targetKernels(terms),
  } as const;
}

const inputs = "m[36, K, T], x[N, C, H, W], w[A, D, 3, 3], sizes[N, S, 2]";
/** Even sizes of the two channels of images with two tiles, but for the second image. */
const sizes = [1, 2, 1, 2, 1, 2, 5000, 8.4, 0, 0, 1, 2.5];
const shapes = { m: [36, 3, 6], x: [3, 2, 5, 3], w: [3, 2, 3, 3], sizes: [3, 2, 2] };
const sample = { attributes: { padding: 1, transposed: 0 }, values: { sizes } };
const turned = { shapes: { ...shapes, w: [2, 3, 3, 3] }, attributes: { padding: 1, transposed: 1 } };

/** y = A' m A, with nothing, a bias, or a bias and a residual added. */
export const targets = [
  defineOp({
    ...fields([]),
    name: "winogradTarget",
    signature: `${inputs} -> y[N, K, P, Q]`,
    reference: (arrays, dims) => reference(arrays, dims),
    samples: [{ ...sample, ...turned }],
  }),
  defineOp({
    ...fields(["bias"]),
    name: "winogradBiasedTarget",
    signature: `${inputs}, bias[B, K] -> y[N, K, P, Q]`,
    reference: ({ bias, ...arrays }, dims) =>
      reference(arrays, dims, (n, k) => bias[n % dims.B * dims.K + k]),
    samples: [{ ...sample, shapes: { ...shapes, bias: [3, 3] } }],
  }),
  defineOp({
    ...fields(["bias", "residual"]),
    name: "winogradAddedTarget",
    signature: `${inputs}, bias[B, K], residual[N, K, P, Q] -> y[N, K, P, Q]`,
    reference: ({ bias, residual, ...arrays }, dims) =>
      reference(arrays, dims, (n, k, to) => bias[n % dims.B * dims.K + k] + residual[to]),
    samples: [{ ...sample, shapes: { ...shapes, bias: [1, 3], residual: [3, 3, 5, 3] } }],
  }),
];

/**
 * WGSL of the nine weights of a pair of channels, into an array from `start` on.
 *
 * @param isEven WGSL of whether all images of the run are even
 */
const pairWgsl = (isEven: string, into: string, start: string) =>
  `    let base = g * 36u * pairs + pair;
${inTwoDimensions("weightGradientStep", (r, s) => `du[base + ${6 * r + s}u * pairs]`)}
    var isExact = ${isEven};
${
    repeatLines(9, (tap) =>
      `    ${into}[${start} + ${tap}u] = row_${Math.floor(tap / 3)}[${tap % 3}];
    isExact = isExact && (bitcast<u32>(row_${Math.floor(tap / 3)}[${tap % 3}]) & 0x7fffffffu) < 0x7f800000u;`)
  }
    let k = pair / dims.C;
    let c = pair % dims.C;
    for (var tap = 0u; tap < select(9u, 0u, isExact); tap++) {
      var total = 0.0;
      for (var n = first; n < last; n++) {
        for (var p = 0u; p < dims.P; p++) {
          let h = p + tap / 3u - dims.padding;
          let isInside = h < dims.H;
          var part = 0.0;
          for (var q = 0u; q < select(0u, dims.Q, isInside); q++) {
            let w = q + tap % 3u - dims.padding;
            if (w < dims.W) {
              part += dy[((n * dims.K + k) * dims.P + p) * dims.Q + q] * x[((n * dims.C + c) * dims.H + h) * dims.W + w];
            }
          }
          total += part;
        }
      }
      ${into}[${start} + tap] = total;
    }`;

/** WGSL of the images of run g, and of whether each is even. */
const runWgsl = `  let pairs = dims.K * dims.C;
  let first = g * dims.run;
  let last = min(first + dims.run, dims.N);`;
const shared = `${stepsWgsl}
${evennessWgsl}`;

/** An invocation for each pair: software adapters are slow at barriers. */
const invocationWgsl = `${shared}
fn kernel(i: u32) {
  let g = i / (dims.K * dims.C);
  let pair = i % (dims.K * dims.C);
${runWgsl}
  var uneven = 0u;
  for (var n = first; n < last; n++) { // of one slice each
    let sizeX = vec2f(sizesX[2u * n], sizesX[2u * n + 1u]);
    let sizeDy = vec2f(sizesDy[2u * n], sizesDy[2u * n + 1u]);
    uneven |= select(1u, 0u, isEven(sizeX, f32(dims.C * dims.tiles)));
    uneven |= select(1u, 0u, isEven(sizeDy, f32(dims.K * dims.tiles)));
  }
${pairWgsl("uneven == 0u", "dw", "i * 9u")}
}`;

const workgroupWgsl = `${shared}${sizesWgsl("sizesX")}${sizesWgsl("sizesDy")}
var<workgroup> weights: array<f32, ${9 * lanes}>;
var<workgroup> uneven: array<u32, ${lanes}>;
fn kernel(group: u32, lane: u32) {
  let g = group / dims.blocks;
  let block = group % dims.blocks * ${lanes}u;
${runWgsl}
  var found = 0u;
  for (var n = first + lane; n < last; n += ${lanes}u) {
    let isEvenX = isEven(of_sizesX(n, 0u, 1u), f32(dims.C * dims.tiles));
    let isEvenDy = isEven(of_sizesDy(n, 0u, 1u), f32(dims.K * dims.tiles));
    found |= select(1u, 0u, isEvenX && isEvenDy);
  }
  uneven[lane] = found;
  workgroupBarrier();
  for (var reach = ${lanes / 2}u; reach > 0u; reach /= 2u) {
    if (lane < reach) { uneven[lane] |= uneven[lane + reach]; }
    workgroupBarrier();
  }
  let pair = block + lane;
  if (pair < pairs) {
${pairWgsl("uneven[0] == 0u", "weights", "lane * 9u")}
  }
  workgroupBarrier();
  for (var tap = 0u; tap < 9u; tap++) { // whole lines of memory
    let at = tap * ${lanes}u + lane;
    if (block * 9u + at < pairs * 9u) { dw[(g * pairs + block) * 9u + at] = weights[at]; }
  }
}`;

/**
 * dw[g] = G' du[g] G, the weight gradient of a group of images. If x or dy of any image is uneven, or a result is not
 * finite, it is computed tap by tap instead, because the transforms overflow earlier.
 */
const weightTarget = defineOp({
  name: "winogradWeightTarget",
  signature:
    "du[E, K, C], x[N, C, H, W], dy[N, K, P, Q], sizesX[N, S, 2], sizesDy[N, S, 2] -> dw[G, K, C, 3, 3]",
  attributes: { padding: "u32", run: "u32" },
  derive: ({ E, P, Q, K, C }) => ({
    G: E / 36,
    tiles: tilesOf(P, Q).tiles,
    blocks: Math.ceil(K * C / lanes),
  }),
  invocations: ({ G, K, C }) => G * K * C,
  workgroups: ({ G, blocks }, { software }) => software ? undefined : { count: G * blocks, lanes },
  wgsl: ({ software }) => software ? invocationWgsl : workgroupWgsl,
  reference({ du, x, dy, sizesX, sizesDy, dw }, dims) {
    const { N, G, K, C, S, tiles, run } = dims;
    correlate({ x, dy, dw }, { ...dims, ...plainGeometry(dims.padding), R: 3, S: 3 });
    for (let pair = 0; pair < G * K * C; pair++) {
      const g = Math.floor(pair / (K * C));
      const made = bothSides(
        transposed(weightMatrix),
        (i, j) => du[(36 * g + 6 * i + j) * K * C + pair % (K * C)],
      );
      const images = Array.from({ length: Math.min(run, N - g * run) }, (_, i) => g * run + i);
      const areEven = images.every((n) =>
        isEven(sizesX, n, S, C * tiles) && isEven(sizesDy, n, S, K * tiles)
      );
      if (!areEven || !made.every(Number.isFinite)) continue;
      dw.set(made, 9 * pair);
    }
  },
  samples: [
    {
      shapes: { du: [72, 2, 3], x: [3, 3, 4, 5], dy: [3, 2, 4, 5], sizesX: [3, 1, 2], sizesDy: [3, 1, 2] },
      values: { sizesX: [1, 4, 1, 5, 9000, 12], sizesDy: [1, 4, 2, 4, 0, 0] },
      attributes: { padding: 1, run: 2 },
    },
    {
      shapes: { du: [36, 1, 1], x: [1, 1, 3, 3], dy: [1, 1, 1, 1], sizesX: [1, 1, 2], sizesDy: [1, 1, 2] },
      values: { sizesX: [1, 1], sizesDy: [3e15, 7e3] },
      attributes: { padding: 0, run: 1 },
    },
  ],
});

/** The passes of a convolution, plain or transposed. */
export function convolutionPasses(
  { N, B, C, H, W, A, D, K, P, Q, paddingH: padding, transposed }: Dims,
  { software }: Tuning,
  terms: Terms,
): readonly Pass[] {
  const passes = new Passes();
  const slices = slicesOf(N, C, tilesOf(P, Q).tiles, software);
  const x = passes.buffer("x", [N, C, H, W]);
  const w = passes.buffer("w", [A, D, 3, 3]);
  const before = transposed ? 2 - padding : padding;
  const [v, u, measured] = passes.add(convolutionInputs, [x, w], {
    padding: before,
    turned: transposed,
    S: slices,
  });
  const [sizes] = slices > 0 ? [measured] : passes.add(tileSizes, [v], { N, run: N });
  const [m] = passes.add(matmulOp, [u, v], {});
  const shapes = { bias: [B, K], residual: [N, K, P, Q] };
  const added = terms.map((term) => passes.buffer(term, shapes[term]));
  passes.add(targets[terms.length], [m, x, w, sizes, ...added], { padding, transposed }, "y");
  return passes.list;
}

/** The passes of dw for each group of `run` images. */
export function weightGradientPasses(
  { N, C, H, W, K, P, Q, paddingH: padding, run }: Dims,
  { software }: Tuning,
): readonly Pass[] {
  const passes = new Passes();
  const S = slicesOf(N, Math.min(C, K), tilesOf(P, Q).tiles, software);
  const x = passes.buffer("x", [N, C, H, W]);
  const dy = passes.buffer("dy", [N, K, P, Q]);
  const [v, z, ...measured] = passes.add(gradientInputs, [x, dy], { padding, run, S });
  const [sizesX, sizesDy] = S > 0
    ? measured
    : [v, z].map((tiles) => passes.add(tileSizes, [tiles], { N, run })[0]);
  const [du] = passes.add(matmulTransposedBOp, [z, v], {});
  passes.add(weightTarget, [du, x, dy, sizesX, sizesDy], { padding, run }, "dw");
  return passes.list;
}
