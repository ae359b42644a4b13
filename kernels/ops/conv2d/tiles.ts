import { repeatGrid, repeatLines, vectorOf } from "../matmul/product.ts";

/** Pixels of the target that one invocation of a direct convolution computes for four channels, in registers. */
export interface PixelTile {
  readonly height: number;
  readonly width: number;
}

/**
 * Tiles of direct convolutions. Software adapters take the first, the largest: they load numbers lane by lane, so each
 * load should serve much arithmetic. GPUs may run more invocations at once with a smaller one.
 */
export const pixelTiles: readonly PixelTile[] = [7, 4, 2].map((height) => ({ height, width: 4 }));

/**
 * Number of input channels that an invocation of the weight gradient combines with four output channels, and its pixels
 * at a time.
 */
const weightTile = (R: number) =>
  R <= 3 ? { inputs: 2, height: 7, width: 4 } : { inputs: 1, height: 1, width: 1 };

/** Number of tiles needed to cover an image. */
export function tilesCovering(height: number, width: number, tile: PixelTile): number {
  return Math.ceil(height / tile.height) * Math.ceil(width / tile.width);
}

/** Number of tiles needed to cover a weight. */
export function weightTiles(K: number, C: number, R: number): number {
  return Math.ceil(K / 4) * Math.ceil(C / weightTile(R).inputs);
}

/** How a convolution differs from its input gradient, as WGSL. */
export interface Convolution {
  readonly R: number;
  readonly S: number;
  readonly source: string;
  readonly target: string;
  /** Expressions for the lengths of source[N, C, H, W] and target[N, K, P, Q]. */
  readonly lengths: { C: string; H: string; W: string; K: string; P: string; Q: string };
  readonly padding: string;
  /** Expression of the weight from channel c to channel k at a tap. */
  readonly weight: (k: string, c: string, tap: string) => string;
  /** Expression of the bias of channel k of image n. */
  readonly bias?: (n: string, k: string) => string;
  /** Expression to add to the target's element `to`. */
  readonly addend?: string;
}

/** Channels k0 to k3; beyond the end, the last channel is repeated. */
const fourChannels = "let k1 = min(k0 + 1u, last); let k2 = min(k0 + 2u, last); let k3 = min(k0 + 3u, last);";

/** The rows of a tile, and their taps, that use row `row` of the source. */
const tapsOf = (row: number, R: number, height: number) =>
  Array.from({ length: R }, (_, r) => ({ r, p: row - r })).filter(({ p }) => p >= 0 && p < height);

/**
 * A direct convolution: an invocation holds height x width pixels of four channels. For each source channel it walks
 * the source rows once; each row is used for all target rows and taps that need it.
 */
export function convolutionWgsl(conv: Convolution, { height, width }: PixelTile): string {
  const { R, S, source, target, lengths: { C, H, W, K, P, Q }, padding, weight, bias, addend } = conv;
  const columns = width + S - 1;
  const plus = addend ? ` + ${addend}` : "";
  const load = (j: number) => `      let v${j} = select(0.0, ${source}[base + w${j}], within && inside${j});`;
  const add = (row: number) =>
    tapsOf(row, R, height).map(({ r, p }) =>
      repeatGrid(S, width, (s, q) => `      sum_${p}_${q} += v${q + s} * t${r * S + s};`)
    );
  const store = (j: number) => (p: number, q: number) =>
    `    if (p0 + ${p}u < ${P} && q0 + ${q}u < ${Q}) { let to = origin + ${p}u * ${Q} + ${q}u; ` +
    `${target}[to] = sum_${p}_${q}[${j}] + offset${plus}; }`;
  const row = (row: number) =>
    `    {
      let h = p0 + ${row}u - ${padding};
      let within = h < ${H};
      let base = (plane + h) * ${W};
${repeatLines(columns, load)}
${add(row).join("\n")}
    }`;
  const channel = (j: number) =>
    `  if (k0 + ${j}u < ${K}) {
    let k = k0 + ${j}u;
    let offset = ${bias?.("n", "k") ?? "0.0"};
    let origin = ((n * ${K} + k) * ${P} + p0) * ${Q} + q0;
${repeatGrid(height, width, store(j))}
  }`;
  return `
fn kernel(i: u32) {
  let quads = (${K} + 3u) / 4u;
  let across = (${Q} + ${width - 1}u) / ${width}u;
  let down = (${P} + ${height - 1}u) / ${height}u;
  let k0 = i % quads * 4u;
  let tile = i / quads;
  let q0 = tile % across * ${width}u;
  let p0 = tile / across % down * ${height}u;
  let n = tile / (across * down);
  let last = ${K} - 1u;
  ${fourChannels}
${repeatGrid(height, width, (p, q) => `  var sum_${p}_${q} = vec4f();`)}
${repeatLines(columns, (j) => `  let w${j} = q0 + ${j}u - ${padding}; let inside${j} = w${j} < ${W};`)}
  for (var c = 0u; c < ${C}; c++) {
    let plane = (n * ${C} + c) * ${H};
${repeatLines(R * S, (tap) => `    let t${tap} = ${vectorOf((j) => weight(`k${j}`, "c", `${tap}u`))};`)}
${repeatLines(height + R - 1, row)}
  }
${repeatLines(4, channel)}
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
          let h = p + ${row}u - dims.padding;
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
  let last = dims.K - 1u;
  ${fourChannels}
${repeatLines(inputs, (c) => `  let c_${c} = min(c0 + ${c}u, dims.C - 1u);`)}
${repeatGrid(inputs, R * S, (c, tap) => `  var sum_${c}_${tap} = vec4f();`)}
  for (var n = g * dims.run; n < min((g + 1u) * dims.run, dims.N); n++) {
    for (var p = 0u; p < dims.P; p += ${height}u) {
      for (var q = 0u; q < dims.Q; q += ${width}u) {
${repeatGrid(height, width, pixel)}
${
    repeatLines(columns, (j) =>
      `        let w${j} = q + ${j}u - dims.padding; let inside${j} = w${j} < dims.W;`)
  }
${repeatLines(height + R - 1, row)}
      }
    }
  }
${repeatGrid(inputs, 4, store)}
}`;
}
