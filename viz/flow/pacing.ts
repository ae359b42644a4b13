import { checkInteger } from "../check.ts";
import { checkName } from "../check_name.ts";

/** Ways {@linkcode pace} spreads frames over snapshots. */
export type Pacing = "linear" | "quadratic" | "inv_quadratic" | "logarithmic";

/** Place of a frame in [0, last] for s in [0, 1]: rising, 0 at s = 0 and last at s = 1. */
const places: Record<Pacing, (s: number, last: number) => number> = {
  linear: (s, last) => s * last,
  quadratic: (s, last) => s ** 2 * last,
  inv_quadratic: (s, last) => Math.sqrt(s) * last,
  // Frame k from the end stands M^(k / (n - 1)) - 1 before the last; the 1 lands k = 0 on the last itself.
  logarithmic: (s, last) => last - ((last + 1) ** (1 - s) - 1),
};

/** All names of pacings. */
export const pacings = Object.keys(places) as readonly Pacing[];

/**
 * Chooses which snapshots become the frames of an animation.
 *
 * The first frame is the first snapshot, the last frame the last snapshot (a single frame is the last), and frames
 * never step back. `quadratic` dwells on the first snapshots, `inv_quadratic` and `logarithmic` on the last.
 *
 * @example
 * ```ts
 * import { pace } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(pace("linear", 1001, 5), [0, 250, 500, 750, 1000]);
 * assert.deepEqual(pace("quadratic", 1001, 5), [0, 63, 250, 563, 1000]);
 * ```
 *
 * @param M number of snapshots
 * @param n number of frames; more than M repeats snapshots
 * @returns n indices in [0, M)
 * @throws {TypeError} if there is no such pacing
 * @throws {RangeError} if M or n is no positive integer
 */
export function pace(pacing: Pacing, M: number, n: number): number[] {
  checkName("pace frames", "pacing", pacing, pacings);
  checkInteger("pace frames", "number of snapshots", M, 1);
  checkInteger("pace frames", "number of frames", n, 1);
  if (n === 1) return [M - 1];
  return Array.from({ length: n }, (_, i) => Math.round(places[pacing](i / (n - 1), M - 1)));
}
