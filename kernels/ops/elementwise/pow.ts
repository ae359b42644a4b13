import { refuse } from "../../core/checks.ts";
import type { Tensor } from "../../core/tensor.ts";
import { Transcendental } from "../../devices/cpu/elementwise_functions.ts";
import { defineOp, type Op } from "../../op.ts";
import { zeros } from "../layout/fill.ts";
import { multiply } from "./binary.ts";
import { nanWgsl } from "./shared_wgsl.ts";
import { sqrt, square } from "./unary.ts";

const power: Op<"x[S...] -> y[S...]", { exponent: "f32" }> = defineOp({
  name: "pow",
  signature: "x[S...] -> y[S...]",
  attributes: { exponent: "f32" },
  wgsl: `${nanWgsl}
fn kernel(i: u32) {
  let v = x[i];
  let p = dims.exponent;
  let size = abs(v);
  let isWhole = floor(p) == p;
  let isOdd = isWhole && fract(0.5 * p) != 0.0;
  var value = pow(size, p);
  if (size == 0.0) { value = select(size, 1.0 / size, p < 0.0); }
  if (v < 0.0 && isOdd) { value = -value; }
  if (isNan(v) || (v < 0.0 && size < 3.4028234e38 && !isWhole)) { value = bitcast<f32>(bitcast<u32>(v) | 0x7fc00000u); }
  y[i] = select(value, 1.0, p == 0.0);
}`,
  backward: ({ x, dy }, { exponent }) => ({
    x: () =>
      exponent === 0
        ? zeros(x.shape)
        : multiply(dy, multiply(power(x, { exponent: exponent - 1 }), exponent)),
  }),
  reference({ x, y }, { exponent }) {
    for (let i = 0; i < y.length; i++) y[i] = x[i] ** exponent;
  },
  wasm: ({ x, y }, { S: n, exponent: p }) => [
    { kernel: "transcendental", args: { x, y, n, f: Transcendental.pow, p } },
  ],
  samples: [
    { shapes: { x: [3, 5] }, attributes: { exponent: 3 } },
    ...[-2, -1, 0, 1, 5].map((exponent) => ({
      shapes: { x: [6] },
      attributes: { exponent },
      values: { x: [-1.5, -1, -0.5, 0.75, 1, 2] },
    })),
    ...[1.5, -0.75, 70].map((exponent) => ({
      shapes: { x: [6] },
      attributes: { exponent },
      values: { x: [0.05, 0.5, 1, 1.25, 1.5, 1.75] },
    })),
  ],
});

/**
 * x to the power of a number, elementwise. NaN for a negative x and an exponent that is not whole; 1 for exponent 0.
 *
 * @param exponent a number; for a tensor b of exponents, `exp(multiply(log(x), b))`
 */
export function pow(x: Tensor, exponent: number): Tensor {
  if (typeof exponent !== "number" || !Number.isFinite(Math.fround(exponent))) {
    const expected = "a number; for a tensor of exponents, use exp(multiply(log(x), b))";
    refuse(TypeError, `run pow: the exponent is ${exponent}`, expected);
  }
  if (exponent === 2) return square(x);
  return exponent === 0.5 ? sqrt(x) : power(x, { exponent });
}
