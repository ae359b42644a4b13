import { checkList } from "../../core/check_list.ts";
import { axisOf, sizeOf } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { Tuning } from "../../devices/device.ts";
import { reshape } from "../layout/movement.ts";

/** Runs up to this length are reduced by one invocation each, however many there are. */
const shortRun = 128;
/** So are runs up to this length, if there are enough of them to keep the device busy. */
const longRun = 2048;
const enoughRuns = ({ software }: Tuning) => software ? 256 : 4096;

/** Into how long parts to cut `count` runs of R elements, each of which one invocation reduces. */
export function runLength(R: number, count: number, tuning: Tuning): number {
  const inOne = R <= shortRun || (R <= longRun && count >= enoughRuns(tuning));
  return inOne ? Math.max(1, R) : Math.min(Math.max(Math.ceil(Math.sqrt(R)), 32), 1024);
}

/**
 * Reduces over axes, neighbouring ones at once, the last ones first.
 *
 * @param op name for errors
 * @param reduce reduces the middle axis of f32[A, R, B] to length 1
 * @param axes all by default; negative ones count from the end
 * @param keepAxes whether reduced axes stay, with length 1
 * @throws {ShapeError} if an axis is outside the tensor's rank
 * @throws {TypeError} if axes are no list
 */
export function overAxes(
  op: string,
  reduce: (x: Tensor) => Tensor,
  x: Tensor,
  axes: readonly number[] = x.shape.map((_, axis) => axis),
  keepAxes: boolean,
): Tensor {
  checkList(`run ${op}`, "axes are", axes, "axes, such as [0, 1]");
  const reduced = new Set(axes.map((axis) => axisOf(axis, x.shape.length, op)));
  const kept = x.shape.map((length, axis) => reduced.has(axis) ? 1 : length);
  let y = x;
  for (let end = x.shape.length; end > 0; end--) {
    if (!reduced.has(end - 1)) continue;
    let start = end - 1;
    while (start > 0 && reduced.has(start - 1)) start--;
    const before = sizeOf(x.shape.slice(0, start));
    const along = sizeOf(x.shape.slice(start, end));
    const after = sizeOf(kept.slice(end));
    if (along !== 1) y = reduce(reshape(y, [before, along, after]));
    end = start;
  }
  return reshape(y, keepAxes ? kept : x.shape.filter((_, axis) => !reduced.has(axis)));
}
