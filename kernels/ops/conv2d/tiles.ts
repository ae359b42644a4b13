import type { Dims } from "../../devices/device.ts";
import { repeatGrid, repeatLines, vectorOf } from "../matmul/product.ts";

/** Pixels of the target that one invocation of a direct convolution computes for some channels, in registers. */
export interface PixelTile {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 4;
}

/**
 * Tiles of direct convolutions. Software adapters take the first, the largest: they load numbers lane by lane, so each
 * load should feed as much arithmetic as possible. GPUs may run more invocations at once with a smaller one.
 */
export const pixelTiles: readonly PixelTile[] = [7, 4, 2].map((height) => ({
  height,
  width: 4,
  channels: 4,
}));
/** The tile of GPUs for a single channel. */
export const singleTile: PixelTile = { height: 2, width: 4, channels: 1 };

/**
 * Number of input channels that an invocation of the weight gradient combines with four output channels, and its pixels
 * at a time.
 */
const weightTile = (R: number) =>
  R <= 3 ? { inputs: 2, height: 7, width: 4 } : { inputs: 1, height: 1, width: 1 };

/** Number of tiles needed to cover an image. */
function tilesCovering(height: number, width: number, tile: PixelTile): number {
  return Math.ceil(height / tile.height) * Math.ceil(width / tile.width);
}

/** Number of invocations of a direct convolution. */
export function convolutionTiles({ N, K, P, Q }: Dims, tile: PixelTile): number {
  return N * Math.ceil(K / tile.channels) * tilesCovering(P, Q, tile);
}

/** Number of tiles needed to cover a weight. */
export function weightTiles(K: number, C: number, R: number): number {
  return Math.ceil(K / 4) * Math.ceil(C / weightTile(R).inputs);
}

/** What an op adds to a convolution: bias[B, K], and a residual of the target's shape. */
export type Terms = readonly ("bias" | "residual")[];

/** WGSL of the index of the bias of channel k of image n. */
export const biasAt = (k: string) => `n % dims.B * dims.K + ${k}`;

/** WGSL to store in y[to]: a value plus its terms, with the bias as the expression `offset`. */
export function storedWgsl(value: string, terms: Terms, offset: string): string {
  const added = { bias: offset, residual: "residual[to]" };
  return [value, ...terms.map((term) => added[term])].join(" + ");
}

/**
 * WGSL of how far before pixel 0 of x the first pixel of y reads: the padding, or that of the transpose. The taps of
 * plain convolutions are numbers.
 */
export function startOf({ transposed, R, S }: Dims, axis: "H" | "W"): string {
  if (!transposed) return `dims.padding${axis}`;
  const last = axis === "H" ? R : S;
  const reach = last === undefined
    ? `dims.dilation${axis} * (dims.${axis === "H" ? "R" : "S"} - 1u)`
    : `${last - 1}u`;
  return `(${reach} - dims.padding${axis})`;
}

/**
 * WGSL of the weight from channel c of x to channel k of y in one group. A transposed convolution has it rotated by 180
 * degrees, with channels swapped.
 */
export function weightAt({ transposed, R, S }: Dims, k: string, c: string, tap: string): string {
  return transposed
    ? `w[(${c} * dims.K + ${k}) * ${R * S}u + ${R * S - 1}u - ${tap}]`
    : `w[(${k} * dims.C + ${c}) * ${R * S}u + ${tap}]`;
}

/** Channels k0 to k3; beyond the end, the last channel is repeated. */
const fourChannels =
  "let last = dims.K - 1u; let k1 = min(k0 + 1u, last); let k2 = min(k0 + 2u, last); let k3 = min(k0 + 3u, last);";

/** The rows of a tile, and their taps, that use row `row` of the source. */
const tapsOf = (row: number, R: number, height: number) =>
  Array.from({ length: R }, (_, r) => ({ r, p: row - r })).filter(({ p }) => p >= 0 && p < height);

/**
 * A direct convolution: an invocation holds height x width pixels of some channels. For each source channel it walks
 * the source rows once; each row is used for all target rows and taps that need it.
 */
