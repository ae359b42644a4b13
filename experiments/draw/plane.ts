import { EigenvalueDecomposition, Matrix, QrDecomposition } from "npm:ml-matrix@6.15.1";
import { uniforms } from "../../kernels/mod.ts";
import {
  encodeSafetensors,
  nearestNeighbours,
  noise,
  type Points,
  SampleBatches,
  Sampler,
  type Snapshot,
} from "../../models/mod.ts";
import { type Dataset, firstIndices, type LabelledImages, subsetOrder } from "../data/dataset.ts";
import { pixelsOf } from "../data/images.ts";
import { join } from "node:path";
import type { PlaneTrajectories } from "../../viz/report/mod.ts";
import { makeFolder, readIfThere, writeAtomic } from "../run/run_folder.ts";
import { check, count, fieldsOf, finiteNumber, listOf } from "../run/field_checks.ts";
import { runFile, runFolder } from "../run/files.ts";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import { samplingField } from "./conditioning.ts";
import { type Drawable, type Drawing, finiteSnapshot } from "./samples.ts";
import { TensorFile, tensorsOf } from "../run/weights.ts";

/** The mean of images, and the directions of their largest variance. */
export interface PrincipalComponents {
  /** f32[P] */
  readonly mean: Float32Array;
  /** Unit vectors in order of falling variance, f32[K, P]. */
  readonly components: Float32Array;
  /** Share of the variance along each component, f32[K]. */
  readonly share: Float32Array;
}

/** Extra directions, which speed up the convergence of the last components. */
const spare = 8;
const iterations = 6;

/**
 * Finds the principal components of images by subspace iteration with a Rayleigh-Ritz step. It needs neither the P x P
 * covariance nor all of its eigenvectors; npm's ml-pca computes both and takes ten times as long.
 *
 * @param images f32[N, P]
 * @param P values per image
 * @param K number of components; those beyond P are 0
 * @returns components of fixed sign: the entry of largest magnitude is positive
 *
 * Source: Golub and Van Loan 2013, Matrix Computations, section 8.2.4; Halko, Martinsson and Tropp 2011
 */
export function principalComponents(images: Float32Array, P: number, K: number): PrincipalComponents {
  const N = images.length / P;
  const sum = new Float64Array(P);
  images.forEach((value, i) => sum[i % P] += value);
  const mean = Float32Array.from(sum, (value) => value / N);
  const centred = images.map((value, i) => value - mean[i % P]);
  const total = centred.reduce((sum, value) => sum + value * value, 0);
  const X = Matrix.from1DArray(N, P, centred);
  const L = Math.min(K + spare, P, N);
  let basis = Matrix.from1DArray(L, P, uniforms(0, 0, 0, L * P).map((value) => value - 0.5));
  let values: number[] = [];
  for (let i = 0; i < iterations; i++) {
    const rows = i === 0 ? basis : X.mmul(basis.transpose()).transpose().mmul(X); // Q X^T X
    const orthonormal = new QrDecomposition(rows.transpose()).orthogonalMatrix.transpose();
    const scores = X.mmul(orthonormal.transpose());
    const { realEigenvalues: found, eigenvectorMatrix } = new EigenvalueDecomposition(
      scores.transpose().mmul(scores),
      { assumeSymmetric: true },
    );
    const order = found.map((_, i) => i).sort((a, b) => found[b] - found[a]);
    basis = eigenvectorMatrix.transpose().subMatrixRow(order).mmul(orthonormal);
    values = order.map((i) => Math.max(found[i], 0));
  }
  const components = new Float32Array(K * P);
  components.set(basis.to1DArray().slice(0, K * P));
  for (let k = 0; k < K; k++) {
    const row = components.subarray(k * P, (k + 1) * P);
    const largest = row.reduce((best, value) => Math.abs(value) > Math.abs(best) ? value : best, 0);
    if (largest < 0) row.forEach((value, p) => row[p] = -value);
  }
  const share = new Float32Array(K);
  if (total > 0) share.set(values.slice(0, K).map((value) => value / total));
  return { mean, components, share };
}

/**
 * Coordinates of images along components.
 *
 * @param images f32[N, P]
 * @param K the first K components
 * @param centre whether to subtract the mean first: for images, not for velocities
 * @returns f32[N, K]
 */
