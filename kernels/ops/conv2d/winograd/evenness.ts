import type { NumberArray } from "../../../devices/device.ts";
import { repeatLines } from "../../matmul/product.ts";

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