export function convolutionWgsl(dims: Dims, { height, width, channels }: PixelTile, terms: Terms): string {
  const { R, S } = dims;
  const isSingle = channels === 1;
  const columns = width + S - 1;
  const load = (j: number) => `      let v${j} = select(0.0, x[base + w${j}], within && inside${j});`;
  const add = (row: number) =>
    tapsOf(row, R, height).map(({ r, p }) =>
      repeatGrid(S, width, (s, q) => `      sum_${p}_${q} += v${q + s} * t${r * S + s};`)
    );
  const store = (j: number) => (p: number, q: number) =>
    `    if (p0 + ${p}u < dims.P && q0 + ${q}u < dims.Q) { let to = origin + ${p}u * dims.Q + ${q}u; ` +
    `y[to] = ${storedWgsl(`sum_${p}_${q}${isSingle ? "" : `[${j}]`}`, terms, "offset")}; }`;
  const row = (row: number) =>
    `    {
      let h = p0 + ${row}u - ${startOf(dims, "H")};
      let within = h < dims.H;
      let base = (plane + h) * dims.W;
${repeatLines(columns, load)}
${add(row).join("\n")}
    }`;
  const channel = (j: number) =>
    `  if (k0 + ${j}u < dims.K) {
    let k = k0 + ${j}u;
    ${terms.includes("bias") ? `let offset = bias[${biasAt("k")}];` : ""}
    let origin = ((n * dims.K + k) * dims.P + p0) * dims.Q + q0;
${repeatGrid(height, width, store(j))}
  }`;
  return `
fn kernel(i: u32) {
  let quads = (dims.K + ${channels - 1}u) / ${channels}u;
  let across = (dims.Q + ${width - 1}u) / ${width}u;
  let down = (dims.P + ${height - 1}u) / ${height}u;
  let k0 = i % quads * ${channels}u;
  let tile = i / quads;
  let q0 = tile % across * ${width}u;
  let p0 = tile / across % down * ${height}u;
  let n = tile / (across * down);
  ${isSingle ? "" : fourChannels}
${repeatGrid(height, width, (p, q) => `  var sum_${p}_${q} = ${isSingle ? "0.0" : "vec4f()"};`)}
${
    repeatLines(columns, (j) =>
      `  let w${j} = q0 + ${j}u - ${startOf(dims, "W")}; let inside${j} = w${j} < dims.W;`)
  }
  for (var c = 0u; c < dims.C; c++) {
    let plane = (n * dims.C + c) * dims.H;
${
    repeatLines(R * S, (tap) => {
      const weight = (j: number) => weightAt(dims, `k${j}`, "c", `${tap}u`);
      return `    let t${tap} = ${isSingle ? weight(0) : vectorOf(weight)};`;
    })
  }
${repeatLines(height + R - 1, row)}
  }
${repeatLines(channels, channel)}
}`;
}

/**
 * Weight gradient of a run of images: an invocation holds all taps of four output x `inputs` input channels and walks
 * the pixels of dy, height x width at a time; each row of x is used for all rows of dy and taps that need it.
 */
export function weightGradientWgsl(R: number, S: number): string {
  const { inputs, height, width } = weightTile(R);
  const columns = width + S - 1;
  const pixel = (r: number, j: number) => {
    const four = vectorOf((k) => `dy[((n * dims.K + k${k}) * dims.P + p + ${r}u) * dims.Q + q + ${j}u]`);
    return `        let d_${r}_${j} = select(vec4f(), ${four}, p + ${r}u < dims.P && q + ${j}u < dims.Q);`;
  };
  const add = (row: number, c: number) =>
    tapsOf(row, R, height).map(({ r, p }) =>
      repeatGrid(S, width, (s, j) => `            sum_${c}_${r * S + s} += v${j + s} * d_${p}_${j};`)
    );
  const channel = (row: number) => (c: number) =>
    `          {
            let base = ((n * dims.C + c_${c}) * dims.H + h) * dims.W;
${repeatLines(columns, (j) => `            let v${j} = select(0.0, x[base + w${j}], within && inside${j});`)}
${add(row, c).join("\n")}
          }`;
  const row = (row: number) =>
    `        {
          let h = p + ${row}u - dims.paddingH;
          let within = h < dims.H;
${repeatLines(inputs, channel(row))}
        }`;
  const store = (c: number, j: number) =>
    `  if (c0 + ${c}u < dims.C && k0 + ${j}u < dims.K) {
    let to = ((g * dims.K + k0 + ${j}u) * dims.C + c0 + ${c}u) * ${R * S}u;
${repeatLines(R * S, (tap) => `    dw[to + ${tap}u] = sum_${c}_${tap}[${j}];`)}
  }`;
  return `
fn kernel(i: u32) {
  let tilesC = (dims.C + ${inputs - 1}u) / ${inputs}u;
  let tilesK = (dims.K + 3u) / 4u;
  let c0 = i % tilesC * ${inputs}u;
  let k0 = i / tilesC % tilesK * 4u;
  let g = i / (tilesC * tilesK);
  ${fourChannels}
${repeatLines(inputs, (c) => `  let c_${c} = min(c0 + ${c}u, dims.C - 1u);`)}
${repeatGrid(inputs, R * S, (c, tap) => `  var sum_${c}_${tap} = vec4f();`)}
  for (var n = g * dims.run; n < min((g + 1u) * dims.run, dims.N); n++) {
    for (var p = 0u; p < dims.P; p += ${height}u) {
      for (var q = 0u; q < dims.Q; q += ${width}u) {
${repeatGrid(height, width, pixel)}
${
    repeatLines(columns, (j) =>
      `        let w${j} = q + ${j}u - dims.paddingW; let inside${j} = w${j} < dims.W;`)
  }
${repeatLines(height + R - 1, row)}
      }
    }
  }
${repeatGrid(inputs, 4, store)}
}`;
}

