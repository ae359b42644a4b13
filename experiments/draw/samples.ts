import { slice } from "../../kernels/mod.ts";
import { noise, sample, Sampler, toPixels } from "../../models/mod.ts";
import { fullBatches } from "../../models/solve/full_batches.ts";
import { hearSignals } from "../program/command.ts";
import type { Drawable, Drawing } from "./drawable.ts";
import { finiteImages } from "./finite_images.ts";

/** Most images to work on at once where progress is shown. */
const batch = 64;

/**
 * Draws samples as pixels: 0 black, 1 white, not clipped. Recording takes place before it returns, so that the weights
 * may change after the call.
 *
 * @returns f32[count, C, H, W] on the host
 * @throws {RunError} if a value is not finite
 */
export function drawSamples(
  { model, normalization, shape }: Drawable,
  drawing: Drawing,
): Promise<Float32Array> {
  const x1 = sample(model, { ...drawing, shape });
  return x1.read().then((values) => finiteImages("draw samples", toPixels(values, normalization)));
}

/**
 * Draws the same samples as `drawSamples`, to the bit, and tells how far it is.
 *
 * @param onProgress called with the number of samples done; a batch counts by its share of the steps
 * @returns f32[count, C, H, W] on the host
 * @throws {RunError} if a value is not finite
 */
export async function drawSamplesInBatches(
  { model, normalization, shape }: Drawable,
  { count, seed, steps, solver }: Drawing,
  onProgress: (done: number) => void,
): Promise<Float32Array> {
  const size = shape.reduce((product, axis) => product * axis, 1);
  const x0 = noise(seed, [count, ...shape]); // the device refuses more than it holds
  const { length, batches } = fullBatches(count, batch);
  const sampler = new Sampler(model, [length, ...shape], { steps, solver });
  const pixels = new Float32Array(count * size);
  for (const { from, fresh } of batches) {
    let done = 0;
    for await (const { image, velocity } of sampler.trajectory(slice(x0, 0, from, length))) {
      if (velocity) onProgress(Math.floor(fresh + (from + length - fresh) * ++done / steps));
      else pixels.set(finiteImages("draw samples", toPixels(image, normalization)), from * size);
    }
    await hearSignals();
  }
  return pixels;
}
