import { randomBits } from "../../kernels/mod.ts";
import { checkedSeed } from "./streams.ts";

/**
 * A random order of 0 .. n - 1, a function of seed, stream and counter.
 *
 * @throws {RangeError} if the seed is not an integer in [0, 2^32)
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
