import { refuse, refuseUnknown } from "../../core/checks.ts";
import type { Dims, NumberArray } from "../../devices/device.ts";
import { defineOp, type Op } from "../../op.ts";
import { axisOf, ShapeError, sizeOf } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { nanWgsl } from "../elementwise/shared.ts";
import { reshape } from "../layout.ts";
import { mean, overAxes, runLength, sum } from "./reduce.ts";
import { multiply, subtract } from "../elementwise/binary.ts";
import { square } from "../elementwise/unary.ts";

/** The kernels of `pick` for f32, and those for u32. */
const picking = {
  wgsl: `fn kernel(i: u32) {
  let b = i % dims.B;
  let a = i / (dims.B * dims.S);
  y[i] = x[(a * dims.R + index[i]) * dims.B + b];
}`,
  reference({ x, index, y }: Readonly<Record<"x" | "index" | "y", NumberArray>>, { R, B, S }: Dims) {
    for (let i = 0; i < y.length; i++) y[i] = x[(Math.floor(i / (B * S)) * R + index[i]) * B + i % B];
  },
  wasm: "pick",
} as const;

const index = Uint32Array.of(1, 0, 3, 2, 1, 0, 3, 2); // two runs of two in two planes

/** y[a, s, b] = x[a, index[a, s, b], b]; indices of run s start at s `chunk`. */
const pick: Op<"x[A, R, B], index:u32[A, S, B] -> y[A, S, B]", { chunk: "u32" }> = defineOp({
  name: "pick",
  signature: "x[A, R, B], index:u32[A, S, B] -> y[A, S, B]",
  attributes: { chunk: "u32" },
  ...picking,
  backward: ({ x, index, dy }, { chunk }) => ({ x: () => place(dy, index, { chunk, R: x.shape[1] }) }),
  samples: [
    {
      shapes: { x: [2, 3, 2], index: [2, 1, 2] },
      attributes: { chunk: 3 },
      values: { index: Uint32Array.of(1, 0, 2, 2) },
    },
    { shapes: { x: [2, 4, 2], index: [2, 2, 2] }, attributes: { chunk: 2 }, values: { index } },
    { shapes: { x: [1, 1, 1], index: [1, 1, 1] }, attributes: { chunk: 1 }, values: { index: [0] } },
  ],
});

const pickWords = defineOp({
  name: "pickWords",
  signature: "x:u32[A, R, B], index:u32[A, S, B] -> y:u32[A, S, B]",
  ...picking,
  samples: [{
    shapes: { x: [1, 4, 2], index: [1, 1, 2] },
    values: { x: Uint32Array.of(8, 7, 6, 5, 4, 3, 2, 1), index: Uint32Array.of(3, 0) },
  }],
});

/** Gradient of `pick`: dy at the picked positions, zeros elsewhere. */
const place: Op<"dy[A, S, B], index:u32[A, S, B] -> dx[A, R, B]", { chunk: "u32"; R: "u32" }> = defineOp({
  name: "place",
  signature: "dy[A, S, B], index:u32[A, S, B] -> dx[A, R, B]",
  attributes: { chunk: "u32", R: "u32" },
  wgsl: `fn kernel(i: u32) {
  let b = i % dims.B;
  let r = i / dims.B % dims.R;
  let at = (i / (dims.B * dims.R) * dims.S + r / dims.chunk) * dims.B + b;
  dx[i] = select(0.0, dy[at], index[at] == r);
}`,
  backward: ({ index, ddx }, { chunk }) => ({ dy: () => pick(ddx, index, { chunk }) }),
  reference({ dy, index, dx }, { R, B, S, chunk }) {
    for (let i = 0; i < dx.length; i++) {
      const b = i % B;
      const r = Math.floor(i / B) % R;
      const at = (Math.floor(i / (B * R)) * S + Math.floor(r / chunk)) * B + b;
      dx[i] = index[at] === r ? dy[at] : 0;
    }
  },
  wasm: "place",
  samples: [
    { shapes: { dy: [2, 2, 2], index: [2, 2, 2] }, attributes: { chunk: 2, R: 4 }, values: { index } },
    { shapes: { dy: [1, 1, 1], index: [1, 1, 1] }, attributes: { chunk: 1, R: 1 }, values: { index: [0] } },
  ],
});

/**
 * Index of the first NaN, or else the first maximum of sign x, in each run of `chunk` elements along the middle axis.
 */
