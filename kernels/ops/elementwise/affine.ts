import { defineOp, type Op } from "../../op.ts";
import { inQuads } from "./shared_wgsl.ts";

/** y = scale x + shift: every operation of a tensor with a plain number. */
export const affine: Op<"x[S...] -> y[S...]", { scale: "f32"; shift: "f32" }> = defineOp({
  name: "affine",
  signature: "x[S...] -> y[S...]",
  attributes: { scale: "f32", shift: "f32" },
  ...inQuads(["x", "y"], ({ S }) => S),
  wgsl: "fn kernel(i: u32) { y[i] = dims.scale * x[i] + dims.shift; }",
  backward: ({ dy }, { scale }) => ({ x: () => affine(dy, { scale, shift: 0 }) }),
  reference({ x, y }, { scale, shift }) {
    for (let i = 0; i < y.length; i++) y[i] = scale * x[i] + shift;
  },
  wasm: "affine",
  samples: [[3, 5], [3, 8]].map((x) => ({ shapes: { x }, attributes: { scale: -2, shift: 0.5 } })),
});
