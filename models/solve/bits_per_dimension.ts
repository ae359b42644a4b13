import { add, multiply, randomUniform, type Tensor, tensor } from "../../kernels/mod.ts";
import type { Normalization } from "../files/normalization.ts";
import type { VelocityField } from "../flow/field.ts";
import { checkedSeed, streams } from "../random.ts";
import { type LikelihoodOptions, logLikelihood } from "./likelihood.ts";

const levels = 256;

/** Options of {@linkcode bitsPerDimension}. */
export interface BitsOptions extends LikelihoodOptions {
  /** Maps pixels in [0, 1] to the network's units. */
  readonly normalization: Normalization;
  /** Seed of the dequantisation and of the random signs, if any; by default 0. */
  readonly seed?: number;
}

/** Bits per dimension of images. */
export interface BitsPerDimension {
  /** Per image, averaged over its vectors of random signs. */
  readonly bits: readonly number[];
  /** The mean over images. */
  readonly mean: number;
  /** Standard error of the mean, from the spread over images; NaN for a single image. */
  readonly standardError: number;
  /** The mean over images, for each vector of random signs. */
  readonly probes: readonly number[];
  /** Standard error of the mean due to the random signs, from the spread of `probes`; NaN for a single vector. */
  readonly probeError: number;
  /** Evaluations of the field per image, on average. */
  readonly evaluations: number;
  /** Vector-Jacobian products per image, on average. */
  readonly products: number;
}

/**
 * Dequantises 8-bit images, so that they have a density: spreads each level over its width,
 *
 *     pixel -> (255 pixel + u) / 256,   u ~ U[0, 1)
 *
 * @param x1 images in the network's units, scale pixel + shift, f32[N, ...]
 * @param seed integer in [0, 2^32); row n of u does not depend on N
 * @returns dequantised images in the network's units, same shape
 * @throws {RangeError} if the seed is not an integer in [0, 2^32)
 * Source: Theis et al. 2016, arXiv:1511.01844, section 3.1
 */
export function dequantized(x1: Tensor, { scale, shift }: Normalization, seed: number): Tensor {
  const u = randomUniform(tensor(Uint32Array.of(checkedSeed(seed), streams.dequantization, 0)), x1.shape);
  const spread = add(multiply(u, scale / levels), shift / levels);
  return add(multiply(x1, (levels - 1) / levels), spread);
}

/**
 * Bits per dimension from log p: the average bits per 8-bit value,
 *
 *     -log p / (D ln 2) + log2(256 / |scale|)
 *
 * The second term converts the density from the network's units to levels: 7 for pixels in [-1, 1], 8 for pixels in [0,
 * 1].
 *
 * @param logp in nats, of a dequantised image in the network's units
 * @param dimensions D, elements per image
 * @param normalization only its scale matters
 * @returns bits per dimension
 */
export function bitsOf(logp: number, dimensions: number, { scale }: Normalization): number {
  return -logp / (dimensions * Math.LN2) + Math.log2(levels / Math.abs(scale));
}

/**
 * Bits per dimension of 8-bit images under a flow: an upper bound on the code length per element. 8 means no better
 * than no model.
 *
 * @param x1 images in the network's units, before dequantisation, f32[N, C, H, W]
 * @returns bits per dimension of each image, and their mean with standard errors
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

/** Standard error of the mean; NaN for a single value. */
function standardErrorOf(values: readonly number[]): number {
  const mean = meanOf(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}
