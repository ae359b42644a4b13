import type { Dims } from "../../../devices/device.ts";
import { defineOp } from "../../../op.ts";
import { zeros } from "../../layout/fill.ts";
import { type Product, registerProductWgsl, registerTiles, vectorProductWgsl } from "../../matmul/product.ts";
import { productKernels, type RegisterKernel } from "../../matmul/product_kernels.ts";

/**
 * The kernels of a matrix product for each group and each of the 36 elements.
 *
 * @param first the kernel that software adapters use if it fits, and its number of rows
 */
function productsFor(
  product: Product,
  size: (dims: Dims) => { rows: number; columns: number },
  { rows, ...first }: Omit<RegisterKernel, "invocations"> & { readonly rows: number },
) {
  const sizeOf = (dims: Dims) => ({ ...size(dims), batches: 36 * dims.G });
  return productKernels({
    size: sizeOf,
    product: () => product,
    registers: (generic) => [{ ...first, invocations: (dims) => registerTiles(sizeOf(dims), rows) }, generic],
  });
}

const channelProduct: Product = {
  rows: "dims.K",
  columns: "dims.T",
  depth: "dims.C",
  position: "k",
  a: {
    along: "depth",
    edge: (row) => `(batch % 36u * dims.K + ${row}) * dims.C`,
    element: (edge) => `u[${edge} + d]`,
  },
  b: {
    along: "edge",
    edge: (column) => `batch * dims.C * dims.T + ${column}`,
    element: (edge) => `v[${edge} + d * dims.T]`,
    vector: (edge) => `v[(${edge} + d * dims.T) / 4u]`,
  },
  columnTarget: "batch * dims.K * dims.T + column",
  rowTarget: "row * dims.T",
  target: "m",
};

/** m[g, e] = u[e] v[g, e]: sums over the source's channels. */
export const channelProducts = defineOp({
  name: "winogradProducts",
  signature: "u[36, K, C], v[G, 36, C, T] -> m[G, 36, K, T]",
  ...productsFor(channelProduct, ({ K, T }) => ({ rows: K, columns: T }), {
    tile: "8x8 of vectors",
    rows: 8,
    fits: ({ T }) => T % 4 === 0,
    vectors: ["v", "m"],
    wgsl: () => vectorProductWgsl(channelProduct),
  }),
  empty: zeros,
  reference({ u, v, m }, { G, K, C, T }) {
    for (let batch = 0; batch < 36 * G; batch++) {
      for (let k = 0; k < K; k++) {
        for (let t = 0; t < T; t++) {
          let total = 0;
          for (let c = 0; c < C; c++) total += u[(batch % 36 * K + k) * C + c] * v[(batch * C + c) * T + t];
          m[(batch * K + k) * T + t] = total;
        }
      }
    }
  },
  samples: [
    { shapes: { u: [36, 9, 3], v: [2, 36, 3, 12] } },
    { shapes: { u: [36, 5, 3], v: [2, 36, 3, 9] } },
    { shapes: { u: [36, 1, 1], v: [1, 36, 1, 1] } },
  ],
});

const tileProduct: Product = {
  rows: "dims.K",
  columns: "dims.C",
  depth: "dims.T",
  position: "k",
  a: {
    along: "depth",
    edge: (row) => `(batch * dims.K + ${row}) * dims.T`,
    element: (edge) => `z[${edge} + d]`,
  },
  b: {
    along: "depth",
    edge: (column) => `(batch * dims.C + ${column}) * dims.T`,
    element: (edge) => `v[${edge} + d]`,
  },
  columnTarget: "batch * dims.K * dims.C + column",
  rowTarget: "row * dims.C",
  target: "du",
};

/** du[g, e] = z[g, e] v[g, e]': sums over the tiles of a group. */
export const tileProducts = defineOp({
  name: "winogradGradientProducts",
  signature: "z[G, 36, K, T], v[G, 36, C, T] -> du[G, 36, K, C]",
  ...productsFor(tileProduct, ({ K, C }) => ({ rows: K, columns: C }), {
    tile: "16x8",
    rows: 16,
    fits: ({ K }) => K > 8,
    wgsl: () => registerProductWgsl(tileProduct, 16),
  }),
  empty: zeros,
  reference({ z, v, du }, { G, K, C, T }) {
    for (let batch = 0; batch < 36 * G; batch++) {
      for (let k = 0; k < K; k++) {
        for (let c = 0; c < C; c++) {
          let total = 0;
          for (let t = 0; t < T; t++) total += z[(batch * K + k) * T + t] * v[(batch * C + c) * T + t];
          du[(batch * K + k) * C + c] = total;
        }
      }
    }
  },
  samples: [
    { shapes: { z: [2, 36, 3, 9], v: [2, 36, 5, 9] } },
    { shapes: { z: [2, 36, 17, 5], v: [2, 36, 9, 5] } },
    { shapes: { z: [1, 36, 1, 1], v: [1, 36, 1, 1] } },
  ],
});
