import { checkCount, maxU32 } from "../../core/count.ts";

/** Rotation distances of Threefry-2x32. */
const rotations = [13, 15, 26, 6, 17, 29, 16, 24];

/**
 * Threefry-2x32 with 20 rounds: a keyed bijection of two words whose outputs pass the standard tests of randomness.
 *
 * The words at (index, counter) of (seed, stream) do not depend on earlier draws.
 *
 * Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3
 */
export function threefry(seed: number, stream: number, index: number, counter: number): [number, number] {
  const keys = [seed >>> 0, stream >>> 0, (0x1bd11bda ^ seed ^ stream) >>> 0];
  let x = (index + keys[0]) >>> 0;
  let y = (counter + keys[1]) >>> 0;
  for (let round = 0; round < 20; round++) {
    const by = rotations[round % 8];
    x = (x + y) >>> 0;
    y = ((y << by) | (y >>> (32 - by))) ^ x;
    if (round % 4 === 3) {
      const group = (round + 1) / 4;
      x = (x + keys[group % 3]) >>> 0;
      y = (y + keys[(group + 1) % 3] + group) >>> 0;
    }
  }
  return [x, y >>> 0];
}

/**
 * Random 32-bit words on the host, equal to those of the devices.
 *
 * @throws {RangeError} if seed, stream or counter is not a whole number below 2^32, or the count not one of at least 0
 */
export function randomBits(
  seed: number,
  stream: number,
  counter: number,
  count: number,
): Uint32Array<ArrayBuffer> {
  for (const [name, value] of Object.entries({ seed, stream, counter })) {
    checkCount("draw random bits", name, value, 0, maxU32);
  }
  checkCount("draw random bits", "count", count, 0);
  const bits = new Uint32Array(count);
  for (let i = 0; i < count; i += 2) {
    const [a, b] = threefry(seed, stream, i / 2, counter);
    bits[i] = a;
    if (i + 1 < count) bits[i + 1] = b;
  }
  return bits;
}

/**
 * Uniform numbers in [0, 1) on the host: multiples of 2^-24, equal to those of the devices.
 *
 * @throws {RangeError} as `randomBits`
 */
export function uniforms(
  seed: number,
  stream: number,
  counter: number,
  count: number,
): Float32Array<ArrayBuffer> {
  return Float32Array.from(randomBits(seed, stream, counter, count), (bits) => (bits >>> 8) * 2 ** -24);
}

/** Two standard normal numbers from two random words, in f64. Source: Box and Muller 1958 */
export function normalPair(first: number, second: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(((first >>> 8) + 1) * 2 ** -24));
  const angle = 2 * Math.PI * (second >>> 8) * 2 ** -24;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}
