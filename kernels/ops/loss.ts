import { defineOp } from "../op.ts";
import { sameShape, ShapeError } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { multiply, negate } from "./elementwise.ts";
import { reshape } from "./movement.ts";
import { sum } from "./reduce.ts";

/** Sums of (a - b)^2 over runs of `chunk` elements: one pass, and few enough terms for f32. */
const squaredErrors = defineOp({
  name: "squaredErrors",
  signature: "a[n], b[n] -> y[S]",
  attributes: { chunk: "u32" },
  derive: ({ n, chunk }) => ({ S: Math.ceil(n / chunk) }),
  wgsl: `fn kernel(i: u32) {
  var total = 0.0;
  for (var j = i * dims.chunk; j < min((i + 1u) * dims.chunk, dims.n); j++) { let d = a[j] - b[j]; total += d * d; }
  y[i] = total;
}`,
  backward: ({ a, b, dy }, { chunk }) => ({
    a: () => squaredErrorsGradient(a, b, dy, { chunk }),
    b: () => negate(squaredErrorsGradient(a, b, dy, { chunk })),
  }),
  reference({ a, b, y }, { n, chunk }) {
    y.fill(0);
    for (let j = 0; j < n; j++) y[Math.floor(j / chunk)] += (a[j] - b[j]) ** 2;
  },
  samples: [
    { shapes: { a: [10], b: [10] }, attributes: { chunk: 4 } },
    { shapes: { a: [1], b: [1] }, attributes: { chunk: 1 } },
  ],
});

const squaredErrorsGradient = defineOp({
  name: "squaredErrorsGradient",
  signature: "a[n], b[n], dy[S] -> da[n]",
  attributes: { chunk: "u32" },
  wgsl: "fn kernel(i: u32) { da[i] = 2.0 * (a[i] - b[i]) * dy[i / dims.chunk]; }",
  reference({ a, b, dy, da }, { n, chunk }) {
    for (let j = 0; j < n; j++) da[j] = 2 * (a[j] - b[j]) * dy[Math.floor(j / chunk)];
  },
  samples: [{ shapes: { a: [10], b: [10], dy: [3] }, attributes: { chunk: 4 } }],
});

/**
 * Mean of (a - b)^2 over all elements.
 *
 * @returns f32[]
 * @throws {ShapeError} if the shapes differ
 */
export function meanSquaredError(a: Tensor, b: Tensor): Tensor {
  if (!sameShape(a.shape, b.shape)) {
    throw new ShapeError(`Cannot run meanSquaredError: a ${a}, b ${b} (expected one shape)`);
  }
  const chunk = Math.min(Math.max(Math.ceil(Math.sqrt(a.size)), 32), 1024);
  return multiply(sum(squaredErrors(reshape(a, [a.size]), reshape(b, [b.size]), { chunk })), 1 / a.size);
}
