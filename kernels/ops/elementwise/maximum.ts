import type { Tensor } from "../../core/tensor.ts";
import { defineOp, type Op } from "../../op.ts";
import { zeros } from "../layout/fill.ts";
import { sumTo } from "../reduce/reduce.ts";
import { broadcastWalk } from "./broadcast.ts";
import { defineBinary } from "./define_binary.ts";
import { ternaryKernel } from "./define_ternary.ts";
import nanWgsl from "./nan.wgsl" with { type: "text" };
import { operands } from "./scalar.ts";

/** The part of dy that goes to a where max(a, b) was taken: all where a > b, half at a tie, nothing where a < b. */
const largerShare: Op<"a[A...], b[B...], dy[D...] -> da[Y...]"> = defineOp({
  name: "largerShare",
  signature: "a[A...], b[B...], dy[D...] -> da[Y...]",
  derive: (_, { A, B, D }) => broadcastWalk({ a: A, b: B, dy: D }),
  ...ternaryKernel("largerShare", ["a", "b", "dy"], "da", {
    value: "select(select(dy_, 0.5 * dy_, a_ == b_), 0.0, a_ < b_)",
    apply: (a, b, dy) => a < b ? 0 : a === b ? dy / 2 : dy,
  }),
  backward: ({ a, b, dy, dda }) => ({
    a: () => zeros(a.shape),
    b: () => zeros(b.shape),
    dy: () => sumTo(largerShare(a, b, dda), dy.shape),
  }),
  samples: [
    { shapes: { a: [3, 5], b: [3, 5], dy: [3, 5] } },
    { shapes: { a: [2, 3, 1, 5], b: [4, 1], dy: [2, 3, 4, 5] } },
    { shapes: { a: [1], b: [], dy: [1] } },
    { shapes: { a: [3], b: [3], dy: [3] }, values: { a: [1, 2, 3], b: [1, 3, 2] }, smooth: false },
  ],
});

const tie = { shapes: { a: [3], b: [3] }, values: { a: [1, 2, -3], b: [1, 3, -4] }, smooth: false };

const maximumOp = defineBinary(
  "maximum",
  {
    functions: nanWgsl,
    value: "larger(a_, b_)",
    apply: Math.max,
    samples: [tie],
  },
  ({ a, b, dy }) => ({ a: () => largerShare(a, b, dy), b: () => largerShare(b, a, dy) }),
);

const minimumOp = defineBinary(
  "minimum",
  {
    functions: `${nanWgsl}
fn smaller(a: f32, b: f32) -> f32 { return select(b, a, isNan(a) || (a < b && !isNan(b))); }
`,
    value: "smaller(a_, b_)",
    apply: Math.min,
    samples: [tie],
  },
  ({ a, b, dy }) => ({ a: () => largerShare(b, a, dy), b: () => largerShare(a, b, dy) }),
);

/**
 * The larger of a and b, elementwise, broadcasting; NaN where either is NaN. Either may be a number.
 *
 * At a tie, a and b get half of the gradient each; where either is NaN, both get all of it, as in PyTorch.
 *
 * @throws {ShapeError} if the shapes do not broadcast in at most four groups of axes
 */
export function maximum(a: Tensor | number, b: Tensor | number): Tensor {
  return maximumOp(...operands("maximum", a, b));
}

/**
 * The smaller of a and b, elementwise, broadcasting; NaN and ties as in `maximum`.
 *
 * @throws {ShapeError} if the shapes do not broadcast in at most four groups of axes
 */
export function minimum(a: Tensor | number, b: Tensor | number): Tensor {
  return minimumOp(...operands("minimum", a, b));
}
