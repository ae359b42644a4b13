import type { Tuning } from "../../devices/device.ts";

/**
 * Images whose weight gradients one piece of work adds up: few enough that there are pieces to keep the device busy, so many
 * that the partial sums stay small.
 *
 * @param N images
 * @param tiles pieces of work for one run of images
 */
export function imagesPerRun(N: number, tiles: number, { pieces }: Tuning): number {
  return Math.ceil(N / Math.min(N, Math.ceil(pieces / tiles)));
}
