import { join } from "node:path";
import {
  encodeSafetensors,
  noise,
  SampleBatches,
  Sampler,
  type Snapshot,
  snapshotToPixels,
} from "../../models/mod.ts";
import type { PlaneTrajectories } from "../../viz/report/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { makeFolder, readIfThere, writeAtomic } from "../run/run_folder.ts";
import { check, count, fieldsOf, finiteNumber, listOf } from "../run/field_checks.ts";
import { runFile, runFolder } from "../run/files.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";
import { type Conditioning, samplingField } from "./conditioning.ts";
import { NearestImages } from "./nearest_images.ts";
import { project } from "./principal_components.ts";
import { type Drawable, finiteImages } from "./samples.ts";
import { TensorFile, tensorsOf } from "../run/weights.ts";

/** Number of real images shown behind the trajectories. */
const shownReal = 500;

/** Options of {@linkcode followInPlane}: samples, noise and Euler steps. */
export interface PlaneOptions {
  readonly count: number;
  readonly seed: number;
  readonly steps: number;
  /** Largest batch of samples. */
  readonly batch: number;
  readonly conditioning?: Conditioning | undefined;
}

/**
 * Follows many samples from noise to data, and projects their trajectories to a plane.
 *
 * @param data training images, whose components span the plane, and test images for the classifier's score
 */
export async function followInPlane(
  { model, shape, normalization }: Drawable,
  data: Pick<Dataset, "train" | "test">,
  { count: N, seed, steps, batch, conditioning }: PlaneOptions,
): Promise<PlaneTrajectories> {
  const [C, H, W] = shape;
  const P = C * H * W;
  const M = steps + 1;
  const nearest = new NearestImages(data.train, P);
  const { pca, coordinates, labels } = nearest;
  const arrays = {
    t: new Float32Array(M),
    position: new Float32Array(M * N * 2),
    velocity: new Float32Array(steps * N * 2),
    speed: new Float32Array(steps * N),
    straightness: new Float32Array(steps * N),
    image: new Float32Array(N * P),
  };
  /** Adds the samples from index `start`. */
  const add = (snapshots: readonly Snapshot[], start: number) => {
    const [x0, x1] = [snapshots[0].image, snapshots[snapshots.length - 1].image];
    const line = x1.map((value, i) => value - x0[i]);
    arrays.image.set(x1, start * P);
    snapshots.forEach(({ t, image, velocity }, m) => {
      arrays.t[m] = t;
      arrays.position.set(project(image, pca, 2), (m * N + start) * 2);
      if (!velocity) return;
      arrays.velocity.set(project(velocity, pca, 2, false), (m * N + start) * 2);
      for (let n = 0; n < x0.length / P; n++) {
        const v = velocity.subarray(n * P, (n + 1) * P);
        const u = line.subarray(n * P, (n + 1) * P);
        const [vv, uu, uv] = [dot(v, v), dot(u, u), dot(u, v)];
        arrays.speed[m * N + start + n] = Math.sqrt(vv / P);
        arrays.straightness[m * N + start + n] = vv > 0 && uu > 0 ? uv / Math.sqrt(vv * uu) : 0;
      }
    });
  };
  const { field, condition } = samplingField({ model }, conditioning);
  const batches = new SampleBatches(noise(seed, [N, ...shape]), batch, condition);
  const sampler = new Sampler(batches.field(field), batches.shape, { solver: "euler", steps });
  for (const { first, x0 } of batches) {
    const snapshots = await Array.fromAsync(sampler.trajectory(x0));
    for (const { image, velocity } of snapshots) {
      for (const values of [image, velocity]) if (values) finiteImages("follow samples", values);
    }
    await yieldToEvents();
    add(snapshots.map((snapshot) => snapshotToPixels(snapshot, normalization)), first);
  }
  const classes = await nearest.classify(arrays.image);
  const classifier = await nearest.tryOn(data.test, P);
  const [D, K] = [Math.min(shownReal, nearest.count), coordinates.length / nearest.count];
  return {
    ...arrays,
    ...classes && { classes },
    ...conditioning &&
      { conditioning: { labels: conditioning.labels, guidance: conditioning.guidance.scale } },
    real: {
      position: Float32Array.from({ length: 2 * D }, (_, i) => coordinates[(i >> 1) * K + i % 2]),
      ...labels && { classes: labels.slice(0, D) },
    },
    share: [pca.share[0], pca.share[1]],
    ...classifier && { classifier },
    shape: C === 1 ? [M, N, H, W] : [M, N, C, H, W],
  };
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

const score = fieldsOf({ right: count, tried: count });
const shares = check<PlaneTrajectories["share"]>(
  "two numbers",
  (value) => listOf(finiteNumber).accepts(value) && value.length === 2,
);

/** Required tensors of the file, with their shapes. */
const shapesOf = (M: number, N: number, size: readonly number[]) => ({
  t: [M],
  position: [M, N, 2],
  velocity: [M - 1, N, 2],
  speed: [M - 1, N],
  straightness: [M - 1, N],
  image: [N, ...size],
});

/**
 * Writes trajectories in a plane as `flow/paths.safetensors` of a run: f32 tensors named as the fields of
 * {@linkcode PlaneTrajectories}. The metadata holds the share of variance, the classifier's score, and the guidance of
 * conditioned samples. Without labels there are no `classes`, `real_classes` and classifier.
 */
export async function writePlaneTrajectories(run: string, trajectories: PlaneTrajectories): Promise<void> {
  const { classes, conditioning, real, share, classifier, shape: [M, N, ...size] } = trajectories;
  const tensors = tensorsOf(shapesOf(M, N, size), trajectories);
  tensors.set("real_position", { shape: [real.position.length / 2, 2], data: real.position });
  const labels = { classes, asked: conditioning?.labels, real_classes: real.classes };
  for (const [name, values] of Object.entries(labels)) {
    if (values) tensors.set(name, { shape: [values.length], data: Float32Array.from(values) });
  }
  const bytes = encodeSafetensors(tensors, {
    share: JSON.stringify(share),
    ...conditioning && { guidance: JSON.stringify(conditioning.guidance) },
    ...classifier && { classifier: JSON.stringify(classifier) },
  });
  await makeFolder(run, runFolder.flow);
  await writeAtomic(join(run, runFile.paths), bytes);
}

/** Reads the plane trajectories of a run; undefined if it has none. */
export async function readPlaneTrajectories(run: string): Promise<PlaneTrajectories | undefined> {
  const path = join(run, runFile.paths);
  const bytes = await readIfThere(path, run);
  if (bytes === undefined) return undefined;
  const file = new TensorFile(bytes, path, "delete the file, and the run is shown without its trajectories");
  const [M] = file.shapeOf("t");
  const [N, ...size] = file.shapeOf("image");
  const [D] = file.shapeOf("real_position");
  if (size.length !== 2 && size.length !== 3) {
    throw file.mismatch("image", "f32[N, H, W] or f32[N, C, H, W]");
  }
  return {
    ...file.readAll(shapesOf(M, N, size)),
    ...file.has("asked") && {
      conditioning: { labels: file.labels("asked", N), guidance: file.field("guidance", finiteNumber) },
    },
    real: {
      position: file.read("real_position", D, 2),
      ...file.has("real_classes") && { classes: file.labels("real_classes", D) },
    },
    share: file.field("share", shares),
    ...file.has("classes") && {
      classes: file.labels("classes", N),
      classifier: file.field("classifier", score),
    },
    shape: [M, N, ...size] as readonly number[] as PlaneTrajectories["shape"],
  };
}
