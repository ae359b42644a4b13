import { randomBits, randomNormal, type Shape, type Tensor, tensor } from "../kernels/mod.ts";
import { describeValue, isCount, maxU32, refuse } from "../kernels/core/checks.ts";

/** Streams of random numbers: one per purpose, so that no two purposes draw the same numbers from a seed. */
export const streams = {
  weights: 0,
  order: 1,
  noise: 2,
  time: 3,
  heldOutNoise: 4,
  heldOutTime: 5,
  samples: 6,
  split: 7,
  labelDropout: 8,
  shifts: 16,
  probes: 17,
  dequantization: 18,
  diffusion: 19,
  resamples: 20,
  entries: 21,
  stepLengths: 22,
  pairOrder: 23,
  pairNoise: 24,
  references: 25,
  faults: 26,
  augmentation: 27,
  guidance: 28,
  driftNoise: 29,
  timeChoice: 30,
  dropout: 1024, // of the first layer; the next ones have the streams after it
} as const;

/** A seed that a device draws from as it is. */
export function checkedSeed(seed: number): number {
  if (isCount(seed, 0, maxU32)) return seed;
  refuse(RangeError, `draw from the seed ${describeValue(seed)} (expected an integer in [0, 2^32))`);
}

/**
 * A random permutation of 0 .. n - 1, determined by seed, stream and counter.
 *
 * Source: Fisher and Yates, as in Knuth 1997, The Art of Computer Programming 2, algorithm 3.4.2P
 */
export function permutation(seed: number, stream: number, counter: number, n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  const bits = randomBits(checkedSeed(seed), stream, counter, n);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(bits[i] * 2 ** -32 * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/**
 * Noise to start sampling from, f32[N, C, H, W]. A seed gives the same noise on every device; row n does not depend on
 * N.
 */
export function noise(seed: number, shape: Shape): Tensor {
  return randomNormal(tensor(Uint32Array.of(checkedSeed(seed), streams.samples, 0)), shape);
}

/** Below this sine of the angle between two vectors, chord and arc are equal in f32. */
const least = 1e-6;

/**
 * Interpolates between two noise vectors along an arc: (sin((1 - s) a) x + sin(s a) y) / sin(a), where a is the angle
 * between x and y.
 *
 * Noise in many dimensions lies near a sphere. The arc stays near it, as the network expects; a straight line passes
 * through vectors too short to be noise. Nearly parallel vectors are interpolated linearly.
 *
 * @param x a noise vector
 * @param y another noise vector, of the same length
 * @param share s, in [0, 1]; 0 gives x and 1 gives y, to the bit
 *
 * ```ts
 * import { slerp } from "./mod.ts";
 *
 * console.log(slerp(Float32Array.of(1, 0), Float32Array.of(0, 1), 0.5)); // [ 0.7071, 0.7071 ]
 * ```
 * Source: White 2016, arXiv:1609.04468
 */
export function slerp(x: Float32Array, y: Float32Array, share: number): Float32Array<ArrayBuffer> {
  if (!(share >= 0 && share <= 1)) {
    refuse(RangeError, `interpolate noise at share ${share}`, "a number in [0, 1]");
  }
  if (x.length !== y.length) {
    const lengths = `${x.length} and ${y.length} elements`;
    refuse(RangeError, `interpolate between noise vectors of ${lengths}`, "the same number");
  }
  if (share === 0) return Float32Array.from(x);
  if (share === 1) return Float32Array.from(y);
  const [ofX, ofY] = weights(angleOf(x, y), share);
  return Float32Array.from(x, (value, i) => ofX * value + ofY * y[i]);
}

function weights(angle: number, share: number): readonly [ofX: number, ofY: number] {
  const sine = Math.sin(angle);
  if (sine >= least) return [Math.sin((1 - share) * angle) / sine, Math.sin(share * angle) / sine];
  if (angle < 1) return [1 - share, share];
  refuse(RangeError, "interpolate between opposite noise vectors: no arc is the shortest", "other noise");
}

/** The angle between two vectors, in [0, pi], accurate for small angles; 0 if one has length 0. Source: Kahan 2006 */
function angleOf(x: Float32Array, y: Float32Array): number {
  const norm = (vector: Float32Array) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  const [ofX, ofY] = [norm(x), norm(y)];
  if (ofX === 0 || ofY === 0) return 0;
  let [difference, sum] = [0, 0];
  x.forEach((value, i) => {
    difference += (value / ofX - y[i] / ofY) ** 2;
    sum += (value / ofX + y[i] / ofY) ** 2;
  });
  return 2 * Math.atan2(Math.sqrt(difference), Math.sqrt(sum));
}
