import type { Tensor } from "../../core/tensor.ts";
import type { Sample } from "../../op.ts";
import { multiply, negate } from "./binary.ts";
import sineWgsl from "./sine.wgsl" with { type: "text" };
import { defineUnary } from "./unary.ts";

const samples: readonly Sample[] = [
  { shapes: { x: [3, 5] } },
  { shapes: { x: [1] } },
  { shapes: { x: [8] }, values: { x: [-30, -6, -0.7853982, -0.01, 1.5707964, 3.1415927, 100, 1000] } },
];

/**
 * Sine of x in radians; NaN for infinities.
 *
 * The error is below 1e-6 for |x| up to 10,000. On WebGPU it grows to about 1e-7 |x| beyond, what rounding x to f32
 * costs.
 */
export const sin: (x: Tensor) => Tensor = defineUnary("sin", {
  value: "sine(v, 0u)",
  slope: "sine(v, 1u)",
  apply: Math.sin,
  derivative: Math.cos,
  curvature: (x, g) => negate(multiply(g, sin(x))),
  functions: sineWgsl,
  samples,
});

/** Cosine of x in radians; infinities and errors as in `sin`. */
export const cos: (x: Tensor) => Tensor = defineUnary("cos", {
  value: "sine(v, 1u)",
  slope: "-sine(v, 0u)",
  apply: Math.cos,
  derivative: (x) => -Math.sin(x),
  curvature: (x, g) => negate(multiply(g, cos(x))),
  functions: sineWgsl,
  samples,
});
