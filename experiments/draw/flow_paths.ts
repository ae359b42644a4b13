import { slice } from "../../kernels/mod.ts";
import { fullBatches } from "../../models/solve/full_batches.ts";
import { noise, Sampler, type Snapshot } from "../../models/mod.ts";
import type { Paths } from "../../viz/report/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { hearSignals } from "../program/command.ts";
import type { Drawable } from "./evolve.ts";
import { inPixels } from "../data/image_source.ts";
import { NearestDigits } from "./nearest_digits.ts";
import { project } from "./principal_components.ts";

/** Real images that are shown behind the paths. */
const shownReal = 500;

/** How many samples are followed, from which noise, and in how many Euler steps. */
export interface PathOptions {
  readonly count: number;
  readonly seed: number;
  readonly steps: number;
  /** Most samples to work on at once. */
  readonly batch: number;
}

/**
 * Follows many samples from noise to data. Recording takes place before it returns, so that weights may be put back
 * after the call.
 *
 * @param data the images whose components span the plane
 */
export function followPaths(drawable: Drawable, data: Dataset, options: PathOptions): Promise<Paths> {
  const { model, imageSize: [H, W], normalization } = drawable;
  const { count: N, seed, steps } = options;
  const { length, batches } = fullBatches(N, options.batch);
  const sampler = new Sampler(model, [length, 1, H, W], { steps });
  const x0 = noise(seed, [N, 1, H, W]);
  return follow();

  async function follow(): Promise<Paths> {
    const P = H * W;
    const digits = new NearestDigits(data.train, P);
    const [M, first] = [steps + 1, Math.min(shownReal, digits.count)];
    const paths = {
      t: Float32Array.from({ length: M }, (_, m) => m / steps),
      position: new Float32Array(M * N * 2),
      velocity: new Float32Array(steps * N * 2),
      speed: new Float32Array(steps * N),
      straightness: new Float32Array(steps * N),
      image: new Float32Array(N * P),
    };
    for (const { from } of batches) {
      const snapshots = await Array.fromAsync(sampler.trajectory(slice(x0, 0, from, length)));
      await hearSignals();
      addBatch(paths, snapshots.map((snapshot) => inPixels(snapshot, normalization)), digits, from, N);
    }
    const K = digits.coordinates.length / digits.count;
    return {
      ...paths,
      classes: digits.classify(paths.image),
      real: {
        position: Float32Array.from(
          { length: 2 * first },
          (_, i) => digits.coordinates[(i >> 1) * K + i % 2],
        ),
        classes: digits.labels.slice(0, first),
      },
      share: [digits.pca.share[0], digits.pca.share[1] ?? 0],
      classifier: digits.tryOn(data.test, P),
      shape: [M, N, H, W],
    };
  }
}

type Arrays = Pick<Paths, "position" | "velocity" | "speed" | "straightness" | "image">;

/** Adds the samples from `start` on, of N in all. */
function addBatch(
  paths: Arrays,
  snapshots: Snapshot[],
  { pca }: NearestDigits,
  start: number,
  N: number,
): void {
  const P = pca.mean.length;
  const [x0, x1] = [snapshots[0].image, snapshots[snapshots.length - 1].image];
  const way = x1.map((value, i) => value - x0[i]);
  paths.image.set(x1, start * P);
  snapshots.forEach(({ image, velocity }, m) => {
    paths.position.set(project(image, pca, 2), (m * N + start) * 2);
    if (!velocity) return;
    paths.velocity.set(project(velocity, pca, 2, false), (m * N + start) * 2);
    for (let n = 0; n < x0.length / P; n++) {
      const v = velocity.subarray(n * P, (n + 1) * P);
      const u = way.subarray(n * P, (n + 1) * P);
      const [vv, uu, uv] = [dot(v, v), dot(u, u), dot(u, v)];
      paths.speed[m * N + start + n] = Math.sqrt(vv / P);
      paths.straightness[m * N + start + n] = vv > 0 && uu > 0 ? uv / Math.sqrt(vv * uu) : 0;
    }
  });
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}
