import type { Tensor } from "../core/tensor.ts";

/** A tensor, and all that it was computed from by ops that tensors remember. */
export function sourcesOf(y: Tensor): ReadonlySet<Tensor> {
  const found = new Set([y]);
  for (const { history } of found) {
    for (const x of history?.inputs ?? []) found.add(x); // which the loop comes to, too
  }
  return found;
}
