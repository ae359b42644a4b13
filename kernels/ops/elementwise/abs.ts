import type { Tensor } from "../../core/tensor.ts";
import { zeros } from "../layout/fill.ts";
import nanWgsl from "./nan.wgsl" with { type: "text" };
import { defineUnary } from "./unary.ts";

/** |x|, with slope 0 at 0. */
export const abs: (x: Tensor) => Tensor = defineUnary("abs", {
  value: "abs(v)",
  slope: "select(sign(v), v, isNan(v))",
  apply: Math.abs,
  derivative: Math.sign,
  curvature: (x) => zeros(x.shape),
  functions: nanWgsl,
  samples: [
    { shapes: { x: [3, 5] } },
    { shapes: { x: [1] } },
    { shapes: { x: [5] }, values: { x: [-20, -1, 0.5, 3, -0.02] } },
  ],
});
