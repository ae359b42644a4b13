import { type Tensor, tensor, uniforms } from "../../kernels/mod.ts";

/** A tensor of uniform numbers between -1 and 1: the same for each stream at every run. */
export function randomTensor(stream: number, shape: readonly number[]): Tensor {
  const count = shape.reduce((n, length) => n * length, 1);
  return tensor(uniforms(5, stream, 0, count).map((u) => 2 * u - 1), shape);
}
