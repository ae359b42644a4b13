import { type Model, type SolverName, trajectory } from "../../models/mod.ts";
import type { Evolution } from "../../viz/mod.ts";
import { hearingSignals } from "../program/command.ts";
import { inPixels, type Normalization } from "../data/image_source.ts";

/** A model to draw from, with the images it knows. */
export interface Drawable {
  readonly model: Model;
  readonly normalization: Normalization;
  /** Height and width. */
  readonly imageSize: readonly [number, number];
}

/** How to follow the flow. */
export interface Drawing {
  /** Number of samples. */
  readonly count: number;
  /** Seed of the noise: sample n starts from the same noise in every model and whatever the count. */
  readonly seed: number;
  /** Equal steps from t = 0 to t = 1. */
  readonly steps: number;
  readonly solver: SolverName;
}

/**
 * Follows samples from noise to data, all in one batch. Recording takes place before it returns, so that weights may
 * be put back after the call.
 *
 * @returns their evolutions in pixels
 */
export function evolve(
  { model, normalization, imageSize }: Drawable,
  options: Drawing,
): Promise<Evolution[]> {
  const snapshots = trajectory(model, { ...options, shape: [1, ...imageSize] });
  return collect();

  async function collect(): Promise<Evolution[]> {
    const [H, W] = imageSize;
    const [M, size] = [options.steps + 1, H * W];
    const evolutions = Array.from({ length: options.count }, () => ({
      t: new Float32Array(M),
      image: new Float32Array(M * size),
      velocity: new Float32Array((M - 1) * size),
      shape: [M, H, W] as const,
    }));
    const hear = hearingSignals();
    let m = 0;
    for await (const snapshot of snapshots) {
      const { t, image, velocity } = inPixels(snapshot, normalization);
      evolutions.forEach((evolution, n) => {
        const part = (batch: Float32Array) => batch.subarray(n * size, (n + 1) * size);
        evolution.t[m] = t;
        evolution.image.set(part(image), m * size);
        if (velocity) evolution.velocity.set(part(velocity), m * size);
      });
      m++;
      await hear();
    }
    return evolutions;
  }
}
