import { refuse } from "../core/checks.ts";
import { sameShape, ShapeError } from "../core/shape.ts";
import { checkTensor, type Tensor } from "../core/tensor.ts";
import { multiply } from "./elementwise/binary.ts";
import { matmulTransposedA, matmulTransposedB } from "./matmul/op.ts";
import { softmax } from "./reduce/softmax.ts";

/**
 * Attention between all positions: v softmax(scale q^T k)^T.
 *
 * @param q f32[N, C, L]; k and v have the same shape
 * @param options the scale, by default 1 / sqrt(C)
 * @returns f32[N, C, L]
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, options: { scale?: number } = {}): Tensor {
  for (const [name, x] of Object.entries({ q, k, v })) checkTensor("run attend", `${name} is`, x);
  if (q.shape.length !== 3 || !sameShape(q.shape, k.shape) || !sameShape(q.shape, v.shape)) {
    refuse(ShapeError, `run attend: q ${q}, k ${k}, v ${v}`, "one shape [N, C, L]");
  }
  const { scale = 1 / Math.sqrt(q.shape[1]) } = options;
  return matmulTransposedB(v, softmax(multiply(matmulTransposedA(q, k), scale)));
}
