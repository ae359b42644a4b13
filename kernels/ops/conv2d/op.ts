import type { Dims } from "../../devices/device.ts";
import { defineOp } from "../../op.ts";
import { isCount, refuseOthers } from "../../core/checks.ts";
import { ShapeError } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { biasedConvolution, convolutionKernels, multiplyAdds } from "./convolution_kernels.ts";
import { convolve, inputGradient, weightGradient } from "./gradients.ts";
import { forwardCalls } from "./wasm.ts";
import { forwardPasses } from "./winograd/passes.ts";
import { reshape } from "../layout/movement.ts";
import { sum } from "../reduce/reduce.ts";

/**
 * What the convolutions with and without a residual share; `addend` is WGSL of the residual at the target's index `to`.
 */
function convolutionFields(name: string, addend?: string) {
  const adds = { bias: true, residual: addend !== undefined };
  return {
    attributes: { padding: "u32" },
    derive: ({ N, B, H, W, R, S, padding }: Record<string, number>) => {
      if (B !== 1 && B !== N) {
        throw new ShapeError(`Cannot run ${name}: ${B} rows of biases for ${N} images (expected 1 or ${N})`);
      }
      return { P: H + 2 * padding - R + 1, Q: W + 2 * padding - S + 1 };
    },
    ...convolutionKernels(
      (dims) => biasedConvolution(dims, addend),
      ({ N, K, P, Q }) => ({ N, K, P, Q }),
      (dims) => forwardPasses(dims, adds),
    ),
    multiplyAdds,
  } as const;
}

/** Gradients of the inputs other than a residual. */
function backward(
  { x, w, bias, dy }: Record<"x" | "w" | "bias" | "dy", Tensor>,
  { padding }: { padding: number },
) {
  return {
    x: () => inputGradient(dy, w, { padding, H: x.shape[2], W: x.shape[3] }),
    w: () => weightGradient(x, dy, w, padding),
    bias: () => reshape(sum(dy, bias.shape[0] === 1 ? [0, 2, 3] : [2, 3]), bias.shape),
  };
}

/** Index of a weight in w[K, C, R, S]. */
const weightAt = ({ C, R, S }: Dims) => (k: number, c: number, r: number, s: number) =>
  ((k * C + c) * R + r) * S + s;

const convolution = defineOp({
  ...convolutionFields("conv2d"),
  name: "conv2d",
  signature: "x[N, C, H, W], w[K, C, R, S], bias[B, K] -> y[N, K, P, Q]",
  backward,
  reference({ x, w, bias, y }, dims) {
    const at = weightAt(dims);
    convolve(x, y, dims, (k, c, r, s) => w[at(k, c, r, s)], (n, k) => bias[n % dims.B * dims.K + k]);
  },
  wasm: (addresses, dims) => forwardCalls({ ...addresses, residual: 0 }, dims),
  samples: [
    { shapes: { x: [2, 3, 5, 6], w: [5, 3, 3, 3], bias: [1, 5] }, attributes: { padding: 1 } },
    { shapes: { x: [2, 2, 9, 15], w: [4, 2, 3, 3], bias: [2, 4] }, attributes: { padding: 1 } },
    { shapes: { x: [1, 5, 3, 4], w: [6, 5, 1, 1], bias: [1, 6] }, attributes: { padding: 0 } },
    { shapes: { x: [1, 2, 7, 8], w: [3, 2, 5, 5], bias: [1, 3] }, attributes: { padding: 2 } },
    { shapes: { x: [1, 1, 4, 5], w: [1, 1, 3, 3], bias: [1, 1] }, attributes: { padding: 0 } },
    { shapes: { x: [1, 1, 1, 1], w: [1, 1, 3, 3], bias: [1, 1] }, attributes: { padding: 1 } },
  ],
});

/** A convolution added to another tensor, such as a residual connection: which saves a pass over y. */
const convolutionAdd = defineOp({
  ...convolutionFields("conv2dAdd", "residual[to]"),
  name: "conv2dAdd",
  signature: "x[N, C, H, W], w[K, C, R, S], bias[B, K], residual[N, K, P, Q] -> y[N, K, P, Q]",
  backward: (saved, attributes) => ({ ...backward(saved, attributes), residual: () => saved.dy }),
  reference({ x, w, bias, residual, y }, dims) {
    const at = weightAt(dims);
    const start = (n: number, k: number, to: number) => bias[n % dims.B * dims.K + k] + residual[to];
    convolve(x, y, dims, (k, c, r, s) => w[at(k, c, r, s)], start);
  },
  wasm: forwardCalls,
  samples: [
    {
      shapes: { x: [2, 3, 5, 6], w: [5, 3, 3, 3], bias: [1, 5], residual: [2, 5, 5, 6] },
      attributes: { padding: 1 },
    },
    {
      shapes: { x: [2, 2, 9, 6], w: [4, 2, 1, 1], bias: [2, 4], residual: [2, 4, 9, 6] },
      attributes: { padding: 0 },
    },
    {
      shapes: { x: [1, 1, 1, 1], w: [1, 1, 3, 3], bias: [1, 1], residual: [1, 1, 1, 1] },
      attributes: { padding: 1 },
    },
  ],
});

/**
 * Two-dimensional convolution (cross-correlation), stride 1.
 *
 * 3x3 kernels use Winograd's F(4x4, 3x3): on the CPU device with padding 1, on WebGPU where that is faster. Next to an
 * outlier L times the typical value of its image, the error is up to about 2e-6 L of the typical value, 2 % at most:
 * images with larger outliers, values or weights above 1e15, infinite ones and NaN are computed tap by tap.
 *
 * @param x f32[N, C, H, W]
 * @param w f32[K, C, R, R]
 * @param bias f32[K], or f32[1, K], or f32[N, K] for a bias of each image, such as a time embedding
 * @param residual added to the result in the same kernel, of the result's shape
 * @param padding pixels of zeros on each side, from 0, the default, to R - 1
 * @returns f32[N, K, H + 2 padding - R + 1, W + 2 padding - R + 1]
 * @throws {ShapeError} if channels or biases do not fit, the kernel is not square or larger than the padded image, or
 * the padding is not a whole number from 0 to R - 1
 * @throws {TypeError} if an option is unknown, such as a stride
 */
export function conv2d(
  x: Tensor,
  w: Tensor,
  bias: Tensor,
  { padding = 0, residual, ...others }: { padding?: number; residual?: Tensor } = {},
): Tensor {
  refuseOthers("run conv2d", others, ["padding", "residual"]);
  const [, , R, S] = w.shape;
  const [, , H, W] = x.shape;
  if (!isCount(padding)) {
    throw new ShapeError(`Cannot run conv2d: padding is ${padding} (expected a whole number of at least 0)`);
  }
  if (padding > Math.min(R, S) - 1 || H + 2 * padding < R || W + 2 * padding < S) {
    throw new ShapeError(`Cannot run conv2d: padding ${padding} does not suit w ${w} on x ${x}`);
  }
  if (R !== S) throw new ShapeError(`Cannot run conv2d: w ${w} is not square`);
  const rows = bias.shape.length === 1 ? reshape(bias, [1, bias.size]) : bias;
  return residual ? convolutionAdd(x, w, rows, residual, { padding }) : convolution(x, w, rows, { padding });
}
