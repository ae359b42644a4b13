import { repeatLines } from "../matmul/product.ts";

/** Pixels of the target that one invocation of a direct convolution computes for four channels, all in registers. */
export interface PixelTile {
  readonly height: number;
  readonly width: number;
}

/**
 * Tiles of direct convolutions. Software adapters load numbers lane by lane, so each load should serve much arithmetic:
 * they take the first, the largest. GPUs may run more invocations at once with a smaller one.
 */
export const pixelTiles = [{ height: 7, width: 4 }, { height: 4, width: 4 }, {
  height: 2,
  width: 4,
}] as const;

/** Channels of x that an invocation of the weight gradient combines with four of y, and the pixels it takes at once. */
const weightTile = (R: number) =>
  R <= 3 ? { inputs: 2, height: 7, width: 4 } : { inputs: 1, height: 1, width: 1 };

/** Number of tiles that cover an image. */
export function tilesCovering(height: number, width: number, tile: PixelTile): number {
  return Math.ceil(height / tile.height) * Math.ceil(width / tile.width);
}

/** Number of tiles that cover a weight. */
export function weightTiles(K: number, C: number, R: number): number {
  return Math.ceil(K / 4) * Math.ceil(C / weightTile(R).inputs);
}

/** What distinguishes the convolution from its input gradient. */
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
  /** Expression of what is added to channel k of image n. */
  readonly bias?: (n: string, k: string) => string;
  /** Expression of what is added to the target's element `to`. */
  readonly addend?: string;
}

/**
 * A direct convolution: an invocation holds height x width pixels of four channels. For each source channel it walks
 * the source rows once; a row serves every target row and tap that needs it.
 */
export function convolutionWgsl(conv: Convolution, { height, width }: PixelTile): string {
  const { R, S, source, target, lengths: { C, H, W, K, P, Q }, padding, weight, bias, addend } = conv;
  const columns = width + S - 1;
  const sum = (p: number, q: number) => `sum_${p}_${q}`;
  const taps = (row: number) =>
    Array.from({ length: R }, (_, r) => ({ r, p: row - r })).filter(({ p }) => p >= 0 && p < height);
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
  let k1 = min(k0 + 1u, last); let k2 = min(k0 + 2u, last); let k3 = min(k0 + 3u, last);
${repeatLines(height, (p) => repeatLines(width, (q) => `  var ${sum(p, q)} = vec4f();`))}
${repeatLines(columns, (j) => `  let w${j} = q0 + ${j}u - ${padding}; let inside${j} = w${j} < ${W};`)}
  for (var c = 0u; c < ${C}; c++) {
    let plane = (n * ${C} + c) * ${H};
${
    repeatLines(R * S, (tap) =>
      `    let t${tap} = vec4f(${
        ["k0", "k1", "k2", "k3"].map((k) =>
          weight(k, "c", `${tap}u`)
        ).join(", ")
      });`)
  }
${
    repeatLines(height + R - 1, (row) =>
      `    {
      let h = p0 + ${row}u - ${padding};
      let within = h < ${H};
      let base = (plane + h) * ${W};
${
        repeatLines(columns, (j) =>
          `      let v${j} = select(0.0, ${source}[base + w${j}], within && inside${j});`)
      }
${
        taps(row).map(({ r, p }) =>
          repeatLines(S, (s) =>
            repeatLines(width, (q) => `      ${sum(p, q)} += v${q + s} * t${r * S + s};`))
        ).join("\n")
      }
    }`)
  }
  }
${
    repeatLines(4, (j) =>
      `  if (k0 + ${j}u < ${K}) {
    let k = k0 + ${j}u;
    let offset = ${bias?.("n", "k") ?? "0.0"};
    let origin = ((n * ${K} + k) * ${P} + p0) * ${Q} + q0;
${
        repeatLines(height, (p) =>
          repeatLines(width, (q) =>
            `    if (p0 + ${p}u < ${P} && q0 + ${q}u < ${Q}) { let to = origin + ${p}u * ${Q} + ${q}u; ` +
            `${target}[to] = ${sum(p, q)}[${j}] + offset${addend ? ` + ${addend}` : ""}; }`))
      }
  }`)
  }
}`;
}

/**
 * Weight gradient of a run of images: an invocation holds all taps of four output channels x `inputs` input channels
 * and walks the pixels of dy, height x width at once; a row of x serves every row of dy and tap that needs it.
 */
export function weightGradientWgsl(R: number, S: number): string {
  const { inputs, height, width } = weightTile(R);
  const columns = width + S - 1;
  const sum = (c: number, tap: number) => `sum_${c}_${tap}`;
  const lanes = ["k0", "k1", "k2", "k3"];
  const taps = (row: number) =>
    Array.from({ length: R }, (_, r) => ({ r, p: row - r })).filter(({ p }) => p >= 0 && p < height);
  return `
fn kernel(i: u32) {
  let tilesC = (dims.C + ${inputs - 1}u) / ${inputs}u;
  let tilesK = (dims.K + 3u) / 4u;
  let c0 = i % tilesC * ${inputs}u;
  let k0 = i / tilesC % tilesK * 4u;
  let g = i / (tilesC * tilesK);
  let last = dims.K - 1u;
  let k1 = min(k0 + 1u, last); let k2 = min(k0 + 2u, last); let k3 = min(k0 + 3u, last);
${repeatLines(inputs, (c) => `  let c_${c} = min(c0 + ${c}u, dims.C - 1u);`)}
${repeatLines(inputs, (c) => repeatLines(R * S, (tap) => `  var ${sum(c, tap)} = vec4f();`))}
  for (var n = g * dims.run; n < min((g + 1u) * dims.run, dims.N); n++) {
    for (var p = 0u; p < dims.P; p += ${height}u) {
      for (var q = 0u; q < dims.Q; q += ${width}u) {
${
    repeatLines(height, (r) =>
      repeatLines(width, (j) =>
        `        let d_${r}_${j} = select(vec4f(), vec4f(${
          lanes.map((k) =>
            `dy[((n * dims.K + ${k}) * dims.P + p + ${r}u) * dims.Q + q + ${j}u]`
          ).join(", ")
        }), p + ${r}u < dims.P && q + ${j}u < dims.Q);`))
  }
${
    repeatLines(columns, (j) =>
      `        let w${j} = q + ${j}u - dims.padding; let inside${j} = w${j} < dims.W;`)
  }
${
    repeatLines(height + R - 1, (row) =>
      `        {
          let h = p + ${row}u - dims.padding;
          let within = h < dims.H;
${
        repeatLines(inputs, (c) =>
          `          {
            let base = ((n * dims.C + c_${c}) * dims.H + h) * dims.W;
${repeatLines(columns, (j) => `            let v${j} = select(0.0, x[base + w${j}], within && inside${j});`)}
${
            taps(row).map(({ r, p }) =>
              repeatLines(
                S,
                (s) =>
                  repeatLines(width, (j) => `            ${sum(c, r * S + s)} += v${j + s} * d_${p}_${j};`),
              )
            ).join("\n")
          }
          }`)
      }
        }`)
  }
      }
    }
  }
${
    repeatLines(inputs, (c) =>
      repeatLines(4, (j) =>
        `  if (c0 + ${c}u < dims.C && k0 + ${j}u < dims.K) {
    let to = ((g * dims.K + k0 + ${j}u) * dims.C + c0 + ${c}u) * ${R * S}u;
${repeatLines(R * S, (tap) => `    dw[to + ${tap}u] = ${sum(c, tap)}[${j}];`)}
  }`))
  }
}`;
}
