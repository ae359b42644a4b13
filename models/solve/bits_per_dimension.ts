import { add, multiply, randomUniform, type Tensor, tensor } from "../../kernels/mod.ts";
import type { Normalization } from "../files/normalization.ts";
import type { VelocityField } from "../flow/field.ts";
import { checkedSeed, streams } from "../random.ts";
import { type LikelihoodOptions, logLikelihood } from "./likelihood.ts";

/** Levels of a byte. */
const levels = 256;

/** How bits per dimension are measured. */
export interface BitsOptions extends LikelihoodOptions {
  /** From pixels in [0, 1] to what the network sees. */
  readonly normalization: Normalization;
  /** Seed of the dequantisation, and of the random signs unless the divergence is exact; by default 0. */
  readonly seed?: number;
}

/** Bits per dimension of images. */
export interface BitsPerDimension {
  /** Of each image, the mean over its vectors of random signs. */
  readonly bits: readonly number[];
  /** The mean over images. */
  readonly mean: number;
  /** Standard error of the mean, from the spread over images; NaN of one image. */
  readonly standardError: number;
  /** The mean over images by each vector of random signs. */
  readonly probes: readonly number[];
  /** Standard error of the mean from the random signs alone, by the spread of `probes`; NaN of one vector. */
  readonly probeError: number;
  /** Evaluations of the field that an image takes part in, on average. */
  readonly evaluations: number;
  /** Vector-Jacobian products that an image takes part in, on average. */
  readonly products: number;
}

/**
 * Images of bytes made continuous, so that they have a density: each level is spread over its width,
 *
 *     pixel -> (255 pixel + u) / 256,   u ~ U[0, 1)
 *
 * @param x1 images as the network sees them, scale pixel + shift, f32[N, ...]
 * @param seed integer in [0, 2^32); row n of u does not depend on N
 * @returns dequantised images as the network sees them, same shape
 * @throws {RangeError} if the seed is not an integer in [0, 2^32)
 * Source: Theis et al. 2016, arXiv:1511.01844, section 3.1
 */
export function dequantized(x1: Tensor, { scale, shift }: Normalization, seed: number): Tensor {
  const u = randomUniform(tensor(Uint32Array.of(checkedSeed(seed), streams.dequantization, 0)), x1.shape);
  const spread = add(multiply(u, scale / levels), shift / levels);
  return add(multiply(x1, (levels - 1) / levels), spread);
}

/**
 * Bits per dimension from log p: the bits that a level of 256 takes on average,
 *
 *     -log p / (D ln 2) + log2(256 / |scale|)
 *
 * The second term is the density's change of unit, from what the network sees to levels: 7 for pixels in [-1, 1], 8 for
 * pixels in [0, 1].
 *
 * @param logp in nats, of a dequantised image as the network sees it
 * @param dimensions D, elements of an image
 * @param normalization its scale counts
 * @returns bits per dimension
 */
export function bitsOf(logp: number, dimensions: number, { scale }: Normalization): number {
  return -logp / (dimensions * Math.LN2) + Math.log2(levels / Math.abs(scale));
}

/**
 * Bits per dimension of images of bytes under a flow: an upper bound on the code length under the flow, per
 * element; 8 without a model.
 *
 * @param x1 images as the network sees them, before dequantisation, f32[N, C, H, W]
 * @returns bits per dimension of each image, and their mean with standard errors in the same unit
 * @throws as {@linkcode logLikelihood}
 */
export async function bitsPerDimension(
  field: VelocityField,
  x1: Tensor,
  { normalization, ...options }: BitsOptions,
): Promise<BitsPerDimension> {
  const { seed = 0, ...withoutSeed } = options;
  const found = await logLikelihood(
    field,
    dequantized(x1, normalization, seed),
    options.exact ? withoutSeed : { ...withoutSeed, seed },
  );
  const [N, P] = found.perProbe.shape;
  const logp = await found.perProbe.read();
  const bits = Array.from(logp, (value) => bitsOf(value, x1.size / N, normalization));
  const perImage = Array.from({ length: N }, (_, n) => meanOf(bits.slice(n * P, (n + 1) * P)));
  const probes = Array.from({ length: P }, (_, p) => meanOf(bits.filter((_, i) => i % P === p)));
  const { evaluations, products } = found;
  return {
    bits: perImage,
    mean: meanOf(perImage),
    standardError: standardErrorOf(perImage),
    probes,
    probeError: standardErrorOf(probes),
    evaluations,
    products,
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard error of the mean; NaN of one value. */
function standardErrorOf(values: readonly number[]): number {
  const mean = meanOf(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}
