import type { Dims } from "../../devices/device.ts";
import { convolutionProduct } from "./product.ts";
import { type Convolution, convolutionWgsl, pixelTiles } from "./tiles.ts";
import { productKernels } from "../matmul/product_kernels.ts";

/** WebGPU kernels of a convolution to target[N, K, P, Q]: fields of an op's declaration. */
export function convolutionKernels(
  form: (dims: Dims) => Convolution,
  targetOf: (dims: Dims) => { N: number; K: number; P: number; Q: number },
) {
  return productKernels({
    specialise: ["R", "S"],
    size: (dims) => {
      const { N, K, P, Q } = targetOf(dims);
      return { rows: K, columns: N * P * Q, batches: 1 };
    },
    product: (dims) => convolutionProduct(form(dims)),
    software: {
      invocations: (dims) => {
        const { N, K, P, Q } = targetOf(dims);
        return N * Math.ceil(K / 4) * pixelTiles(P, Q);
      },
      wgsl: (dims) => convolutionWgsl(form(dims)),
    },
  });
}
