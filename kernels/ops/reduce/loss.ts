import type { Dims } from "../../devices/device.ts";
import { defineOp, type Op } from "../../op.ts";
import { sameShape, ShapeError } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { multiply, negate, subtract } from "../elementwise/binary.ts";
import { zeros } from "../layout/fill.ts";
import { reshape } from "../layout/movement.ts";
import { spreadChunks, sum, sumChunks } from "./reduce.ts";
import { summingKernels, workgroupSumWgsl } from "./workgroup_sum.ts";

/** Sums of a run each: in workgroups on GPUs, but for short runs, which one invocation each sums. */
function errorKernels() {
  const alone = {
    grid: ({ S }: Dims) => S,
    wgsl: () =>
      `fn kernel(i: u32) {
  var total = 0.0;
  for (var j = i * dims.chunk; j < min((i + 1u) * dims.chunk, dims.n); j++) { let d = a[j] - b[j]; total += d * d; }
  y[i] = total;
}`,
  };
  const fits = ({ chunk }: Dims) => chunk >= 64;
  const shared = (lanes: number) => ({
    fits,
    grid: ({ S }: Dims) => ({ count: S, lanes }),
    wgsl: () =>
      `${workgroupSumWgsl(lanes)}
fn kernel(group: u32, lane: u32) {
  var part = 0.0;
  for (var j = group * dims.chunk + lane; j < min((group + 1u) * dims.chunk, dims.n); j += lanes) {
    let d = a[j] - b[j];
    part += d * d;
  }
  let total = runSum(lane, lanes, vec2f(part, 0.0)).x;
  if (lane == 0u) { y[group] = total; }
}`,
  });
  return summingKernels(alone, shared, ({ chunk }) => chunk);
}

/** Sums of (a - b)^2 over runs of `chunk` elements, in one pass and with few enough terms for f32. */
const squaredErrors = defineOp({
  name: "squaredErrors",
  signature: "a[n], b[n] -> y[S]",
  attributes: { chunk: "u32" },
  derive: ({ n, chunk }) => ({ S: Math.max(1, Math.ceil(n / chunk)) }),
  ...errorKernels(),
  empty: zeros,
  backward: ({ a, b, dy }, { chunk }) => ({
    a: () => squaredErrorsGradient(a, b, dy, { chunk }),
    b: () => negate(squaredErrorsGradient(a, b, dy, { chunk })),
  }),
  reference({ a, b, y }, { n, chunk }) {
    y.fill(0);
    for (let j = 0; j < n; j++) y[Math.floor(j / chunk)] += (a[j] - b[j]) ** 2;
  },
  wasm: "squaredErrors",
  samples: [
    { shapes: { a: [10], b: [10] }, attributes: { chunk: 4 } },
    { shapes: { a: [1], b: [1] }, attributes: { chunk: 1 } },
    { shapes: { a: [300], b: [300] }, attributes: { chunk: 200 } },
  ],
});

/** da = 2 (a - b) dy, with the dy of each element's run. */
const squaredErrorsGradient: Op<"a[n], b[n], dy[S] -> da[n]", { chunk: "u32" }> = defineOp({
  name: "squaredErrorsGradient",
  signature: "a[n], b[n], dy[S] -> da[n]",
  attributes: { chunk: "u32" },
  wgsl: "fn kernel(i: u32) { da[i] = 2.0 * (a[i] - b[i]) * dy[i / dims.chunk]; }",
  backward({ a, b, dy, dda }, { chunk }) {
    const [n] = a.shape;
    const ofErrors = () => {
      const spread = spreadChunks(reshape(dy, [1, dy.size, 1]), { chunk, R: n });
      return multiply(multiply(dda, 2), reshape(spread, [n]));
    };
    return {
      a: ofErrors,
      b: () => negate(ofErrors()),
      dy: () => {
        const terms = multiply(multiply(subtract(a, b), 2), dda);
        return reshape(sumChunks(reshape(terms, [1, n, 1]), { chunk }), dy.shape);
      },
    };
  },
  reference({ a, b, dy, da }, { n, chunk }) {
    for (let j = 0; j < n; j++) da[j] = 2 * (a[j] - b[j]) * dy[Math.floor(j / chunk)];
  },
  wasm: "squaredErrorsGradient",
  samples: [{ shapes: { a: [10], b: [10], dy: [3] }, attributes: { chunk: 4 } }],
});

/**
 * Mean of (a - b)^2 over all elements.
 *
 * @returns f32[]; NaN if there are no elements
 * @throws {ShapeError} if the shapes differ
 */
export function meanSquaredError(a: Tensor, b: Tensor): Tensor {
  if (!sameShape(a.shape, b.shape)) {
    throw new ShapeError(`Cannot run meanSquaredError: a ${a}, b ${b} (expected one shape)`);
  }
  const chunk = Math.min(Math.max(Math.ceil(Math.sqrt(a.size)), 32), 1024);
  return multiply(sum(squaredErrors(reshape(a, [a.size]), reshape(b, [b.size]), { chunk })), 1 / a.size);
}
