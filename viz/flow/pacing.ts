import { checkInteger, checkName } from "../check.ts";
import { evenTimes, nearestSnapshot } from "./trajectory.ts";

/** All names of pacings. */
export const pacings = ["linear", "quadratic", "inv_quadratic", "logarithmic"] as const;

/** How {@linkcode pace} spreads frames over snapshots. */
export type Pacing = typeof pacings[number];

/** Limit on the number of frames: about 15 hours at 50 ms. */
const maxFrames = 2 ** 20;

/** Position of a frame in [0, last] for s in [0, 1]: increasing from 0 at s = 0 to `last` at s = 1. */
const places: Record<Pacing, (s: number, last: number) => number> = {
  linear: (s, last) => s * last,
  quadratic: (s, last) => s ** 2 * last,
  inv_quadratic: (s, last) => Math.sqrt(s) * last,
  // The k-th frame from the end is M^(k / (n - 1)) - 1 snapshots before the last.
  logarithmic: (s, last) => last - ((last + 1) ** (1 - s) - 1),
};

/**
 * Chooses which snapshots become the frames of an animation.
 *
 * The first frame is the first snapshot and the last frame the last one; a single frame is the last snapshot.
 * `quadratic` has more frames early, `inv_quadratic` and `logarithmic` have more late.
 *
 * @example
 * ```ts
 * import { pace } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(pace("linear", 1001, 5), [0, 250, 500, 750, 1000]);
 * assert.deepEqual(pace("quadratic", 1001, 5), [0, 63, 250, 563, 1000]);
 * assert.deepEqual(pace("linear", [0, 0.1, 0.2, 0.6, 1], 3), [0, 3, 4]);
 * ```
 *
 * @param snapshots the number M of equally spaced snapshots, or their increasing times
 * @param n number of frames; more than M repeats snapshots
 * @returns n indices in [0, M)
 * @throws {TypeError} if the pacing is unknown
 * @throws {RangeError} if M or n is not a positive integer, or n is above 2^20
 */
export function pace(pacing: Pacing, snapshots: number | ArrayLike<number>, n: number): number[] {
  const M = typeof snapshots === "number" ? snapshots : snapshots.length;
  checkName("pace frames", "pacing", pacing, pacings);
  checkInteger("pace frames", "number of snapshots", M, 1);
  checkInteger("pace frames", "number of frames", n, 1);
  if (n > maxFrames) {
    throw new RangeError(`Cannot pace frames: number of frames is ${n} (expected at most ${maxFrames})`);
  }
  const last = M - 1;
  if (n === 1) return [last];
  const chosen = Array.from({ length: n }, (_, i) => places[pacing](i / (n - 1), last));
  if (typeof snapshots === "number" || evenTimes(snapshots)) return chosen.map(Math.round);
  const first = snapshots[0];
  const length = snapshots[last] - first;
  return chosen.map((place) => nearestSnapshot(snapshots, first + place / last * length));
}
