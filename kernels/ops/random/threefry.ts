import { checkCount, maxU32 } from "../../core/checks.ts";

const rotations = [13, 15, 26, 6, 17, 29, 16, 24];

/**
 * Threefry-2x32 with 20 rounds: a keyed bijection of two words whose outputs pass the standard tests of randomness.
 *
 * The words at (index, counter) of (seed, stream) do not depend on earlier draws.
 *
 * Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3
 */
export function threefry(seed: number, stream: number, index: number, counter: number): [number, number] {
  const [x, y] = fill(new Uint32Array(2), seed, stream, index, counter);
  return [x, y];
}

/** Fills an array with the words from an index on. Sums are signed, which is several times faster in engines. */
function fill<Words extends Uint32Array>(
  words: Words,
  seed: number,
  stream: number,
  index: number,
  counter: number,
): Words {
  const keys = [seed | 0, stream | 0, 0x1bd11bda ^ seed ^ stream];
  for (let i = 0; i < words.length; i += 2, index++) {
    let x = (index + keys[0]) | 0;
    let y = (counter + keys[1]) | 0;
    for (let group = 1; group <= 5; group++) {
      const first = group % 2 === 1 ? 0 : 4;
      for (let round = first; round < first + 4; round++) {
        const by = rotations[round];
        x = (x + y) | 0;
        y = ((y << by) | (y >>> (32 - by))) ^ x;
      }
      x = (x + keys[group % 3]) | 0;
      y = (y + keys[(group + 1) % 3] + group) | 0;
    }
    words[i] = x;
    words[i + 1] = y; // typed arrays ignore a write beyond an odd end
  }
  return words;
}

/**
 * Random 32-bit words on the host, equal to those of the devices.
 *
 * @param seed shared by all draws of a program
 * @param stream separates independent sequences of one seed
 * @param counter separates draws of one stream, such as the step
 * @param count number of words; element i does not depend on it
 * @returns u32[count]
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
  return fill(new Uint32Array(count), seed, stream, 0, counter);
}

/**
 * Uniform numbers in [0, 1) on the host: multiples of 2^-24, equal to those of the devices. Parameters as for
 * `randomBits`.
 *
 * @returns f32[count]
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
