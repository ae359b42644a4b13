import { checkCount, refuseUnknown } from "../../core/checks.ts";
import { ShapeError } from "../../core/shape.ts";
import { checkTensor, type Tensor } from "../../core/tensor.ts";
import { conv2d } from "../conv2d/conv2d.ts";
import { full, zeros } from "../layout/fill.ts";

/**
 * Mean of each window of size x size pixels, as PyTorch's `avg_pool2d`: padding counts as zeros, and rows and columns
 * that fill no window are dropped.
 *
 * @param x f32[N, C, H, W]
 * @param size height and width of a window
 * @param options `stride` from window to window, by default `size`, and `padding`, pixels on every side, by default 0 and
 * at most size / 2
 * @returns f32[N, C, P, Q] with P = floor((H + 2 padding - size) / stride) + 1, and Q likewise
 * @throws {ShapeError} if x does not have four axes, or an image is smaller than a window
 * @throws {RangeError} if a number is out of range
 * @throws {TypeError} if an option is unknown
 */
export function averagePool2d(
  x: Tensor,
  size: number,
  { stride = size, padding = 0, ...unknown }: { stride?: number; padding?: number } = {},
): Tensor {
  const task = "run averagePool2d";
  refuseUnknown(task, unknown, ["stride", "padding"]);
  checkTensor(task, "x is", x);
  checkCount(task, "size", size);
  checkCount(task, "stride", stride);
  checkCount(task, "padding", padding, 0, Math.floor(size / 2));
  if (x.shape.length !== 4) throw new ShapeError(`Cannot ${task}: x is ${x} (expected x[N, C, H, W])`);
  const [N, C, H, W] = x.shape;
  if (Math.min(H, W) + 2 * padding < size) {
    throw new ShapeError(
      `Cannot ${task}: images of ${H} x ${W} with padding ${padding} have no window of ${size} x ${size}`,
    );
  }
  const windows = (length: number) => Math.floor((length + 2 * padding - size) / stride) + 1;
  if (N * C === 0) return zeros([N, C, windows(H), windows(W)]);
  return conv2d(x, full([C, 1, size, size], 1 / size ** 2), undefined, { stride, padding, groups: C });
}