export function project(
  images: Float32Array,
  { mean, components }: PrincipalComponents,
  K: number,
  centre = true,
): Float32Array {
  const P = mean.length;
  const N = images.length / P;
  const centred = centre ? images.map((value, i) => value - mean[i % P]) : images;
  const axes = Matrix.from1DArray(K, P, components.subarray(0, K * P)).transpose();
  return Float32Array.from(Matrix.from1DArray(N, P, centred).mmul(axes).to1DArray());
}

/** Maximum number of real images for components and voting, and of images for testing the classifier. */
const most = { real: 2000, tried: 1000 };
/** Number of components that the classifier uses. */
const components = 20;
/** Number of neighbours that vote. */
const neighbours = 5;

/**
 * Finds the nearest real images by their first principal components. With labels it is a small classifier: the most
 * frequent class among the nearest images wins. It depends only on the data set, which makes runs comparable.
 */
export class NearestImages {
  readonly pca: PrincipalComponents;
  /** Number of real images. */
  readonly count: number;
  /** Their classes, u32[count], if the data set has labels. */
  readonly labels: Uint32Array | undefined;
  /** Their principal coordinates, f32[count, K]. */
  readonly coordinates: Float32Array;
  readonly #K: number;

  /**
   * @param train images of a data set; 2,000 are used: the first, or random ones if they are sorted by class
   * @param P values per image, C H W
   */
  constructor(train: LabelledImages, P: number) {
    this.count = Math.min(train.count, most.real);
    this.#K = Math.max(2, Math.min(components, P)); // at least the two axes of a plane, even for images of one pixel
    const { labels } = train;
    const chosen = subsetOrder(train).subarray(0, this.count);
    this.labels = labels && Uint32Array.from(chosen, (n) => labels[n]);
    const images = pixelsOf(train.images, chosen, P);
    this.pca = principalComponents(images, P, this.#K);
    this.coordinates = project(images, this.pca, this.#K);
  }

  /**
   * Classifies images.
   *
   * @param images f32[N, P] with 0 black and 1 white
   * @returns u32[N], or undefined without labels
   */
  async classify(images: Float32Array): Promise<Uint32Array | undefined> {
    const { labels } = this;
    if (!labels) return undefined;
    const points = this.#points(project(images, this.pca, this.#K));
    const k = Math.min(neighbours, this.count);
    const { indices } = await nearestNeighbours(points, this.#points(this.coordinates), k);
    return Uint32Array.from({ length: points.rows }, (_, n) => {
      const votes = new Map<number, number>();
      for (const row of indices.subarray(n * k, (n + 1) * k)) {
        votes.set(labels[row], (votes.get(labels[row]) ?? 0) + 1);
      }
      // A tie goes to the label that comes first, so to the nearest image.
      return [...votes].reduce((best, vote) => vote[1] > best[1] ? vote : best)[0];
    });
  }

  /** Tests the classifier on up to 1,000 held-out images; undefined without labels. */
  async tryOn(test: LabelledImages, P: number) {
    const { labels } = test;
    const tried = Math.min(test.count, most.tried);
    const classes = labels && await this.classify(pixelsOf(test.images, firstIndices(tried), P));
    if (!classes) return undefined;
    return { right: classes.reduce((sum, label, n) => sum + (label === labels[n] ? 1 : 0), 0), tried };
  }

  #points(values: Float32Array): Points {
    return { values, rows: values.length / this.#K, width: this.#K };
  }
}

/** Number of real images shown behind the trajectories. */
const shownReal = 500;

/**
 * Follows many samples from noise to data, and projects their trajectories to a plane.
 *
 * @param data training images, whose components span the plane, and test images for the classifier's score
 */
export async function followInPlane(
  { model, shape, normalization }: Drawable,
  data: Pick<Dataset, "train" | "test">,
  { count: N, seed, steps, batch, conditioning }: Pick<Drawing, "count" | "seed" | "conditioning"> & {
    readonly steps: number;
    /** Largest batch of samples. */
    readonly batch: number;
  },
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
    await yieldToEvents();
    add(snapshots.map((snapshot) => finiteSnapshot(snapshot, normalization)), first);
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
