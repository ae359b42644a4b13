import type { Dims, Pass } from "../../devices/device.ts";
import { convolutionProduct } from "./product.ts";
import { type Convolution, convolutionWgsl, type PixelTile, pixelTiles, tilesCovering } from "./tiles.ts";
import { productKernels } from "../matmul/product_kernels.ts";
import { winograd } from "./winograd/way.ts";

/** WebGPU kernels of a convolution to target[N, K, P, Q]: fields of an op's declaration. */
export function convolutionKernels(
  form: (dims: Dims) => Convolution,
  targetOf: (dims: Dims) => { N: number; K: number; P: number; Q: number },
  passes: (dims: Dims) => readonly Pass[],
) {
  const inRegisters = (tile: PixelTile) => ({
    tile: `${tile.height}x${tile.width}`,
    invocations: (dims: Dims) => {
      const { N, K, P, Q } = targetOf(dims);
      return N * Math.ceil(K / 4) * tilesCovering(P, Q, tile);
    },
    wgsl: (dims: Dims) => convolutionWgsl(form(dims), tile),
  });
  const [large, ...smaller] = pixelTiles;
  return productKernels({
    specialise: ["R", "S"],
    size: (dims) => {
      const { N, K, P, Q } = targetOf(dims);
      return { rows: K, columns: N * P * Q, batches: 1 };
    },
    product: (dims) => convolutionProduct(form(dims)),
    registers: [inRegisters(large), ...smaller.map(inRegisters)],
    other: winograd(passes),
  });
}
