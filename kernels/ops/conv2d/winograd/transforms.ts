import type { NumberArray } from "../../../devices/device.ts";
import { repeatLines } from "../../matmul/product.ts";

/** WGSL of the one-dimensional transforms; in two dimensions they run down the columns, then along the rows. */
export const stepsWgsl = `// B' d: six values of a source.
fn sourceStep(d: array<f32, 6>) -> array<f32, 6> {
  let a = d[4] - 4.0 * d[2];
  let b = d[3] - 4.0 * d[1];
  let c = d[4] - d[2];
  let e = 2.0 * (d[3] - d[1]);
  return array<f32, 6>(
    4.0 * d[0] + d[4] - 5.0 * d[2], a + b, a - b, c + e, c - e, 4.0 * d[1] + d[5] - 5.0 * d[3],
  );
}

// G g: three weights.
fn weightStep(g: array<f32, 3>) -> array<f32, 6> {
  let s = g[0] + g[2];
  let t = g[0] + 4.0 * g[2];
  let b = 2.0 * g[1];
  let sixth = -1.0 / 6.0;
  let small = 1.0 / 24.0;
  return array<f32, 6>(
    0.25 * g[0], sixth * (s + g[1]), sixth * (s - g[1]), small * (t + b), small * (t - b), g[2],
  );
}

// A' m: six products become four pixels.
fn targetStep(m: array<f32, 6>) -> array<f32, 4> {
  let s = m[1] + m[2];
  let d = m[1] - m[2];
  let t = m[3] + m[4];
  let e = m[3] - m[4];
  return array<f32, 4>(m[0] + (s + t), d + 2.0 * e, s + 4.0 * t, d + 8.0 * e + m[5]);
}

// A d: four pixels of a gradient.
fn gradientStep(d: array<f32, 4>) -> array<f32, 6> {
  let even = d[0] + d[2];
  let odd = d[1] + d[3];
  let even2 = d[0] + 4.0 * d[2];
  let odd2 = 2.0 * d[1] + 8.0 * d[3];
  return array<f32, 6>(d[0], even + odd, even - odd, even2 + odd2, even2 - odd2, d[3]);
}

// G' u: six sums become three weights.
fn weightGradientStep(u: array<f32, 6>) -> array<f32, 3> {
  let s = (u[1] + u[2]) * (1.0 / 6.0);
  let d = (u[2] - u[1]) * (1.0 / 6.0);
  let t = (u[3] + u[4]) * (1.0 / 24.0);
  let e = (u[3] - u[4]) * (1.0 / 12.0);
  return array<f32, 3>(0.25 * u[0] - s + t, d + e, 4.0 * t - s + u[5]);
}`;

/**
 * Winograd's F(4x4, 3x3): 16 pixels take 36 multiplications instead of 144.
 *
 *   y = A' [(G g G') * (B' d B)] A,   dg = G' [(B' d B) * (A dy A')] G     (* elementwise, ' transposed)
 *
 * d are overlapping 6x6 tiles of the source, y and dy 4x4 tiles of the target, g 3x3 weights. Each of the 36 elements
 * is a matrix product over channels (or tiles). The references use the matrices below; `stepsWgsl` computes the same
 * with fewer operations.
 *
 * Source: Winograd 1980, Arithmetic complexity of computations; Lavin and Gray 2015, arXiv:1509.09308
 */
export const sourceMatrix: readonly (readonly number[])[] = [ // B'
  [4, 0, -5, 0, 1, 0],
  [0, -4, -4, 1, 1, 0],
  [0, 4, -4, -1, 1, 0],
  [0, -2, -1, 2, 1, 0],
  [0, 2, -1, -2, 1, 0],
  [0, 4, 0, -5, 0, 1],
];

/** G. */
export const weightMatrix: readonly (readonly number[])[] = [
  [1 / 4, 0, 0],
  [-1 / 6, -1 / 6, -1 / 6],
  [-1 / 6, 1 / 6, -1 / 6],
  [1 / 24, 1 / 12, 1 / 6],
  [1 / 24, -1 / 12, 1 / 6],
  [0, 0, 1],
];

/** A'. */
export const targetMatrix: readonly (readonly number[])[] = [
  [1, 1, 1, 1, 1, 0],
  [0, 1, -1, 2, -2, 0],
  [0, 1, 1, 4, 4, 0],
  [0, 1, -1, 8, -8, 1],
];

/** A matrix with rows and columns swapped. */
export function transposed(m: readonly (readonly number[])[]): readonly (readonly number[])[] {
  return m[0].map((_, j) => m.map((row) => row[j]));
}

