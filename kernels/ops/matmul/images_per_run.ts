import type { Tuning } from "../../devices/device.ts";

/**
 * Images whose weight gradients one piece of work sums: few enough to leave pieces that keep the device busy, many
 * enough to keep the partial sums small.
 *
 * @param N images
 * @param tiles pieces of work for one run of images
 */
export function imagesPerRun(N: number, tiles: number, { pieces }: Tuning): number {
  return Math.ceil(Math.max(N, 1) / Math.min(Math.max(N, 1), Math.ceil(pieces / tiles)));
}
