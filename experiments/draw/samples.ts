import { noise, sample, SampleBatches, toPixels } from "../../models/mod.ts";
import { yieldToSignals } from "../program/command.ts";
import { fieldOf } from "./asked.ts";
import type { Drawable, Drawing } from "./drawable.ts";
import { finiteImages } from "./finite_images.ts";

/** Most images to work on at once where progress is shown. */
const batch = 64;

/**
 * Draws samples as pixels: 0 black, 1 white, not clipped.
 *
 * @returns f32[count, C, H, W] on the host
 * @throws {RunError} if a value is not finite
 */
export function drawSamples(
  { model, normalization, shape }: Drawable,
  { count, seed, steps, solver, asked }: Drawing,
): Promise<Float32Array> {
  const { field, ...condition } = fieldOf(model, asked);
  const x1 = sample(field, { count, seed, steps, solver, shape, ...condition });
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
  { count, seed, steps, solver, asked }: Drawing,
  onProgress: (done: number) => void,
): Promise<Float32Array> {
  const size = shape.reduce((product, axis) => product * axis, 1);
  // The device refuses more noise than it holds, before the host makes room for pixels.
  const { field, ...condition } = fieldOf(model, asked);
  const how = { steps, solver, batch, ...condition };
  const batches = new SampleBatches(field, noise(seed, [count, ...shape]), how);
  const { sampler, length } = batches;
  const pixels = new Float32Array(count * size);
  for (const { from, fresh, x0 } of batches) {
    let done = 0;
    for await (const { image, velocity } of sampler.trajectory(x0)) {
      if (velocity) onProgress(Math.floor(fresh + (from + length - fresh) * ++done / steps));
      else pixels.set(finiteImages("draw samples", toPixels(image, normalization)), from * size);
    }
    await yieldToSignals();
  }
  return pixels;
}
