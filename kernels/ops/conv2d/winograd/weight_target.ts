import { defineOp } from "../../../op.ts";
import { repeatLines } from "../../matmul/product.ts";
import { correlate, plainGeometry } from "../geometry.ts";
import {
  bothSides,
  evennessWgsl,
  inTwoDimensions,
  isEven,
  sizesWgsl,
  stepsWgsl,
  transposed,
  weightMatrix,
} from "./transforms.ts";
import { tilesOf } from "./inputs.ts";

/** Lanes of a workgroup, a pair of channels each. */
const lanes = 256;

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
export const weightTarget = defineOp({
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
