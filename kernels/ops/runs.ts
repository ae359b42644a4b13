import type { Tuning } from "../devices/device.ts";

/** Invocations that keep the widest device busy; more runs than that only cost memory. */
const enoughInvocations = ({ software }: Tuning) => software ? 512 : 16384;

/**
 * Images whose weight gradients one invocation adds up: few enough that all invocations keep the device busy, so many that
 * the partial sums stay small.
 *
 * @param N images
 * @param tiles invocations for one run of images
 */
export function imagesPerRun(N: number, tiles: number, tuning: Tuning): number {
  return Math.ceil(N / Math.min(N, Math.ceil(enoughInvocations(tuning) / tiles)));
}