const indexOfMax = defineOp({
  name: "indexOfMax",
  signature: "x[A, R, B] -> index:u32[A, S, B]",
  attributes: { chunk: "u32", sign: "f32" },
  derive: ({ R, chunk }) => ({ S: Math.max(1, Math.ceil(R / chunk)) }),
  wgsl: `${nanWgsl}
fn kernel(i: u32) {
  let b = i % dims.B;
  let first = i / dims.B % dims.S * dims.chunk;
  let base = i / (dims.B * dims.S) * dims.R * dims.B + b;
  var best = first;
  var top = dims.sign * x[base + first * dims.B];
  for (var r = first + 1u; r < min(first + dims.chunk, dims.R); r++) {
    let v = dims.sign * x[base + r * dims.B];
    if (!isNan(top) && (v > top || isNan(v))) { top = v; best = r; }
  }
  index[i] = best;
}`,
  reference({ x, index }, { R, B, S, chunk, sign }) {
    for (let i = 0; i < index.length; i++) {
      const at = (r: number) => sign * x[(Math.floor(i / (B * S)) * R + r) * B + i % B];
      const first = Math.floor(i / B) % S * chunk;
      index[i] = first;
      for (let r = first + 1; r < Math.min(first + chunk, R); r++) {
        const top = at(index[i]);
        if (!Number.isNaN(top) && (at(r) > top || Number.isNaN(at(r)))) index[i] = r;
      }
    }
  },
  wasm: "indexOfMax",
  samples: [
    { shapes: { x: [2, 7, 3] }, attributes: { chunk: 7, sign: 1 } },
    { shapes: { x: [3, 10, 1] }, attributes: { chunk: 4, sign: -1 } },
    { shapes: { x: [2, 23, 1] }, attributes: { chunk: 23, sign: -1 } },
    {
      shapes: { x: [1, 16, 1] },
      attributes: { chunk: 16, sign: 1 },
      values: { x: [..."0213321003123210"].map(Number) },
    },
    {
      shapes: { x: [1, 9, 1] },
      attributes: { chunk: 9, sign: 1 },
      values: { x: [1, 2, 3, 4, 5, 9, NaN, NaN, NaN] },
    },
    { shapes: { x: [1, 1, 1] }, attributes: { chunk: 1, sign: 1 } },
    {
      shapes: { x: [3, 4, 1] },
      attributes: { chunk: 4, sign: 1 },
      values: { x: [1, 3, 3, 2, 5, NaN, NaN, 6, -Infinity, -Infinity, -Infinity, -Infinity] },
    },
  ],
});

/** The largest values of sign * x along the middle axis of f32[A, R, B], as f32[A, 1, B], and their indices. */
function largest(x: Tensor, sign: 1 | -1): { value: Tensor; index: () => Tensor } {
  const [A, R, B] = x.shape;
  const chunk = runLength(R, A * B, x.device.tuning);
  const index = indexOfMax(x, { chunk, sign });
  const value = pick(x, index, { chunk });
  if (index.shape[1] <= 1) return { value, index: () => index };
  const ofRuns = largest(value, sign);
  return { value: ofRuns.value, index: () => pickWords(index, ofRuns.index()) };
}

function reduceTo(op: "max" | "min", sign: 1 | -1, x: Tensor, axes?: readonly number[], keepAxes = false) {
  const reduce = (part: Tensor) => {
    if (part.shape[1] === 0) {
      refuse(ShapeError, `run ${op}: x ${x} has no element along the axes`, "at least one");
    }
    return largest(part, sign).value;
  };
  return overAxes(op, reduce, x, axes, keepAxes);
}

/**
 * Largest element over axes; NaN if any is NaN, as in NumPy.
 *
 * The gradient goes to the first of equal elements, in row-major order.
 *
 * @param axes all by default; negative ones count from the end
 * @param keepAxes whether reduced axes stay, with length 1
 * @returns the maxima; a view of x, as from `reshape`, if every reduced axis has length 1
 */
export function max(x: Tensor, axes?: readonly number[], keepAxes?: boolean): Tensor {
  return reduceTo("max", 1, x, axes, keepAxes);
}

/** Smallest element over axes; otherwise as `max`. */
export function min(x: Tensor, axes?: readonly number[], keepAxes?: boolean): Tensor {
  return reduceTo("min", -1, x, axes, keepAxes);
}

/**
 * Index of the largest element along an axis: the first of equal ones, or the first NaN if there is one, as in NumPy.
 *
 * @param axis negative ones count from the end
 * @returns u32, of the shape of x without the axis; gradients end here
 */
export function argmax(x: Tensor, axis: number): Tensor {
  const { shape } = x;
  const k = axisOf(axis, shape.length, "argmax");
  if (shape[k] === 0) refuse(ShapeError, `run argmax: x ${x} has no element along axis ${k}`, "at least one");
  const middle = reshape(x, [sizeOf(shape.slice(0, k)), shape[k], sizeOf(shape.slice(k + 1))]);
  return reshape(largest(middle, 1).index(), shape.filter((_, axis) => axis !== k));
}

/**
 * Variance over axes: the sum of the squared differences from the mean, divided by n - 1, or by n with `unbiased:
 * false`.
 *
 * @param axes all by default; negative ones count from the end
 * @param keepAxes whether reduced axes stay, with length 1
 * @param options `unbiased` is true by default, as in PyTorch
 * @returns the variances; NaN for no elements, and for a single one if unbiased
 */
export function variance(
  x: Tensor,
  axes?: readonly number[],
  keepAxes = false,
  { unbiased = true, ...unknown }: { unbiased?: boolean } = {},
): Tensor {
  refuseUnknown("run variance", unknown, ["unbiased"]);
  const centre = mean(x, axes, true);
  const total = sum(square(subtract(x, centre)), axes, keepAxes);
  return multiply(total, 1 / (x.size / centre.size - (unbiased ? 1 : 0)));
}
