import { type Snapshot, snapshotToPixels, trajectory } from "../../models/mod.ts";
import type { ImageSize, Trajectory } from "../../viz/mod.ts";
import { throttledYieldToSignals } from "../terminal/yield_to_signals.ts";
import { fieldOf } from "./asked.ts";
import type { Drawable, Drawing } from "./drawable.ts";
import { finiteImages } from "./finite_images.ts";

/**
 * Follows samples from noise to data, all in one batch.
 *
 * @returns their trajectories in pixels, at the times of the solver's snapshots
 * @throws {RunError} if a value is not finite
 */
export async function evolve(
  { model, normalization, shape }: Drawable,
  { count, seed, steps, solver, asked }: Drawing,
): Promise<Trajectory[]> {
  const snapshots: Snapshot[] = [];
  const yieldToSignals = throttledYieldToSignals();
  const { field, ...condition } = fieldOf(model, asked);
  for await (const snapshot of trajectory(field, { count, seed, steps, solver, shape, ...condition })) {
    const pixels = snapshotToPixels(snapshot, normalization);
    for (const values of [pixels.image, pixels.velocity]) if (values) finiteImages("follow samples", values);
    snapshots.push(pixels);
    await yieldToSignals();
  }
  return Array.from({ length: count }, (_, n) => trajectoryOf(snapshots, n, shape));
}

/** The trajectory of sample n among snapshots of a batch. */
function trajectoryOf(snapshots: readonly Snapshot[], n: number, [C, H, W]: ImageSize): Trajectory {
  const [M, size] = [snapshots.length, C * H * W];
  const part = (batch: Float32Array) => batch.subarray(n * size, (n + 1) * size);
  const trajectory: Trajectory = {
    t: Float32Array.from(snapshots, ({ t }) => t),
    image: new Float32Array(M * size),
    velocity: new Float32Array((M - 1) * size),
    shape: C === 1 ? [M, H, W] : [M, C, H, W],
  };
  snapshots.forEach(({ image, velocity }, m) => {
    trajectory.image.set(part(image), m * size);
    if (velocity) trajectory.velocity.set(part(velocity), m * size);
  });
  return trajectory;
}