/** Lanes of a workgroup that shares the pixels of a weight gradient, and how many each takes at a time. */
const sharing = { lanes: 256, height: 2, width: 4 };

/** Workgroups of `sharedWeightGradientWgsl`. */
export const pairsOf = ({ G, K, C }: Dims) => ({ count: G * K * C, lanes: sharing.lanes });

/**
 * Weight gradient of a run of images on a GPU, for few pairs of channels: the lanes of a workgroup hold all taps of one
 * pair, and share the pixels of dy.
 */
export function sharedWeightGradientWgsl({ R, S }: Dims): string {
  const { lanes, height, width } = sharing;
  const total = (from: (tap: number) => string) => repeatLines(R * S, from);
  const add = ({ r, p }: { r: number; p: number }) =>
    repeatLines(S, (s) => {
      const products = Array.from({ length: width }, (_, j) => `v${s + j} * d_${p}_${j}`);
      return `      sum_${r * S + s} += ${products.join(" + ")};`;
    });
  const row = (row: number) =>
    `    {
      let h = p + ${row}u - dims.paddingH;
      let base = ((n * dims.C + c) * dims.H + h) * dims.W;
${
      repeatLines(
        width + S - 1,
        (j) => `      let v${j} = select(0.0, x[base + w${j}], h < dims.H && w${j} < dims.W);`,
      )
    }
${tapsOf(row, R, height).map(add).join("\n")}
    }`;
  const pixel = (p: number, j: number) =>
    `    let d_${p}_${j} = select(0.0, dy[origin + ${p}u * dims.Q + ${j}u], p + ${p}u < dims.P && q + ${j}u < dims.Q);`;
  return `var<workgroup> parts: array<f32, ${R * S * lanes}>;
fn kernel(group: u32, lane: u32) {
  let c = group % dims.C;
  let k = group / dims.C % dims.K;
  let first = group / (dims.C * dims.K) * dims.run;
  let across = (dims.Q + ${width - 1}u) / ${width}u;
  let down = (dims.P + ${height - 1}u) / ${height}u;
  let count = min(dims.run, dims.N - first) * down * across;
${total((tap) => `  var sum_${tap} = 0.0;`)}
  for (var tile = lane; tile < count; tile += ${lanes}u) {
    let n = first + tile / (down * across);
    let p = tile / across % down * ${height}u;
    let q = tile % across * ${width}u;
    let origin = ((n * dims.K + k) * dims.P + p) * dims.Q + q;
${repeatGrid(height, width, pixel)}
${repeatLines(width + S - 1, (j) => `    let w${j} = q + ${j}u - dims.paddingW;`)}
${repeatLines(R + height - 1, row)}
  }
${total((tap) => `  parts[lane + ${tap * lanes}u] = sum_${tap};`)}
  workgroupBarrier();
  for (var reach = ${lanes / 2}u; reach > 0u; reach /= 2u) {
    if (lane < reach) {
${total((tap) => `      parts[lane + ${tap * lanes}u] += parts[lane + reach + ${tap * lanes}u];`)}
    }
    workgroupBarrier();
  }
  if (lane < ${R * S}u) { dw[group * ${R * S}u + lane] = parts[lane * ${lanes}u]; }
}`;
}