/** m v m' of a square tile v, whose elements are given row by row. */
export function bothSides(m: readonly (readonly number[])[], v: (i: number, j: number) => number): number[] {
  const inner = m[0].length;
  return m.flatMap((left) =>
    m.map((right) => {
      let total = 0;
      for (let i = 0; i < inner; i++) {
        for (let j = 0; j < inner; j++) {
          if (left[i] !== 0 && right[j] !== 0) total += left[i] * right[j] * v(i, j);
        }
      }
      return total;
    })
  );
}

/** Reads an element of an image; 0 outside. */
export function pixelOf(image: NumberArray, at: number, H: number, W: number) {
  return (h: number, w: number): number => h >= 0 && h < H && w >= 0 && w < W ? image[at + h * W + w] : 0;
}

/** Number of values that each step of `stepsWgsl` takes and returns. */
const steps = {
  sourceStep: [6, 6],
  weightStep: [3, 6],
  targetStep: [6, 4],
  gradientStep: [4, 6],
  weightGradientStep: [6, 3],
} as const;

/**
 * WGSL that applies a step down the columns, then along the rows. Element (i, j) of the result is `row_i[j]`.
 *
 * @param element WGSL expression of the tile's element (i, j)
 */
export function inTwoDimensions(step: keyof typeof steps, element: (i: number, j: number) => string): string {
  const [taken, returned] = steps[step];
  const list = (item: (i: number) => string) =>
    `array<f32, ${taken}>(${Array.from({ length: taken }, (_, i) => item(i)).join(", ")})`;
  return `${repeatLines(taken, (j) => `  let column_${j} = ${step}(${list((i) => element(i, j))});`)}
${repeatLines(returned, (i) => `  let row_${i} = ${step}(${list((j) => `column_${j}[${i}]`)});`)}`;
}

/**
 * Which images Winograd's transforms cannot handle: those with a tile that is huge, NaN, or far larger than typical.
 * Rounding errors of a transform grow with the largest value of a tile, so an outlier spoils its neighbours; those of a
 * direct convolution depend only on the values behind each result.
 *
 * Typical size: (mean of |x|^(1/4))^4, robust to a few outliers. A single value among zeros is count^4 times that, so
 * few tiles need a lower limit. The transforms note for each image and slice of its channels the largest size and the
 * sum of fourth roots; the ops that use the products decide.
 */

/** Element (1, 1) of the 36, to which all inner pixels of a tile contribute: its size is that of the tile. */
export const centre = 7;

/** Largest allowed ratio of a tile to the typical tile of its image. */
const maxTimes = 2048;
/** Limit for weights and transformed values: products of larger ones may overflow. */
export const huge = 1e15;

export const rootOf = (x: number): number => Math.abs(x) ** 0.25;

/** Combines sizes: x the largest, by its bits, so that NaN is larger than all numbers; y the sum of fourth roots. */
export const togetherWgsl = `fn together(a: vec2f, b: vec2f) -> vec2f {
  return vec2f(bitcast<f32>(max(bitcast<u32>(a.x), bitcast<u32>(b.x))), a.y + b.y);
}`;

/** WGSL of `isEven`, from the sizes of an image with a number of tiles in all of its channels. */
export const evennessWgsl = `${togetherWgsl}
fn isEven(all: vec2f, count: f32) -> bool {
  let root = all.y / count;
  let most = select(f32(${maxTimes}), min(f32(${maxTimes}), 0.5 * count * count * count), count > 2.0);
  return all.x < f32(${huge}) && all.x <= most * (root * root) * (root * root);
}`;

/** WGSL of a function of image n that combines every `step`-th of its slices in sizes[N, S, 2], four at a time. */
export function sizesWgsl(name: string): string {
  const slice = (j: number) =>
    `    let s${j} = min(s + ${j}u * step, dims.S - 1u); // counts only within
    let size${j} = vec2f(${name}[2u * (n * dims.S + s${j})], ${name}[2u * (n * dims.S + s${j}) + 1u]);`;
  return `
fn of_${name}(n: u32, first: u32, step: u32) -> vec2f {
  var all = vec2f();
  for (var s = first; s < dims.S; s += 4u * step) {
${repeatLines(4, slice)}
    all = together(all, size0);
${repeatLines(3, (j) => `    if (s + ${j + 1}u * step < dims.S) { all = together(all, size${j + 1}); }`)}
  }
  return all;
}`;
}

/** Reference: whether image n is even, by its sizes. */
export function isEven(sizes: NumberArray, n: number, S: number, count: number): boolean {
  let largest = 0, roots = 0;
  for (let s = n * S; s < (n + 1) * S; s++) {
    largest = Math.max(largest, sizes[2 * s]);
    roots += sizes[2 * s + 1];
  }
  const most = count > 2 ? Math.min(maxTimes, count ** 3 / 2) : maxTimes;
  return largest < huge && largest <= most * (roots / count) ** 4;
}
