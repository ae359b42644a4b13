import { noise, SampleBatches, type Snapshot, snapshotToPixels } from "../../models/mod.ts";
import type { Paths } from "../../viz/report/mod.ts";
import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import { type Asked, fieldOf } from "./asked.ts";
import type { Drawable } from "./drawable.ts";
import { finiteImages } from "./finite_images.ts";
import { NearestImages, type RealImages } from "./nearest_images.ts";
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
  /** The classes that the samples are asked to be of, if any. */
  readonly asked?: Asked;
}

/**
 * Follows many samples from noise to data.
 *
 * @throws {RunError} if a value is not finite
 * @param data training images, whose components span the plane, and test images, on which the classifier is tried
 */
export async function followPaths(
  { model, shape, normalization }: Drawable,
  data: {
    readonly train: RealImages;
    readonly test: RealImages;
    readonly classNames?: readonly string[];
  },
  { count: N, seed, steps, batch, asked }: PathOptions,
): Promise<Paths> {
  const [C, H, W] = shape;
  const P = C * H * W;
  const M = steps + 1;
  const nearest = new NearestImages(data.train, P);
  const paths = {
    t: new Float32Array(M),
    position: new Float32Array(M * N * 2),
    velocity: new Float32Array(steps * N * 2),
    speed: new Float32Array(steps * N),
    straightness: new Float32Array(steps * N),
    image: new Float32Array(N * P),
  };
  const { field, ...condition } = fieldOf(model, asked);
  const batches = new SampleBatches(field, noise(seed, [N, ...shape]), { steps, batch, ...condition });
  for (const { from, x0 } of batches) {
    const snapshots = await Array.fromAsync(batches.sampler.trajectory(x0));
    for (const { image, velocity } of snapshots) {
      for (const values of [image, velocity]) if (values) finiteImages("follow paths", values);
    }
    await yieldToSignals();
    const inPixels = snapshots.map((snapshot) => snapshotToPixels(snapshot, normalization));
    addBatch(paths, inPixels, nearest, from, N);
  }
  const classes = await nearest.classify(paths.image);
  const classifier = await nearest.tryOn(data.test, P);
  return {
    ...paths,
    ...classes && { classes },
    ...data.classNames && { classNames: data.classNames },
    ...asked && { asked: { labels: asked.labels, guidance: asked.guidance.scale } },
    real: realImages(nearest),
    share: [nearest.pca.share[0], nearest.pca.share[1]],
    ...classifier && { classifier },
    shape: C === 1 ? [M, N, H, W] : [M, N, C, H, W],
  };
}

function realImages({ coordinates, count, labels }: NearestImages): Paths["real"] {
  const [D, K] = [Math.min(shownReal, count), coordinates.length / count];
  const position = Float32Array.from({ length: 2 * D }, (_, i) => coordinates[(i >> 1) * K + i % 2]);
  return { position, ...labels && { classes: labels.slice(0, D) } };
}

type Arrays = Pick<Paths, "t" | "position" | "velocity" | "speed" | "straightness" | "image">;

/** Adds the samples from `start` on, of N in all. */
function addBatch(
  paths: Arrays,
  snapshots: Snapshot[],
  { pca }: NearestImages,
  start: number,
  N: number,
): void {
  const P = pca.mean.length;
  const [x0, x1] = [snapshots[0].image, snapshots[snapshots.length - 1].image];
  const way = x1.map((value, i) => value - x0[i]);
  paths.image.set(x1, start * P);
  snapshots.forEach(({ t, image, velocity }, m) => {
    paths.t[m] = t;
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
