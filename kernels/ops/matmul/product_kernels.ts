import type { Dims, Tuning } from "../../devices/device.ts";
import { type KernelVariant, type PassesVariant, withVariants } from "../../op_definition.ts";
import { type Product, productWgsl, registerProductWgsl, registerTiles } from "./product.ts";
import {
  chooseTile,
  isWorthTiming,
  nameOfTile,
  productGroups,
  type ProductSize,
  tiles,
} from "./product_tiles.ts";

/** A kernel of single invocations that hold tiles of the result in registers. */
export interface RegisterKernel {
  /** Its tile, as in `registers 7x4`, if the op has several. */
  readonly tile?: string;
  readonly fits?: (dims: Dims) => boolean;
  readonly vectors?: NonNullable<KernelVariant["vectors"]>;
  readonly invocations: (dims: Dims) => number;
  readonly wgsl: (specialised: Dims) => string;
}

/** How an op is a matrix product, in workgroup memory and in registers. */
interface ProductOptions {
  /** Dims that are compiled into all kernels. */
  readonly specialise?: (dims: Dims) => Dims;
  readonly size: (dims: Dims) => ProductSize;
  readonly product: (specialised: Dims) => Product;
  /** Whether some of the op's buffers can hold vectors of four columns, and which; see `Factor.vector`. */
  readonly hasVectors?: (dims: Dims) => boolean;
  readonly vectors?: readonly string[];
  /** Kernels in registers, given the generic one; software adapters run the first that fits a call. */
  readonly registers?: (generic: RegisterKernel) => readonly RegisterKernel[];
  /** A kernel for the few calls that it fits; GPUs run it by default if `isDefault` is true. */
  readonly special?: KernelVariant & { readonly isDefault: (dims: Dims) => boolean };
  /** Calls of other ops that can do the same work. */
  readonly other?: PassesVariant;
}

/** WebGPU kernels of an op that is a matrix product: fields of its declaration. */
export function productKernels(
  {
    specialise = () => ({}),
    size,
    product,
    hasVectors = () => false,
    vectors = [],
    registers: registersOf = (generic) => [generic],
    special,
    other,
  }: ProductOptions,
) {
  const registers = registersOf({
    invocations: (dims) => registerTiles(size(dims)),
    wgsl: (dims) => registerProductWgsl(product(dims)),
  });
  const variants: KernelVariant[] = [
    ...registers.map(({ tile, invocations, ...variant }): KernelVariant => ({
      ...variant,
      name: tile === undefined ? "registers" : `registers ${tile}`,
      specialise,
      grid: invocations,
    })),
    ...tiles.map((tile): KernelVariant => ({
      name: `workgroups ${nameOfTile(tile)}`,
      specialise: (dims) => ({ ...specialise(dims), inVectors: hasVectors(dims) ? 1 : 0 }),
      vectors: ({ inVectors }) => inVectors ? vectors : [],
      fits: (dims) => isWorthTiming(size(dims), tile),
      grid: (dims) => productGroups(size(dims), tile),
      wgsl: (dims) => productWgsl(tile, product(dims), dims.inVectors === 1),
    })),
    ...special ? [special] : [],
  ];
  const table = (dims: Dims, { software }: Tuning) => {
    if (software) return registers.findIndex(({ fits }) => fits?.(dims) ?? true);
    return special?.isDefault(dims) ? variants.length - 1 : registers.length + chooseTile(size(dims));
  };
  return withVariants(variants, table, other);
}

/**
 * Number of images per partial sum of a weight gradient: few enough for enough pieces to keep the device busy, many
 * enough to keep the partial sums small.
 *
 * @param N number of images
 * @param groups pieces of work per run of images
 */
export function imagesPerRun(N: number, groups: number, { pieces }: Tuning): number {
  const images = Math.max(N, 1);
  const runs = Math.min(images, Math.ceil(pieces / groups));
  const sizes = Array.from(
    { length: Math.floor(runs / 4) + 1 },
    (_, more) => Math.ceil(images / (runs + more)),
  );
  const computed = (size: number) => Math.ceil(images / size) * size;
  return sizes.reduce((best, size) => computed(size) < computed(best) ? size : best); // few images beyond the last
}
