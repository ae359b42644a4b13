import type { Dims, Tuning } from "../../devices/device.ts";
import { defineOp, type Op } from "../../op.ts";

/**
 * Declaration fields of an op whose WGSL also holds for vectors of four numbers: on GPUs they go through memory faster.
 * Its specialised dims have `width`, the numbers of an invocation.
 *
 * @param buffers names of the buffers that hold vectors
 * @param count number of elements
 * @param fits whether each buffer is a whole number of vectors; by default, if `count` is
 */
export function inQuads(
  buffers: readonly string[],
  count: (dims: Dims) => number,
  fits: (dims: Dims) => boolean = (dims) => count(dims) % 4 === 0,
) {
  const widthOf = (dims: Dims, { software }: Tuning) => !software && fits(dims) ? 4 : 1;
  return {
    specialise: (dims: Dims, tuning: Tuning): Dims => ({ width: widthOf(dims, tuning) }),
    vectors: ({ width }: Dims): readonly string[] => width === 4 ? buffers : [],
    invocations: (dims: Dims, tuning: Tuning): number => count(dims) / widthOf(dims, tuning),
  };
}

/** Functions that do not lose NaN. */
export const nanWgsl =
  `// Recognises NaN by its bits: WGSL's max, min, exp and log may drop NaN, and compilers may assume that there is none.
fn isNan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }
// The larger of two numbers; NaN if one of them is.
fn larger(a: f32, b: f32) -> f32 { return select(select(max(a, b), b, isNan(b)), a, isNan(a)); }
// Whether b is larger than a, NaN being larger than all numbers.
fn isLarger(b: f32, a: f32) -> bool { return b > a || (isNan(b) && !isNan(a)); }
fn expOf(v: f32) -> f32 { return select(exp(v), v, isNan(v)); }
fn logOf(v: f32) -> f32 { return select(log(v), v, isNan(v)); }
`;

/** The normal distribution function. */
export const erfWgsl =
  `// Phi(x) = (1 + erf(x / sqrt 2)) / 2 to 1e-7: for x <= 0, Phi(x) = p(s) exp(-x^2 / 2) / 2 with s = 1 / (1 + 0.3275911 |x| / sqrt 2).
// Source: Abramowitz and Stegun 1964, 7.1.26
fn normalCdf(x: f32) -> f32 {
  let s = 1.0 / (1.0 + 0.23164189 * abs(x));
  let p = s * (0.254829592 + s * (-0.284496736 + s * (1.421413741 + s * (-1.453152027 + s * 1.061405429))));
  let tail = 0.5 * p * exp(-0.5 * x * x);
  return select(tail, 1.0 - tail, x > 0.0);
}
`;

/**
 * Error function to f64 accuracy, by the series erf(x) = 2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!,
 * whose terms are all of one sign.
 *
 * Source: Abramowitz and Stegun 1964, 7.1.6
 */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= 2 * x * x / (2 * n + 1);
    sum += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}

/** Standard normal density phi(x) and distribution function Phi(x). */
const phi = (x: number) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
const Phi = (x: number) => (1 + erf(x / Math.SQRT2)) / 2;

/** x Phi(x). */
export const geluOf = (x: number): number => x * Phi(x);
/** d/dx x Phi(x) = Phi(x) + x phi(x). */
export const geluSlope = (x: number): number => Phi(x) + x * phi(x);

/** The shift of a plain product: 0 would turn a product of -0 into 0. */
export const noShift = -0;

/** y = scale x + shift: every operation of a tensor with a plain number. */
export const affine: Op<"x[S...] -> y[S...]", { scale: "f32"; shift: "f32" }> = defineOp({
  name: "affine",
  signature: "x[S...] -> y[S...]",
  attributes: { scale: "f32", shift: "f32" },
  ...inQuads(["x", "y"], ({ S }) => S),
  wgsl: "fn kernel(i: u32) { y[i] = dims.scale * x[i] + dims.shift; }",
  backward: ({ dy }, { scale }) => ({ x: () => affine(dy, { scale, shift: noShift }) }),
  reference({ x, y }, { scale, shift }) {
    for (let i = 0; i < y.length; i++) y[i] = scale * x[i] + shift;
  },
  wasm: "affine",
  samples: [[3, 5], [3, 8]].map((x) => ({ shapes: { x }, attributes: { scale: -2, shift: 0.5 } })),
});
