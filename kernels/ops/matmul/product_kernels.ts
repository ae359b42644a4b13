import type { Dims, Tuning, Workgroups } from "../../devices/device.ts";
import { type Product, productWgsl } from "./product.ts";
import { chooseTile, productGroups, type ProductSize, tiles } from "./product_tiles.ts";

/** How an op is a product of matrices: in workgroup memory on GPUs, and in another kernel on software adapters. */
interface ProductOptions {
  /** Dims that are compiled into both kernels. */
  readonly specialise?: readonly string[];
  readonly size: (dims: Dims) => ProductSize;
  readonly product: (specialised: Dims) => Product;
  /** The kernel for software adapters, of single invocations. */
  readonly software: {
    readonly invocations: (dims: Dims) => number;
    readonly wgsl: (specialised: Dims) => string;
  };
}

/** WebGPU kernels of an op that is a product of matrices: fields of its declaration. */
export function productKernels({ specialise = [], size, product, software }: ProductOptions) {
  return {
    specialise: (dims: Dims, tuning: Tuning): Dims => ({
      ...Object.fromEntries(specialise.map((name) => [name, dims[name]])),
      ...!tuning.software && { tile: chooseTile(size(dims)) },
    }),
    invocations: software.invocations,
    workgroups: (dims: Dims, tuning: Tuning): Workgroups | undefined =>
      tuning.software ? undefined : productGroups(size(dims)),
    wgsl: (tuning: Tuning, specialised: Dims): string =>
      tuning.software
        ? software.wgsl(specialised)
        : productWgsl(tiles[specialised.tile], product(specialised)),
  };
}
