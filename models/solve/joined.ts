import { concat, slice, type Tensor } from "../../kernels/mod.ts";
import type { SampleBatch } from "./batches.ts";

/** The rows of what a batch gave that are not of an earlier batch. */
export function freshRows(x: Tensor, { from, fresh }: Pick<SampleBatch, "from" | "fresh">): Tensor {
  return slice(x, 0, fresh - from, x.shape[0] - (fresh - from));
}

/** Joins what batches gave, row by row; each gave as many tensors. */
export function joined(parts: readonly (readonly Tensor[])[]): Tensor[] {
  return parts[0].map((_, i) => concat(parts.map((part) => part[i]), 0));
}
