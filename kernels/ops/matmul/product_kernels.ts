import type { Dims, Tuning } from "../../devices/device.ts";
import { inWays, type PassesWay, type Way } from "../../ways.ts";
import { type Product, productWgsl } from "./product.ts";
import {
  chooseTile,
  isWorthTiming,
  nameOfTile,
  productGroups,
  type ProductSize,
  tiles,
} from "./product_tiles.ts";

/** A kernel of single invocations, each with a tile of the result in registers. */
export interface RegisterKernel {
  /** Its tile, as in `registers 7x4`, where the op has several. */
  readonly tile?: string;
  readonly fits?: (dims: Dims) => boolean;
  readonly vectors?: readonly string[];
  readonly invocations: (dims: Dims) => number;
  readonly wgsl: (specialised: Dims) => string;
}

/** How an op is a product of matrices: in workgroup memory, and in registers. */
interface ProductOptions {
  /** Dims that are compiled into all kernels. */
  readonly specialise?: readonly string[];
  readonly size: (dims: Dims) => ProductSize;
  readonly product: (specialised: Dims) => Product;
  /** Software adapters run the first that fits a call. */
  readonly registers: readonly [RegisterKernel, ...RegisterKernel[]];
  /** Calls of other ops that can do its work. */
  readonly other?: PassesWay;
}

/** WebGPU kernels of an op that is a product of matrices: fields of its declaration. */
export function productKernels({ specialise = [], size, product, registers, other }: ProductOptions) {
  const specialised = (dims: Dims): Dims => Object.fromEntries(specialise.map((name) => [name, dims[name]]));
  const ways: Way[] = [
    ...registers.map(({ tile, invocations, ...way }): Way => ({
      ...way,
      name: tile === undefined ? "registers" : `registers ${tile}`,
      specialise: specialised,
      grid: invocations,
    })),
    ...tiles.map((tile): Way => ({
      name: `workgroups ${nameOfTile(tile)}`,
      specialise: specialised,
      fits: (dims) => isWorthTiming(size(dims), tile),
      grid: (dims) => productGroups(size(dims), tile),
      wgsl: (dims) => productWgsl(tile, product(dims)),
    })),
  ];
  const table = (dims: Dims, { software }: Tuning) =>
    software
      ? registers.findIndex(({ fits }) => fits?.(dims) ?? true)
      : registers.length + chooseTile(size(dims));
  return inWays(ways, table, other);
}
